package loop

import (
	"context"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

// collectTimeout bounds one scrape; lists come from the cache.
const collectTimeout = 10 * time.Second

var conditionsDesc = prometheus.NewDesc("kubemdm_conditions",
	"Number of objects of a kind by condition type and status.", []string{"kind", "condition", "status"}, nil)

// Collector counts objects by condition at each scrape. It names no object: a device's name may hold its serial number.
type Collector struct {
	// Reader should be the cache.
	Reader client.Reader
	Scheme *runtime.Scheme
	// Lists holds an empty list of each kind.
	Lists []client.ObjectList
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) { ch <- conditionsDesc }

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectTimeout)
	defer cancel()
	for _, empty := range c.Lists {
		if err := c.collect(ctx, empty.DeepCopyObject().(client.ObjectList), ch); err != nil {
			ch <- prometheus.NewInvalidMetric(conditionsDesc, err)
		}
	}
}

func (c *Collector) collect(ctx context.Context, list client.ObjectList, ch chan<- prometheus.Metric) error {
	gvk, err := apiutil.GVKForObject(list, c.Scheme)
	if err != nil {
		return err
	}
	if err := c.Reader.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return err
	}
	type key struct {
		condition string
		status    metav1.ConditionStatus
	}
	counts := map[key]int{}
	err = meta.EachListItem(list, func(o runtime.Object) error {
		for _, cond := range o.(mdmv1alpha1.Object).GetCommonStatus().Conditions {
			counts[key{cond.Type, cond.Status}]++
		}
		return nil
	})
	kind := strings.TrimSuffix(gvk.Kind, "List")
	for k, n := range counts {
		ch <- prometheus.MustNewConstMetric(conditionsDesc, prometheus.GaugeValue, float64(n), kind, k.condition, string(k.status))
	}
	return err
}
