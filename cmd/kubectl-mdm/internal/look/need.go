package look

import (
	"cmp"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

// recent is how long a DeviceCommand that failed asks for a person: until then somebody has seen it, or it does not matter any more.
const recent = 7 * 24 * time.Hour

// Need is what one object needs a person for.
type Need struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Condition that says so; empty: the clock does.
	Condition string `json:"condition,omitempty"`
	// Reason is that of the condition.
	Reason string `json:"reason"`
	// Message says what is so, why, and what to do.
	Message string `json:"message,omitempty"`
	// NextStep is that of the object's status.
	NextStep string `json:"nextStep,omitempty"`
	// Since is when it became so.
	Since *metav1.Time `json:"since,omitempty"`
	// Runbook is the page that leads through it.
	Runbook string `json:"runbook,omitempty"`
}

// alarming are conditions that are well while they are absent.
var alarming = []string{
	mdmv1alpha1.ConditionStalled, mdmv1alpha1.ProfileRemovalHeld, mdmv1alpha1.DeviceReenrolmentBlocked, mdmv1alpha1.DeviceRenewalDue, mdmv1alpha1.DeviceCommandFailed,
}

// sums are conditions that say again what others say, so that they count only if no other does.
var sums = []string{mdmv1alpha1.ConditionReady, mdmv1alpha1.DeviceCommandSucceeded}

// choices are conditions that are False where somebody chose so: a private CA, or a token that has served its time.
var choices = []string{mdmv1alpha1.MDMServerPubliclyTrusted, mdmv1alpha1.EnrollmentTokenUsable}

// ordinary are reasons of conditions that are not True in the ordinary course, besides those that ask for patience.
var ordinary = []string{
	mdmv1alpha1.DeviceAwaitingEnrollment, mdmv1alpha1.DeviceEnrollmentEnded, mdmv1alpha1.APNSCertificateNotUsed, mdmv1alpha1.APNSCertificateNoPushYet,
	mdmv1alpha1.MDMServerIssuing,
}

// Needs lists what an object of a kind needs a person for, each reason once.
func Needs(kind string, o mdmv1alpha1.Object, now time.Time) []Need {
	base := Need{Kind: kind, Namespace: o.GetNamespace(), Name: o.GetName()}
	if o.GetAnnotations()[mdmv1alpha1.AnnotationPaused] == "true" {
		base.Reason, base.Message = mdmv1alpha1.ReasonPaused, "nothing is done for it while it has the annotation "+mdmv1alpha1.AnnotationPaused
		return []Need{base}
	}
	if past(o, now) {
		return nil
	}
	var needs []Need
	for _, c := range inOrder(o.GetCommonStatus().Conditions) {
		known := slices.ContainsFunc(needs, func(n Need) bool { return n.Reason == c.Reason })
		if known || !asks(o, c) || slices.Contains(sums, c.Type) && len(needs) > 0 {
			continue
		}
		need := base
		need.Condition, need.Reason, need.Message, need.Since = c.Type, c.Reason, c.Message, &c.LastTransitionTime
		need.Runbook = Runbook(kind, c.Reason)
		needs = append(needs, need)
	}
	return withNextStep(o, base, needs)
}

// past says whether an object is a command that failed long ago.
func past(o mdmv1alpha1.Object, now time.Time) bool {
	command, is := o.(*mdmv1alpha1.DeviceCommand)
	return is && command.Status.FinishedAt != nil && now.Sub(command.Status.FinishedAt.Time) > recent
}

// inOrder puts the conditions first that count most.
func inOrder(conditions []metav1.Condition) []metav1.Condition {
	rank := func(c metav1.Condition) int {
		switch {
		case slices.Contains(alarming, c.Type):
			return slices.Index(alarming, c.Type) - len(alarming)
		case slices.Contains(sums, c.Type):
			return 1
		}
		return 0
	}
	sorted := slices.Clone(conditions)
	slices.SortStableFunc(sorted, func(a, b metav1.Condition) int { return cmp.Compare(rank(a), rank(b)) })
	return sorted
}

// asks says whether a condition asks for a person.
func asks(o mdmv1alpha1.Object, c metav1.Condition) bool {
	switch {
	case slices.Contains(alarming, c.Type):
		return c.Status == metav1.ConditionTrue
	case !slices.Contains(o.KnownConditions(), c.Type), slices.Contains(choices, c.Type):
		return false
	case mdmv1alpha1.Patience(c.Reason), slices.Contains(ordinary, c.Reason):
		return false
	}
	return c.Status == metav1.ConditionFalse || c.Status == metav1.ConditionUnknown && c.Reason == mdmv1alpha1.ReasonError
}

// withNextStep adds the step that a status tells, which is a need by itself where the conditions ask for patience: somebody has to upload a request, say.
func withNextStep(o mdmv1alpha1.Object, base Need, needs []Need) []Need {
	var next string
	switch o := o.(type) {
	case *mdmv1alpha1.APNSCertificate:
		next = o.Status.NextStep
	case *mdmv1alpha1.AutomatedEnrollment:
		next = o.Status.NextStep
	}
	switch {
	case next == "":
	case len(needs) > 0:
		needs[0].NextStep = next
	default:
		base.Reason, base.NextStep = "NextStep", next
		if ready := meta.FindStatusCondition(o.GetCommonStatus().Conditions, mdmv1alpha1.ConditionReady); ready != nil && ready.Status != metav1.ConditionTrue {
			base.Condition, base.Reason, base.Since = ready.Type, ready.Reason, &ready.LastTransitionTime
		}
		base.Runbook = Runbook(base.Kind, base.Reason)
		needs = append(needs, base)
	}
	return needs
}

// StateOf is how well a condition of an object is.
func StateOf(o mdmv1alpha1.Object, c metav1.Condition) State {
	switch {
	case asks(o, c):
		return Wrong
	case c.Status == metav1.ConditionTrue && c.Type != mdmv1alpha1.ConditionReconciling, slices.Contains(alarming, c.Type):
		return Well
	}
	return Waits
}
