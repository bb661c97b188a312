package apns

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

// stateOf reads a condition; nil is one that the operator has not set yet.
func stateOf(c *metav1.Condition) look.State {
	switch {
	case c == nil:
		return look.Waits
	case c.Status == metav1.ConditionTrue:
		return look.Well
	case c.Reason == mdmv1alpha1.ReasonError:
		return look.Wrong
	// A renewal that is due is the ordinary course; that a certificate has ended is what Issued says.
	case c.Status == metav1.ConditionUnknown, mdmv1alpha1.Patience(c.Reason), c.Reason == mdmv1alpha1.APNSCertificateExpiring:
		return look.Waits
	}
	return look.Wrong
}

// passing are reasons of conditions that the operator tries again by itself so soon that waiting is worth it.
var passing = []string{mdmv1alpha1.ReasonError, mdmv1alpha1.APNSCertificateKeyUnavailable}

// observed says whether the status speaks of the newest spec and, if something was asked for, was written after that.
func observed(c *mdmv1alpha1.APNSCertificate, asked string) bool {
	return c.Status.ObservedGeneration >= c.Generation && (asked == "" || c.Status.LastHandledRequest == asked)
}

// paused is an error if nothing is ever done for the object.
func paused(c *mdmv1alpha1.APNSCertificate) error {
	if c.Annotations[mdmv1alpha1.AnnotationPaused] != "true" {
		return nil
	}
	return fmt.Errorf("nothing is done for %s while it has the annotation %s: kubectl annotate apnscertificate %s --namespace %s %s- takes it off",
		c.Name, mdmv1alpha1.AnnotationPaused, c.Name, c.Namespace, mdmv1alpha1.AnnotationPaused)
}

// hindrance returns an error if one of the conditions, in the order of the flow, waits for a person. what is what does not come about by itself then.
func hindrance(c *mdmv1alpha1.APNSCertificate, what string, conditions ...string) error {
	for _, name := range conditions {
		switch condition := meta.FindStatusCondition(c.Status.Conditions, name); {
		case condition == nil || condition.Status == metav1.ConditionUnknown || slices.Contains(passing, condition.Reason):
			return stalled(c, what)
		case condition.Status == metav1.ConditionFalse:
			return refusal(c, what, condition)
		}
	}
	return stalled(c, what)
}

// stalled returns an error if the operator waits for a person before it does any step at all.
func stalled(c *mdmv1alpha1.APNSCertificate, what string) error {
	if condition := meta.FindStatusCondition(c.Status.Conditions, mdmv1alpha1.ConditionStalled); condition != nil {
		return refusal(c, what, condition)
	}
	return nil
}

func refusal(c *mdmv1alpha1.APNSCertificate, what string, condition *metav1.Condition) error {
	text := fmt.Sprintf("%s (%s): %s", what, condition.Reason, condition.Message)
	if next := c.Status.NextStep; next != "" {
		text += "\nNext step: " + next
	}
	return fmt.Errorf("%s", text)
}

// doing says what is waited for: the operator, or the first of the conditions that is not True.
func doing(c *mdmv1alpha1.APNSCertificate, asked string, conditions ...string) string {
	if !observed(c, asked) {
		return fmt.Sprintf("the operator has not looked at %s yet", c.Name)
	}
	for _, name := range conditions {
		condition := meta.FindStatusCondition(c.Status.Conditions, name)
		if condition != nil && condition.Status != metav1.ConditionTrue {
			return fmt.Sprintf("%s (%s): %s", name, condition.Reason, condition.Message)
		}
	}
	return "the operator works on " + c.Name
}
