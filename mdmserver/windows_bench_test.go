package mdmserver_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"testing"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/test/cputime"
	"github.com/kubemdm/kubemdm/test/devicesim/windows"
	"github.com/kubemdm/kubemdm/test/pki"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

// benchPCs are the PCs, or agents, that speak to the server at the same time.
const benchPCs = 4

// opens is the first package of a session as Windows sends it.
const opens = `<Alert><CmdID>2</CmdID><Data>1201</Data></Alert><Alert><CmdID>3</CmdID><Data>1224</Data><Item><Meta><Type xmlns="syncml:metinf">com.microsoft/MDM/LoginStatus</Type></Meta><Data>none</Data></Item></Alert>` +
	`<Replace><CmdID>4</CmdID><Item><Source><LocURI>./DevInfo/DmV</LocURI></Source><Data>1.3</Data></Item><Item><Source><LocURI>./DevInfo/Lang</LocURI></Source><Data>en-US</Data></Item></Replace>`

// packageOf is a package of a session with a digest.
func packageOf(pc *windows.PC, session string, msgID int, commands string) string {
	account := pc.Provisioning().ToServer
	return fmt.Sprintf(`<SyncML xmlns="SYNCML:SYNCML1.2"><SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto><SessionID>%s</SessionID><MsgID>%d</MsgID>`+
		`<Target><LocURI>%s</LocURI></Target><Source><LocURI>%s</LocURI></Source><Cred><Meta><Format xmlns="syncml:metinf">b64</Format><Type xmlns="syncml:metinf">syncml:auth-md5</Type></Meta><Data>%s</Data></Cred>`+
		`</SyncHdr><SyncBody>%s<Final/></SyncBody></SyncML>`, session, msgID, managementURL, pc.Hardware().DeviceID, windows.Digest(account.Name, account.Secret, account.Nonce), commands)
}

// load is what PCs or agents send to the public address.
func (w *world) load(url, contentType string, senders []cputime.Sender) cputime.Load {
	return cputime.Load{Method: http.MethodPost, URL: url, Header: http.Header{"Content-Type": {contentType}}, Address: w.addrs.Devices.String(), CA: w.WebCA.CertPEM(), Senders: senders}
}

// BenchmarkIdleWindowsSession is a PC that asks for work and finds none. Digest and Certificate are how it proves itself, over a connection that stays open;
// Handshake is a PC that shows its certificate over a new connection, as one does that comes every few hours.
func BenchmarkIdleWindowsSession(b *testing.B) {
	w := newWindowsWorld(b)
	var digests, certificates []cputime.Sender
	for i := range benchPCs {
		pc := w.pc(b, i)
		w.managed(b, pc)
		digest := cputime.Sender{Body: packageOf(pc, cputime.Number, 1, opens)}
		certificate := digest
		id := pc.Identity()
		certificate.Cert, certificate.Key = pki.PEM(b, tls.Certificate{Certificate: [][]byte{id.Certificate.Raw}, PrivateKey: id.Key})
		digests, certificates = append(digests, digest), append(certificates, certificate)
	}
	for _, tc := range []struct {
		name      string
		senders   []cputime.Sender
		reconnect bool
		want      string
	}{
		{"Digest", digests, false, "<Cmd>SyncHdr</Cmd><Chal>"},
		{"Certificate", certificates, false, "<Cmd>SyncHdr</Cmd><Data>212</Data>"},
		{"Handshake", certificates, true, "<Cmd>SyncHdr</Cmd><Data>212</Data>"},
	} {
		b.Run(tc.name, func(b *testing.B) {
			load := w.load(managementURL, "application/vnd.syncml.dm+xml", tc.senders)
			load.Reconnect, load.Want = tc.reconnect, tc.want
			cputime.ServerPerSecond(b, "sessions", load)
		})
	}
}

// BenchmarkWindowsSessionWithACommand is an action from its PUT to the PC's answer, the halves of the PC and of the manager included.
func BenchmarkWindowsSessionWithACommand(b *testing.B) {
	w := newWindowsWorld(b)
	pc := w.pc(b, 1)
	device := w.managed(b, pc)
	client := w.deviceHTTP(b)
	targets := []adminapi.ActionTarget{{DeviceID: device.ID, EnrollmentID: device.EnrollmentID}}
	get := &adminapi.WindowsCommand{RequestType: adminapi.WindowsRaw, Commands: []adminapi.SyncMLCommand{{Verb: adminapi.VerbGet, LocURI: "./DevDetail/SwV"}}}
	const answer = `<Status><CmdID>1</CmdID><MsgRef>1</MsgRef><CmdRef>0</CmdRef><Cmd>SyncHdr</Cmd><Data>200</Data></Status><Status><CmdID>2</CmdID><MsgRef>1</MsgRef><CmdRef>1</CmdRef><Cmd>Get</Cmd><Data>200</Data></Status>` +
		`<Results><CmdID>3</CmdID><MsgRef>1</MsgRef><CmdRef>1</CmdRef><Item><Source><LocURI>./DevDetail/SwV</LocURI></Source><Data>10.0.26200.6901</Data></Item></Results>`
	cputime.PerSecond(b, "actions", func() {
		for i := 0; b.Loop(); i++ {
			action := adminapi.Action{Key: "fleet/info", SpecHash: strconv.Itoa(i), Targets: targets, Windows: get}
			if _, err := w.admin.PutAction(b.Context(), action); err != nil {
				b.Fatal(err)
			}
			session := strconv.FormatInt(int64(i+100), 16)
			sendPackage(b, client, packageOf(pc, session, 1, opens), "<Get><CmdID>1</CmdID>")
			sendPackage(b, client, packageOf(pc, session, 2, answer), "<Final/>")
		}
	})
	w.await(b, func(c adminapi.Change) bool { return c.Action != nil && c.Action.Counts[adminapi.TargetSucceeded] == 1 })
}

func sendPackage(b *testing.B, client *http.Client, message, want string) {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, managementURL, bytes.NewReader([]byte(message)))
	if err != nil {
		b.Fatal(err)
	}
	res, err := client.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || !bytes.Contains(answer, []byte(want)) {
		b.Fatalf("%s, %v: %s", res.Status, err, answer)
	}
}

// BenchmarkAgentPoll is an agent that asks what there is to do and is told that there is nothing, over a connection that stays open.
func BenchmarkAgentPoll(b *testing.B) {
	w := newWindowsWorld(b)
	var agents []cputime.Sender
	for i := range benchPCs {
		pc := w.pc(b, i)
		if err := pc.EnrollByAgent(b.Context(), "https://"+serverfiles.Host, w.windowsToken(b, adminapi.Key(fmt.Sprintf("fleet/agent-%d", i)))); err != nil {
			b.Fatal(err)
		}
		w.converse(b, pc)
		body, err := json.Marshal(map[string]string{"orbit_node_key": pc.NodeKey()})
		if err != nil {
			b.Fatal(err)
		}
		agents = append(agents, cputime.Sender{Body: string(body)})
	}
	// A server that starts reads all agents; one that runs takes up to a second to know new ones.
	if err := w.stop(); err != nil {
		b.Fatal(err)
	}
	w.start(b)
	load := w.load("https://"+serverfiles.Host+"/api/fleet/orbit/config", "application/json", agents)
	load.Want = `{"notifications":{`
	cputime.ServerPerSecond(b, "polls", load)
}
