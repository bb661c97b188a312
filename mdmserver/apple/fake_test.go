package apple_test

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/micromdm/plist"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/apple"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
	"github.com/kubemdm/kubemdm/mdmserver/identity/identitytest"
)

const (
	udid  = "66ADE930-5FDF-5EC4-8429-15640684C489"
	topic = "com.apple.mgmt.External.e0bd1eac"
)

var inSpring = identitytest.Epoch.AddDate(0, 3, 0)

// fakeFleet writes down what it is asked and gives the prepared answers.
type fakeFleet struct {
	calls     []string
	report    fleet.Report
	facts     fleet.DeviceFacts
	tokenHash string
	params    fleet.EnrollmentParams

	err       error
	setup     adminapi.AutomatedProfile
	bootstrap []byte
	next      []byte
}

func (f *fakeFleet) call(format string, args ...any) error {
	f.calls = append(f.calls, fmt.Sprintf(format, args...))
	return f.err
}

func (f *fakeFleet) IssueChallenge(_ context.Context, hash string, params fleet.EnrollmentParams) (fleet.Challenge, error) {
	f.tokenHash, f.params = hash, params
	return fleet.Challenge{Secret: "one-time", EnrollmentID: "enrollment-1"}, f.call("IssueChallenge")
}

func (f *fakeFleet) IssueSignedIn(_ context.Context, token adminapi.Key, account string, params fleet.EnrollmentParams) (fleet.Challenge, error) {
	f.params = params
	return fleet.Challenge{Secret: "one-time", EnrollmentID: "enrollment-1"}, f.call("IssueSignedIn %s %q", token, account)
}

func (f *fakeFleet) AutomatedProfile(_ context.Context, key adminapi.Key, serial string) (adminapi.AutomatedProfile, error) {
	return f.setup, f.call("AutomatedProfile %s %s", key, serial)
}

func (f *fakeFleet) IssueAutomated(_ context.Context, key adminapi.Key, serial, account string, params fleet.EnrollmentParams) (fleet.Challenge, error) {
	f.params = params
	return fleet.Challenge{Secret: "one-time", EnrollmentID: "enrollment-1"}, f.call("IssueAutomated %s %s %q", key, serial, account)
}

func (f *fakeFleet) RedeemChallenge(_ context.Context, secret, _ string, issue func(fleet.Grant) ([]byte, error)) ([]byte, error) {
	if err := f.call("RedeemChallenge %s", secret); err != nil {
		return nil, err
	}
	return issue(fleet.Grant{EnrollmentID: "enrollment-1"})
}

func (f *fakeFleet) Authenticate(_ context.Context, id fleet.Identity, ch fleet.Channel, facts fleet.DeviceFacts, topic string) error {
	f.facts = facts
	return f.call("Authenticate %s %v %s", id.EnrollmentID, ch, topic)
}

func (f *fakeFleet) TokenUpdate(_ context.Context, id fleet.Identity, ch fleet.Channel, p fleet.PushInfo, unlock []byte, awaiting bool) error {
	return f.call("TokenUpdate %s %v %s %s %s %s %v", id.EnrollmentID, ch, p.Token, p.Magic, p.Topic, unlock, awaiting)
}

func (f *fakeFleet) CheckOut(_ context.Context, id fleet.Identity, ch fleet.Channel) error {
	return f.call("CheckOut %s %v", id.EnrollmentID, ch)
}

func (f *fakeFleet) SetBootstrapToken(_ context.Context, id fleet.Identity, ch fleet.Channel, token []byte) error {
	return f.call("SetBootstrapToken %s %v %s", id.EnrollmentID, ch, token)
}

func (f *fakeFleet) BootstrapToken(_ context.Context, id fleet.Identity, ch fleet.Channel) ([]byte, error) {
	return f.bootstrap, f.call("BootstrapToken %s %v", id.EnrollmentID, ch)
}

func (f *fakeFleet) AllowUserChannel(_ context.Context, id fleet.Identity, ch fleet.Channel) error {
	return f.call("AllowUserChannel %s %v", id.EnrollmentID, ch)
}

func (f *fakeFleet) Verify(_ context.Context, id fleet.Identity, ch fleet.Channel) error {
	return f.call("Verify %s %v", id.EnrollmentID, ch)
}

func (f *fakeFleet) Connect(_ context.Context, id fleet.Identity, ch fleet.Channel, r fleet.Report) ([]byte, error) {
	f.report = r
	return f.next, f.call("Connect %s %v %s %s", id.EnrollmentID, ch, r.Status, r.CommandUUID)
}

// credentials are made once: RSA keys take their time.
var credentials = sync.OnceValue(func() (c struct {
	ca, other identity.CA
	device    identitytest.Device
	stranger  identitytest.Device
	serving   *tls.Certificate
	servingCA []byte
}) {
	t := new(testing.T)
	c.ca, c.other = identitytest.CA(t, 1, serverconfig.RoleActive), identitytest.CA(t, 1, serverconfig.RoleActive)
	c.device, c.stranger = identitytest.Issue(t, c.ca, "enrollment-1"), identitytest.Issue(t, c.other, "enrollment-1")
	serving := identitytest.Issue(t, c.other, "mdm.example.com")
	c.serving = &tls.Certificate{Certificate: [][]byte{serving.Cert.Raw}, PrivateKey: serving.Key}
	c.servingCA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.other.Cert.Raw})
	return c
})

// server is a server that can do everything; tests take things away from it.
func server() apple.Options {
	c := credentials()
	return apple.Options{
		Config: serverconfig.Config{
			Namespace: "fleet", Name: "server", Host: "mdm.example.com", Organization: "Example",
			Apple: &serverconfig.Apple{
				AccessRights: 8191,
				Identity:     serverconfig.Identity{Validity: serverconfig.Duration(90 * 24 * time.Hour)},
			},
		},
		CAs:       func() []identity.CA { return []identity.CA{c.ca} },
		Serving:   func() *tls.Certificate { return c.serving },
		ServingCA: func() []byte { return c.servingCA },
		Topic:     func() string { return topic },
		Now:       func() time.Time { return inSpring },
		Log:       slog.New(slog.DiscardHandler),
	}
}

func newApple(t testing.TB, o apple.Options) *apple.Apple {
	t.Helper()
	a, err := apple.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func serve(t testing.TB, o apple.Options, f *fakeFleet, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	newApple(t, o).Handler(f).ServeHTTP(w, r)
	return w
}

// send signs a message as the device and sends it to a path.
func send(t testing.TB, f *fakeFleet, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodPut, path, strings.NewReader(body))
	r.Header.Set(identity.SignatureHeader, credentials().device.Sign(t, []byte(body)))
	return serve(t, server(), f, r)
}

// message writes a property list with the given pairs of keys and XML values.
func message(pairs ...string) string {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?><plist version="1.0"><dict>`)
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&b, "<key>%s</key>%s", pairs[i], pairs[i+1])
	}
	b.WriteString("</dict></plist>")
	return b.String()
}

// payload takes the profile out of an InstallProfile command.
func payload(t testing.TB, command []byte) []byte {
	t.Helper()
	var c struct {
		CommandUUID string
		Command     struct {
			RequestType string
			Payload     []byte
		}
	}
	if err := plist.Unmarshal(command, &c); err != nil || c.Command.RequestType != "InstallProfile" {
		t.Fatalf("not an InstallProfile: %v\n%s", err, command)
	}
	return c.Command.Payload
}

// Two messages that are right in everything but their form: as CheckOut and as an Idle report.
var (
	binaryMessage = sync.OnceValue(func() string {
		b, err := hex.DecodeString("62706c6973743030d30102030405065b4d6573736167655479706556537461747573545544494458436865636b4f75745449646c655f102436364144" +
			"453933302d354644462d354543342d383432392d313536343036383443343839080f1b22273035000000000000010100000000000000070000000000" +
			"000000000000000000005c")
		if err != nil {
			panic(err)
		}
		return string(b)
	})()
	deepMessage = message("MessageType", str("CheckOut"), "UDID", str(udid), "Status", str("Idle"),
		"Deep", strings.Repeat("<array>", 100)+strings.Repeat("</array>", 100))
)

func str(s string) string { return "<string>" + s + "</string>" }
