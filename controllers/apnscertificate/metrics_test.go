package apnscertificate_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/apnscertificate"
	"github.com/kubemdm/kubemdm/controllers/setup"
)

func certificate(name string, end, requested *metav1.Time) client.Object {
	c := &mdmv1alpha1.APNSCertificate{ObjectMeta: metav1.ObjectMeta{Namespace: "fleet", Name: name}}
	c.Spec.RenewBefore.Duration = 90 * 24 * time.Hour
	c.Status.NotAfter, c.Status.RequestedAt = end, requested
	return c
}

func TestMetricsTellWhatIsDue(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	in := func(days int) *metav1.Time {
		at := metav1.NewTime(now.AddDate(0, 0, days))
		return &at
	}
	reader := fake.NewClientBuilder().WithScheme(setup.Scheme()).WithObjects(
		certificate("fresh", in(300), nil), certificate("begun", in(80), in(-1)), certificate("late", in(13), in(-70)), certificate("over", in(-2), in(-90)), certificate("new", nil, in(0)),
	).Build()
	collector := &apnscertificate.Collector{Reader: reader, Clock: clocktesting.NewFakePassiveClock(now)}
	want := `
# HELP kubemdm_apnscertificate_reminder_days The last reminder before the end that was passed, in days left (such as 60, 30, 14, 7, 1); 0: none yet.
# TYPE kubemdm_apnscertificate_reminder_days gauge
kubemdm_apnscertificate_reminder_days{name="begun",namespace="fleet"} 90
kubemdm_apnscertificate_reminder_days{name="fresh",namespace="fleet"} 0
kubemdm_apnscertificate_reminder_days{name="late",namespace="fleet"} 14
kubemdm_apnscertificate_reminder_days{name="over",namespace="fleet"} 1
# HELP kubemdm_apnscertificate_request_timestamp_seconds When the request was made that waits for its certificate; absent when none does.
# TYPE kubemdm_apnscertificate_request_timestamp_seconds gauge
kubemdm_apnscertificate_request_timestamp_seconds{name="begun",namespace="fleet"} 1.7999136e+09
kubemdm_apnscertificate_request_timestamp_seconds{name="late",namespace="fleet"} 1.793952e+09
kubemdm_apnscertificate_request_timestamp_seconds{name="new",namespace="fleet"} 1.8e+09
kubemdm_apnscertificate_request_timestamp_seconds{name="over",namespace="fleet"} 1.792224e+09
`
	err := testutil.CollectAndCompare(collector, strings.NewReader(want), "kubemdm_apnscertificate_reminder_days", "kubemdm_apnscertificate_request_timestamp_seconds")
	if err != nil {
		t.Error(err)
	}
	if n := testutil.CollectAndCount(collector, "kubemdm_apnscertificate_expiry_timestamp_seconds"); n != 4 {
		t.Errorf("%d certificates have an end, want 4", n)
	}
}
