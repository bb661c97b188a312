package mdmserver_test

import (
	"errors"
	"net/http"
	"os"
	"testing"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/test/devicesim"
)

// A store restored from yesterday: the manager is told by another epoch and puts again what it wants; devices of yesterday go on, and one that
// enrolled since is refused without losing its management, and may enrol again.
func TestAStoreRestoredFromYesterday(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	old, device := w.enrolled(t, 1)
	want := func(digest, ssid string) {
		t.Helper()
		if _, err := w.admin.PutArtifact(ctx, wifi(digest, ssid)); err != nil {
			t.Fatal(err)
		}
		if _, err := w.admin.PutAssignments(ctx, adminapi.AssignmentBatch{Assignments: []adminapi.Assignment{
			{DeviceID: device.ID, EnrollmentID: device.EnrollmentID, Artifacts: []adminapi.Key{"fleet/wifi"}}}}); err != nil {
			t.Fatal(err)
		}
	}
	idle := func() {
		t.Helper()
		if err := old.Idle(ctx); err != nil {
			t.Fatal(err)
		}
	}
	want("d1", "Office")
	idle()
	yesterday := w.backup(t)

	newcomer, _ := w.enrolled(t, 2)
	want("d2", "Guests")
	idle()
	before, err := w.admin.Info(ctx)
	if err != nil {
		t.Fatal(err)
	}

	w.restore(t, yesterday)
	after, err := w.admin.Info(ctx)
	if err != nil || after.StoreEpoch == before.StoreEpoch || after.Enrolled != 1 {
		t.Fatalf("before %+v, after %+v, %v", before, after, err)
	}
	want("d2", "Guests")
	idle()
	w.await(t, func(c adminapi.Change) bool {
		return c.Artifact != nil && c.Artifact.Digest == "d2" && c.Artifact.Installed == 1 && c.Artifact.Failed == 0
	})
	refused := new(devicesim.StatusError)
	if err := newcomer.Idle(ctx); !errors.As(err, &refused) || refused.Code != http.StatusForbidden || !newcomer.Enrolled() {
		t.Errorf("a device that the store does not know yet: %v, still enrolled: %v", err, newcomer.Enrolled())
	}
	if err := newcomer.Unenroll(ctx); !errors.As(err, &refused) || refused.Code != http.StatusForbidden {
		t.Errorf("checking out of an enrolment that the store does not know: %v", err)
	}
	if err := newcomer.Enroll(ctx, w.token(t, "fleet/again")); err != nil {
		t.Errorf("enrolling again: %v", err)
	}
	w.await(t, func(c adminapi.Change) bool {
		return c.Device != nil && c.Device.SerialNumber == newcomer.Hardware().SerialNumber && c.Device.State == adminapi.DeviceEnrolled
	})
}

// backup copies the store of a stopped server, which then goes on.
func (w *world) backup(t *testing.T) []byte {
	t.Helper()
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(w.Config.Store.SQLite.Path)
	if err != nil {
		t.Fatal(err)
	}
	w.start(t)
	return content
}

func (w *world) restore(t *testing.T, backup []byte) {
	t.Helper()
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.Config.Store.SQLite.Path, backup, 0o600); err != nil {
		t.Fatal(err)
	}
	w.start(t)
}
