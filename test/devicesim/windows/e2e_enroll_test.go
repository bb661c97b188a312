package windows_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
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

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/devicesim/windows"
	"github.com/kubemdm/kubemdm/test/oidcissuer"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

func TestServerEnrolsPCs(t *testing.T) {
	w := newWorld(t, nil)
	password := func(ctx context.Context, pc *windows.PC) error {
		return pc.EnrollWithPassword(ctx, host, "ada@example.test", "any")
	}
	for index, test := range []struct {
		name   string
		change func(*windows.Options)
		enroll func(context.Context, *windows.PC) error
		login  windows.Login
		by     adminapi.ManagementAuthentication
	}{
		{"by password", nil, password, "", adminapi.AuthMutualTLS},
		{"with the CSR of older builds", func(o *windows.Options) { o.LegacyCSR = true }, password, "", adminapi.AuthMutualTLS},
		{"into the store of the machine", func(o *windows.Options) { o.EnrollmentType = windows.EnrollmentDevice }, password, windows.LoginNone, adminapi.AuthMutualTLS},
		{"with nobody logged in", nil, password, windows.LoginNone, adminapi.AuthDigest},
		{"by agent", nil, func(ctx context.Context, pc *windows.PC) error { return pc.EnrollByAgent(ctx, host, "any") }, "", adminapi.AuthMutualTLS},
	} {
		t.Run(test.name, func(t *testing.T) {
			pc := w.pc(index, test.change)
			fatal(t, test.enroll(t.Context(), pc))
			if d := w.known(pc); d.State != adminapi.DevicePending {
				t.Errorf("before the first session: %+v", d)
			}
			session(t, pc, windows.SessionOptions{Login: test.login})
			d, h := w.known(pc), pc.Hardware()
			if d.State != adminapi.DeviceEnrolled || d.SerialNumber != h.SerialNumber || d.Model != h.Model || d.OSVersion != h.OSVersion ||
				d.Token != "fleet/any" || d.Authentication != test.by {
				t.Errorf("%+v", d)
			}
			if !d.IdentityNotAfter.Equal(pc.Identity().Certificate.NotAfter) || d.EnrollmentID != pc.Identity().Certificate.Subject.CommonName {
				t.Errorf("the certificate of %s until %s is not that of %+v", pc.Identity().Certificate.Subject, pc.Identity().Certificate.NotAfter, d)
			}
		})
	}
}

func TestServerRefusesCredentials(t *testing.T) {
	w := newWorld(t, nil)
	w.token(adminapi.Token{Key: "fleet/expired", ExpiresAt: time.Now().Add(-time.Hour)})
	w.token(adminapi.Token{Key: "fleet/once", MaxUses: 1})
	w.token(adminapi.Token{Key: "fleet/bound", SerialNumber: "ANOTHER"})
	fatal(t, w.pc(1, nil).EnrollWithPassword(t.Context(), host, "ada@example.test", "once"))
	for secret, want := range map[string]struct{ subcode, about string }{
		"unknown": {"authentication", ""}, "": {"authentication", ""},
		"expired": {"authorization", "token fleet/expired "}, "once": {"authorization", "token fleet/once "},
	} {
		err := w.pc(2, nil).EnrollWithPassword(t.Context(), host, "ada@example.test", secret)
		id, named := strings.CutPrefix(faultOf(t, err).TraceID, want.about)
		if faultOf(t, err).Subcode != want.subcode || !named || id == "" {
			t.Errorf("%q: %v, not %+v", secret, err, want)
		}
	}
	for _, token := range []string{"", "any", `{"type":1,"payload":{"orbit_node_key":"x","auth_token":""}}`, strings.Repeat("x", 1000)} {
		if err := w.pc(2, nil).Register(t.Context(), host+"/api/mdm/microsoft/discovery", token); faultOf(t, err).HRESULT() > 0x80180003 {
			t.Errorf("the token %.20q: %v", token, err)
		}
	}
	status := new(windows.HTTPError)
	if err := w.pc(3, nil).EnrollByAgent(t.Context(), host, "unknown"); !errors.As(err, &status) || status.Status != http.StatusUnauthorized {
		t.Errorf("an agent with a wrong secret: %v", err)
	}
}

// A PC that is enrolled is not taken over by another that calls itself by the same name.
func TestServerLetsNobodyTakeAPCOver(t *testing.T) {
	w := newWorld(t, nil)
	pc, before := w.enrolled(1, nil)
	if err := w.pc(1, nil).EnrollWithPassword(t.Context(), host, "eve@example.test", "any"); err == nil {
		t.Error("another PC of this DeviceID is enrolled")
	}
	twin := w.pc(2, func(o *windows.Options) { o.SerialNumber = pc.Hardware().SerialNumber })
	if err := twin.EnrollWithPassword(t.Context(), host, "eve@example.test", "any"); err == nil {
		_, _ = twin.Session(t.Context(), windows.SessionOptions{})
		if d := w.known(twin); d.State == adminapi.DeviceEnrolled {
			t.Errorf("another PC of this serial number: %+v", d)
		}
	}
	status := new(windows.HTTPError)
	clone := w.pc(3, func(o *windows.Options) { o.SerialNumber = pc.Hardware().SerialNumber })
	if err := clone.EnrollByAgent(t.Context(), host, "any"); !errors.As(err, &status) || clone.NodeKey() != "" {
		t.Errorf("an agent on a PC of this serial number: %v", err)
	}
	session(t, pc, windows.SessionOptions{})
	if after := w.known(pc); after.EnrollmentID != before.EnrollmentID || after.State != adminapi.DeviceEnrolled {
		t.Errorf("before %+v, after %+v", before, after)
	}
	w.token(adminapi.Token{Key: "fleet/again", SerialNumber: pc.Hardware().SerialNumber, UDID: pc.Hardware().DeviceID})
	again := w.pc(1, nil)
	fatal(t, again.EnrollWithPassword(t.Context(), host, "ada@example.test", "again"))
	session(t, again, windows.SessionOptions{})
	if after := w.known(again); after.EnrollmentID == before.EnrollmentID || after.State != adminapi.DeviceEnrolled {
		t.Errorf("with a token for it: %+v", after)
	}
}

func TestServerSendsPeopleToTheirIssuer(t *testing.T) {
	issuer := httptest.NewUnstartedServer(nil)
	address := "https://" + issuer.Listener.Addr().String()
	pages, err := oidcissuer.New(oidcissuer.Config{
		URL: address, ClientID: "kubemdm", ClientSecret: "client-secret", Now: time.Now,
		Users: map[string]oidcissuer.User{"ada": {Password: "sesame", Claims: map[string]any{"email": "ada@example.test", "email_verified": true}}},
	})
	fatal(t, err)
	issuer.Config.Handler = pages
	issuer.StartTLS()
	defer issuer.Close()
	dir := t.TempDir()
	w := newWorld(t, func(c *serverconfig.Windows) {
		c.SignIn = &serverconfig.SignIn{IssuerURL: address, ClientID: "kubemdm", Dir: dir, Token: "fleet/any"}
		put(t, dir, serverconfig.ClientSecretFile, []byte("client-secret"))
		put(t, dir, serverconfig.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issuer.Certificate().Raw}))
	})
	browser := w.browser(issuer.Certificate())
	pc := w.pc(1, nil)
	fatal(t, pc.EnrollFederated(t.Context(), host, "ada@example.test", browser.signIn))
	session(t, pc, windows.SessionOptions{})
	if d := w.known(pc); d.State != adminapi.DeviceEnrolled || d.UserPrincipalName != "ada@example.test" || d.Token != "fleet/any" {
		t.Errorf("%+v", d)
	}
	if err := w.pc(2, nil).EnrollWithPassword(t.Context(), host, "ada@example.test", "any"); err == nil {
		t.Error("a password got past the sign-in page")
	}
	again := func(context.Context, string, string) (string, error) { return browser.ticket, nil }
	if err := w.pc(3, nil).EnrollFederated(t.Context(), host, "ada@example.test", again); faultOf(t, err).HRESULT() > 0x80180003 {
		t.Errorf("a ticket that was used: %v", err)
	}
	agent := w.pc(4, nil)
	fatal(t, agent.EnrollByAgent(t.Context(), host, "any"))
}

// browser is that of a person who signs in.
type browser struct {
	*http.Client
	ticket string
}

var ticketOf = regexp.MustCompile(`name="wresult" value="([^"]*)"`)

func (b *browser) signIn(ctx context.Context, page, _ string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return "", err
	}
	form, err := b.Do(request)
	if err != nil {
		return "", err
	}
	fatal := form.Body.Close()
	fields := url.Values{oidcissuer.FieldUsername: {"ada"}, oidcissuer.FieldPassword: {"sesame"}}
	if request, err = http.NewRequestWithContext(ctx, http.MethodPost, form.Request.URL.String(), strings.NewReader(fields.Encode())); err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	last, err := b.Do(request)
	if err != nil {
		return "", err
	}
	defer last.Body.Close()
	text, err := io.ReadAll(last.Body)
	found := ticketOf.FindSubmatch(text)
	if err = errors.Join(fatal, err); err != nil || found == nil {
		return "", fmt.Errorf("no ticket on the page: %d, %w", last.StatusCode, err)
	}
	b.ticket = html.UnescapeString(string(found[1]))
	return b.ticket, nil
}

// browser trusts the server and one more certificate.
func (w *world) browser(also *x509.Certificate) *browser {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	fatal(w.t, err)
	roots := w.WebCA.Pool()
	roots.AddCert(also)
	transport := devicesim.NewClient(roots).Transport.(*http.Transport)
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if strings.HasPrefix(address, serverfiles.Host) {
			address = w.addrs.Devices.String()
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	w.t.Cleanup(transport.CloseIdleConnections)
	return &browser{Client: &http.Client{Transport: transport, Jar: jar, Timeout: time.Minute}}
}

func put(t *testing.T, dir, name string, content []byte) {
	t.Helper()
	fatal(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
}
