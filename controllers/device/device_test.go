package device_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/test/managed"
)

// devices lists the Devices of a bench.
func devices(b *managed.Bench) []mdmv1alpha1.Device {
	b.Helper()
	list := &mdmv1alpha1.DeviceList{}
	b.Must(b.Client.List(b.Context(), list, client.InNamespace(b.Namespace)))
	return list.Items
}

// atServer reads the only device that the server knows.
func atServer(b *managed.Bench) adminapi.Device {
	b.Helper()
	page, err := b.Fleet.ListDevices(b.Context(), "", 0)
	b.Must(err)
	if len(page.Items) != 1 {
		b.Fatalf("the server knows %d devices, want one", len(page.Items))
	}
	return page.Items[0]
}

// declared is a bench with a Device whose device has enrolled.
func declared(t *testing.T) (*managed.Bench, *mdmv1alpha1.Device, *managed.Mac) {
	t.Helper()
	b := managed.New(t)
	d := managed.Device("mac", "C02A", nil)
	b.Create(d)
	mac := b.Fleet.Enrol("UDID-1", "C02A", nil)
	b.UntilIs(d, "Ready=True/Ready", "Enrolled=True/Ready")
	return b, d, mac
}

func TestEnrolledDeviceIsDiscovered(t *testing.T) {
	b := managed.New(t)
	mac := b.Fleet.Enrol("UDID-1", "C02A", map[string]string{"team": "design"})
	b.Until("there is a Device", func() bool { return len(devices(b)) == 1 })
	d := &devices(b)[0]
	b.UntilIs(d, "Ready=True/Ready", "Enrolled=True/Ready", "Responding=True/Ready", "ProfilesApplied=True/Ready", "Matched=True/Ready")
	if d.Spec.SerialNumber != "C02A" || d.Spec.UDID != "UDID-1" || d.Labels[mdmv1alpha1.LabelDiscovered] != "true" || d.Labels["team"] != "design" {
		t.Errorf("spec %+v, labels %v", d.Spec, d.Labels)
	}
	s := d.Status
	if s.Origin != mdmv1alpha1.DeviceDiscovered || s.Enrollment.ID != mac.EnrollmentID() || s.Hardware.ModelName != "MacBook Pro" || s.OS.Version != "15.1" {
		t.Errorf("status %+v, enrolment %+v", s, s.Enrollment)
	}
	if strings.Contains(d.Name, "c02a") || !strings.HasPrefix(d.Name, "apple-") {
		t.Errorf("the name %s should tell the platform and no serial number", d.Name)
	}
}

func TestDeclaredDeviceWaitsAndIsMatched(t *testing.T) {
	for name, c := range map[string]struct{ declare func(*mdmv1alpha1.DeviceSpec) }{
		"by serial number": {func(s *mdmv1alpha1.DeviceSpec) { s.SerialNumber = "C02A" }},
		"by UDID":          {func(s *mdmv1alpha1.DeviceSpec) { s.UDID = "UDID-1" }},
		"by serial number before UDID": {func(s *mdmv1alpha1.DeviceSpec) {
			s.SerialNumber, s.UDID = "C02A", "UDID-of-a-logic-board-that-was-replaced"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			b := managed.New(t)
			d := managed.Device("mac", "", nil)
			c.declare(&d.Spec)
			b.Create(d)
			b.UntilIs(d, "Ready=True/AwaitingEnrollment", "Enrolled=False/AwaitingEnrollment", "Responding=Unknown/AwaitingEnrollment")
			mac := b.Fleet.Enrol("UDID-1", "C02A", nil)
			b.UntilIs(d, "Ready=True/Ready", "Enrolled=True/Ready")
			if all := devices(b); len(all) != 1 || d.Status.Enrollment.ID != mac.EnrollmentID() || d.Status.Origin != mdmv1alpha1.DeviceDeclared {
				t.Errorf("%d Devices, status %+v", len(all), d.Status)
			}
		})
	}
}

func TestUDIDOfAnotherSerialNumberIsNoMatch(t *testing.T) {
	b := managed.New(t)
	d := managed.Device("mac", "C02B", nil)
	d.Spec.UDID = "UDID-1"
	b.Create(d)
	b.Fleet.Enrol("UDID-1", "C02A", nil)
	b.Until("the device is discovered", func() bool { return len(devices(b)) == 2 })
	rounds(b)
	b.Expect(d, "Matched=True/AwaitingEnrollment", "Enrolled=False/AwaitingEnrollment")
	if n := len(devices(b)); n != 2 {
		t.Errorf("%d Devices, want the declared one and the discovered one", n)
	}
}

func TestRowsAreAckedOnceTheyStandInTheCluster(t *testing.T) {
	b, _, mac := declared(t)
	mac.CheckOut()
	b.UntilAcked(adminapi.KindDevice)
	removed(b, "mac")
	b.Fleet.Enrol("UDID-2", "C02B", nil).CheckOut() // nobody's business: it was over before it was discovered
	b.UntilAcked(adminapi.KindDevice)
}

func TestDeclaredBeatsDiscovered(t *testing.T) {
	b := managed.New(t)
	b.Fleet.Enrol("UDID-1", "C02A", nil)
	b.Until("there is a Device", func() bool { return len(devices(b)) == 1 })
	d := managed.Device("mac", "C02A", nil)
	b.Create(d)
	b.Until("the discovered one has gone", func() bool { return len(devices(b)) == 1 && devices(b)[0].Name == "mac" })
	b.UntilIs(d, "Ready=True/Ready", "Enrolled=True/Ready")
	if at := atServer(b); at.Ignored || at.State != adminapi.DeviceEnrolled {
		t.Errorf("the device was touched: %+v", at)
	}
}

func TestSecondDeclarationIsADuplicate(t *testing.T) {
	b, first, _ := declared(t)
	b.Advance(time.Minute)
	second := managed.Device("another", "", nil)
	second.Spec.UDID = "UDID-1"
	b.Create(second)
	b.UntilIs(second, "Matched=False/DuplicateIdentity", "Stalled=True/DuplicateIdentity")
	if said := managed.Message(second, "Matched"); !strings.Contains(said, "mac") || second.Status.Enrollment != nil {
		t.Errorf("message %q, enrolment %+v", said, second.Status.Enrollment)
	}
	b.Expect(first, "Matched=True/Ready")
	b.Delete("another", &mdmv1alpha1.Device{})
	b.Until("it has gone", func() bool { return !b.Get("another", second) })
	if atServer(b).Ignored {
		t.Error("deleting the duplicate made the server ignore the device")
	}
}

func TestDuplicateTakesOverWhenTheFirstGoes(t *testing.T) {
	b, _, _ := declared(t)
	b.Advance(time.Minute)
	second := managed.Device("another", "C02A", nil)
	b.Create(second)
	b.UntilIs(second, "Matched=False/DuplicateIdentity")
	b.Delete("mac", &mdmv1alpha1.Device{})
	b.UntilIs(second, "Ready=True/Ready", "Enrolled=True/Ready", "Stalled=absent")
	if atServer(b).Ignored {
		t.Error("the server ignores a device that another Device speaks for")
	}
}

func TestIdleDeviceCostsNoWrite(t *testing.T) {
	b, d, mac := declared(t)
	before := d.ResourceVersion
	for range 5 {
		mac.Connect(managed.Acknowledge)
		b.Must(b.Fleet.FlushSeen(b.Context()))
		b.Advance(time.Hour)
		b.Round()
	}
	if b.Get("mac", d); d.ResourceVersion != before {
		t.Errorf("the Device was written: %s after %s", d.ResourceVersion, before)
	}
}

func TestEndOfEnrolmentIsShown(t *testing.T) {
	b, d, mac := declared(t)
	mac.CheckOut()
	b.UntilIs(d, "Enrolled=False/EnrollmentEnded", "Responding=Unknown/EnrollmentEnded", "Ready=True/AwaitingEnrollment")
	if e := d.Status.Enrollment; e.State != mdmv1alpha1.EnrollmentEnded || e.EndReason != adminapi.EndCheckedOut || e.Since == nil {
		t.Errorf("enrolment %+v", e)
	}
	again := b.Fleet.Enrol("UDID-1", "C02A", nil)
	b.UntilIs(d, "Enrolled=True/Ready", "Ready=True/Ready")
	if d.Status.Enrollment.ID != again.EnrollmentID() {
		t.Errorf("enrolment %+v", d.Status.Enrollment)
	}
}

func TestSilenceTurnsResponding(t *testing.T) {
	b, d, mac := declared(t)
	b.Silence()
	b.UntilIs(d, "Responding=False/Silent", "Ready=True/Ready")
	mac.Connect(managed.Acknowledge)
	b.Must(b.Fleet.FlushSeen(b.Context()))
	b.UntilIs(d, "Responding=True/Ready")
}

func TestLostStoreIsToldAndTakesNothing(t *testing.T) {
	b, d, mac := declared(t)
	b.Fleet.Replace()
	b.Connect()
	b.UntilIs(d, "Enrolled=False/UnknownToServer", "Matched=True/AwaitingEnrollment")
	if d.Status.Enrollment.ID != mac.EnrollmentID() || !strings.Contains(managed.Message(d, "Enrolled"), "restore") {
		t.Errorf("enrolment %+v, message %q", d.Status.Enrollment, managed.Message(d, "Enrolled"))
	}
}

func TestRestartOfTheServerRewritesNothing(t *testing.T) {
	b, d, _ := declared(t)
	fresh := managed.Device("fresh", "C02F", nil)
	before := d.ResourceVersion
	b.Fleet.Stop()
	b.Disconnect()
	b.Create(fresh)
	b.UntilIs(fresh, "Matched=False/ServerUnreachable")
	if b.Get("mac", d); d.ResourceVersion != before {
		t.Error("the Device was rewritten while its server was away")
	}
	b.Fleet.Restart()
	b.Connect()
	b.UntilIs(fresh, "Matched=True/AwaitingEnrollment")
	if b.Get("mac", d); d.ResourceVersion != before {
		t.Error("the Device was rewritten when its server came back")
	}
}

func TestBlockedEnrolmentIsReleasedByAnnotation(t *testing.T) {
	b, d, mac := declared(t)
	if err := b.Fleet.Intrude("UDID-1", "C02A"); err == nil {
		t.Fatal("the server let a second identity in")
	}
	b.UntilIs(d, "ReenrolmentBlocked=True/IdentityTaken", "Enrolled=True/Ready")
	if said := managed.Message(d, "ReenrolmentBlocked"); !strings.Contains(said, mdmv1alpha1.AnnotationRelease+"="+mac.EnrollmentID()) || !strings.Contains(said, "anybody") {
		t.Errorf("message %q", said)
	}
	release := func(id string) {
		managed.Edit(b, "mac", d, func(d *mdmv1alpha1.Device) {
			metav1.SetMetaDataAnnotation(&d.ObjectMeta, mdmv1alpha1.AnnotationRelease, id)
		})
	}
	release("another-enrolment")
	b.Round()
	if at := atServer(b); at.State != adminapi.DeviceEnrolled {
		t.Fatalf("a release of another enrolment ended this one: %s", at.State)
	}
	release(mac.EnrollmentID())
	b.UntilIs(d, "Enrolled=False/EnrollmentEnded", "ReenrolmentBlocked=absent")
	if d.Status.Enrollment.EndReason != adminapi.EndReleased {
		t.Errorf("end reason %s", d.Status.Enrollment.EndReason)
	}
	b.Must(b.Fleet.Intrude("UDID-1", "C02A"))
	b.UntilIs(d, "Enrolled=True/Ready")
}

func TestRefusedProfileIsNamed(t *testing.T) {
	b, d, mac := declared(t)
	b.Create(managed.Profile("wifi", nil))
	b.Until("the Profile was refused", func() bool {
		return slices.ContainsFunc(mac.Connect(managed.Refuse), func(d managed.Delivery) bool { return d.Install != nil })
	})
	b.UntilIs(d, "ProfilesApplied=False/ProfileRefused", "Ready=True/Ready")
	if f := d.Status.Failing; *d.Status.FailingCount != 1 || len(f) != 1 || f[0].Profile != "wifi" || f[0].Message != "no thanks" || f[0].Since == nil {
		t.Errorf("failing %+v", f)
	}
}
