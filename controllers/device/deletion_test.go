package device_test

import (
	"slices"
	"strings"
	"testing"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/test/managed"
)

// removed deletes the only Device and waits until it has gone.
func removed(b *managed.Bench, name string) {
	b.Helper()
	b.Delete(name, &mdmv1alpha1.Device{})
	b.Until("the Device has gone", func() bool { return !b.Get(name, &mdmv1alpha1.Device{}) })
}

// rounds gives the controllers time for what they should not do.
func rounds(b *managed.Bench) {
	b.Helper()
	for range 5 {
		b.Round()
	}
}

func TestRetainLeavesTheDeviceAlone(t *testing.T) {
	b, _, mac := declared(t)
	b.Create(managed.Profile("wifi", nil))
	b.Until("the Profile is on the device", func() bool { return len(mac.Connect(managed.Acknowledge)) > 0 })
	removed(b, "mac")
	rounds(b)
	if all := devices(b); len(all) != 0 {
		t.Errorf("the device was discovered anew as %s", all[0].Name)
	}
	if at := atServer(b); !at.Ignored || at.State != adminapi.DeviceEnrolled {
		t.Errorf("at the server: %+v", at)
	}
	if got := mac.Connect(managed.Acknowledge); len(got) != 0 {
		t.Errorf("the device was asked for %+v", got)
	}
	d := managed.Device("mac", "C02A", nil)
	b.Create(d)
	b.UntilIs(d, "Ready=True/Ready", "Enrolled=True/Ready")
	if atServer(b).Ignored {
		t.Error("a device that was declared again is still ignored")
	}
}

func TestUnenrollRemovesTheEnrolment(t *testing.T) {
	b, d, mac := declared(t)
	managed.Edit(b, "mac", d, func(d *mdmv1alpha1.Device) { d.Spec.DeletionPolicy = mdmv1alpha1.DeviceUnenroll })
	removed(b, "mac")
	rounds(b)
	if all := devices(b); len(all) != 0 {
		t.Errorf("the device was discovered anew as %s while it unenrols", all[0].Name)
	}
	got := mac.Connect(managed.Acknowledge)
	if len(got) != 1 || got[0].Remove == nil || got[0].Remove.Identifier != "io.kubemdm.fleet.main.enroll" {
		t.Fatalf("the device got %+v, want the removal of its enrolment", got)
	}
	if at := atServer(b); at.State != adminapi.DeviceEnded || at.EndReason != adminapi.EndUnenrolled {
		t.Errorf("at the server: %+v", at)
	}
}

func TestDeletionWaitsForAServerThatIsAway(t *testing.T) {
	b, d, _ := declared(t)
	b.Fleet.Stop()
	b.Disconnect()
	b.Delete("mac", d)
	rounds(b)
	b.Expect(d, "Published=False/ServerUnreachable", "Ready=False/Deleting")
	b.Fleet.Restart()
	b.Connect()
	b.Until("the Device has gone", func() bool { return !b.Get("mac", d) })
	if !atServer(b).Ignored {
		t.Error("the finalizer went before the server knew")
	}
}

func TestDeletionFinishesWithoutServer(t *testing.T) {
	b, d, _ := declared(t)
	b.Disconnect()
	b.Delete(managed.ServerName, &mdmv1alpha1.MDMServer{})
	b.Told()
	b.Delete("mac", d)
	b.Until("the Device has gone", func() bool { return !b.Get("mac", d) })
	if told := b.Told(); !slices.ContainsFunc(told, func(e string) bool { return strings.Contains(e, "Warning ServerNotFound") }) {
		t.Errorf("nobody was told that the finalizer gave up: %q", told)
	}
}

func TestDeviceThatNeverEnrolledGoesAtOnce(t *testing.T) {
	b := managed.New(t)
	d := managed.Device("mac", "C02A", nil)
	b.Create(d)
	b.UntilIs(d, "Ready=True/AwaitingEnrollment")
	removed(b, "mac")
}
