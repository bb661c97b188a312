package gauges

import (
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

var (
	conditionsDesc = prometheus.NewDesc("kubemdm_conditions",
		"Number of objects of a kind by condition type and status.", []string{"kind", "condition", "status"}, nil)
	conditionDesc = prometheus.NewDesc("kubemdm_object_condition",
		"Always 1; the labels are the conditions of MDMServers, APNSCertificates, AutomatedEnrollments and Profiles with status and reason.",
		[]string{"kind", "namespace", "name", "condition", "status", "reason"}, nil)
)

// conditionCounts counts the objects of one kind.
type conditionCounts map[conditionStatus]int

type conditionStatus struct {
	condition string
	status    metav1.ConditionStatus
}

func (c conditionCounts) add(o mdmv1alpha1.Object) {
	for _, cond := range o.GetCommonStatus().Conditions {
		c[conditionStatus{cond.Type, cond.Status}]++
	}
}

func (c conditionCounts) send(kind string, ch chan<- prometheus.Metric) {
	for k, n := range c {
		ch <- prometheus.MustNewConstMetric(conditionsDesc, prometheus.GaugeValue, float64(n), kind, k.condition, string(k.status))
	}
}

// sendConditions tells of one object's conditions by its name.
func sendConditions(kind string, o mdmv1alpha1.Object, ch chan<- prometheus.Metric) {
	for _, cond := range o.GetCommonStatus().Conditions {
		ch <- prometheus.MustNewConstMetric(conditionDesc, prometheus.GaugeValue, 1,
			kind, o.GetNamespace(), o.GetName(), cond.Type, string(cond.Status), cond.Reason)
	}
}
