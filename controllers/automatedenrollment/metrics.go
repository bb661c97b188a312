package automatedenrollment

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/remind"
)

// collectTimeout bounds one scrape; the list comes from the cache.
const collectTimeout = 10 * time.Second

var (
	expiryDesc = prometheus.NewDesc("kubemdm_automatedenrollment_token_expiry_timestamp_seconds",
		"When the server token in use ends: from then on Apple tells nothing of new devices.", []string{"namespace", "name"}, nil)
	reminderDesc = prometheus.NewDesc("kubemdm_automatedenrollment_token_reminder_days",
		"The last reminder before the token's end that was passed, in days left (such as 60, 30, 14, 7, 1); 0: none yet.", []string{"namespace", "name"}, nil)
	devicesDesc = prometheus.NewDesc("kubemdm_automatedenrollment_devices",
		"Devices that Apple lists, by state: listed (all), assigned, unselected (no profile is for them), refused (by Apple).", []string{"namespace", "name", "state"}, nil)
)

// Collector tells of AutomatedEnrollments at each scrape.
type Collector struct {
	// Reader should be the cache.
	Reader client.Reader
	Clock  clock.PassiveClock
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{expiryDesc, reminderDesc, devicesDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectTimeout)
	defer cancel()
	all := &mdmv1alpha1.AutomatedEnrollmentList{}
	if err := c.Reader.List(ctx, all, client.UnsafeDisableDeepCopy); err != nil {
		ch <- prometheus.NewInvalidMetric(expiryDesc, err)
		return
	}
	for i := range all.Items {
		c.collect(&all.Items[i], ch)
	}
}

func (c *Collector) collect(item *mdmv1alpha1.AutomatedEnrollment, ch chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, append([]string{item.Namespace, item.Name}, labels...)...)
	}
	if end := item.Status.TokenNotAfter; end != nil {
		passed, _ := remind.Reminder(end.Sub(c.Clock.Now()), item.Spec.RenewBefore.Duration)
		send(expiryDesc, float64(end.Unix()))
		send(reminderDesc, float64(remind.Days(passed)))
	}
	if devices := item.Status.Devices; devices != nil {
		for state, count := range map[string]*int32{
			"listed": devices.Listed, "assigned": devices.Assigned, "unselected": devices.Unselected, "refused": devices.Refused,
		} {
			if count != nil {
				send(devicesDesc, float64(*count), state)
			}
		}
	}
}
