package gauges

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/roster"
)

const (
	namespace = "kubemdm"
	// collectTimeout bounds one scrape; lists come from the cache.
	collectTimeout = 10 * time.Second
)

// Collector reads all kinds at each scrape.
type Collector struct {
	// Reader should be the cache.
	Reader client.Reader
	Clock  clock.PassiveClock
}

// send gives one value with the values of the gauge's labels.
type send func(value float64, labels ...string)

// gauge is a metric of one kind's objects.
type gauge struct {
	desc *prometheus.Desc
	read func(o mdmv1alpha1.Object, now time.Time, send send)
}

// of makes a gauge of kind T, which has the labels namespace and name and then those given.
func of[T mdmv1alpha1.Object](name, help string, labels []string, read func(o T, now time.Time, send send)) gauge {
	return gauge{
		desc: prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, append([]string{"namespace", "name"}, labels...), nil),
		read: func(o mdmv1alpha1.Object, now time.Time, send send) { read(o.(T), now, send) },
	}
}

// kind is what is told of one kind.
type kind struct {
	name string
	list func() client.ObjectList
	// named says that objects are told by name.
	named  bool
	gauges []gauge
}

const deviceKind = "Device"

var kinds = []kind{
	{"MDMServer", func() client.ObjectList { return &mdmv1alpha1.MDMServerList{} }, true, mdmServer},
	{"APNSCertificate", func() client.ObjectList { return &mdmv1alpha1.APNSCertificateList{} }, true, apnsCertificate},
	{"AutomatedEnrollment", func() client.ObjectList { return &mdmv1alpha1.AutomatedEnrollmentList{} }, true, automatedEnrollment},
	{"Profile", func() client.ObjectList { return &mdmv1alpha1.ProfileList{} }, true, profile},
	{"EnrollmentToken", func() client.ObjectList { return &mdmv1alpha1.EnrollmentTokenList{} }, false, nil},
	{deviceKind, func() client.ObjectList { return &mdmv1alpha1.DeviceList{} }, false, nil},
	{"DeviceCommand", func() client.ObjectList { return &mdmv1alpha1.DeviceCommandList{} }, false, nil},
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- conditionsDesc
	ch <- conditionDesc
	for _, k := range kinds {
		for _, g := range k.gauges {
			ch <- g.desc
		}
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectTimeout)
	defer cancel()
	for _, k := range kinds {
		if err := c.collect(ctx, k, ch); err != nil {
			ch <- prometheus.NewInvalidMetric(conditionsDesc, err)
		}
	}
}

func (c *Collector) collect(ctx context.Context, k kind, ch chan<- prometheus.Metric) error {
	now, counts := c.Clock.Now(), conditionCounts{}
	err := c.each(ctx, k, func(item runtime.Object) error {
		o := item.(mdmv1alpha1.Object)
		counts.add(o)
		if k.named {
			sendConditions(k.name, o, ch)
		}
		for _, g := range k.gauges {
			g.read(o, now, func(value float64, labels ...string) {
				ch <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, value, append([]string{o.GetNamespace(), o.GetName()}, labels...)...)
			})
		}
		return nil
	})
	counts.send(k.name, ch)
	return err
}

// each visits all objects of a kind.
func (c *Collector) each(ctx context.Context, k kind, visit func(runtime.Object) error) error {
	if keeper, ok := c.Reader.(roster.Keeper); ok && k.name == deviceKind {
		if kept, ok := keeper.KeptDevices(nil); ok {
			for _, d := range kept {
				if err := visit(d); err != nil {
					return err
				}
			}
			return nil
		}
	}
	list := k.list()
	if err := c.Reader.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return err
	}
	return meta.EachListItem(list, visit)
}

// counts sends the counters that are there, each with its state.
func counts(send send, states map[string]*int32) {
	for state, count := range states {
		if count != nil {
			send(float64(*count), state)
		}
	}
}
