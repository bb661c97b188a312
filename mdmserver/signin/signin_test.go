package signin_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/seal"
	"github.com/kubemdm/kubemdm/mdmserver/signin"
	"github.com/kubemdm/kubemdm/test/oidcissuer"
)

var (
	today   = time.Date(2026, time.May, 4, 9, 0, 0, 0, time.UTC)
	errOwn  = errors.New("the platform's own")
	carried = `what no "browser" & nobody else may read`
)

// world has two platforms on one server, /pcs and /macs, with one client at the issuer.
type world struct {
	*testing.T
	server  *httptest.Server
	browser *http.Client
	log     bytes.Buffer
	carry   string
	key     []byte
	done    error // of the platform, once somebody has signed in
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, carry: carried, key: bytes.Repeat([]byte{7}, 32)}
	issuer, ca := oidcissuer.Start(t, oidcissuer.Config{
		ClientID: "kubemdm", ClientSecret: "client-secret", Now: func() time.Time { return today },
		Users: map[string]oidcissuer.User{"joe": {Password: "sesame", Claims: map[string]any{"upn": "joe@example.com"}}},
	})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, serverconfig.CAFile), ca, 0o600); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	w.server = httptest.NewUnstartedServer(mux)
	for _, platform := range []string{"/pcs", "/macs"} {
		callback := platform + "/callback"
		flow := signin.New(signin.Options{
			Config:      serverconfig.SignIn{IssuerURL: issuer.URL(), ClientID: "kubemdm", Dir: dir, Domains: []string{"example.com"}},
			Secret:      func() string { return "client-secret" },
			RedirectURL: "https://" + w.server.Listener.Addr().String() + callback,
			Seal:        seal.New(func() seal.Keyring { return seal.Keyring{Primary: "k1", Keys: map[string][]byte{"k1": w.key}} }),
			Refusals:    []signin.Refusal{{Err: errOwn, Status: http.StatusTeapot, Text: "Not for <tea>."}},
			Now:         func() time.Time { return today },
			Log:         slog.New(slog.NewTextHandler(&w.log, nil)),
		})
		mux.HandleFunc("GET "+platform, flow.Page(func(rw http.ResponseWriter, r *http.Request) error { return flow.Begin(rw, r, w.carry, "") }))
		mux.HandleFunc("GET "+callback, flow.Page(func(rw http.ResponseWriter, r *http.Request) error {
			account, err := flow.Finish(rw, r)
			if err != nil || w.done != nil {
				return errors.Join(err, w.done)
			}
			_, err = fmt.Fprintf(rw, "%s: %s", account.Address, account.Carried)
			return err
		}))
	}
	w.server.StartTLS()
	t.Cleanup(w.server.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	w.browser = w.server.Client() // both servers have httptest's certificate
	w.browser.Jar = jar
	return w
}

// shown is what a browser shows, and where.
type shown struct {
	status int
	body   string
	at     *url.URL
}

func (w *world) do(r *http.Request, err error) shown {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
	response, err := w.browser.Do(r)
	if err != nil {
		w.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		w.Fatal(err)
	}
	return shown{response.StatusCode, string(body), response.Request.URL}
}

func (w *world) open(address string) shown {
	w.Helper()
	return w.do(http.NewRequestWithContext(w.Context(), http.MethodGet, address, nil))
}

func (w *world) signIn(form shown) shown {
	w.Helper()
	return w.do(oidcissuer.Fill(w.Context(), form.at, "joe", "sesame", ""))
}

func TestWhatASignInCarriesComesBackUnseen(t *testing.T) {
	for _, carry := range []string{carried, "", strings.Repeat(`{"&"}`, 300)} {
		w := newWorld(t)
		w.carry = carry
		form := w.open(w.server.URL + "/macs")
		base, _ := url.Parse(w.server.URL)
		cookies := w.browser.Jar.Cookies(base)
		if len(cookies) != 1 || len(cookies[0].Value) > 4000 {
			t.Fatalf("cookies %v", cookies)
		}
		if strings.Contains(form.at.String()+cookies[0].Value, "browser") {
			t.Errorf("what is carried can be seen in %s or %v", form.at, cookies)
		}
		if got := w.signIn(form); got.status != http.StatusOK || got.body != "joe@example.com: "+carry {
			t.Errorf("status %d, %q\n%s", got.status, got.body, &w.log)
		}
		if left := w.browser.Jar.Cookies(base); len(left) != 0 {
			t.Errorf("the browser keeps %v", left)
		}
	}
}

func TestWhatFitsIntoNoCookieIsNotBegun(t *testing.T) {
	w := newWorld(t)
	w.carry = strings.Repeat("a", 3000)
	if got := w.open(w.server.URL + "/macs"); got.status != http.StatusInternalServerError || !strings.Contains(w.log.String(), "cookie") {
		t.Errorf("status %d, log %s", got.status, &w.log)
	}
}

// An answer that the issuer gave to one platform must not end the sign-in of another one, whose carried words mean something else.
func TestASignInIsForOnePlatform(t *testing.T) {
	w := newWorld(t)
	form := w.open(w.server.URL + "/pcs")
	q := form.at.Query()
	q.Set("redirect_uri", w.server.URL+"/macs/callback")
	form.at.RawQuery = q.Encode()
	if got := w.signIn(form); got.status != http.StatusBadRequest || !strings.Contains(got.body, "Start again") {
		t.Errorf("status %d, %q", got.status, got.body)
	}
}

func TestASignInThatAnotherKeySealed(t *testing.T) {
	w := newWorld(t)
	form := w.open(w.server.URL + "/macs")
	w.key = bytes.Repeat([]byte{8}, 32)
	if got := w.signIn(form); got.status != http.StatusBadRequest || strings.Contains(got.body, "joe@") {
		t.Errorf("status %d, %q", got.status, got.body)
	}
}

func TestAPlatformExplainsItsOwnErrors(t *testing.T) {
	w := newWorld(t)
	w.done = fmt.Errorf("about joe: %w", errOwn)
	got := w.signIn(w.open(w.server.URL + "/pcs"))
	if got.status != http.StatusTeapot || !strings.Contains(got.body, "Not for &lt;tea&gt;.") || strings.Contains(got.body, "joe") {
		t.Errorf("status %d, %q", got.status, got.body)
	}
	w.done = errors.New("nobody knows")
	if got := w.signIn(w.open(w.server.URL + "/pcs")); got.status != http.StatusInternalServerError || strings.Contains(got.body, "nobody") {
		t.Errorf("status %d, %q", got.status, got.body)
	}
}
