package loop

import (
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// halt is the error by which a step ends a pass without having failed.
type halt struct {
	reason  string
	message string
	after   time.Duration
	stalled bool
}

func (h *halt) Error() string { return h.reason + ": " + h.message }

// Wait ends the pass: something that is not in this controller's hands must happen first. The object is reconciled again after the
// duration, or only by an event when it is 0. message says what is awaited.
func Wait(reason string, after time.Duration, message string, args ...any) error {
	return &halt{reason: reason, after: after, message: fmt.Sprintf(message, args...)}
}

// Stall ends the pass: only a person can help, and message says how. The object is reconciled again when it changes.
func Stall(reason, message string, args ...any) error {
	return &halt{reason: reason, message: fmt.Sprintf(message, args...), stalled: true}
}

// Hold ends the pass and leaves the object as it is, since what will be written is about to be known. It is reconciled again after the duration, or by an
// event.
func Hold(after time.Duration) error { return &hold{after} }

// hold is the error by which a step ends a pass of which nothing is written.
type hold struct{ after time.Duration }

func (h *hold) Error() string { return "it is about to be known" }

// Halted returns the reason and message of a Wait or Stall in err's chain. A step that goes on in spite of it says them itself.
func Halted(err error) (reason, message string, ok bool) {
	h := haltOf(err)
	if h == nil {
		return "", "", false
	}
	return h.reason, h.message, true
}

// haltOf returns the Wait or Stall in err's chain, or nil.
func haltOf(err error) *halt {
	var h *halt
	if errors.As(err, &h) {
		return h
	}
	return nil
}

// Report is how a step speaks about its condition and its next visit.
type Report struct {
	status  metav1.ConditionStatus
	reason  string
	message string
	again   time.Duration
	keep    bool
}

// Keep leaves the step's condition as it is: nothing new is known of it yet.
func (r *Report) Keep() { r.keep = true }

// True makes the step's condition True.
func (r *Report) True(reason, message string, args ...any) {
	r.set(metav1.ConditionTrue, reason, message, args)
}

// False makes the step's condition False and lets the pass go on.
func (r *Report) False(reason, message string, args ...any) {
	r.set(metav1.ConditionFalse, reason, message, args)
}

// Unknown makes the step's condition Unknown and lets the pass go on.
func (r *Report) Unknown(reason, message string, args ...any) {
	r.set(metav1.ConditionUnknown, reason, message, args)
}

// Again asks to reconcile the object no later than after the duration; the shortest one asked for counts.
func (r *Report) Again(after time.Duration) {
	r.again = soonest(r.again, after)
}

func (r *Report) set(status metav1.ConditionStatus, reason, message string, args []any) {
	r.status, r.reason, r.message = status, reason, fmt.Sprintf(message, args...)
}

// soonest is the smaller of two durations of which 0 means never.
func soonest(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}
