// Package remind says when people are reminded that something ends.
package remind

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
)

const day = 24 * time.Hour

// thresholds are the times before the end at which people are reminded once the first reminder has come.
var thresholds = []time.Duration{60 * day, 30 * day, 14 * day, 7 * day, day}

// Reminder returns the time before the end that was passed last (0: none) and the one to come (0: the end). The first comes at the time before the
// end that is given.
func Reminder(left, first time.Duration) (passed, next time.Duration) {
	for _, t := range append([]time.Duration{first}, thresholds...) {
		switch {
		case t > first:
		case left > t:
			return passed, t
		default:
			passed = t
		}
	}
	return passed, 0
}

// Days of a duration, a begun one counted whole.
func Days(d time.Duration) int { return int((d + day - 1) / day) }

// Left says in words that less than a time is left.
func Left(passed time.Duration) string {
	if Days(passed) == 1 {
		return "less than 1 day is left"
	}
	return fmt.Sprintf("less than %d days are left", Days(passed))
}

// Ending is what ends, and how people hear of it.
type Ending struct {
	// Condition is True while nobody need be reminded; Reason is its reason from the first reminder on, Cure what to do.
	Condition, Reason, Cure string
	// First is how long before the end the first reminder comes.
	First time.Duration
}

// Tell reminds of the end of what an object stands for. The message changes at each threshold, and each change is an event.
func (e Ending) Tell(engine loop.Engine, obj mdmv1alpha1.Object, left time.Duration, report *loop.Report) {
	passed, next := Reminder(left, e.First)
	report.Again(left - next)
	if passed == 0 {
		return
	}
	message := Left(passed) + ": " + e.Cure
	was := meta.FindStatusCondition(obj.GetCommonStatus().Conditions, e.Condition)
	if was != nil && was.Reason == e.Reason && was.Message != message {
		engine.Events.Eventf(obj, nil, corev1.EventTypeWarning, was.Reason, "Reconcile", "%s", message)
	}
	report.False(e.Reason, "%s", message)
}
