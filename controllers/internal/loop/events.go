package loop

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

// action is the Event API's "what was done" of every event here.
const action = "Reconcile"

// transition is a condition whose status or reason changed.
type transition struct {
	metav1.Condition
	eventType string
}

func (t transition) note() string {
	if t.Message == "" {
		return t.Type + " is " + string(t.Status)
	}
	return t.Type + ": " + t.Message
}

// transitions lists what the pass changed and people should be told: each reason once, since Ready and Stalled repeat a step's.
func (p *pass) transitions() []transition {
	var changed []transition
	for _, name := range append(slices.Clone(p.ran), mdmv1alpha1.ConditionStalled, mdmv1alpha1.ConditionReady) {
		now := meta.FindStatusCondition(p.status.Conditions, name)
		was := meta.FindStatusCondition(p.before.GetCommonStatus().Conditions, name)
		if now == nil || now.Status == metav1.ConditionUnknown || was != nil && was.Status == now.Status && was.Reason == now.Reason {
			continue
		}
		if slices.ContainsFunc(changed, func(t transition) bool { return t.Reason == now.Reason }) {
			continue
		}
		t := transition{Condition: *now, eventType: corev1.EventTypeNormal}
		if p.abnormal(name) == (now.Status == metav1.ConditionTrue) && !mdmv1alpha1.Patience(now.Reason) {
			t.eventType = corev1.EventTypeWarning
		}
		changed = append(changed, t)
	}
	if p.before.GetCommonStatus().ObservedGeneration < 1 {
		// What is as it should be when an object is first seen is no news, and a fleet that enrols would bring some of each device.
		changed = slices.DeleteFunc(changed, func(t transition) bool { return t.eventType == corev1.EventTypeNormal })
	}
	return changed
}
