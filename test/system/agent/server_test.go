package agent

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
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver"
	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/devicesim/windows"
	"github.com/kubemdm/kubemdm/test/pki"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

// server is the real one, on a loopback address.
type server struct {
	*serverfiles.Files
	*adminapi.Client
	addrs mdmserver.Addresses
	log   *buffer
}

// start runs a server for Windows alone.
func start(t *testing.T) *server {
	t.Helper()
	s := &server{Files: serverfiles.Write(t), log: &buffer{}}
	s.Config.Apple = nil
	s.AddWindows(t)
	// The agent asks for the address, the simulated PC for the names.
	s.WritePair(t, "serving", s.WebCA.Issue(t, pki.Leaf{
		CN: serverfiles.Host, Names: []string{serverfiles.Host, serverfiles.ManagementHost, "127.0.0.1"},
	}), s.WebCA)
	ctx, cancel := context.WithCancel(context.Background())
	running, err := mdmserver.Start(ctx, s.Config, slog.New(slog.NewTextHandler(s.log, nil)), "test")
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- running.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	s.addrs = running.Addresses()
	s.Client = s.Manager(t, s.addrs.Admin.String())
	return s
}

// token stores an EnrollmentToken for Windows and returns its secret.
func (s *server) token(t *testing.T) string {
	t.Helper()
	secret := rand.Text()
	hash := sha256.Sum256([]byte(secret))
	token := adminapi.Token{Key: "fleet/office", Hash: hex.EncodeToString(hash[:]), Platforms: []adminapi.Platform{adminapi.PlatformWindows}}
	if _, err := s.PutToken(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	return secret
}

// pc does what Windows would do on behalf of the agent. It finds all names at the loopback address.
func (s *server) pc(t *testing.T) *windows.PC {
	t.Helper()
	pc, err := windows.New(windows.Options{
		Hardware: windows.Laptop("WINE", 1), Roots: s.WebCA.Pool(), Key: devicesim.NewKey,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.addrs.Devices.String())
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return pc
}

// device is what the server knows of the only device.
func (s *server) device(t *testing.T) adminapi.Device {
	t.Helper()
	page, err := s.Devices(t.Context(), "", adminapi.MaxPage)
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Items) != 1 {
		t.Fatalf("the server knows %d devices", len(page.Items))
	}
	return page.Items[0]
}

// told is what an agent with a node key is told when it asks.
func (s *server) told(t *testing.T, nodeKey string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.WebCA.Pool()}}, Timeout: patience}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+s.addrs.Devices.String()+"/api/fleet/orbit/config",
		strings.NewReader(`{"orbit_node_key":"`+nodeKey+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v: %s", res.Status, err, body)
	}
	return string(body)
}
