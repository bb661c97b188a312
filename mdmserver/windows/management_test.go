package windows_test

import (
	"context"
	"crypto/md5"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
	"github.com/kubemdm/kubemdm/mdmserver/identity/identitytest"
	"github.com/kubemdm/kubemdm/mdmserver/windows"
	"github.com/kubemdm/kubemdm/mdmserver/windows/wire"
)

const (
	managementPath = "/api/mdm/microsoft/management"
	managementHost = "manage.example.test"
	digestSecret   = "open sesame"
)

// sessions stands for the fleet: it remembers what it is told and gives what it has.
type sessions struct {
	windows.Fleet
	orders []fleet.WindowsOrder
	err    error

	told []fleet.WindowsMessage
	id   fleet.Identity
	from string
	by   adminapi.ManagementAuthentication
}

func (s *sessions) DigestCredentials(_ context.Context, deviceID string) (*fleet.DigestCredentials, error) {
	enrollment, ok := strings.CutPrefix(deviceID, "PC")
	if !ok {
		return nil, fleet.ErrNotEnrolled
	}
	return &fleet.DigestCredentials{Identity: fleet.Identity{EnrollmentID: "enrollment-" + enrollment}, Secret: digestSecret}, nil
}

func (s *sessions) Manage(_ context.Context, id fleet.Identity, deviceID string, by adminapi.ManagementAuthentication, m fleet.WindowsMessage) ([]fleet.WindowsOrder, error) {
	s.told = append(s.told, m)
	s.id, s.from, s.by = id, deviceID, by
	return s.orders, s.err
}

// desk is the handler of management with a device that may speak to it.
type desk struct {
	*sessions
	handler http.Handler
	device  identitytest.Device
	now     time.Time
}

func newDesk(t testing.TB, change ...func(*serverconfig.Windows)) *desk {
	t.Helper()
	d := &desk{sessions: &sessions{}, device: keys().fresh, now: inSpring}
	cfg := &serverconfig.Windows{ManagementHost: managementHost + ":8443", Authentication: serverconfig.Authentication{Require: serverconfig.RequireDigest}}
	for _, c := range change {
		c(cfg)
	}
	pcs, err := windows.New(windows.Options{
		Config: serverconfig.Config{Host: "mdm.example.test", Windows: cfg}, CAs: func() []identity.CA { return []identity.CA{keys().active} }, Fleet: d.sessions,
		Now: func() time.Time { return d.now }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	if d.handler, err = pcs.ManagementHandler(); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *desk) serve(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	return w
}

// say sends a signed message of the device and returns the reply.
func (d *desk) say(t testing.TB, msgID int, commands string) *wire.Message {
	t.Helper()
	body := syncml("PC1", "1", msgID, "", commands)
	r := request(body)
	r.Header.Set("MS-Signature", d.device.Sign(t, []byte(body)))
	return readReply(t, d.serve(r))
}

func readReply(t testing.TB, w *httptest.ResponseRecorder) *wire.Message {
	t.Helper()
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/vnd.syncml.dm+xml" || w.Header().Get("Content-Length") != fmt.Sprint(w.Body.Len()) {
		t.Fatalf("answered %d %v: %s", w.Code, w.Header(), w.Body)
	}
	m, err := wire.DecodeSyncML(w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func request(body string) *http.Request {
	return httptest.NewRequest(http.MethodPost, "https://"+managementHost+managementPath+"?mode=Maintenance&Platform=WoA", strings.NewReader(body))
}

func syncml(device, session string, msgID int, cred, commands string) string {
	return fmt.Sprintf(`<SyncML xmlns="SYNCML:SYNCML1.2"><SyncHdr><SessionID>%s</SessionID><MsgID>%d</MsgID><Target><LocURI>https://target</LocURI></Target>`+
		`<Source><LocURI>%s</LocURI></Source>%s</SyncHdr><SyncBody>%s</SyncBody></SyncML>`, session, msgID, device, cred, commands)
}

// digestCred is the credential of the enrolment of the device PC with this number.
func digestCred(number string, nonce []byte) string {
	inner := md5.Sum([]byte("enrollment-" + number + ":" + digestSecret))
	outer := md5.Sum(append([]byte(base64.StdEncoding.EncodeToString(inner[:])+":"), nonce...))
	return `<Cred><Meta><Format xmlns="syncml:metinf">b64</Format><Type xmlns="syncml:metinf">syncml:auth-md5</Type></Meta><Data>` +
		base64.StdEncoding.EncodeToString(outer[:]) + `</Data></Cred>`
}

// statuses lists what a reply says of commands as "CmdRef Cmd code".
func statuses(m *wire.Message) []string {
	var out []string
	for _, c := range m.Commands {
		if c.Name == wire.CmdStatus {
			out = append(out, c.CmdRef+" "+c.Cmd+" "+c.Data)
		}
	}
	return out
}

const opening = `<Alert><CmdID>2</CmdID><Data>1201</Data></Alert>
<Alert><CmdID>3</CmdID><Data>1224</Data><Item><Meta><Type>com.microsoft/MDM/LoginStatus</Type></Meta><Data>user</Data></Item></Alert>
<Alert><CmdID>4</CmdID><Data>1224</Data><Item><Meta><Type>com.microsoft/MDM/AADUserToken</Type></Meta><Data>a secret</Data></Item></Alert>
<Alert><CmdID>5</CmdID><Data>1226</Data><Item><Source><LocURI>./A</LocURI></Source><Meta><Type>com.example:new</Type><Format>chr</Format></Meta><Data>news</Data></Item></Alert>
<Alert><CmdID>6</CmdID><Data>9999</Data></Alert>
<Replace><CmdID>7</CmdID><Item><Source><LocURI>./DevInfo/Lang</LocURI></Source><Data>en-US</Data></Item></Replace>
<Status><CmdID>8</CmdID><MsgRef>1</MsgRef><CmdRef>0</CmdRef><Cmd>SyncHdr</Cmd><Data>200</Data></Status>
<Status><CmdID>9</CmdID><MsgRef>1</MsgRef><CmdRef>4</CmdRef><Cmd>Add</Cmd><Data originalerror="0x86000011">418</Data></Status>
<Results><CmdID>10</CmdID><CmdRef>5</CmdRef><Item><Source><LocURI>./B</LocURI></Source><Meta><Format>int</Format></Meta><Data>7</Data></Item></Results>
<Atomic><CmdID>11</CmdID><Exec><CmdID>12</CmdID></Exec></Atomic><Final/>`

func TestAMessageIsToldAndAnswered(t *testing.T) {
	d := newDesk(t)
	d.orders = []fleet.WindowsOrder{
		{ID: "1", Command: adminapi.SyncMLCommand{Verb: adminapi.VerbAtomic, Commands: []adminapi.SyncMLCommand{
			{Verb: adminapi.VerbAdd, LocURI: "./X", Format: "int", Type: "text/plain", Data: "1"}}}, Inner: []string{"2"}},
		{ID: "3", Command: adminapi.SyncMLCommand{Verb: adminapi.VerbGet, LocURI: "./X"}},
	}
	m := d.say(t, 2, opening)
	want := fleet.WindowsMessage{SessionID: "1", MsgID: "2", First: true, Login: "user",
		Statuses: []fleet.WindowsStatus{{MsgRef: "1", CmdRef: "4", Code: 418, OriginalError: "0x86000011"}},
		Results:  []fleet.WindowsResult{{MsgRef: "1", CmdRef: "5", LocURI: "./B", Format: "int", Data: "7"}},
		Alerts:   []fleet.WindowsAlert{{Code: 1226, Type: "com.example:new", LocURI: "./A", Fmt: "chr", Data: "news"}, {Code: 9999}},
		Replaced: []fleet.WindowsResult{{LocURI: "./DevInfo/Lang", Data: "en-US"}},
	}
	if len(d.told) != 1 || !reflect.DeepEqual(d.told[0], want) {
		t.Errorf("fleet was told %+v\nwant %+v", d.told, want)
	}
	if d.from != "PC1" || d.by != adminapi.AuthSignature || d.id.EnrollmentID != "enrollment-1" || d.id.Fingerprint == "" {
		t.Errorf("it was %s, %+v by %s", d.from, d.id, d.by)
	}
	if m.Header != (wire.Header{SessionID: "1", MsgID: "2", Target: "PC1", Source: "https://" + managementHost + ":8443" + managementPath}) || !m.Final {
		t.Errorf("the header is %+v", m.Header)
	}
	wantStatuses := []string{"0 SyncHdr 212", "2 Alert 200", "3 Alert 200", "4 Alert 200", "5 Alert 200", "6 Alert 200", "7 Replace 200", "11 Atomic 406"}
	if got := statuses(m); !reflect.DeepEqual(got, wantStatuses) {
		t.Errorf("the statuses are %q", got)
	}
	ids := map[string]bool{"2": true}
	for _, c := range m.Commands {
		if c.CmdID == "" || ids[c.CmdID] {
			t.Errorf("the CmdID %q is not unique", c.CmdID)
		}
		ids[c.CmdID] = true
	}
	wantOrders := []wire.Command{
		{Name: "Atomic", CmdID: "1", Commands: []wire.Command{{Name: "Add", CmdID: "2", Items: []wire.Item{{Target: "./X", Meta: wire.Meta{Format: "int", Type: "text/plain"}, Data: "1"}}}}},
		{Name: "Get", CmdID: "3", Items: []wire.Item{{Target: "./X"}}},
	}
	if got := m.Commands[len(m.Commands)-2:]; !reflect.DeepEqual(got, wantOrders) {
		t.Errorf("the orders are %+v", got)
	}
}

// Whoever proves too little is asked for a digest, in SyncML and never by HTTP; who is enrolled is not told.
func TestADigestIsAskedFor(t *testing.T) {
	d := newDesk(t)
	ask := func(device, cred, status string) string {
		t.Helper()
		w := d.serve(request(syncml(device, "1", 1, cred, opening)))
		m := readReply(t, w)
		if got := statuses(m); len(got) != 1 || got[0] != "0 SyncHdr "+status || len(d.told) != 0 {
			t.Fatalf("answered %q, and fleet was told %v", got, d.told)
		}
		_, rest, found := strings.Cut(w.Body.String(), `<Type xmlns="syncml:metinf">syncml:auth-md5</Type><NextNonce xmlns="syncml:metinf">`)
		nonce, _, _ := strings.Cut(rest, "<")
		if raw, err := base64.StdEncoding.DecodeString(nonce); !found || err != nil || len(raw) != 16 {
			t.Fatalf("no challenge in %s", w.Body)
		}
		return nonce
	}
	nonce, err := base64.StdEncoding.DecodeString(ask("PC1", "", "407"))
	if err != nil {
		t.Fatal(err)
	}
	ask("PC1", digestCred("1", []byte("wrong")), "401")
	stranger := ask("stranger", "", "407")
	if again := ask("stranger", digestCred("1", nonce), "401"); again != stranger || ask("another", "", "407") == stranger {
		t.Error("the nonces of strangers are not like those of devices: one for each, and the same again")
	}

	w := d.serve(request(syncml("PC1", "1", 1, digestCred("1", nonce), opening)))
	if got := statuses(readReply(t, w)); got[0] != "0 SyncHdr 200" || !strings.Contains(w.Body.String(), "NextNonce") || d.by != adminapi.AuthDigest {
		t.Errorf("answered %q by %s: %s", got, d.by, w.Body)
	}
	d.now, d.told = d.now.Add(10*time.Minute), nil
	ask("PC1", digestCred("1", nonce), "401")
}

// A certificate of the handshake counts where the server asks for it: both SNI and Host must be those of management.
func TestWhereTLSProvesSomething(t *testing.T) {
	for name, tc := range map[string]struct {
		sni, host string
		want      string
	}{
		"management host":       {managementHost, managementHost + ":8443", "0 SyncHdr 212"},
		"in capitals":           {"Manage.Example.Test", managementHost, "0 SyncHdr 212"},
		"handshake for another": {"mdm.example.test", managementHost, "0 SyncHdr 407"},
		"request for another":   {managementHost, "mdm.example.test", "0 SyncHdr 407"},
		"no SNI":                {"", managementHost, "0 SyncHdr 407"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			r := request(syncml("PC1", "1", 1, "", opening))
			r.Host, r.TLS = tc.host, &tls.ConnectionState{ServerName: tc.sni, PeerCertificates: []*x509.Certificate{d.device.Cert}}
			if got := statuses(readReply(t, d.serve(r))); got[0] != tc.want {
				t.Errorf("answered %q", got)
			}
		})
	}
}

func TestWhatFleetRefusesIsAStatus(t *testing.T) {
	for err, want := range map[error]string{
		fleet.ErrNotEnrolled: "403", fleet.ErrWrongIdentity: "403", fleet.ErrSuperseded: "403", fleet.ErrReenrolmentBlocked: "403", errors.New("other"): "500",
	} {
		d := newDesk(t)
		d.err = fmt.Errorf("managing: %w", err)
		if got := statuses(d.say(t, 1, opening)); len(got) != 1 || got[0] != "0 SyncHdr "+want {
			t.Errorf("%v: answered %q", err, got)
		}
	}
	d := newDesk(t)
	d.err = fleet.ErrUnavailable
	body := syncml("PC1", "1", 1, "", opening)
	r := request(body)
	r.Header.Set("MDM-Signature", d.device.Sign(t, []byte(body)))
	if w := d.serve(r); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("answered %d %v", w.Code, w.Header())
	}
}

func TestABodyThatIsNoSyncML(t *testing.T) {
	d := newDesk(t)
	for name, tc := range map[string]struct {
		body   string
		status int
	}{
		"nothing":       {"", http.StatusBadRequest},
		"no XML":        {"hello", http.StatusBadRequest},
		"document type": {`<!DOCTYPE SyncML SYSTEM "file:///etc/passwd">` + syncml("PC1", "1", 1, "", opening), http.StatusBadRequest},
		"4 MiB and one": {strings.Repeat(" ", 4<<20+1), http.StatusRequestEntityTooLarge},
	} {
		if w := d.serve(request(tc.body)); w.Code != tc.status {
			t.Errorf("%s: answered %d", name, w.Code)
		}
	}
	if w := d.serve(httptest.NewRequest(http.MethodGet, "https://"+managementHost+managementPath, nil)); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: answered %d", w.Code)
	}
	if len(d.told) > 0 {
		t.Errorf("fleet was told %+v", d.told)
	}
}

// FuzzManagement: whatever a device that proved itself sends is answered in SyncML, or refused as malformed.
func FuzzManagement(f *testing.F) {
	d := newDesk(f)
	d.orders = []fleet.WindowsOrder{{ID: "1", Command: adminapi.SyncMLCommand{Verb: adminapi.VerbGet, LocURI: "./X"}}}
	f.Add([]byte(syncml("PC1", "1", 1, "", opening)))
	f.Add([]byte(syncml("PC1", "1", 2, "", piece("./A", "abc", 6, true))))
	f.Add([]byte(syncml("PC1", "1", 3, "", piece("./A", "def", 0, false))))
	f.Fuzz(func(t *testing.T, body []byte) {
		r := request(string(body))
		r.TLS = &tls.ConnectionState{ServerName: managementHost, PeerCertificates: []*x509.Certificate{d.device.Cert}}
		if w := d.serve(r); w.Code != http.StatusBadRequest {
			readReply(t, w)
		}
	})
}
