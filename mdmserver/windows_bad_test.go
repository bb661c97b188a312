package mdmserver_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/devicesim/windows"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

const managementURL = "https://" + serverfiles.ManagementHost + "/api/mdm/microsoft/management?mode=Maintenance"

// sessionMessage is a message that opens a session, with whatever else it holds.
func sessionMessage(deviceID string, msgID int, cred, commands string) string {
	return fmt.Sprintf(`<SyncML xmlns="SYNCML:SYNCML1.2"><SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto><SessionID>F1</SessionID><MsgID>%d</MsgID>`+
		`<Target><LocURI>%s</LocURI></Target><Source><LocURI>%s</LocURI></Source>%s</SyncHdr><SyncBody><Alert><CmdID>1</CmdID><Data>1201</Data></Alert>%s</SyncBody></SyncML>`,
		msgID, managementURL, deviceID, cred, commands)
}

// post sends a body as a PC does, which shows the certificate, if there is one, when it is asked.
func (w *world) post(t testing.TB, pc *windows.PC, id *devicesim.Identity, body string) (status int, answer string) {
	t.Helper()
	a, err := pc.Send(t.Context(), windows.Message{Method: http.MethodPost, URL: managementURL, Body: []byte(body), Identity: id,
		Header: http.Header{"Content-Type": {"application/vnd.syncml.dm+xml"}}})
	if err != nil {
		t.Fatal(err)
	}
	return a.Status, string(a.Body)
}

// isStillManaged fails unless a PC's sessions go on as if nothing had been.
func (w *world) isStillManaged(t testing.TB, pcs ...*windows.PC) {
	t.Helper()
	for _, pc := range pcs {
		if report := w.converse(t, pc); report.Messages != 1 {
			t.Errorf("an idle session took %+v", report)
		}
	}
	if _, body := w.get(t, "/metrics"); !strings.Contains(body, "kubemdm_server_http_panics_total 0") {
		t.Error("a request panicked")
	}
}

func TestManagementMessagesThatAreNone(t *testing.T) {
	w := newWindowsWorld(t)
	pc := w.pc(t, 1)
	device := w.managed(t, pc)
	bomb := `<!DOCTYPE SyncML [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>`
	good := sessionMessage(device.ID, 1, "", "<Final/>")
	for name, tc := range map[string]struct {
		body   string
		status int
	}{
		"nothing":            {"", http.StatusBadRequest},
		"WBXML":              {"\x03\x01\x6a\x00\x00", http.StatusBadRequest},
		"cut off":            {good[:len(good)-9], http.StatusBadRequest},
		"SOAP":               {`<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"/>`, http.StatusBadRequest},
		"external entity":    {`<!DOCTYPE SyncML SYSTEM "file:///etc/passwd">` + good, http.StatusBadRequest},
		"entity bomb":        {bomb + strings.Replace(good, "1201", "&c;", 1), http.StatusBadRequest},
		"nested without end": {sessionMessage(device.ID, 1, "", strings.Repeat("<Atomic>", 10_000)), http.StatusBadRequest},
		"no device":          {sessionMessage("", 1, "", "<Final/>"), http.StatusBadRequest},
		"more than 4 MiB":    {sessionMessage(device.ID, 1, "", "<!--"+strings.Repeat(" ", 4<<20)+"-->"), http.StatusRequestEntityTooLarge},
	} {
		if status, answer := w.post(t, pc, pc.Identity(), tc.body); status != tc.status {
			t.Errorf("%s: answered %d %s", name, status, answer)
		}
	}
	w.isStillManaged(t, pc)
}

// Nobody speaks for a device without its own proof, and nothing that a stranger sends ends an enrolment.
func TestWhoMayNotSpeakForAPC(t *testing.T) {
	w := newWindowsWorld(t)
	one, two := w.pc(t, 1), w.pc(t, 2)
	first, _ := w.managed(t, one), w.managed(t, two)
	unenrol := `<Alert><CmdID>2</CmdID><Data>1226</Data><Item><Meta><Type xmlns="syncml:metinf">` + windows.TypeUnenrol + `</Type></Meta><Data>1</Data></Item></Alert><Final/>`
	guess := `<Cred><Meta><Format xmlns="syncml:metinf">b64</Format><Type xmlns="syncml:metinf">syncml:auth-md5</Type></Meta><Data>AAAAAAAAAAAAAAAAAAAAAA==</Data></Cred>`
	for name, tc := range map[string]struct {
		device string
		id     *devicesim.Identity
		cred   string
		want   string
	}{
		"the device's id alone":                     {first.ID, nil, "", "407"},
		"a guessed digest":                          {first.ID, nil, guess, "401"},
		"a guessed digest beside the certificate":   {first.ID, one.Identity(), guess, "401"},
		"another device's certificate":              {first.ID, two.Identity(), "", "403"},
		"a device that is not enrolled":             {"0123456789ABCDEF", nil, "", "407"},
		"a certificate for a device that is nobody": {"0123456789ABCDEF", one.Identity(), "", "403"},
	} {
		status, answer := w.post(t, one, tc.id, sessionMessage(tc.device, 1, tc.cred, unenrol))
		if status != http.StatusOK || !strings.Contains(answer, "<CmdRef>0</CmdRef><Cmd>SyncHdr</Cmd>") || !strings.Contains(answer, "<Data>"+tc.want+"</Data>") ||
			strings.Count(answer, "<CmdID>") != 1 {
			t.Errorf("%s: answered %d %s", name, status, answer)
		}
	}
	w.isStillManaged(t, one, two)
}

// A digest made with a nonce of long ago is answered with a new nonce, and the session goes on.
func TestAnOldNonceIsReplaced(t *testing.T) {
	w := newWindowsWorld(t)
	pc := w.pc(t, 1)
	w.managed(t, pc)
	good := windows.Digest(pc.Provisioning().ToServer.Name, pc.Provisioning().ToServer.Secret, pc.Provisioning().ToServer.Nonce)
	spoiled := 0
	report, err := pc.Session(t.Context(), windows.SessionOptions{Login: windows.LoginNone, Forge: func(m *windows.Message) {
		if spoiled++; spoiled == 1 {
			old := windows.Digest(pc.Provisioning().ToServer.Name, pc.Provisioning().ToServer.Secret, []byte("long ago"))
			m.Body = bytes.ReplaceAll(m.Body, []byte(good), []byte(old))
			if !bytes.Contains(m.Body, []byte(old)) {
				t.Error("the message does not hold the digest")
			}
		}
	}})
	if err != nil || report.Challenges != 1 {
		t.Errorf("%+v, %v", report, err)
	}
}

// Events that nobody knows are taken, whatever they say.
func TestUnknownAlertsAreTaken(t *testing.T) {
	w := newWindowsWorld(t)
	pc := w.pc(t, 1)
	w.managed(t, pc)
	alerts := []windows.Alert{
		{Code: windows.AlertGeneric, Type: "com.example:mdm.news", LocURI: "./Device/Vendor/MSFT/X", Format: "chr", Data: strings.Repeat("x", 100_000)},
		{Code: windows.AlertGeneric, Format: "chr"}, {Code: 1299, Type: "?"}, {Code: -1, Type: " "},
	}
	if _, err := pc.Session(t.Context(), windows.SessionOptions{Alerts: alerts}); err != nil {
		t.Errorf("the session: %v", err)
	}
	w.isStillManaged(t, pc)
}

// A session that never ends is asked for no more, and a device that does not stop holds up nobody.
func TestASessionThatNeverEnds(t *testing.T) {
	w := newWindowsWorld(t)
	pc := w.pc(t, 1)
	device := w.managed(t, pc)
	for msgID, asks := range map[int]bool{1: true, 2: true, 500: true, 501: false, 100_000: false} {
		status, answer := w.post(t, pc, pc.Identity(), sessionMessage(device.ID, msgID, "", ""))
		if status != http.StatusOK || strings.Contains(answer, "<Data>1222</Data>") != asks {
			t.Errorf("message %d: answered %d %s", msgID, status, answer)
		}
	}
	w.isStillManaged(t, pc)
}

// The proofs of an enrolment end with it.
func TestAReleasedPCIsTurnedAway(t *testing.T) {
	w := newWindowsWorld(t)
	pc := w.pc(t, 1)
	device := w.managed(t, pc)
	if _, err := w.admin.PutIntents(t.Context(), adminapi.IntentBatch{Intents: []adminapi.DeviceIntent{
		{DeviceID: device.ID, EnrollmentID: device.EnrollmentID, Intent: adminapi.IntentRelease}}}); err != nil {
		t.Fatal(err)
	}
	for want, id := range map[string]*devicesim.Identity{"403": pc.Identity(), "407": nil} {
		if status, answer := w.post(t, pc, id, sessionMessage(device.ID, 1, "", "<Final/>")); status != http.StatusOK || !strings.Contains(answer, "<Data>"+want+"</Data>") {
			t.Errorf("answered %d %s, want %s", status, answer, want)
		}
	}
}
