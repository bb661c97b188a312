// Package metrics holds the Prometheus metrics of a protocol server. No label ever holds an identifier of a device.
package metrics

import (
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

const namespace = "kubemdm_server"

// Metrics are the metrics of one server.
type Metrics struct {
	registry    *prometheus.Registry
	requests    *prometheus.CounterVec
	durations   *prometheus.HistogramVec
	panics      prometheus.Counter
	pushes      *prometheus.CounterVec
	storeErrors prometheus.Counter
}

// New returns metrics that count from zero.
func New(version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: "http_requests_total",
			Help: "Requests by listener, endpoint and status code."}, []string{"listener", "endpoint", "code"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: "http_request_duration_seconds",
			Help: "Time to answer a request by listener and endpoint.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 8)}, []string{"listener", "endpoint"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: "http_panics_total",
			Help: "Requests that ended in a panic: each is a defect."}),
		pushes: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: "pushes_total",
			Help: "Pushes by outcome."}, []string{"outcome"}),
		storeErrors: prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: "store_errors_total",
			Help: "Transactions that failed because the store was unavailable (disk full, I/O error)."}),
	}
	for _, outcome := range []fleet.WakeOutcome{fleet.WakeAccepted, fleet.WakeUnregistered, fleet.WakeRejected, fleet.WakeRetry} {
		m.pushes.WithLabelValues(string(outcome))
	}
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: "build_info",
		Help: "Always 1; the labels say what runs."}, []string{"version", "goversion"})
	build.WithLabelValues(version, runtime.Version()).Set(1)
	m.registry.MustRegister(m.requests, m.durations, m.panics, m.pushes, m.storeErrors, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// Request counts an answered request. endpoint is a pattern, never a path.
func (m *Metrics) Request(listener, endpoint string, code int, took time.Duration) {
	m.requests.WithLabelValues(listener, endpoint, strconv.Itoa(code)).Inc()
	m.durations.WithLabelValues(listener, endpoint).Observe(took.Seconds())
}

// Panic counts a request that ended in a panic.
func (m *Metrics) Panic() { m.panics.Inc() }

// Push counts a push.
func (m *Metrics) Push(outcome fleet.WakeOutcome) { m.pushes.WithLabelValues(string(outcome)).Inc() }

// StoreError counts a transaction that failed because the store was unavailable.
func (m *Metrics) StoreError() { m.storeErrors.Inc() }
