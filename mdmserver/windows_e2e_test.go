package mdmserver_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/test/devicesim/windows"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

// newWindowsWorld starts a server for Windows devices alone. What changes its configuration may be nil.
func newWindowsWorld(t testing.TB, configure ...func(*serverconfig.Windows)) *world {
	t.Helper()
	w := &world{Files: serverfiles.Write(t)}
	w.AddWindows(t)
	w.Config.Apple = nil
	for _, change := range configure {
		if change != nil {
			change(w.Config.Windows)
		}
	}
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

// enrolPC enrols a PC as a person does in Settings. The enrolment is complete after the first session.
func (w *world) enrolPC(t testing.TB, pc *windows.PC) {
	t.Helper()
	secret := w.windowsToken(t, adminapi.Key("fleet/"+strings.ToLower(pc.Hardware().SerialNumber)))
	if err := pc.EnrollWithPassword(t.Context(), "https://"+serverfiles.Host, "jo@example.test", secret); err != nil {
		t.Fatal(err)
	}
}

// awaitPC waits until a PC's enrolment is complete and returns what the server knows of it.
func (w *world) awaitPC(t testing.TB, pc *windows.PC) adminapi.Device {
	t.Helper()
	return *w.await(t, func(c adminapi.Change) bool {
		return c.Device != nil && c.Device.ID == pc.Hardware().DeviceID && c.Device.State == adminapi.DeviceEnrolled
	}).Device
}

// managed enrols a PC, runs its first session and returns what the server knows of it.
func (w *world) managed(t testing.TB, pc *windows.PC) adminapi.Device {
	t.Helper()
	w.enrolPC(t, pc)
	w.converse(t, pc)
	return w.awaitPC(t, pc)
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

// camera is a Profile of one setting.
func camera(t testing.TB, digest, value string) adminapi.Artifact {
	t.Helper()
	template, err := json.Marshal(adminapi.WindowsProfile{Commands: []adminapi.SyncMLCommand{{Verb: adminapi.VerbSet, LocURI: cameraURI, Format: "int", Data: value}}})
	if err != nil {
		t.Fatal(err)
	}
	return adminapi.Artifact{Key: "fleet/camera", Platform: adminapi.PlatformWindows, Scope: adminapi.ScopeSystem, Identifier: "fleet/camera", Digest: digest, Template: template}
}

const cameraURI = "./Device/Vendor/MSFT/Policy/Config/Camera/AllowCamera"

// The whole path of a PC: it enrols, gets a setting and its edit, loses it again and leaves; the manager sees each step in the feed.
func TestAPCIsManagedFromEnrolmentToItsEnd(t *testing.T) {
	w := newWindowsWorld(t)
	ctx := t.Context()
	pc := w.pc(t, 1)
	device := w.managed(t, pc)
	if device.Platform != adminapi.PlatformWindows || device.SerialNumber != pc.Hardware().SerialNumber || device.Model != pc.Hardware().Model ||
		device.Token != "fleet/e2e0001" || device.EnrollmentID == "" || device.Authentication != adminapi.AuthMutualTLS {
		t.Fatalf("the server knows %+v", device)
	}
	if report := w.converse(t, pc); report.Messages != 1 || len(report.Commands) != 0 {
		t.Errorf("an idle session took %+v", report)
	}

	if _, err := w.admin.PutArtifact(ctx, camera(t, "d1", "0")); err != nil {
		t.Fatal(err)
	}
	reply, err := w.admin.PutAssignments(ctx, adminapi.AssignmentBatch{Assignments: []adminapi.Assignment{
		{DeviceID: device.ID, EnrollmentID: device.EnrollmentID, Artifacts: []adminapi.Key{"fleet/camera"}}}})
	if err != nil || len(reply.Stale)+len(reply.Missing) > 0 {
		t.Fatalf("assigning: %+v, %v", reply, err)
	}
	w.applied(t, pc, "d1", "0")
	if _, err := w.admin.PutArtifact(ctx, camera(t, "d2", "1")); err != nil {
		t.Fatal(err)
	}
	w.applied(t, pc, "d2", "1")

	restart := adminapi.Action{Key: "fleet/restart", SpecHash: "h1", Targets: []adminapi.ActionTarget{{DeviceID: device.ID, EnrollmentID: device.EnrollmentID}},
		Windows: &adminapi.WindowsCommand{RequestType: adminapi.WindowsRestart, Commands: []adminapi.SyncMLCommand{{Verb: adminapi.VerbExec, LocURI: "./Device/Vendor/MSFT/Reboot/RebootNow"}}}}
	if _, err := w.admin.PutAction(ctx, restart); err != nil {
		t.Fatal(err)
	}
	w.converse(t, pc)
	w.await(t, func(c adminapi.Change) bool { return c.Action != nil && c.Action.Counts[adminapi.TargetSucceeded] == 1 })
	if pc.Restarts() != 1 {
		t.Errorf("the PC restarted %d times", pc.Restarts())
	}

	if err := w.admin.DeleteArtifact(ctx, "fleet/camera", false); err != nil {
		t.Fatal(err)
	}
	w.converse(t, pc)
	w.await(t, func(c adminapi.Change) bool { return c.Kind == adminapi.KindArtifact && c.Deleted })
	if _, has := pc.Node(cameraURI); has {
		t.Error("the withdrawn setting is still on the PC")
	}

	if err := pc.Unenroll(ctx); err != nil {
		t.Fatal(err)
	}
	ended := w.await(t, func(c adminapi.Change) bool { return c.Device != nil && c.Device.State == adminapi.DeviceEnded })
	if ended.Device.EndReason != adminapi.EndCheckedOut {
		t.Errorf("the enrolment ended as %s", ended.Device.EndReason)
	}
	log := w.log.String()
	if !strings.Contains(log, `"endpoint":"POST /api/mdm/microsoft/management"`) {
		t.Error("the log has no line for a session")
	}
	for _, secret := range []string{pc.Hardware().SerialNumber, pc.Hardware().DeviceID, device.EnrollmentID, "AllowCamera"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

// applied runs a session in which the PC gets the setting, and waits until the server says so.
func (w *world) applied(t testing.TB, pc *windows.PC, digest, value string) {
	t.Helper()
	w.converse(t, pc)
	w.await(t, func(c adminapi.Change) bool {
		return c.Artifact != nil && c.Artifact.Digest == digest && c.Artifact.Targeted == 1 && c.Artifact.Installed == 1
	})
	if node, _ := pc.Node(cameraURI); node.Data != value {
		t.Fatalf("the PC has %+v, want %s", node, value)
	}
}

// A server for Macs that gets a part for Windows serves both: the certificates of one platform are no identities of the other.
func TestAMacAndAPCOnOneServer(t *testing.T) {
	w := newWorld(t)
	mac, _ := w.enrolled(t, 1)
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	w.AddWindows(t)
	w.start(t)
	pc := w.pc(t, 1)
	device := w.managed(t, pc)
	if err := mac.Idle(t.Context()); err != nil {
		t.Errorf("the Mac: %v", err)
	}
	w.isStillManaged(t, pc)
	info, err := w.admin.Info(t.Context())
	if err != nil || info.Enrolled != 2 || len(info.IdentityCAs) != 1 || len(info.WSTEPCAs) != 1 || info.Push.Topic != serverfiles.Topic {
		t.Errorf("info %+v, %v", info, err)
	}
	if _, answer := w.post(t, pc, mac.Identity(), sessionMessage(device.ID, 1, "", "<Final/>")); !strings.Contains(answer, "<Data>407</Data>") {
		t.Errorf("a Mac's certificate for a PC: %s", answer)
	}
}
