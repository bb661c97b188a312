package devicesim_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/apple"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
	"github.com/kubemdm/kubemdm/mdmserver/seal"
	"github.com/kubemdm/kubemdm/mdmserver/store"
	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/pki"
)

// An identity lives 70 minutes, so it is due for renewal within the 50 that the server's clock is behind when a test begins. The
// devices' clocks, and those of TLS, are right: whatever the server issues has to be valid for them too.
const (
	behind   = 50 * time.Minute
	validity = 70 * time.Minute
)

// world is the real Apple side of a server over a real store, with a clock that the test moves.
type world struct {
	*fleet.Fleet
	*httptest.Server
	web     *pki.CA
	network *devicesim.Network
	offset  atomic.Int64
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{web: pki.NewCA(t, "web")}
	w.offset.Store(int64(-behind))
	devices := pki.NewIdentityCA(t, "device identity 1")
	serving := w.web.Issue(t, pki.Leaf{CN: "server", Names: []string{"127.0.0.1"}})
	w.Server = httptest.NewUnstartedServer(nil)
	w.TLS = &tls.Config{Certificates: []tls.Certificate{serving}}
	side, err := apple.New(apple.Options{
		Config: serverconfig.Config{
			Namespace: "fleet", Name: "main", Host: w.Listener.Addr().String(), Organization: "Example", TrustAnchor: true,
			Apple: &serverconfig.Apple{AccessRights: 8191, Identity: serverconfig.Identity{Validity: serverconfig.Duration(validity)}},
		},
		CAs: func() []identity.CA {
			return []identity.CA{{Generation: 1, Role: serverconfig.RoleActive, Cert: devices.Cert, Key: devices.Key.(identity.Key)}}
		},
		Serving:   func() *tls.Certificate { return &serving },
		ServingCA: w.web.CertPEM,
		Topic:     func() string { return topic },
		Now:       w.now,
		Log:       slog.New(slog.DiscardHandler),
	})
	fatal(t, err)
	rows, err := store.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "mdm.db"))
	fatal(t, err)
	t.Cleanup(func() { check(t, rows.Close()) })
	sealer := seal.New(func() seal.Keyring {
		return seal.Keyring{Primary: "k1", Keys: map[string][]byte{"k1": make([]byte, 32)}}
	})
	w.Fleet, err = fleet.New(rows, side, fleet.Options{Sealer: sealer, Now: w.now})
	fatal(t, err)
	w.Config.Handler = side.Handler(w.Fleet)
	w.StartTLS()
	t.Cleanup(w.Close)
	w.network = &devicesim.Network{Next: devicesim.NewClient(w.web.Pool()).Transport}
	w.token(t, adminapi.Token{Key: "fleet/any"})
	return w
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.offset.Load())) }

// pass lets time pass for the server, which then does what only time brings about.
func (w *world) pass(t *testing.T, d time.Duration) {
	t.Helper()
	w.offset.Add(int64(d))
	fatal(t, w.Sweep(t.Context()))
}

// token stores a token whose secret is its key.
func (w *world) token(t testing.TB, token adminapi.Token) (url string) {
	t.Helper()
	sum := sha256.Sum256([]byte(filepath.Base(string(token.Key))))
	token.Hash = hex.EncodeToString(sum[:])
	_, err := w.PutToken(t.Context(), token)
	fatal(t, err)
	return w.URL + "/enroll/" + filepath.Base(string(token.Key))
}

func (w *world) device(t testing.TB, hardware devicesim.Hardware, change func(*devicesim.Options)) *devicesim.Device {
	t.Helper()
	opts := devicesim.Options{
		Hardware: hardware, Roots: w.web.Pool(), Key: keys.Key, After: atOnce, Client: &http.Client{Transport: w.network},
	}
	if change != nil {
		change(&opts)
	}
	device, err := devicesim.New(opts)
	fatal(t, err)
	return device
}

// enrolled enrols a device and returns the server's view of it.
func (w *world) enrolled(t testing.TB, hardware devicesim.Hardware, change func(*devicesim.Options)) (*devicesim.Device, adminapi.Device) {
	t.Helper()
	device := w.device(t, hardware, change)
	fatal(t, device.Enroll(t.Context(), w.URL+"/enroll/any"))
	return device, w.known(t, device)
}

// known is what the server knows of the device with this serial number, or of the only one.
func (w *world) known(t testing.TB, device *devicesim.Device) adminapi.Device {
	t.Helper()
	page, err := w.ListDevices(t.Context(), "", adminapi.MaxPage)
	fatal(t, err)
	for _, d := range page.Items {
		if d.SerialNumber == device.Hardware().SerialNumber || len(page.Items) == 1 {
			return d
		}
	}
	t.Fatalf("the server knows %d devices, not this one", len(page.Items))
	return adminapi.Device{}
}

// act orders an action and lets the device connect.
func (w *world) act(t *testing.T, device *devicesim.Device, key adminapi.Key, command adminapi.AppleCommand) adminapi.ActionResult {
	t.Helper()
	w.order(t, w.known(t, device), key, command)
	if err := device.Idle(t.Context()); err != nil && !errors.Is(err, devicesim.ErrInterrupted) {
		t.Fatal(err)
	}
	return w.outcome(t, device, key)
}

func (w *world) order(t *testing.T, d adminapi.Device, key adminapi.Key, command adminapi.AppleCommand) {
	t.Helper()
	_, err := w.PutAction(t.Context(), adminapi.Action{
		Key: key, SpecHash: string(key), Apple: &command, Targets: []adminapi.ActionTarget{{DeviceID: d.ID, EnrollmentID: d.EnrollmentID}},
	})
	fatal(t, err)
}

func (w *world) outcome(t *testing.T, device *devicesim.Device, key adminapi.Key) adminapi.ActionResult {
	t.Helper()
	page, err := w.ActionResults(t.Context(), key, "", 10)
	fatal(t, err)
	result, err := w.ActionResult(t.Context(), key, page.Items[0].DeviceID)
	fatal(t, err)
	return *result
}

// publish stores a profile and assigns it to the devices.
func (w *world) publish(t *testing.T, identifier, digest string, scope adminapi.Scope, devices ...adminapi.Device) {
	t.Helper()
	key := adminapi.Key("fleet/" + identifier)
	_, err := w.PutArtifact(t.Context(), adminapi.Artifact{
		Key: key, Scope: scope, Identifier: identifier, Digest: digest, Template: mobileconfig(identifier), Sign: true,
	})
	fatal(t, err)
	for _, d := range devices {
		reply, err := w.PutAssignments(t.Context(), adminapi.AssignmentBatch{Assignments: []adminapi.Assignment{{
			DeviceID: d.ID, EnrollmentID: d.EnrollmentID, Artifacts: []adminapi.Key{key},
		}}})
		fatal(t, err)
		if len(reply.Stale)+len(reply.Missing) > 0 {
			t.Fatalf("assigning: %+v", reply)
		}
	}
}

// artifact is the state of a profile, nil when it is gone.
func (w *world) artifact(t *testing.T, identifier string) *adminapi.ArtifactStatus {
	t.Helper()
	page, err := w.ListArtifacts(context.Background(), "", adminapi.MaxPage)
	fatal(t, err)
	for _, a := range page.Items {
		if a.Identifier == identifier {
			return &a
		}
	}
	return nil
}

// push delivers the pushes that are due and returns how many there were.
func (w *world) push(t *testing.T, pushes *devicesim.Pushes) int {
	t.Helper()
	wakes, err := w.Wakes(t.Context(), 100)
	fatal(t, err)
	for _, wake := range wakes {
		pushes.Push(wake.Token, wake.Magic)
	}
	return len(wakes)
}

func fatal(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
