package gauges

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/remind"
)

var apnsCertificate = []gauge{
	of("apnscertificate_expiry_timestamp_seconds", "When the push certificate in use ends: from then on no Apple device is woken.",
		nil, func(c *mdmv1alpha1.APNSCertificate, _ time.Time, send send) { timestamp(send, c.Status.NotAfter) }),
	of("apnscertificate_reminder_days", "The last reminder before the end that was passed, in days left (such as 60, 30, 14, 7, 1); 0: none yet.",
		nil, func(c *mdmv1alpha1.APNSCertificate, now time.Time, send send) {
			reminder(send, c.Status.NotAfter, now, c.Spec.RenewBefore.Duration)
		}),
	of("apnscertificate_request_timestamp_seconds", "When the request was made that waits for its certificate; absent when none does.",
		nil, func(c *mdmv1alpha1.APNSCertificate, _ time.Time, send send) { timestamp(send, c.Status.RequestedAt) }),
}

var automatedEnrollment = []gauge{
	of("automatedenrollment_token_expiry_timestamp_seconds", "When the server token in use ends: from then on Apple tells nothing of new devices.",
		nil, func(a *mdmv1alpha1.AutomatedEnrollment, _ time.Time, send send) {
			timestamp(send, a.Status.TokenNotAfter)
		}),
	of("automatedenrollment_token_reminder_days", "The last reminder before the token's end that was passed, in days left (such as 60, 30, 14, 7, 1); 0: none yet.",
		nil, func(a *mdmv1alpha1.AutomatedEnrollment, now time.Time, send send) {
			reminder(send, a.Status.TokenNotAfter, now, a.Spec.RenewBefore.Duration)
		}),
	of("automatedenrollment_devices", "Devices that Apple lists, by state: listed (all), assigned, unselected (no profile is for them), refused (by Apple).",
		[]string{"state"}, func(a *mdmv1alpha1.AutomatedEnrollment, _ time.Time, send send) {
			if d := a.Status.Devices; d != nil {
				counts(send, map[string]*int32{"listed": d.Listed, "assigned": d.Assigned, "unselected": d.Unselected, "refused": d.Refused})
			}
		}),
}

func timestamp(send send, at *metav1.Time) {
	if at != nil {
		send(float64(at.Unix()))
	}
}

func reminder(send send, end *metav1.Time, now time.Time, first time.Duration) {
	if end != nil {
		passed, _ := remind.Reminder(end.Sub(now), first)
		send(float64(remind.Days(passed)))
	}
}
