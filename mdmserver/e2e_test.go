package mdmserver_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/test/devicesim"
)

// The whole path over real listeners and a real store: a Mac enrols, gets a profile and its edit by push, runs a command, loses the profile and
// leaves; the manager sees each step in the feed.
func TestAMacIsManagedFromEnrolmentToCheckOut(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	mac, device := w.enrolled(t, 1)
	if device.ID != mac.Hardware().UDID || device.Token != "fleet/token-1" || device.EnrollmentID == "" || !device.Responding || device.Model != mac.Hardware().Model {
		t.Fatalf("the server knows %+v", device)
	}
	run(t, mac)

	if _, err := w.admin.PutArtifact(ctx, wifi("d1", "Office")); err != nil {
		t.Fatal(err)
	}
	reply, err := w.admin.PutAssignments(ctx, adminapi.AssignmentBatch{Assignments: []adminapi.Assignment{
		{DeviceID: device.ID, EnrollmentID: device.EnrollmentID, Artifacts: []adminapi.Key{"fleet/wifi"}}}})
	if err != nil || len(reply.Stale)+len(reply.Missing) > 0 {
		t.Fatalf("assigning: %+v, %v", reply, err)
	}
	installed := func(digest string) func(adminapi.Change) bool {
		return func(c adminapi.Change) bool {
			return c.Artifact != nil && c.Artifact.Digest == digest && c.Artifact.Targeted == 1 && c.Artifact.Installed == 1
		}
	}
	w.await(t, installed("d1"))
	profile := mac.Profiles()["io.example.wifi"]
	if profile.Profile == nil || !profile.Verified || !strings.Contains(string(profile.Content), mac.Hardware().SerialNumber) {
		t.Fatalf("the Mac has %+v", profile)
	}

	if _, err := w.admin.PutArtifact(ctx, wifi("d2", "Guests")); err != nil {
		t.Fatal(err)
	}
	w.await(t, installed("d2"))
	if content := string(mac.Profiles()["io.example.wifi"].Content); !strings.Contains(content, "Guests") {
		t.Errorf("after the edit the Mac has %s", content)
	}

	restart := adminapi.Action{Key: "fleet/restart", SpecHash: "h1", Apple: &adminapi.AppleCommand{RequestType: adminapi.AppleRestartDevice},
		Targets: []adminapi.ActionTarget{{DeviceID: device.ID, EnrollmentID: device.EnrollmentID}}}
	if _, err := w.admin.PutAction(ctx, restart); err != nil {
		t.Fatal(err)
	}
	w.await(t, func(c adminapi.Change) bool { return c.Action != nil && c.Action.Counts[adminapi.TargetSucceeded] == 1 })
	select {
	case <-w.restarts:
	case <-time.After(time.Minute):
		t.Fatal("the Mac acknowledged the command and did not restart")
	}
	if mac.Restarts() != 1 {
		t.Errorf("the Mac restarted %d times", mac.Restarts())
	}

	if err := w.admin.DeleteArtifact(ctx, "fleet/wifi", false); err != nil {
		t.Fatal(err)
	}
	w.await(t, func(c adminapi.Change) bool { return c.Kind == adminapi.KindArtifact && c.Deleted })
	if _, has := mac.Profiles()["io.example.wifi"]; has {
		t.Error("the withdrawn profile is still on the Mac")
	}

	if err := mac.Unenroll(ctx); err != nil {
		t.Fatal(err)
	}
	ended := w.await(t, func(c adminapi.Change) bool { return c.Device != nil && c.Device.State == adminapi.DeviceEnded })
	if ended.Device.EndReason != adminapi.EndCheckedOut {
		t.Errorf("the enrolment ended as %s", ended.Device.EndReason)
	}
	const line = `"endpoint":"GET /enroll/{token}"`
	log := w.log.String()
	if !strings.Contains(log, line) {
		t.Error("the log has no line for the enrolment profile")
	}
	for _, secret := range []string{mac.Hardware().SerialNumber, mac.Hardware().UDID, device.EnrollmentID, "/enroll/", "Guests"} {
		if strings.Contains(strings.ReplaceAll(log, line, ""), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

// Error is final for a digest, NotNow is asked again: both are seen by the manager, and a new digest tries again.
func TestErrorIsFinalAndNotNowIsAskedAgain(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	mac, device := w.enrolled(t, 1)
	assign := adminapi.AssignmentBatch{Assignments: []adminapi.Assignment{{DeviceID: device.ID, EnrollmentID: device.EnrollmentID, Artifacts: []adminapi.Key{"fleet/wifi"}}}}
	if _, err := w.admin.PutArtifact(ctx, wifi("d1", "Office")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.admin.PutAssignments(ctx, assign); err != nil {
		t.Fatal(err)
	}
	idle := func() {
		t.Helper()
		if err := mac.Idle(ctx); err != nil {
			t.Fatal(err)
		}
	}
	asked := func() int {
		n := 0
		for _, a := range mac.Answers() {
			if a.RequestType == "InstallProfile" {
				n++
			}
		}
		return n
	}

	mac.Script(devicesim.Rule{RequestType: "InstallProfile", Do: devicesim.AnswerNotNow, Times: 1}, devicesim.Rule{RequestType: "InstallProfile", Do: devicesim.AnswerError, Times: 1})
	idle()
	w.await(t, func(c adminapi.Change) bool {
		return c.Artifact != nil && c.Artifact.NotNow == 1 && c.Artifact.Pending == 1
	})
	idle()
	w.await(t, func(c adminapi.Change) bool {
		return c.Artifact != nil && c.Artifact.Failed == 1 && len(c.Artifact.Failing) == 1 && c.Artifact.Failing[0].DeviceID == device.ID
	})
	idle()
	idle()
	if got := asked(); got != 2 {
		t.Errorf("the Mac was asked %d times for one digest, want NotNow and Error only", got)
	}
	if _, err := w.admin.PutArtifact(ctx, wifi("d2", "Guests")); err != nil {
		t.Fatal(err)
	}
	idle()
	w.await(t, func(c adminapi.Change) bool { return c.Artifact != nil && c.Artifact.Installed == 1 })
	if got := asked(); got != 3 {
		t.Errorf("the Mac was asked %d times, want a third for the new digest", got)
	}
}

// What was acknowledged before a stop is there after it, and work that waited is done then.
func TestAServerContinuesAfterARestart(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	mac, device := w.enrolled(t, 1)
	before, err := w.admin.Info(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.admin.PutAction(ctx, adminapi.Action{Key: "fleet/info", SpecHash: "h", Apple: &adminapi.AppleCommand{RequestType: adminapi.AppleDeviceInformation},
		Targets: []adminapi.ActionTarget{{DeviceID: device.ID, EnrollmentID: device.EnrollmentID}}}); err != nil {
		t.Fatal(err)
	}
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	w.start(t)
	after, err := w.admin.Info(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if after.Enrolled != 1 || after.Behind != 1 || after.LeaseEpoch != before.LeaseEpoch || after.StoreEpoch == before.StoreEpoch {
		t.Errorf("before %+v, after %+v", before, after)
	}
	run(t, mac)
	w.await(t, func(c adminapi.Change) bool { return c.Action != nil && c.Action.Counts[adminapi.TargetSucceeded] == 1 })
	result, err := w.admin.ActionResult(ctx, "fleet/info", device.ID)
	if err != nil || !strings.Contains(string(result.Body), mac.Hardware().SerialNumber) {
		t.Errorf("the result is %q, %v", result.Body, err)
	}
}

// A hundred Macs with one profile: every one installs it, and the feed carries the artifact's counters, not the devices.
func TestARolloutTouchesNoDevice(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	url := w.token(t, "fleet/many")
	client := w.deviceHTTP(t)
	const n = 100
	macs, err := devicesim.NewFleet(n, func(i int) devicesim.Options {
		return devicesim.Options{Hardware: devicesim.Mac("MANY", i), Client: client, Roots: w.WebCA.Pool(), Key: keys.Key}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := macs.Enroll(ctx, 8, url); err != nil {
		t.Fatal(err)
	}
	devices, err := adminapi.All(ctx, w.admin.Devices)
	if err != nil || len(devices) != n {
		t.Fatalf("%d devices, %v", len(devices), err)
	}
	batch := adminapi.AssignmentBatch{}
	for _, d := range devices {
		batch.Assignments = append(batch.Assignments, adminapi.Assignment{DeviceID: d.ID, EnrollmentID: d.EnrollmentID, Artifacts: []adminapi.Key{"fleet/wifi"}})
	}
	if _, err := w.admin.PutArtifact(ctx, wifi("d1", "Office")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.admin.PutAssignments(ctx, batch); err != nil {
		t.Fatal(err)
	}
	w.settle(t)
	if err := macs.Idle(ctx, 8); err != nil {
		t.Fatal(err)
	}
	touched := map[adminapi.Kind]int{}
	for _, c := range w.settle(t) {
		touched[c.Kind]++
		if c.Artifact != nil && c.Artifact.Installed != n {
			t.Errorf("counters %+v", c.Artifact)
		}
	}
	if got := fmt.Sprint(touched); got != "map[artifact:1]" {
		t.Errorf("the rollout touched %s", got)
	}
	if err := macs.Idle(ctx, 8); err != nil {
		t.Fatal(err)
	}
	if changes := w.settle(t); len(changes) != 0 {
		t.Errorf("idle contacts changed %+v", changes)
	}
}

// settle takes and acks all changes there are now.
func (w *world) settle(t testing.TB) []adminapi.Change {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var all []adminapi.Change
	for {
		got, err := w.admin.Changes(ctx, 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Changes) == 0 {
			return all
		}
		acks := adminapi.Acks{StoreEpoch: got.StoreEpoch}
		for _, c := range got.Changes {
			acks.Acks = append(acks.Acks, adminapi.Ack{Kind: c.Kind, Key: c.Key, Version: c.Version})
		}
		if err := w.admin.Ack(ctx, acks); err != nil {
			t.Fatal(err)
		}
		all = append(all, got.Changes...)
	}
}
