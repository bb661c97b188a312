package managed

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/test/pki"
)

// PC is a Windows device that has enrolled.
type PC struct {
	fleet    *Fleet
	identity fleet.Identity
	id       string
	sessions int
	// Nodes are what it was told, and what it is, by LocURI.
	Nodes map[string]string
	// Refused are the nodes that it lets nobody write, with its answer.
	Refused map[string]fleet.WindowsStatus
}

// EnrolPC enrols a PC by a token of its own and runs the first session, in which it tells its serial number.
func (f *Fleet) EnrolPC(id, serial string) *PC {
	f.t.Helper()
	ctx := context.Background()
	f.serial++
	cred := fleet.WindowsCredential{TokenHash: "token " + strconv.Itoa(f.serial)}
	_, err := f.PutToken(ctx, adminapi.Token{
		Key: adminapi.Key("fleet/" + strconv.Itoa(f.serial)), Hash: cred.TokenHash, Platforms: []adminapi.Platform{adminapi.PlatformWindows},
	})
	f.must(err)
	pc := &PC{fleet: f, id: id, Refused: map[string]fleet.WindowsStatus{}, Nodes: map[string]string{
		"./DevInfo/Man": "LENOVO", "./DevInfo/Mod": "21CB", "./DevDetail/SwV": "10.0.26100.1742",
		"./DevDetail/Ext/Microsoft/SMBIOSSerialNumber": serial, "./DevDetail/Ext/Microsoft/DeviceName": "PC of " + id,
	}}
	_, err = f.EnrollWindows(ctx, cred, fleet.WindowsClaim{DeviceID: id, PublicKeySHA256: "key of " + id}, func(g fleet.Grant) ([]byte, error) {
		leaf := pki.Leaf{CN: g.EnrollmentID, NotBefore: f.clock.Now(), NotAfter: f.clock.Now().AddDate(1, 0, 0)}
		der := identityCA(f.t).Issue(f.t, leaf).Certificate[0]
		sum := sha256.Sum256(der)
		pc.identity = fleet.Identity{Fingerprint: hex.EncodeToString(sum[:]), EnrollmentID: g.EnrollmentID, NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter}
		return der, nil
	})
	f.must(err)
	pc.Session()
	return pc
}

// EnrollmentID is the device's enrolment.
func (p *PC) EnrollmentID() string { return p.identity.EnrollmentID }

// Session runs one management session to its end and returns what it was told.
func (p *PC) Session() []adminapi.SyncMLCommand {
	p.fleet.t.Helper()
	p.sessions++
	var got []adminapi.SyncMLCommand
	m := fleet.WindowsMessage{SessionID: strconv.Itoa(p.sessions), MsgID: "1", First: true, Login: "none"}
	for n := 2; ; n++ {
		orders, err := p.fleet.Manage(context.Background(), p.identity, p.id, adminapi.AuthDigest, m)
		p.fleet.must(err)
		if len(orders) == 0 {
			return got
		}
		answer := fleet.WindowsMessage{SessionID: m.SessionID, MsgID: strconv.Itoa(n)}
		for _, o := range orders {
			got = append(got, o.Command)
			status, value := p.obey(o.Command)
			status.MsgRef, status.CmdRef = m.MsgID, o.ID
			answer.Statuses = append(answer.Statuses, status)
			if value != nil {
				value.MsgRef, value.CmdRef = m.MsgID, o.ID
				answer.Results = append(answer.Results, *value)
			}
		}
		m = answer
	}
}

// obey does what a command says.
func (p *PC) obey(c adminapi.SyncMLCommand) (fleet.WindowsStatus, *fleet.WindowsResult) {
	if c.Verb == adminapi.VerbGet {
		if value, has := p.Nodes[c.LocURI]; has {
			return fleet.WindowsStatus{Code: 200}, &fleet.WindowsResult{LocURI: c.LocURI, Data: value}
		}
		return fleet.WindowsStatus{Code: 404}, nil
	}
	if refused, refuses := p.Refused[c.LocURI]; refuses {
		return refused, nil
	}
	return fleet.WindowsStatus{Code: p.write(c)}, nil
}

// write changes a node as Windows does: Add and Replace are no synonyms. An Exec always succeeds.
func (p *PC) write(c adminapi.SyncMLCommand) (code int) {
	_, has := p.Nodes[c.LocURI]
	switch {
	case c.Verb == adminapi.VerbExec:
	case c.Verb == adminapi.VerbAdd && has:
		return 418
	case c.Verb != adminapi.VerbAdd && !has:
		return 404
	case c.Verb == adminapi.VerbDelete:
		delete(p.Nodes, c.LocURI)
	default:
		p.Nodes[c.LocURI] = c.Data
	}
	return 200
}
