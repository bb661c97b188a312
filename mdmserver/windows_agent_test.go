package mdmserver_test

import (
	"context"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/test/devicesim/windows"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

// pollUntil has a PC's agent poll until what it was told, or did upon it, is what the test waits for.
func pollUntil(t *testing.T, pc *windows.PC, done func(*windows.Notifications) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		told, err := pc.PollAgent(ctx)
		if err != nil {
			t.Fatalf("polling: %v", err)
		}
		if done(told) {
			return
		}
	}
}

// Nobody touches the PC: its agent makes it enrol, starts a session when there is work, and makes it leave.
func TestAnAgentBringsAPCInAndOut(t *testing.T) {
	w := newWindowsWorld(t)
	ctx := t.Context()
	pc := w.pc(t, 1)
	pc.InstallAgent("https://"+serverfiles.Host, w.windowsToken(t, "fleet/agents"))
	pollUntil(t, pc, func(*windows.Notifications) bool { return pc.Enrolled() })
	w.converse(t, pc)
	device := w.awaitPC(t, pc)
	if device.Token != "fleet/agents" || device.SerialNumber != pc.Hardware().SerialNumber {
		t.Errorf("the server knows %+v", device)
	}
	pollUntil(t, pc, func(n *windows.Notifications) bool { return *n == windows.Notifications{} })

	if _, err := w.admin.PutArtifact(ctx, camera(t, "d1", "0")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.admin.PutAssignments(ctx, adminapi.AssignmentBatch{Assignments: []adminapi.Assignment{
		{DeviceID: device.ID, EnrollmentID: device.EnrollmentID, Artifacts: []adminapi.Key{"fleet/camera"}}}}); err != nil {
		t.Fatal(err)
	}
	pollUntil(t, pc, func(n *windows.Notifications) bool { return n.Sync })
	w.await(t, func(c adminapi.Change) bool { return c.Artifact != nil && c.Artifact.Installed == 1 })
	pollUntil(t, pc, func(n *windows.Notifications) bool { return !n.Sync })

	if _, err := w.admin.PutIntents(ctx, adminapi.IntentBatch{Intents: []adminapi.DeviceIntent{
		{DeviceID: device.ID, EnrollmentID: device.EnrollmentID, Intent: adminapi.IntentUnenroll}}}); err != nil {
		t.Fatal(err)
	}
	pollUntil(t, pc, func(n *windows.Notifications) bool { return n.Unenroll })
	if pc.Enrolled() {
		t.Error("the PC is still managed")
	}
	ended := w.await(t, func(c adminapi.Change) bool { return c.Device != nil && c.Device.State == adminapi.DeviceEnded })
	if ended.Device.EndReason != adminapi.EndUnenrolled {
		t.Errorf("the enrolment ended as %s", ended.Device.EndReason)
	}
}
