package mdmserver_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"testing"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/test/cputime"
	"github.com/kubemdm/kubemdm/test/devicesim/windows"
)

// talker is the least that speaks for a PC: messages with a digest over a connection that stays open.
type talker struct {
	client *http.Client
	device adminapi.Device
	cred   string
}

func (w *world) talker(b *testing.B) *talker {
	b.Helper()
	pc := w.pc(b, 1)
	device := w.managed(b, pc)
	account := pc.Provisioning().ToServer
	cred := `<Cred><Meta><Format xmlns="syncml:metinf">b64</Format><Type xmlns="syncml:metinf">syncml:auth-md5</Type></Meta><Data>` +
		windows.Digest(account.Name, account.Secret, account.Nonce) + `</Data></Cred>`
	return &talker{client: w.deviceHTTP(b), device: device, cred: cred}
}

func (t *talker) message(session string, msgID int, commands string) []byte {
	return fmt.Appendf(nil, `<SyncML xmlns="SYNCML:SYNCML1.2"><SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto><SessionID>%s</SessionID><MsgID>%d</MsgID>`+
		`<Target><LocURI>%s</LocURI></Target><Source><LocURI>%s</LocURI></Source>%s</SyncHdr><SyncBody>%s<Final/></SyncBody></SyncML>`,
		session, msgID, managementURL, t.device.ID, t.cred, commands)
}

// opens is the first package of a session as Windows sends it.
const opens = `<Alert><CmdID>2</CmdID><Data>1201</Data></Alert><Alert><CmdID>3</CmdID><Data>1224</Data><Item><Meta><Type xmlns="syncml:metinf">com.microsoft/MDM/LoginStatus</Type></Meta><Data>none</Data></Item></Alert>` +
	`<Replace><CmdID>4</CmdID><Item><Source><LocURI>./DevInfo/DmV</LocURI></Source><Data>1.3</Data></Item><Item><Source><LocURI>./DevInfo/Lang</LocURI></Source><Data>en-US</Data></Item></Replace>`

func (t *talker) send(b *testing.B, message []byte, want string) {
	r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, managementURL, bytes.NewReader(message))
	if err != nil {
		b.Error(err)
		return
	}
	res, err := t.client.Do(r)
	if err != nil {
		b.Error(err)
		return
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || !bytes.Contains(answer, []byte(want)) {
		b.Errorf("%s, %v: %s", res.Status, err, answer)
	}
}

// BenchmarkIdleWindowsSession is a PC that asks for work and finds none: TLS, SyncML, digest, store.
func BenchmarkIdleWindowsSession(b *testing.B) {
	w := newWindowsWorld(b)
	pc := w.talker(b)
	message := pc.message("F1", 1, opens)
	cputime.PerSecond(b, "sessions", func() {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				pc.send(b, message, "<Cmd>SyncHdr</Cmd><Chal>")
			}
		})
	})
}

// BenchmarkWindowsSessionWithACommand is an action from its PUT to the PC's answer.
func BenchmarkWindowsSessionWithACommand(b *testing.B) {
	w := newWindowsWorld(b)
	pc := w.talker(b)
	targets := []adminapi.ActionTarget{{DeviceID: pc.device.ID, EnrollmentID: pc.device.EnrollmentID}}
	get := &adminapi.WindowsCommand{RequestType: adminapi.WindowsRaw, Commands: []adminapi.SyncMLCommand{{Verb: adminapi.VerbGet, LocURI: "./DevDetail/SwV"}}}
	const answer = `<Status><CmdID>1</CmdID><MsgRef>1</MsgRef><CmdRef>0</CmdRef><Cmd>SyncHdr</Cmd><Data>200</Data></Status><Status><CmdID>2</CmdID><MsgRef>1</MsgRef><CmdRef>1</CmdRef><Cmd>Get</Cmd><Data>200</Data></Status>` +
		`<Results><CmdID>3</CmdID><MsgRef>1</MsgRef><CmdRef>1</CmdRef><Item><Source><LocURI>./DevDetail/SwV</LocURI></Source><Data>10.0.26200.6901</Data></Item></Results>`
	cputime.PerSecond(b, "sessions", func() {
		for i := 0; b.Loop(); i++ {
			action := adminapi.Action{Key: "fleet/info", SpecHash: strconv.Itoa(i), Targets: targets, Windows: get}
			if _, err := w.admin.PutAction(b.Context(), action); err != nil {
				b.Fatal(err)
			}
			session := strconv.FormatInt(int64(i+100), 16)
			pc.send(b, pc.message(session, 1, opens), "<Get><CmdID>1</CmdID>")
			pc.send(b, pc.message(session, 2, answer), "<Final/>")
		}
	})
	w.await(b, func(c adminapi.Change) bool { return c.Action != nil && c.Action.Counts[adminapi.TargetSucceeded] == 1 })
}
