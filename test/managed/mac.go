package managed

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/test/pki"
)

// Mac is a device that has enrolled.
type Mac struct {
	fleet    *Fleet
	identity fleet.Identity
	channel  fleet.Channel
}

// Enrol enrols a device by a token of its own that gives the labels. The same UDID again is another enrolment of the device, which the token is for.
func (f *Fleet) Enrol(udid, serial string, labels map[string]string) *Mac {
	f.t.Helper()
	f.serial++
	hash := "token " + strconv.Itoa(f.serial)
	_, err := f.PutToken(context.Background(), adminapi.Token{Key: adminapi.Key("fleet/" + strconv.Itoa(f.serial)), Hash: hash, Labels: labels, UDID: udid})
	f.must(err)
	m, err := f.enrol(hash, udid, serial)
	f.must(err)
	return m
}

// Intrude tries to enrol a device with a token that is not for it, and returns how that ended.
func (f *Fleet) Intrude(udid, serial string) error {
	f.t.Helper()
	_, err := f.PutToken(context.Background(), adminapi.Token{Key: "fleet/anybody", Hash: "anybody"})
	f.must(err)
	_, err = f.enrol("anybody", udid, serial)
	return err
}

func (f *Fleet) enrol(hash, udid, serial string) (*Mac, error) {
	f.t.Helper()
	ctx := context.Background()
	challenge, err := f.IssueChallenge(ctx, hash, fleet.EnrollmentParams{PayloadIdentifier: "io.kubemdm.fleet.main.enroll", Topic: "topic"})
	f.must(err)
	m := &Mac{fleet: f, channel: fleet.Channel{ID: udid, DeviceID: udid, Kind: fleet.ChannelDevice}}
	_, err = f.RedeemChallenge(ctx, challenge.Secret, "key", func(g fleet.Grant) ([]byte, error) {
		leaf := pki.Leaf{CN: g.EnrollmentID, NotBefore: f.clock.Now(), NotAfter: f.clock.Now().AddDate(1, 0, 0)}
		der := identityCA(f.t).Issue(f.t, leaf).Certificate[0]
		sum := sha256.Sum256(der)
		m.identity = fleet.Identity{Fingerprint: hex.EncodeToString(sum[:]), EnrollmentID: g.EnrollmentID, NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter}
		return der, nil
	})
	f.must(err)
	facts := fleet.DeviceFacts{UDID: udid, SerialNumber: serial, ModelName: "MacBook Pro", OSVersion: "15.1", DeviceName: "Mac of " + udid}
	if err := f.Authenticate(ctx, m.identity, m.channel, facts, "topic"); err != nil {
		return nil, err
	}
	return m, f.TokenUpdate(ctx, m.identity, m.channel, fleet.PushInfo{Token: []byte(udid), Magic: "magic", Topic: "topic"}, nil, false)
}

var (
	identityOnce  sync.Once
	identityShare *pki.CA
)

// identityCA is shared, for speed.
func identityCA(t testing.TB) *pki.CA {
	identityOnce.Do(func() { identityShare = pki.NewCA(t, "identity") })
	return identityShare
}

// EnrollmentID is the device's enrolment.
func (m *Mac) EnrollmentID() string { return m.identity.EnrollmentID }

// Delivery is a command as a device gets it.
type Delivery = fleet.Delivery

// Answer decides what a device says to a command: a status and, for an error, why.
type Answer func(d Delivery) (status fleet.Status, message string)

// Acknowledge says yes to everything.
func Acknowledge(Delivery) (status fleet.Status, message string) {
	return fleet.StatusAcknowledged, ""
}

// NotNow puts everything off.
func NotNow(Delivery) (status fleet.Status, message string) { return fleet.StatusNotNow, "" }

// Refuse answers every command with an error.
var Refuse = RefuseWith("no thanks")

// RefuseWith answers every command with an error and this reason.
func RefuseWith(reason string) Answer {
	return func(Delivery) (status fleet.Status, message string) { return fleet.StatusError, reason }
}

// Connect reports idle and answers commands until there are no more, and returns them.
func (m *Mac) Connect(answer Answer) []Delivery {
	m.fleet.t.Helper()
	var got []Delivery
	for d := m.send(fleet.Report{Status: fleet.StatusIdle}); d != nil; {
		got = append(got, *d)
		status, message := answer(*d)
		d = m.send(fleet.Report{Status: status, CommandUUID: d.CommandUUID, Message: message, Body: []byte("<plist/>")})
	}
	return got
}

// Take reports idle and keeps the command that comes without an answer; nil if none does.
func (m *Mac) Take() *Delivery {
	m.fleet.t.Helper()
	return m.send(fleet.Report{Status: fleet.StatusIdle})
}

func (m *Mac) send(report fleet.Report) *Delivery {
	m.fleet.t.Helper()
	command, err := m.fleet.Connect(context.Background(), m.identity, m.channel, report)
	m.fleet.must(err)
	if command == nil {
		return nil
	}
	d := &Delivery{}
	m.fleet.must(json.Unmarshal(command, d))
	return d
}

// CheckOut ends the enrolment as its user does.
func (m *Mac) CheckOut() {
	m.fleet.t.Helper()
	m.fleet.must(m.fleet.CheckOut(context.Background(), m.identity, m.channel))
}

// Silence lets so much time pass at the server that it calls its devices silent.
func (b *Bench) Silence() {
	b.Helper()
	b.Advance(8 * 24 * time.Hour)
	b.Must(b.Fleet.Sweep(context.Background()))
}
