package browser

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

// world is a running server for Apple devices and PCs.
type world struct {
	*serverfiles.Files
	admin  *adminapi.Client
	addrs  mdmserver.Addresses
	issuer string // where people sign in, if they do
}

// newWorld starts a server whose configuration is changed first.
func newWorld(t testing.TB, changes ...func(*world)) *world {
	t.Helper()
	w := &world{Files: serverfiles.Write(t)}
	w.AddWindows(t)
	for _, change := range changes {
		change(w)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s, err := mdmserver.Start(ctx, w.Config, slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})), "test")
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("stopping: %v", err)
		}
	})
	w.addrs = s.Addresses()
	w.admin = w.Manager(t, w.addrs.Admin.String())
	if _, err := w.admin.Info(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

// address is that of a page.
func (w *world) address(path string) string { return "https://" + serverfiles.Host + path }

// token makes an EnrollmentToken and returns the token.
func (w *world) token(t testing.TB, name string, change func(*adminapi.Token)) string {
	t.Helper()
	secret := rand.Text()
	hash := sha256.Sum256([]byte(secret))
	token := adminapi.Token{
		Key: adminapi.Key("fleet/" + name), Hash: hex.EncodeToString(hash[:]), Platforms: []adminapi.Platform{adminapi.PlatformApple, adminapi.PlatformWindows},
	}
	if change != nil {
		change(&token)
	}
	if _, err := w.admin.PutToken(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	return secret
}

// proxy lets a browser find the server under its public name and nothing else.
func (w *world) proxy(t testing.TB) string {
	t.Helper()
	proxy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		host, _, _ := strings.Cut(r.Host, ":")
		if r.Method != http.MethodConnect || host != serverfiles.Host {
			http.Error(rw, "there is nothing else in this world", http.StatusForbidden)
			return
		}
		server, err := new(net.Dialer).DialContext(r.Context(), "tcp", w.addrs.Devices.String())
		if err != nil {
			http.Error(rw, err.Error(), http.StatusBadGateway)
			return
		}
		defer server.Close()
		browser, _, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			return
		}
		defer browser.Close()
		if _, err := io.WriteString(browser, "HTTP/1.1 200 Connected\r\n\r\n"); err == nil {
			join(browser, server)
		}
	}))
	t.Cleanup(proxy.Close)
	return proxy.URL
}

// join passes on what two connections say until one ends.
func join(browser, server net.Conn) {
	var both sync.WaitGroup
	both.Go(func() {
		io.Copy(server, browser) //nolint:errcheck // either end may hang up
		server.Close()
	})
	both.Go(func() {
		io.Copy(browser, server) //nolint:errcheck // as above
		browser.Close()
	})
	both.Wait()
}

// client is a device's, which finds the server under its public name.
func (w *world) client(t testing.TB) *http.Client {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: w.WebCA.Pool()},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, w.addrs.Devices.String())
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// branded gives the page a look of its own.
func branded(t testing.TB) func(*world) {
	return func(w *world) {
		w.Put(t, "page/"+serverconfig.LogoFile, []byte(logo))
		w.Config.Organization = "Example Ltd"
		w.Config.Page = serverconfig.Page{
			Title: "Example Ltd", Color: "#0f766e", SupportURL: "https://help.example.com/enrol", LogoFile: filepath.Join(w.Dir, "page", serverconfig.LogoFile),
		}
	}
}

// expired makes a token that was good once.
func expired(token *adminapi.Token) { token.ExpiresAt = time.Now().Add(-time.Hour) }

// logo is the one of the company in the pictures.
const logo = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 48"><rect width="48" height="48" rx="12" fill="#0f766e"/>` +
	`<path d="M14 30 24 12l10 18z" fill="#fff"/><path d="M14 36h20" stroke="#99f6e4" stroke-width="4" stroke-linecap="round"/></svg>`
