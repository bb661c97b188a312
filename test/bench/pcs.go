package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/kubemdm/kubemdm/test/devicesim/windows"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

// PCs are to enrol by the page, or by the agent, each with the secret of a token.
type PCs struct {
	Agents  bool
	Secrets []string
}

// EnrolPCs enrols PCs, each of which then has its first session.
func (d *Devices) EnrolPCs(p PCs, _ *Nothing) error {
	for i, secret := range p.Secrets {
		prefix := map[bool]string{false: "BENCH", true: "AGENT"}[p.Agents]
		pc, err := windows.New(windows.Options{Hardware: windows.Laptop(prefix, i), Roots: d.roots, Key: d.keys.Key, Dial: d.dial})
		if err != nil {
			return err
		}
		if err := enrolPC(context.Background(), pc, p.Agents, secret); err != nil {
			return err
		}
		d.pcs = append(d.pcs, pc)
	}
	return nil
}

func enrolPC(ctx context.Context, pc *windows.PC, agent bool, secret string) (err error) {
	const server = "https://" + serverfiles.Host
	if agent {
		err = pc.EnrollByAgent(ctx, server, secret)
	} else {
		err = pc.EnrollWithPassword(ctx, server, "jo@example.test", secret)
	}
	if err == nil {
		_, err = pc.Session(ctx, windows.SessionOptions{})
	}
	return err
}

// OpenPCs opens a lane for each PC: for sessions that find nothing to do, or for polls of its agent.
func (d *Devices) OpenPCs(agents bool, _ *Nothing) error {
	d.closeLanes()
	var errs []error
	for _, pc := range d.pcs {
		if agents {
			errs = append(errs, d.openAgent(pc))
		} else {
			errs = append(errs, d.openPC(pc))
		}
	}
	for _, l := range d.lanes {
		errs = append(errs, l.known())
	}
	return errors.Join(errs...)
}

// known waits until a server that has just started knows the device, which is told to try again until then.
func (l *lane) known() error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for range 200 {
		if err := l.send(0); !errors.Is(err, errUnavailable) {
			return err
		}
		<-ticker.C
	}
	return errUnavailable
}

func (d *Devices) openAgent(pc *windows.PC) error {
	body, err := json.Marshal(map[string]string{"orbit_node_key": pc.NodeKey()})
	if err != nil {
		return err
	}
	raw := rawRequest(http.MethodPost, serverfiles.Host, "/api/fleet/orbit/config", http.Header{"Content-Type": {"application/json"}}, body)
	return d.open(serverfiles.Host, nil, `{"notifications":{`, func(int) []byte { return raw })
}

// opens is the first package of a session as Windows sends it: who it is, that nobody is logged in, and what it is.
const opens = `<Alert><CmdID>2</CmdID><Data>1201</Data></Alert><Alert><CmdID>3</CmdID><Data>1224</Data><Item><Meta><Type xmlns="syncml:metinf">com.microsoft/MDM/LoginStatus</Type></Meta><Data>none</Data></Item></Alert>` +
	`<Replace><CmdID>4</CmdID><Item><Source><LocURI>./DevInfo/DmV</LocURI></Source><Data>1.3</Data></Item><Item><Source><LocURI>./DevInfo/Lang</LocURI></Source><Data>en-US</Data></Item></Replace>`

// openPC proves the PC by its certificate in TLS, over a connection that stays open.
func (d *Devices) openPC(pc *windows.PC) error {
	identity := pc.Identity()
	const path = "/api/mdm/microsoft/management?mode=Maintenance"
	session := func(number int) []byte {
		body := fmt.Appendf(nil, `<SyncML xmlns="SYNCML:SYNCML1.2"><SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto><SessionID>%x</SessionID><MsgID>1</MsgID>`+
			`<Target><LocURI>https://%s%s</LocURI></Target><Source><LocURI>%s</LocURI></Source></SyncHdr><SyncBody>%s<Final/></SyncBody></SyncML>`,
			number, serverfiles.ManagementHost, path, pc.Hardware().DeviceID, opens)
		return rawRequest(http.MethodPost, serverfiles.ManagementHost, path, http.Header{"Content-Type": {"application/vnd.syncml.dm+xml"}}, body)
	}
	cert := tls.Certificate{Certificate: [][]byte{identity.Certificate.Raw}, PrivateKey: identity.Key}
	return d.open(serverfiles.ManagementHost, &cert, "<Cmd>SyncHdr</Cmd><Data>212</Data>", session)
}
