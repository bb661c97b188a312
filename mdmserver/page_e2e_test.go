package mdmserver_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/oidcissuer"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

// browser is what a person opens the enrolment page with.
type browser struct {
	*testing.T
	client    http.Client
	userAgent string
	at        *url.URL // the page that is shown
}

const (
	macBrowser = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15"
	pcBrowser  = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36 Edg/137.0.0.0"
)

// browse opens a browser that finds the server under its name. It trusts the CAs (PEM) besides the server's.
func (w *world) browse(t *testing.T, userAgent string, caPEM ...[]byte) *browser {
	t.Helper()
	roots := w.WebCA.Pool()
	for _, ca := range caPEM {
		roots.AppendCertsFromPEM(ca)
	}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if host, _, _ := net.SplitHostPort(address); host == serverfiles.Host {
				address = w.addrs.Devices.String()
			}
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{T: t, userAgent: userAgent, client: http.Client{Transport: transport, Jar: jar, Timeout: time.Minute}}
}

// do makes a request as a browser does, follows where it leads, and returns what is shown or downloaded.
func (b *browser) do(r *http.Request, err error) (status int, body string) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("User-Agent", b.userAgent)
	r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	r.Header.Set("Sec-Fetch-Dest", "document")
	res, err := b.client.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		b.Fatal(err)
	}
	b.at = res.Request.URL
	return res.StatusCode, string(content)
}

func (b *browser) open(address string) string {
	b.Helper()
	status, body := b.do(http.NewRequestWithContext(b.Context(), http.MethodGet, address, nil))
	if status != http.StatusOK {
		b.Fatalf("%s: status %d\n%s", b.at, status, body)
	}
	return body
}

// enter sends the form of the page.
func (b *browser) enter(code string) (status int, body string) {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, "https://"+serverfiles.Host+"/enroll-page/code", strings.NewReader(url.Values{"code": {code}}.Encode()))
	if err == nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	return b.do(r, err)
}

// link finds an address on a page.
func (b *browser) link(page, pattern string) string {
	b.Helper()
	found := regexp.MustCompile(`href="([^"]*` + pattern + `[^"]*)"`).FindStringSubmatch(page)
	if found == nil {
		b.Fatalf("no link with %s on:\n%s", pattern, page)
	}
	address, err := b.at.Parse(strings.ReplaceAll(found[1], "&amp;", "&"))
	if err != nil {
		b.Fatal(err)
	}
	return address.String()
}

// installed enrols a Mac with a downloaded file and returns what the server knows of it.
func (w *world) installed(t *testing.T, file string) adminapi.Device {
	t.Helper()
	profile, err := devicesim.ParseProfile([]byte(file), w.WebCA.Pool())
	if err != nil {
		t.Fatal(err)
	}
	enrollment, err := devicesim.ParseEnrollment(profile)
	if err != nil {
		t.Fatal(err)
	}
	mac := w.mac(t, 1)
	if err := mac.InstallEnrollment(t.Context(), enrollment); err != nil {
		t.Fatal(err)
	}
	return *w.await(t, func(c adminapi.Change) bool { return c.Device != nil && c.Device.State == adminapi.DeviceEnrolled }).Device
}

// A person enters a code on the page, downloads the profile, and the Mac enrols with it. The code is in no address and in no log.
func TestAMacEnrolsByTheCodeOnThePage(t *testing.T) {
	w := newWorld(t)
	_, secret, _ := strings.Cut(w.token(t, "fleet/staff"), "/enroll/")
	b := w.browse(t, macBrowser)
	b.open("https://" + serverfiles.Host)
	if status, _ := b.enter("wrong"); status != http.StatusNotFound {
		t.Errorf("a wrong code: status %d", status)
	}
	status, page := b.enter(secret)
	if status != http.StatusOK || strings.Contains(b.at.String(), secret) {
		t.Fatalf("status %d at %s", status, b.at)
	}
	device := w.installed(t, b.open(b.link(page, "download=1")))
	if device.Token != "fleet/staff" || device.UserPrincipalName != "" {
		t.Errorf("the server knows %+v", device)
	}
	if log := w.log.String(); strings.Contains(log, secret) || !strings.Contains(log, `"endpoint":"GET /enroll-page/pass/{pass}"`) {
		t.Errorf("the log: %s", log)
	}
}

// One link serves everybody: a browser shows the steps and offers the download, a tool gets the profile.
func TestALinkServesPeopleAndTools(t *testing.T) {
	w := newWorld(t)
	link := w.token(t, "fleet/staff")
	b := w.browse(t, macBrowser)
	device := w.installed(t, b.open(b.link(b.open(link), "download=1")))
	if device.Token != "fleet/staff" {
		t.Errorf("the server knows %+v", device)
	}
	if err := w.mac(t, 2).Enroll(t.Context(), link); err != nil {
		t.Errorf("a tool: %v", err)
	}
	_, secret, _ := strings.Cut(link, "/enroll/")
	if strings.Contains(w.log.String(), secret) {
		t.Error("the log holds the token")
	}
}

// A person signs in on the page; the EnrollmentToken that is named counts, and the account is known with the Mac.
func TestAMacEnrolsByASignInOnThePage(t *testing.T) {
	issuer, caPEM := oidcissuer.Start(t, oidcissuer.Config{
		ClientID: "kubemdm", ClientSecret: "client-secret", Now: time.Now,
		Users: map[string]oidcissuer.User{
			"ada": {Password: "lovelace", Claims: map[string]any{"upn": "ada@example.com"}},
			"eve": {Password: "evil", Claims: map[string]any{"upn": "eve@example.org"}},
		},
	})
	w := newWorld(t)
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	w.Put(t, "apple-signin/"+serverconfig.ClientSecretFile, []byte("client-secret"))
	w.Put(t, "apple-signin/"+serverconfig.CAFile, caPEM)
	w.Config.Apple.SignIn = &serverconfig.SignIn{IssuerURL: issuer.URL(), ClientID: "kubemdm", Dir: filepath.Join(w.Dir, "apple-signin"), Domains: []string{"example.com"}}
	w.Config.Page.SignInToken = "fleet/staff"
	w.start(t)
	b := w.browse(t, macBrowser, caPEM)

	begin := b.link(b.open("https://"+serverfiles.Host), "signin")
	if status, page := b.do(http.NewRequestWithContext(t.Context(), http.MethodGet, begin, nil)); status != http.StatusForbidden || !strings.Contains(page, "Nobody can enrol by signing in") {
		t.Errorf("without the EnrollmentToken: status %d\n%s", status, page)
	}
	w.token(t, "fleet/staff")
	b.open(begin)
	if status, page := b.do(oidcissuer.Fill(t.Context(), b.at, "eve", "evil", "")); status != http.StatusForbidden || !strings.Contains(page, "Your account may not enrol") {
		t.Errorf("a stranger: status %d\n%s", status, page)
	}
	b.open(begin)
	status, page := b.do(oidcissuer.Fill(t.Context(), b.at, "ada", "lovelace", ""))
	if status != http.StatusOK || !strings.Contains(page, "You are signed in as ada@example.com") {
		t.Fatalf("status %d\n%s", status, page)
	}
	device := w.installed(t, b.open(b.link(page, "download=1")))
	if device.Token != "fleet/staff" || device.UserPrincipalName != "ada@example.com" {
		t.Errorf("the server knows %+v", device)
	}
	if strings.Contains(w.log.String(), "ada@") {
		t.Error("the log tells who signed in")
	}
}

// A server for PCs alone has the page too, and the old paths still lead nowhere.
func TestAServerForPCsHasThePage(t *testing.T) {
	w := newWorld(t)
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	w.AddWindows(t)
	w.Config.Apple = nil
	w.start(t)
	b := w.browse(t, pcBrowser)
	if page := b.open("https://" + serverfiles.Host); !strings.Contains(page, "Enrol your Windows PC") || strings.Contains(page, "iPhone") {
		t.Errorf("the page:\n%s", page)
	}
	if status, _ := b.do(http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+serverfiles.Host+"/apple/checkin", nil)); status != http.StatusNotFound {
		t.Errorf("a path of Apple devices: status %d", status)
	}
}
