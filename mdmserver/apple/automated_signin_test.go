package apple_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/apple"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/seal"
	"github.com/kubemdm/kubemdm/test/applepki"
	"github.com/kubemdm/kubemdm/test/oidcissuer"
)

const (
	signInPath = "/ade/fleet/school/signin"
	serial     = "C02SECRET001"
)

// factories are made once: RSA keys take their time.
var factories = sync.OnceValue(func() (f struct {
	mac               *applepki.DeviceIdentity
	roots, otherRoots []*x509.Certificate
}) {
	now := func() time.Time { return inSpring }
	apple, err := applepki.NewDeviceCA(now)
	if err != nil {
		panic(err)
	}
	other, err := applepki.NewDeviceCA(now)
	if err != nil {
		panic(err)
	}
	if f.mac, err = apple.Issue(udid, applepki.DeviceOptions{}); err != nil {
		panic(err)
	}
	f.roots, f.otherRoots = []*x509.Certificate{apple.Root()}, []*x509.Certificate{other.Root()}
	return f
})

// setupAssistant is a Mac before its first use: its web view, the server and the issuer, all over TLS.
type setupAssistant struct {
	*testing.T
	fleet   *fakeFleet
	options apple.Options
	server  *httptest.Server
	webView *http.Client
	mac     *applepki.DeviceIdentity
	log     bytes.Buffer
	now     time.Time
	visited []string
}

func newSetupAssistant(t *testing.T) *setupAssistant {
	t.Helper()
	s := &setupAssistant{T: t, fleet: &fakeFleet{setup: adminapi.AutomatedProfile{Name: "pupils", SignIn: true}}, options: server(), now: inSpring}
	now := func() time.Time { return s.now }
	factory := factories()
	s.mac = factory.mac
	issuer, ca := oidcissuer.Start(t, oidcissuer.Config{
		ClientID: "kubemdm", ClientSecret: "client-secret", Now: now,
		Users: map[string]oidcissuer.User{
			"ada": {Password: "sesame", Claims: map[string]any{"email": "ada@example.com", "email_verified": true}},
			"mal": {Password: "sesame", Claims: map[string]any{"email": "mal@elsewhere.org", "email_verified": true}},
		},
	})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, serverconfig.CAFile), ca, 0o600); err != nil {
		t.Fatal(err)
	}
	s.server = httptest.NewUnstartedServer(nil)
	o := &s.options
	o.Config.Host = s.server.Listener.Addr().String()
	o.Config.Apple.SignIn = &serverconfig.SignIn{IssuerURL: issuer.URL(), ClientID: "kubemdm", Dir: dir, Domains: []string{"example.com"}}
	o.SignInSecret = func() string { return "client-secret" }
	o.Seal = seal.New(func() seal.Keyring {
		return seal.Keyring{Primary: "k1", Keys: map[string][]byte{"k1": make([]byte, 32)}}
	})
	o.DeviceRoots, o.Now, o.Log = factory.roots, now, slog.New(slog.NewTextHandler(&s.log, nil))
	return s
}

// start serves with the options as they are now.
func (s *setupAssistant) start() *setupAssistant {
	s.Helper()
	s.server.Config.Handler = newApple(s.T, s.options).Handler(s.fleet)
	s.server.StartTLS()
	s.Cleanup(s.server.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.Fatal(err)
	}
	s.webView = s.server.Client() // both servers have httptest's certificate
	s.webView.Jar = jar
	s.webView.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		s.visited = append(s.visited, r.URL.String())
		r.Header.Del("X-Apple-Aspen-Deviceinfo") // a device sends it with the first request alone
		return nil
	}
	return s
}

// machineInfo is the header of a Mac that runs the version.
func (s *setupAssistant) machineInfo(version string) string {
	s.Helper()
	cms, err := s.mac.Sign([]byte(message("SERIAL", str(serial), "UDID", str(udid), "PRODUCT", str("Mac15,3"), "VERSION", str("24A335"),
		"OS_VERSION", str(version), "MDM_CAN_REQUEST_SOFTWARE_UPDATE", "<true/>")))
	if err != nil {
		s.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(cms)
}

// view is what the web view shows.
type view struct {
	status int
	header http.Header
	url    *url.URL
	body   string
}

func (s *setupAssistant) do(r *http.Request, err error) view {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
	s.visited = append(s.visited, r.URL.String())
	response, err := s.webView.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.Fatal(err)
	}
	return view{response.StatusCode, response.Header, response.Request.URL, string(body)}
}

func (s *setupAssistant) open(path, info string) view {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), http.MethodGet, s.server.URL+path, nil)
	if info != "" && err == nil {
		r.Header.Set("x-apple-aspen-deviceinfo", info)
	}
	return s.do(r, err)
}

func (s *setupAssistant) signIn(form view, user, button string) view {
	s.Helper()
	return s.do(oidcissuer.Fill(s.Context(), form.url, user, "sesame", button))
}

func (s *setupAssistant) enrolled() bool {
	return slices.ContainsFunc(s.fleet.calls, func(call string) bool { return strings.HasPrefix(call, "IssueAutomated") })
}

func TestADeviceEnrolsForWhoeverSignsIn(t *testing.T) {
	s := newSetupAssistant(t).start()
	form := s.open(signInPath, s.machineInfo("15.0"))
	if form.status != http.StatusOK || !strings.Contains(form.body, "Password") || s.enrolled() {
		t.Fatalf("status %d, calls %q\n%s\n%s", form.status, s.fleet.calls, form.body, &s.log)
	}
	done := s.signIn(form, "ada", "")
	if done.status != http.StatusOK || done.header.Get("Content-Type") != "application/x-apple-aspen-config" ||
		done.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("status %d, header %v\n%s\n%s", done.status, done.header, done.body, &s.log)
	}
	if _, err := pkcs7.Parse([]byte(done.body)); err != nil {
		t.Errorf("no signed profile: %v", err)
	}
	if want := fmt.Sprintf("IssueAutomated fleet/school %s %q", serial, "ada@example.com"); !slices.Contains(s.fleet.calls, want) {
		t.Errorf("calls %q, want %q", s.fleet.calls, want)
	}
	for _, secret := range []string{serial, udid, "ada@"} {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("the log tells %s: %s", secret, &s.log)
		}
		if visited := strings.Join(s.visited, " "); strings.Contains(visited, secret) {
			t.Errorf("an address tells %s: %s", secret, visited)
		}
	}
	base, _ := url.Parse(s.server.URL)
	if left := s.webView.Jar.Cookies(base); len(left) != 0 {
		t.Errorf("cookies are left: %v", left)
	}
}

func TestThePageToSignInIsForDevicesThatMayEnrol(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*setupAssistant)
		path   string
		info   func(*setupAssistant) string
		status int
		text   string
	}{
		"a browser": {info: func(*setupAssistant) string { return "" }, status: http.StatusBadRequest, text: "opens by itself"},
		"no base64": {info: func(*setupAssistant) string { return "*" }, status: http.StatusBadRequest, text: "did not say what it is"},
		"no signature": {info: func(*setupAssistant) string { return base64.StdEncoding.EncodeToString([]byte("{}")) }, status: http.StatusForbidden,
			text: "may not enrol here"},
		"a stranger": {change: func(s *setupAssistant) { s.options.DeviceRoots = factories().otherRoots }, status: http.StatusForbidden,
			text: "may not enrol here"},
		"not listed": {change: func(s *setupAssistant) { s.fleet.err = fleet.ErrNotListed }, status: http.StatusForbidden, text: "may not enrol here"},
		"an endless name": {path: "/ade/fleet/" + strings.Repeat("a", 400) + "/signin", status: http.StatusForbidden,
			text: "may not enrol here"},
		"no push certificate": {change: func(s *setupAssistant) { s.options.Topic = func() string { return "" } },
			status: http.StatusServiceUnavailable, text: "Try again in a few minutes"},
		"no store": {change: func(s *setupAssistant) { s.fleet.err = fleet.ErrUnavailable }, status: http.StatusServiceUnavailable,
			text: "Try again in a few minutes"},
		"an old system": {change: func(s *setupAssistant) {
			s.fleet.setup.MinimumOS = map[string]adminapi.OSVersion{"Mac": {Version: "15.1"}}
		},
			status: http.StatusForbidden, text: "com.apple.softwareupdate.required"},
		"nowhere to sign in": {change: func(s *setupAssistant) { s.options.Config.Apple.SignIn = nil }, status: http.StatusNotFound, text: "not found"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSetupAssistant(t)
			if c.change != nil {
				c.change(s)
			}
			s.start()
			info := s.machineInfo("15.0")
			if c.info != nil {
				info = c.info(s)
			}
			path := signInPath
			if c.path != "" {
				path = c.path
			}
			got := s.open(path, info)
			if got.status != c.status || !strings.Contains(got.body, c.text) || s.enrolled() {
				t.Errorf("status %d, calls %q\n%s", got.status, s.fleet.calls, got.body)
			}
			if strings.Contains(s.log.String()+got.body, serial) {
				t.Errorf("somebody learns the serial number: %s\n%s", got.body, &s.log)
			}
		})
	}
}

func TestSignInsThatEnrolNobody(t *testing.T) {
	for name, c := range map[string]struct {
		walk   func(s *setupAssistant, form view) view
		status int
		text   string
	}{
		"cancelled":      {func(s *setupAssistant, form view) view { return s.signIn(form, "ada", "cancel") }, http.StatusForbidden, "cancelled"},
		"another domain": {func(s *setupAssistant, form view) view { return s.signIn(form, "mal", "") }, http.StatusForbidden, "Your account may not enrol"},
		"out of the blue": {func(s *setupAssistant, _ view) view {
			s.webView.Jar = nil
			return s.open("/ade/signin/callback?code=x&state=y", s.machineInfo("15.0"))
		}, http.StatusBadRequest, "Start again"},
		"too slow": {func(s *setupAssistant, form view) view {
			s.now = s.now.Add(11 * time.Minute)
			return s.signIn(form, "ada", "")
		}, http.StatusBadRequest, "Start again"},
		"not listed any more": {func(s *setupAssistant, form view) view {
			s.fleet.err = fleet.ErrNotListed
			return s.signIn(form, "ada", "")
		}, http.StatusForbidden, "may not enrol here"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSetupAssistant(t).start()
			got := c.walk(s, s.open(signInPath, s.machineInfo("15.0")))
			if got.status != c.status || !strings.Contains(got.body, c.text) || s.enrolled() {
				t.Errorf("status %d, calls %q\n%s\n%s", got.status, s.fleet.calls, got.body, &s.log)
			}
		})
	}
}

// An account counts once: the answer of the issuer enrols no second time.
func TestTheAnswerOfTheIssuerCountsOnce(t *testing.T) {
	s := newSetupAssistant(t).start()
	s.signIn(s.open(signInPath, s.machineInfo("15.0")), "ada", "")
	s.fleet.calls = nil
	if again := s.open(s.last(), ""); again.status != http.StatusBadRequest || s.enrolled() {
		t.Errorf("status %d, calls %q", again.status, s.fleet.calls)
	}
}

// last is the path and query of the page that was opened last.
func (s *setupAssistant) last() string {
	return strings.TrimPrefix(s.visited[len(s.visited)-1], s.server.URL)
}
