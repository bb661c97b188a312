package mdmserver_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/test/devicesim/windows"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

// newWindowsWorld starts a server for Windows devices alone.
func newWindowsWorld(t testing.TB) *world {
	t.Helper()
	w := &world{Files: serverfiles.Write(t)}
	w.AddWindows(t)
	w.Config.Apple, w.Config.TrustAnchor = nil, false
	w.start(t)
	return w
}

// windowsToken stores an EnrollmentToken for Windows devices and returns its secret.
func (w *world) windowsToken(t testing.TB, key adminapi.Key) string {
	t.Helper()
	secret := rand.Text()
	hash := sha256.Sum256([]byte(secret))
	token := adminapi.Token{Key: key, Hash: hex.EncodeToString(hash[:]), Platforms: []adminapi.Platform{adminapi.PlatformWindows}}
	if _, err := w.admin.PutToken(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	return secret
}

// pc makes a PC that is not enrolled yet.
func (w *world) pc(t testing.TB, index int, options ...func(*windows.Options)) *windows.PC {
	t.Helper()
	o := windows.Options{Hardware: windows.Laptop("E2E", index), Roots: w.WebCA.Pool(), Key: keys.Key, Dial: w.dial}
	for _, change := range options {
		change(&o)
	}
	pc, err := windows.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return pc
}

// dial finds the server's public names at the loopback address.
func (w *world) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, w.addrs.Devices.String())
}

// managed enrols a PC, runs its first session and returns what the server knows of it.
func (w *world) managed(t testing.TB, pc *windows.PC) adminapi.Device {
	t.Helper()
	secret := w.windowsToken(t, adminapi.Key("fleet/"+strings.ToLower(pc.Hardware().SerialNumber)))
	if err := pc.EnrollWithPassword(t.Context(), "https://"+serverfiles.Host, "jo@example.test", secret); err != nil {
		t.Fatal(err)
	}
	w.converse(t, pc)
	change := w.await(t, func(c adminapi.Change) bool {
		return c.Device != nil && c.Device.ID == pc.Hardware().DeviceID && c.Device.State == adminapi.DeviceEnrolled
	})
	return *change.Device
}

// converse runs a session of a PC to its end.
func (w *world) converse(t testing.TB, pc *windows.PC) *windows.Report {
	t.Helper()
	report, err := pc.Session(t.Context(), windows.SessionOptions{})
	if err != nil {
		t.Fatalf("%v\n%s", err, w.log)
	}
	return report
}

func TestAPCIsManaged(t *testing.T) {
	w := newWindowsWorld(t)
	pc := w.pc(t, 1)
	device := w.managed(t, pc)
	t.Logf("%+v", device)
}
