package device_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/test/managed"
)

const (
	day         = 24 * time.Hour
	renewBefore = 42 * day
	camera      = "./Device/Vendor/MSFT/Policy/Config/Camera/AllowCamera"
	lock        = "./Device/Vendor/MSFT/Policy/Config/DeviceLock/MaxInactivityTimeDeviceLock"
)

// declaredPC is a bench with a Device whose PC has enrolled.
func declaredPC(t *testing.T) (*managed.Bench, *mdmv1alpha1.Device, *managed.PC) {
	t.Helper()
	b := managed.New(t)
	managed.Edit(b, managed.ServerName, &mdmv1alpha1.MDMServer{}, func(s *mdmv1alpha1.MDMServer) {
		s.Spec.Windows = &mdmv1alpha1.WindowsServer{Identity: mdmv1alpha1.WindowsIdentity{RenewBefore: metav1.Duration{Duration: renewBefore}}}
	})
	d := managed.Device("pc", "PF3X9K2L", nil)
	b.Create(d)
	pc := b.Fleet.EnrolPC("4A5B6C", "PF3X9K2L")
	b.UntilIs(d, "Ready=True/Ready", "Enrolled=True/Ready")
	return b, d, pc
}

// settings is a Profile for every PC of the bench.
func settings(values map[string]string) *mdmv1alpha1.Profile {
	p := managed.Profile("office", nil)
	p.Spec.Apple, p.Spec.Signing, p.Spec.Windows = nil, "", &mdmv1alpha1.WindowsProfile{Type: mdmv1alpha1.WindowsSettings}
	for node, value := range values {
		p.Spec.Windows.Settings = append(p.Spec.Windows.Settings, mdmv1alpha1.WindowsSetting{
			LocURI: node, Format: mdmv1alpha1.FormatInteger, Value: &value, Verification: mdmv1alpha1.VerifyValue,
		})
	}
	return p
}

// until runs sessions until the device has, or lost, something.
func until(b *managed.Bench, pc *managed.PC, what string, holds func() bool) {
	b.Helper()
	b.Until(what, func() bool {
		pc.Session()
		return holds()
	})
}

func told(b *managed.Bench, reason string) []string {
	return slices.DeleteFunc(b.Told(), func(e string) bool { return !strings.Contains(e, reason) })
}

func TestPCIsShown(t *testing.T) {
	_, d, pc := declaredPC(t)
	s := d.Status
	if s.Platform != mdmv1alpha1.PlatformWindows || s.Authentication != mdmv1alpha1.AuthenticationDigest || s.Enrollment.ID != pc.EnrollmentID() ||
		s.OS.Version != "10.0.26100.1742" || s.OS.Build != "26100.1742" || s.Hardware.ModelName != "LENOVO 21CB" || s.Identity.NotAfter == nil {
		t.Errorf("status %+v, hardware %+v, os %+v", s, s.Hardware, s.OS)
	}
}

func TestPCIsDiscovered(t *testing.T) {
	b := managed.New(t)
	b.Fleet.EnrolPC("4A5B6C", "PF3X9K2L")
	b.Until("there is a Device", func() bool { return len(devices(b)) == 1 })
	if d := devices(b)[0]; !strings.HasPrefix(d.Name, "windows-") || d.Spec.SerialNumber != "PF3X9K2L" || d.Spec.UDID != "4A5B6C" {
		t.Errorf("Device %s, spec %+v", d.Name, d.Spec)
	}
}

func TestRefusalOfAPCIsToldOnce(t *testing.T) {
	b, d, pc := declaredPC(t)
	pc.Refused[camera] = fleet.WindowsStatus{Code: 405, OriginalError: "0x86000002"}
	p := settings(map[string]string{camera: "0"})
	b.Create(p)
	until(b, pc, "the setting is refused", func() bool { return b.Get("pc", d) && d.Status.LastError != nil })
	if e := d.Status.LastError; e.Code != 405 || e.Original != "0x86000002" || e.LocURI != camera || e.Message == "" || e.At == nil {
		t.Errorf("last error %+v", e)
	}
	b.UntilIs(d, "ProfilesApplied=False/ProfileRefused")
	if events := told(b, mdmv1alpha1.DeviceEventNodeRefused); len(events) != 1 || !strings.Contains(events[0], camera) || strings.Contains(events[0], "PF3X9K2L") {
		t.Errorf("events %q", events)
	}
	first := d.Status.LastError.At
	b.Advance(time.Hour)
	managed.Edit(b, "office", p, func(p *mdmv1alpha1.Profile) { p.Spec.Windows.Settings[0].Value = new("1") })
	until(b, pc, "it is refused again", func() bool { return b.Get("pc", d) && !d.Status.LastError.At.Equal(first) })
	if events := told(b, mdmv1alpha1.DeviceEventNodeRefused); len(events) != 0 {
		t.Errorf("the same refusal is told again: %q", events)
	}
}

func TestRepairedDriftIsTold(t *testing.T) {
	b, d, pc := declaredPC(t)
	b.Create(settings(map[string]string{camera: "0", lock: "5"}))
	until(b, pc, "the settings are there", func() bool { return pc.Nodes[camera] == "0" && b.Counted("office", 1) })
	b.Told()
	for range 2 {
		pc.Nodes[camera] = "1"
		b.Advance(fleet.DefaultVerifyEvery + time.Minute)
		lost := b.Clock.Now()
		until(b, pc, "the setting is repaired", func() bool {
			return pc.Nodes[camera] == "0" && b.Get("pc", d) && d.Status.LastDrift != nil && !d.Status.LastDrift.At.Time.Before(lost)
		})
		if drift := d.Status.LastDrift; drift.Profile != "office" || drift.LocURI != camera {
			t.Errorf("last drift %+v", drift)
		}
		if events := told(b, mdmv1alpha1.DeviceEventDriftRepaired); len(events) != 1 || !strings.Contains(events[0], camera) {
			t.Errorf("events %q", events)
		}
	}
	b.UntilIs(d, "ProfilesApplied=True/Ready")
	b.UntilAcked(adminapi.KindDevice)
}

func TestLateRenewalOfAPCIsToldInTime(t *testing.T) {
	b, d, _ := declaredPC(t)
	end := d.Status.Identity.NotAfter.Time
	for _, c := range []struct {
		left time.Duration
		want string
	}{
		{renewBefore + day, "RenewalDue=absent"},
		{renewBefore/2 + day, "RenewalDue=absent"},
		{renewBefore/2 - day, "RenewalDue=True/RenewalLate"},
		{0, "RenewalDue=True/IdentityExpired"},
	} {
		b.Advance(end.Add(-c.left).Sub(b.Clock.Now()))
		again := b.ReconcileNow(d).RequeueAfter
		b.Expect(d, c.want)
		if c.left > 0 && (again == 0 || again > c.left) {
			t.Errorf("with %s left it is looked at again after %s", c.left, again)
		}
	}
}
