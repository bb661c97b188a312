package setup

import (
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubemdm/kubemdm/controllers/internal/gauges"
)

// Collector tells at each scrape what the objects that reader lists say in their status. No label holds an identifier of a device.
func Collector(reader client.Reader, clock clock.PassiveClock) prometheus.Collector {
	return &gauges.Collector{Reader: reader, Clock: clock}
}
