package windows_test

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/identity/identitytest"
	"github.com/kubemdm/kubemdm/mdmserver/windows"
	"github.com/kubemdm/kubemdm/test/oidcissuer"
)

const appru = "ms-app://s-1-15-2-2666988183/?a=b&c"

// place is a server, an issuer and a browser, all over TLS.
type place struct {
	t       *testing.T
	options windows.Options
	fleet   *enroller
	issuer  *oidcissuer.Issuer
	log     *bytes.Buffer
	now     time.Time
	browser *http.Client
	server  *httptest.Server
}

// newPlace starts both servers; adjust, if not nil, changes the configuration.
func newPlace(t *testing.T, adjust func(*serverconfig.SignIn)) *place {
	t.Helper()
	p := &place{t: t, fleet: &enroller{}, log: &bytes.Buffer{}, now: inSpring}
	var ca []byte
	p.issuer, ca = oidcissuer.Start(t, oidcissuer.Config{
		ClientID: "kubemdm", ClientSecret: "client-secret", Now: func() time.Time { return p.now },
		Users: map[string]oidcissuer.User{
			"joe":  {Password: "sesame", Claims: map[string]any{"email": "joe@Example.com", "email_verified": true}},
			"ann":  {Password: "sesame", Claims: map[string]any{"upn": "ann@example.com", "email": "ann@elsewhere.org"}},
			"mal":  {Password: "sesame", Claims: map[string]any{"email": "mal@example.com", "preferred_username": "mal@example.com"}},
			"anon": {Password: "sesame"},
		},
	})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, serverconfig.CAFile), ca, 0o600); err != nil {
		t.Fatal(err)
	}
	p.server = httptest.NewUnstartedServer(nil)
	p.options = options()
	p.options.Fleet, p.options.Log, p.options.Now = p.fleet, slog.New(slog.NewTextHandler(p.log, nil)), func() time.Time { return p.now }
	p.options.Config.Host = p.server.Listener.Addr().String()
	p.options.Config.Windows.SignIn = &serverconfig.SignIn{IssuerURL: p.issuer.URL(), ClientID: "kubemdm", Dir: dir, Token: "fleet/people"}
	if adjust != nil {
		adjust(p.options.Config.Windows.SignIn)
	}
	p.server.Config.Handler = enrollmentHandler(t, p.options)
	p.server.StartTLS()
	t.Cleanup(p.server.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p.browser = p.server.Client() // both servers have httptest's certificate
	p.browser.Jar = jar
	return p
}

// page is what a browser shows.
type page struct {
	status int
	header http.Header
	url    *url.URL
	body   string
}

func (p *place) do(r *http.Request) page {
	p.t.Helper()
	response, err := p.browser.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return page{response.StatusCode, response.Header, response.Request.URL, string(body)}
}

func (p *place) get(address string) page {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.do(r)
}

// open is what Windows does: it opens the page of the discovery answer.
func (p *place) open(query url.Values) page {
	p.t.Helper()
	return p.get(p.server.URL + "/api/mdm/microsoft/signin?" + query.Encode())
}

// signIn fills in the issuer's form.
func (p *place) signIn(form page, user, button string) page {
	p.t.Helper()
	r, err := oidcissuer.Fill(p.t.Context(), form.url, user, "sesame", button)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.do(r)
}

func opened() url.Values { return url.Values{"appru": {appru}, "login_hint": {"joe@example.com"}} }

var formOf = regexp.MustCompile(`(?s)<form method="post" action="([^"]*)">.*<input type="hidden" name="wresult" value="([^"]*)">.*<button type="submit">`)

func TestSigningIn(t *testing.T) {
	p := newPlace(t, func(s *serverconfig.SignIn) { s.Domains = []string{"example.com"} })
	form := p.open(opened())
	if form.status != http.StatusOK || !strings.Contains(form.body, `value="joe@example.com"`) {
		t.Fatalf("the issuer's page: %d\n%s", form.status, form.body)
	}
	done := p.signIn(form, "joe", "")
	if done.status != http.StatusOK {
		t.Fatalf("status %d\n%s\n%s", done.status, done.body, p.log)
	}
	if p.fleet.upn != "joe@Example.com" || fmt.Sprint(p.fleet.calls) != "[ticket fleet/people]" {
		t.Errorf("a ticket of %v for %q", p.fleet.calls, p.fleet.upn)
	}
	fields := formOf.FindStringSubmatch(done.body)
	if fields == nil || html.UnescapeString(fields[1]) != appru || html.UnescapeString(fields[2]) != `ticket"<1>` {
		t.Fatalf("the form is %q in\n%s", fields, done.body)
	}
	policy := done.header.Get("Content-Security-Policy")
	nonce := regexp.MustCompile(`script-src 'nonce-(\w+)'`).FindStringSubmatch(policy)
	if nonce == nil || !strings.Contains(done.body, `<script nonce="`+nonce[1]+`">`) || !strings.Contains(policy, "default-src 'none'") ||
		!strings.Contains(policy, "form-action ms-app:;") {
		t.Errorf("policy %q", policy)
	}
	if done.header.Get("X-Frame-Options") != "" || done.header.Get("Cache-Control") != "no-store" {
		t.Errorf("header %v", done.header)
	}
	if strings.Contains(p.log.String(), "joe") || strings.Contains(p.log.String(), "ticket") {
		t.Errorf("the log knows too much: %s", p.log)
	}
}

func TestTheCookieOfASignIn(t *testing.T) {
	p := newPlace(t, nil)
	r := httptest.NewRequest(http.MethodGet, "/api/mdm/microsoft/signin?"+opened().Encode(), nil)
	rec := serve(t, p.options, r)
	location, err := url.Parse(rec.Header().Get("Location"))
	if rec.Code != http.StatusFound || err != nil {
		t.Fatalf("status %d to %q", rec.Code, location)
	}
	q := location.Query()
	if q.Get("state") == "" || q.Get("nonce") == "" || q.Get("code_challenge_method") != "S256" || !strings.HasSuffix(q.Get("redirect_uri"), "/signin/callback") {
		t.Errorf("the issuer is asked with %v", q)
	}
	cookies := rec.Result().Cookies()
	if len(cookies) != 1 || !cookies[0].Secure || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteLaxMode || cookies[0].MaxAge != 600 ||
		!strings.HasPrefix(cookies[0].Name, "__Host-") {
		t.Fatalf("cookies %v", cookies)
	}
	for _, secret := range []string{q.Get("state"), q.Get("nonce"), "ms-app"} {
		if strings.Contains(cookies[0].Value, secret) {
			t.Errorf("the cookie shows %q", secret)
		}
	}
}

// refusedWith checks the friendly page, and that nobody got a ticket.
func (p *place) refusedWith(got page, status int, text string) {
	p.t.Helper()
	if got.status != status || !strings.Contains(got.body, text) || !strings.Contains(got.header.Get("Content-Security-Policy"), "form-action 'none'") {
		p.t.Errorf("status %d\n%s\n%s", got.status, got.body, p.log)
	}
	trace := regexp.MustCompile(`Trace id ([-0-9a-f]{36})`).FindStringSubmatch(got.body)
	if trace == nil || !strings.Contains(p.log.String(), trace[1]) {
		p.t.Errorf("trace %v is not in the log: %s", trace, p.log)
	}
	if formOf.MatchString(got.body) {
		p.t.Error("somebody got a ticket")
	}
}

func TestReturnAddressesThatAreRefused(t *testing.T) {
	p := newPlace(t, nil)
	for _, back := range []string{
		"", "https://evil.example.com/", "http://localhost/", "javascript:alert(1)", "data:text/html,x", "//evil.example.com", "ms-app:", "MS APP://x", "%zz",
		"ms-app://" + strings.Repeat("a", 2000),
	} {
		p.refusedWith(p.open(url.Values{"appru": {back}}), http.StatusBadRequest, "Windows opens this page")
	}
	if form := p.open(url.Values{"appru": {"ms-appx-web://microsoft.aad.brokerplugin/drs"}}); form.status != http.StatusOK {
		t.Errorf("the broker's address: status %d", form.status)
	}
}

func TestWhoMaySignIn(t *testing.T) {
	for name, c := range map[string]struct {
		domains []string
		user    string
		upn     string // "": refused
	}{
		"an e-mail address of the domain":       {[]string{"example.org", "EXAMPLE.com"}, "joe", "joe@Example.com"},
		"a UPN goes before an e-mail address":   {[]string{"example.com"}, "ann", "ann@example.com"},
		"another domain":                        {[]string{"example.org"}, "joe", ""},
		"the domain's end alone":                {[]string{"com"}, "joe", ""},
		"an address nobody verified":            {[]string{"example.com"}, "mal", ""},
		"nobody knows the address":              {[]string{"example.com"}, "anon", ""},
		"anybody, with an address not verified": {nil, "mal", "mal@example.com"},
		"anybody at all":                        {nil, "anon", "user-anon"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, func(s *serverconfig.SignIn) { s.Domains = c.domains })
			done := p.signIn(p.open(opened()), c.user, "")
			if c.upn == "" {
				p.refusedWith(done, http.StatusForbidden, "Your account may not enrol devices here")
			} else if done.status != http.StatusOK {
				t.Errorf("status %d\n%s", done.status, done.body)
			}
			if p.fleet.upn != c.upn {
				t.Errorf("ticket for %q", p.fleet.upn)
			}
		})
	}
}

func TestAnswersOfTheIssuerThatAreRefused(t *testing.T) {
	for name, tamper := range map[string]func(claims map[string]any){
		"for another client":  func(c map[string]any) { c["aud"] = "other" },
		"of another issuer":   func(c map[string]any) { c["iss"] = "https://login.example.org" },
		"of another sign-in":  func(c map[string]any) { c["nonce"] = "other" },
		"without a nonce":     func(c map[string]any) { delete(c, "nonce") },
		"expired":             func(c map[string]any) { c["exp"] = inSpring.Add(-time.Minute).Unix() },
		"claims of odd types": func(c map[string]any) { c["email"] = 5 },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, nil)
			p.issuer.Tamper = tamper
			p.refusedWith(p.signIn(p.open(opened()), "joe", ""), http.StatusBadGateway, "cannot be trusted")
		})
	}
	p := newPlace(t, nil)
	p.issuer.Key = identitytest.Key(t)
	p.refusedWith(p.signIn(p.open(opened()), "joe", ""), http.StatusBadGateway, "cannot be trusted")
}

func TestSignInsThatComeToNothing(t *testing.T) {
	const startAgain = "Start again"
	for name, c := range map[string]struct {
		walk   func(*place) page
		status int
		text   string
	}{
		"cancelled": {func(p *place) page { return p.signIn(p.open(opened()), "joe", "cancel") }, http.StatusForbidden, "cancelled"},
		"a callback out of the blue": {func(p *place) page {
			return p.get(p.server.URL + "/api/mdm/microsoft/signin/callback?code=x&state=y")
		}, http.StatusBadRequest, startAgain},
		"too slow": {func(p *place) page {
			form := p.open(opened())
			p.now = p.now.Add(11 * time.Minute)
			return p.signIn(form, "joe", "")
		}, http.StatusBadRequest, startAgain},
		"another window's answer": {func(p *place) page {
			form := p.open(opened())
			p.open(opened())
			return p.signIn(form, "joe", "")
		}, http.StatusBadRequest, startAgain},
		"the answer again": {func(p *place) page { return p.get(p.signIn(p.open(opened()), "joe", "").url.String()) }, http.StatusBadRequest, startAgain},
		"a made-up code": {func(p *place) page {
			form := p.open(opened())
			return p.get(p.server.URL + "/api/mdm/microsoft/signin/callback?code=x&state=" + form.url.Query().Get("state"))
		}, http.StatusBadGateway, "cannot be trusted"},
		"the token's limit": {func(p *place) page {
			p.fleet.err = fleet.ErrTokenExhausted
			return p.signIn(p.open(opened()), "joe", "")
		}, http.StatusForbidden, "Nobody can enrol"},
		"a store that is away": {func(p *place) page {
			p.fleet.err = fleet.ErrUnavailable
			return p.signIn(p.open(opened()), "joe", "")
		}, http.StatusServiceUnavailable, "Try again"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, nil)
			p.refusedWith(c.walk(p), c.status, c.text)
		})
	}
}

func TestAnIssuerThatIsAway(t *testing.T) {
	const away = "https://127.0.0.1:1"
	p := newPlace(t, func(s *serverconfig.SignIn) { s.IssuerURL = away })
	p.refusedWith(p.open(opened()), http.StatusBadGateway, "cannot be reached")
	if answer := post(t, p.options, wellKnownPath, envelope("", discoverBody)); !strings.Contains(answer, "Federated") {
		t.Errorf("discovery depends on the issuer:\n%s", answer)
	}
}

func TestAnIssuerThatIsNotTrusted(t *testing.T) {
	p := newPlace(t, nil)
	caFile := filepath.Join(p.options.Config.Windows.SignIn.Dir, serverconfig.CAFile)
	right, err := os.ReadFile(caFile)
	if err != nil {
		t.Fatal(err)
	}
	other := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: keys().strange.Cert.Raw})
	for _, content := range [][]byte{right, other, []byte("no PEM"), right} { // each counts at once
		if err := os.WriteFile(caFile, content, 0o600); err != nil {
			t.Fatal(err)
		}
		shown := p.open(opened())
		if !bytes.Equal(content, right) {
			p.refusedWith(shown, http.StatusBadGateway, "cannot be reached")
		} else if shown.status != http.StatusOK {
			t.Errorf("status %d though the file is right", shown.status)
		}
	}
}

func TestAClientWithoutASecret(t *testing.T) {
	p := newPlace(t, nil)
	p.options.SignInSecret = func() string { return "" }
	rec := serve(t, p.options, httptest.NewRequest(http.MethodGet, "/api/mdm/microsoft/signin?"+opened().Encode(), nil))
	if rec.Code != http.StatusInternalServerError {
		t.Errorf("status %d", rec.Code)
	}
}
