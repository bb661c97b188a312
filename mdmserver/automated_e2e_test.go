package mdmserver_test

import (
	"errors"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/test/applepki"
	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

const setupURL = "https://" + serverfiles.Host + "/ade/fleet/business"

// factory makes the server trust the authorities of a factory of devices.
func (w *world) factory(t testing.TB) *applepki.DeviceCA {
	t.Helper()
	ca, err := applepki.NewDeviceCA(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	w.Put(t, "device-roots.pem", ca.RootPEM())
	w.Config.Apple.DeviceRootsFile = filepath.Join(w.Dir, "device-roots.pem")
	w.start(t)
	return ca
}

// setUp puts a Mac in front of Setup Assistant.
func setUp(t testing.TB, ca *applepki.DeviceCA, mac *devicesim.Device) devicesim.SetupAssistant {
	t.Helper()
	identity, err := ca.Issue(mac.Hardware().UDID, applepki.DeviceOptions{}) // as in the field, it ended long ago
	if err != nil {
		t.Fatal(err)
	}
	return devicesim.SetupAssistant{Identity: identity, Profile: []byte(`{"profile_name": "Macs", "url": "` + setupURL + `", "await_device_configured": true}`)}
}

// The whole path of a new Mac over real listeners: it is not listed, then it is; it updates, enrols, and leaves Setup Assistant when it has what it should have.
func TestAMacIsSetUpByItself(t *testing.T) {
	w := newWorld(t)
	ca := w.factory(t)
	ctx := t.Context()
	mac := w.mac(t, 1)
	serial := mac.Hardware().SerialNumber
	assistant := setUp(t, ca, mac)
	var updates []string
	assistant.OnUpdate = func(u devicesim.OSUpdate) error {
		updates = append(updates, u.OSVersion)
		return nil
	}

	err := mac.EnrollAutomated(ctx, assistant)
	if refused := (*devicesim.StatusError)(nil); !errors.As(err, &refused) || refused.Code != http.StatusForbidden {
		t.Fatalf("a Mac that is not listed: %v", err)
	}
	status, err := w.admin.PutAutomated(ctx, adminapi.Automated{
		Key: "fleet/business", Digest: "1", Devices: map[string]string{serial: "macs"},
		Profiles: []adminapi.AutomatedProfile{{Name: "macs", AwaitConfiguration: true, MinimumOS: map[string]adminapi.OSVersion{"Mac": {Version: "99.1", Build: "99A1"}}}},
	})
	if err != nil || status.Devices != 1 {
		t.Fatalf("listing the Mac: %+v, %v", status, err)
	}
	if err := mac.EnrollAutomated(ctx, assistant); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(updates, []string{"99.1"}) || mac.Hardware().OSVersion != "99.1" {
		t.Errorf("updates %q, and the Mac has %s", updates, mac.Hardware().OSVersion)
	}
	device := w.await(t, func(c adminapi.Change) bool { return c.Device != nil && c.Device.State == adminapi.DeviceEnrolled }).Device
	if device.SerialNumber != serial || device.Automated != "fleet/business" || !device.AwaitingConfiguration || device.Token != "" {
		t.Fatalf("the server knows %+v", device)
	}
	run(t, mac)

	if _, err := w.admin.PutArtifact(ctx, wifi("d1", "Office")); err != nil {
		t.Fatal(err)
	}
	_, err = w.admin.PutAssignments(ctx, adminapi.AssignmentBatch{Assignments: []adminapi.Assignment{
		{DeviceID: device.ID, EnrollmentID: device.EnrollmentID, Artifacts: []adminapi.Key{"fleet/wifi"}}}})
	if err != nil {
		t.Fatal(err)
	}
	device = w.await(t, func(c adminapi.Change) bool { return c.Device != nil && !c.Device.ConfiguredAt.IsZero() }).Device
	var asked []string
	for _, a := range mac.Answers() {
		if a.RequestType == "InstallProfile" || a.RequestType == "DeviceConfigured" {
			asked = append(asked, a.RequestType)
		}
	}
	if device.AwaitingConfiguration || !slices.Equal(asked, []string{"InstallProfile", "DeviceConfigured"}) {
		t.Errorf("the device is %+v; it was asked %q", device, asked)
	}
	log := w.log.String()
	const line = `"endpoint":"POST /ade/{namespace}/{name}"`
	if !strings.Contains(log, line) {
		t.Error("the log has no line for Setup Assistant")
	}
	for _, secret := range []string{serial, mac.Hardware().UDID, device.EnrollmentID} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

// A Mac that was erased is enrolled still, and may enrol again; without a factory of its own the server trusts Apple alone.
func TestAnErasedMacIsSetUpAgain(t *testing.T) {
	w := newWorld(t)
	ca := w.factory(t)
	ctx := t.Context()
	mac := w.mac(t, 1)
	assistant := setUp(t, ca, mac)
	listed := adminapi.Automated{Key: "fleet/business", Digest: "1", Devices: map[string]string{mac.Hardware().SerialNumber: ""}}
	if _, err := w.admin.PutAutomated(ctx, listed); err != nil {
		t.Fatal(err)
	}
	var enrolments []string
	for range 2 {
		again := w.mac(t, 1) // as new from the factory
		if err := again.EnrollAutomated(ctx, assistant); err != nil {
			t.Fatal(err)
		}
		enrolled := w.await(t, func(c adminapi.Change) bool {
			return c.Device != nil && c.Device.State == adminapi.DeviceEnrolled && !slices.Contains(enrolments, c.Device.EnrollmentID)
		})
		enrolments = append(enrolments, enrolled.Device.EnrollmentID)
	}

	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	w.Config.Apple.DeviceRootsFile = ""
	w.start(t)
	err := w.mac(t, 1).EnrollAutomated(ctx, assistant)
	if refused := (*devicesim.StatusError)(nil); !errors.As(err, &refused) || refused.Code != http.StatusForbidden {
		t.Errorf("a device of a fake factory: %v", err)
	}
}
