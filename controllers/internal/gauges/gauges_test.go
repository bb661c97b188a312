package gauges_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/gauges"
)

var now = time.Unix(1_800_000_000, 0)

func in(days int) *metav1.Time {
	at := metav1.NewTime(now.AddDate(0, 0, days))
	return &at
}

func named(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: "fleet", Name: name} }

func days(n int) metav1.Duration { return metav1.Duration{Duration: time.Duration(n) * 24 * time.Hour} }

func collector(t *testing.T, objects ...client.Object) prometheus.Collector {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := mdmv1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return &gauges.Collector{Reader: fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build(), Clock: clocktesting.NewFakePassiveClock(now)}
}

// expect compares series, which are given without their help.
func expect(t *testing.T, c prometheus.Collector, name, want string) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			want = "# HELP " + name + " " + f.GetHelp() + "\n# TYPE " + name + " gauge\n" + strings.TrimLeft(want, "\n")
		}
	}
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), name); err != nil {
		t.Error(err)
	}
}

func TestPushCertificates(t *testing.T) {
	certificate := func(name string, end, requested *metav1.Time) client.Object {
		return &mdmv1alpha1.APNSCertificate{
			ObjectMeta: named(name), Spec: mdmv1alpha1.APNSCertificateSpec{RenewBefore: days(90)},
			Status: mdmv1alpha1.APNSCertificateStatus{NotAfter: end, RequestedAt: requested},
		}
	}
	c := collector(t, certificate("fresh", in(300), nil), certificate("begun", in(80), in(-1)), certificate("late", in(13), in(-70)),
		certificate("over", in(-2), in(-90)), certificate("new", nil, in(0)))
	expect(t, c, "kubemdm_apnscertificate_reminder_days", `
kubemdm_apnscertificate_reminder_days{name="begun",namespace="fleet"} 90
kubemdm_apnscertificate_reminder_days{name="fresh",namespace="fleet"} 0
kubemdm_apnscertificate_reminder_days{name="late",namespace="fleet"} 14
kubemdm_apnscertificate_reminder_days{name="over",namespace="fleet"} 1
`)
	expect(t, c, "kubemdm_apnscertificate_request_timestamp_seconds", `
kubemdm_apnscertificate_request_timestamp_seconds{name="begun",namespace="fleet"} 1.7999136e+09
kubemdm_apnscertificate_request_timestamp_seconds{name="late",namespace="fleet"} 1.793952e+09
kubemdm_apnscertificate_request_timestamp_seconds{name="new",namespace="fleet"} 1.8e+09
kubemdm_apnscertificate_request_timestamp_seconds{name="over",namespace="fleet"} 1.792224e+09
`)
	if n := testutil.CollectAndCount(c, "kubemdm_apnscertificate_expiry_timestamp_seconds"); n != 4 {
		t.Errorf("%d certificates have an end, want 4", n)
	}
}

func TestTokensOfAutomatedEnrollments(t *testing.T) {
	three, zero := int32(3), int32(0)
	c := collector(t, &mdmv1alpha1.AutomatedEnrollment{
		ObjectMeta: named("business"), Spec: mdmv1alpha1.AutomatedEnrollmentSpec{RenewBefore: days(60)},
		Status: mdmv1alpha1.AutomatedEnrollmentStatus{TokenNotAfter: in(20), Devices: &mdmv1alpha1.AutomatedDevices{Listed: &three, Refused: &zero}},
	})
	expect(t, c, "kubemdm_automatedenrollment_token_reminder_days", `
kubemdm_automatedenrollment_token_reminder_days{name="business",namespace="fleet"} 30
`)
	expect(t, c, "kubemdm_automatedenrollment_devices", `
kubemdm_automatedenrollment_devices{name="business",namespace="fleet",state="listed"} 3
kubemdm_automatedenrollment_devices{name="business",namespace="fleet",state="refused"} 0
`)
}

// The next generation is due when a certificate issued now would be cut short; the ones that do not issue are not asked.
func TestGenerationsOfCAs(t *testing.T) {
	server := &mdmv1alpha1.MDMServer{ObjectMeta: named("mdm")}
	server.Spec.Apple = &mdmv1alpha1.AppleServer{Identity: mdmv1alpha1.AppleIdentity{DeviceIdentity: mdmv1alpha1.DeviceIdentity{Validity: days(365)}, RenewBefore: days(180)}}
	server.Status.Certificates = []mdmv1alpha1.ServerCertificate{
		{Name: "Serving", NotAfter: in(60)}, {Name: "Push"}, {Name: "IdentityCA-1", Role: mdmv1alpha1.CARoleRetired, NotAfter: in(100)},
		{Name: "IdentityCA-2", Role: mdmv1alpha1.CARoleActive, NotAfter: in(645)}, {Name: "WSTEPCA-1", Role: mdmv1alpha1.CARoleActive, NotAfter: in(645)},
	}
	c := collector(t, server)
	expect(t, c, "kubemdm_mdmserver_ca_due_timestamp_seconds", `
kubemdm_mdmserver_ca_due_timestamp_seconds{certificate="IdentityCA-2",name="mdm",namespace="fleet"} 1.80864e+09
`)
	if n := testutil.CollectAndCount(c, "kubemdm_mdmserver_certificate_expiry_timestamp_seconds"); n != 4 {
		t.Errorf("%d certificates have an end, want 4", n)
	}
}

// Devices are counted, and never named: the name of one may hold its serial number.
func TestDevicesAreOnlyCounted(t *testing.T) {
	responding := func(status metav1.ConditionStatus) mdmv1alpha1.CommonStatus {
		return mdmv1alpha1.CommonStatus{Conditions: []metav1.Condition{{Type: mdmv1alpha1.DeviceResponding, Status: status, Reason: mdmv1alpha1.DeviceSilent}}}
	}
	five := int32(5)
	c := collector(t,
		&mdmv1alpha1.Device{ObjectMeta: named("c02xk1abjgh5"), Status: mdmv1alpha1.DeviceStatus{CommonStatus: responding(metav1.ConditionFalse)}},
		&mdmv1alpha1.Device{ObjectMeta: named("c02xk1abjgh6"), Status: mdmv1alpha1.DeviceStatus{CommonStatus: responding(metav1.ConditionFalse)}},
		&mdmv1alpha1.Profile{ObjectMeta: named("office"), Status: mdmv1alpha1.ProfileStatus{
			CommonStatus: responding(metav1.ConditionTrue), Pending: &five, HeldRemoval: &mdmv1alpha1.HeldRemoval{Devices: 412, Token: "t"},
		}},
	)
	expect(t, c, "kubemdm_conditions", `
kubemdm_conditions{condition="Responding",kind="Device",status="False"} 2
kubemdm_conditions{condition="Responding",kind="Profile",status="True"} 1
`)
	expect(t, c, "kubemdm_object_condition", `
kubemdm_object_condition{condition="Responding",kind="Profile",name="office",namespace="fleet",reason="Silent",status="True"} 1
`)
	expect(t, c, "kubemdm_profile_devices", `
kubemdm_profile_devices{name="office",namespace="fleet",state="pending"} 5
`)
	expect(t, c, "kubemdm_profile_held_removal_devices", `
kubemdm_profile_held_removal_devices{name="office",namespace="fleet"} 412
`)
}
