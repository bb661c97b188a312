package apnscertificate

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
	expiryDesc = prometheus.NewDesc("kubemdm_apnscertificate_expiry_timestamp_seconds",
		"When the push certificate in use ends: from then on no Apple device is woken.", []string{"namespace", "name"}, nil)
	reminderDesc = prometheus.NewDesc("kubemdm_apnscertificate_reminder_days",
		"The last reminder before the end that was passed, in days left (such as 60, 30, 14, 7, 1); 0: none yet.", []string{"namespace", "name"}, nil)
	waitingDesc = prometheus.NewDesc("kubemdm_apnscertificate_request_timestamp_seconds",
		"When the request was made that waits for its certificate; absent when none does.", []string{"namespace", "name"}, nil)
)

// Collector tells of push certificates at each scrape.
type Collector struct {
	// Reader should be the cache.
	Reader client.Reader
	Clock  clock.PassiveClock
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{expiryDesc, reminderDesc, waitingDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectTimeout)
	defer cancel()
	list := &mdmv1alpha1.APNSCertificateList{}
	if err := c.Reader.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		ch <- prometheus.NewInvalidMetric(expiryDesc, err)
		return
	}
	for i := range list.Items {
		item := &list.Items[i]
		send := func(d *prometheus.Desc, value float64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, item.Namespace, item.Name)
		}
		if at := item.Status.RequestedAt; at != nil {
			send(waitingDesc, float64(at.Unix()))
		}
		if end := item.Status.NotAfter; end != nil {
			passed, _ := remind.Reminder(end.Sub(c.Clock.Now()), item.Spec.RenewBefore.Duration)
			send(expiryDesc, float64(end.Unix()))
			send(reminderDesc, float64(remind.Days(passed)))
		}
	}
}
