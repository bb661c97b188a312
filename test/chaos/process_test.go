package chaos

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

const publicURL = "https://" + serverfiles.Host

// process is the real binary on plain files, which can be killed and started again.
type process struct {
	*serverfiles.Files
	binary string
	config string
	cmd    *exec.Cmd
	admin  *adminapi.Client
}

func newProcess(t *testing.T) *process {
	t.Helper()
	p := &process{Files: serverfiles.Write(t), binary: filepath.Join(t.TempDir(), "mdmserver")}
	p.AddWindows(t)
	// The addresses must be the same after a restart.
	for _, address := range []*string{&p.Config.Listen.Devices, &p.Config.Listen.Admin, &p.Config.Listen.Health} {
		*address = freeAddress(t)
	}
	p.config = p.WriteConfig(t)
	build := exec.CommandContext(t.Context(), "go", "build", "-o", p.binary, "../../cmd/mdmserver")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the server: %v\n%s", err, out)
	}
	p.admin = p.Manager(t, p.Config.Listen.Admin)
	p.start(t)
	t.Cleanup(func() { p.kill(t) })
	return p
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start returns when the server is ready.
func (p *process) start(t *testing.T) {
	t.Helper()
	p.cmd = exec.Command(p.binary, "--config", p.config, "--log-level", "ERROR")
	p.cmd.Stderr = os.Stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server to be ready", func(ctx context.Context) bool {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Config.Listen.Health+"/readyz", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

// kill is SIGKILL: the server gets no word in.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait() // "signal: killed"
}

// token stores an EnrollmentToken for a platform and returns its secret.
func (p *process) token(t *testing.T, key adminapi.Key, platform adminapi.Platform) string {
	t.Helper()
	secret := rand.Text()
	hash := sha256.Sum256([]byte(secret))
	_, err := p.admin.PutToken(t.Context(), adminapi.Token{Key: key, Hash: hex.EncodeToString(hash[:]), Platforms: []adminapi.Platform{platform}})
	must(t, err)
	return secret
}

// enrollURL stores an EnrollmentToken for Apple devices and returns the URL to enrol at.
func (p *process) enrollURL(t *testing.T, key adminapi.Key) string {
	t.Helper()
	return publicURL + "/enroll/" + p.token(t, key, adminapi.PlatformApple)
}

// dial finds the server's public names at its address.
func (p *process) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, p.Config.Listen.Devices)
}

func (p *process) deviceHTTP() *http.Client {
	client := devicesim.NewClient(p.WebCA.Pool())
	client.Transport.(*http.Transport).DialContext = p.dial
	return client
}

// eventually asks every 50 ms until the condition holds.
func eventually(t *testing.T, what string, holds func(ctx context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for !holds(ctx) {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		case <-ticker.C:
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
