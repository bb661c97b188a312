package metrics

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// scrapeTimeout bounds the reading of the store for one scrape.
const scrapeTimeout = 5 * time.Second

// State is where the gauges come from.
type State interface {
	// Describe returns what is known without asking the store: certificates, push state, refused folders.
	Describe() *adminapi.Info
	Counts(ctx context.Context) (enrolled, behind, responding int, err error)
}

// Watch reads the state at every scrape.
func (m *Metrics) Watch(s State) { m.registry.MustRegister(stateCollector{s}) }

type stateCollector struct{ state State }

func gauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
}

var (
	enrolledDesc   = gauge("enrolled_devices", "Devices that are enrolled.")
	behindDesc     = gauge("behind_devices", "Enrolled devices that have work waiting.")
	respondingDesc = gauge("responding_devices", "Enrolled devices that were seen within the silence limit.")
	expiryDesc     = gauge("certificate_expiry_timestamp_seconds", "When a certificate in use expires.", "certificate")
	pausedDesc     = gauge("push_paused", "1 while nothing can be pushed, else 0.")
	refusedDesc    = gauge("mounted_folder_refused", "1 for a folder whose newest content is not in use.", "folder")
)

// Describe sends the descriptions of the gauges.
func (c stateCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{enrolledDesc, behindDesc, respondingDesc, expiryDesc, pausedDesc, refusedDesc} {
		ch <- d
	}
}

// Collect sends the gauges; those of the store are left out while it does not answer.
func (c stateCollector) Collect(ch chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	info := c.state.Describe()
	expiries := map[string]adminapi.CertificateInfo{"serving": info.Serving, "push": info.Push.Certificate}
	for _, ca := range info.IdentityCAs {
		expiries[fmt.Sprintf("identity-ca-%d", ca.Generation)] = ca.CertificateInfo
	}
	for _, ca := range info.WSTEPCAs {
		expiries[fmt.Sprintf("wstep-ca-%d", ca.Generation)] = ca.CertificateInfo
	}
	for name, cert := range expiries {
		if !cert.NotAfter.IsZero() {
			send(expiryDesc, float64(cert.NotAfter.Unix()), name)
		}
	}
	paused := 0.0
	if info.Push.Paused {
		paused = 1
	}
	send(pausedDesc, paused)
	for folder := range info.Refused {
		send(refusedDesc, 1, folder)
	}
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	if enrolled, behind, responding, err := c.state.Counts(ctx); err == nil {
		send(enrolledDesc, float64(enrolled))
		send(behindDesc, float64(behind))
		send(respondingDesc, float64(responding))
	}
}
