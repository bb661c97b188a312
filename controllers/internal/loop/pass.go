package loop

import (
	"context"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	ctrl "sigs.k8s.io/controller-runtime"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

// maxMessage bounds a condition's message, in bytes: far below the 32 KiB that the API allows, since a table shows it and an event repeats it.
const maxMessage = 900

// Admit is the step that checks what CEL cannot say. It stalls with every error that validate finds.
func Admit(condition string, validate func() field.ErrorList) Step {
	return Step{Condition: condition, Run: func(context.Context, *Report) error {
		if errs := validate(); len(errs) > 0 {
			return Stall(mdmv1alpha1.ReasonInvalid, "%s", errs.ToAggregate())
		}
		return nil
	}}
}

// pass is one reconcile of one object.
type pass struct {
	obj    mdmv1alpha1.Object
	before mdmv1alpha1.Object
	status *mdmv1alpha1.CommonStatus
	ran    []string // the conditions of the steps that ran, in their order
	now    metav1.Time
	again  time.Duration
}

func begin(obj mdmv1alpha1.Object, now time.Time) *pass {
	return &pass{obj: obj, before: obj.DeepCopyObject().(mdmv1alpha1.Object), status: obj.GetCommonStatus(), now: metav1.NewTime(now)}
}

// introduce makes every known condition present from the first visit on.
func (p *pass) introduce() {
	for _, name := range p.obj.KnownConditions() {
		if meta.FindStatusCondition(p.status.Conditions, name) == nil {
			p.set(name, metav1.ConditionUnknown, mdmv1alpha1.ReasonPending, "not observed yet")
		}
	}
}

func (p *pass) run(ctx context.Context, steps []Step) error {
	for _, s := range steps {
		r := &Report{}
		err := s.Run(ctx, r)
		if s.Condition != "" {
			p.settle(s.Condition, r, err)
		}
		p.again = soonest(p.again, r.again)
		if err != nil {
			return err
		}
	}
	return nil
}

// settle turns what a step said and returned into its condition.
func (p *pass) settle(condition string, r *Report, err error) {
	p.ran = append(p.ran, condition)
	switch h := haltOf(err); {
	case r.keep:
		return
	case r.status != "":
	case p.abnormal(condition) && err != nil:
		return // nothing new is known of it
	case p.abnormal(condition):
		meta.RemoveStatusCondition(&p.status.Conditions, condition)
		return
	case h != nil:
		r.False(h.reason, "%s", h.message)
	case err != nil:
		r.Unknown(mdmv1alpha1.ReasonError, "%s", err)
	default:
		r.True(mdmv1alpha1.ReasonReady, "")
	}
	p.set(condition, r.status, r.reason, r.message)
}

func (p *pass) abnormal(condition string) bool {
	return condition != mdmv1alpha1.ConditionReady && !slices.Contains(p.obj.KnownConditions(), condition)
}

func (p *pass) set(condition string, status metav1.ConditionStatus, reason, message string) {
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + "..."
	}
	meta.SetStatusCondition(&p.status.Conditions, metav1.Condition{
		Type: condition, Status: status, Reason: reason, Message: message,
		ObservedGeneration: p.obj.GetGeneration(), LastTransitionTime: p.now,
	})
	// Two steps may speak of one condition: the status that it had before the pass keeps its time.
	was := meta.FindStatusCondition(p.before.GetCommonStatus().Conditions, condition)
	if was != nil && was.Status == status {
		meta.FindStatusCondition(p.status.Conditions, condition).LastTransitionTime = was.LastTransitionTime
	}
}

// pause says that nobody looks after the object.
func (p *pass) pause() {
	p.set(mdmv1alpha1.ConditionReady, metav1.ConditionUnknown, mdmv1alpha1.ReasonPaused,
		"nothing is done for this object while it has the annotation "+mdmv1alpha1.AnnotationPaused)
	meta.RemoveStatusCondition(&p.status.Conditions, mdmv1alpha1.ConditionReconciling)
	meta.RemoveStatusCondition(&p.status.Conditions, mdmv1alpha1.ConditionStalled)
}

// conclude rolls up Ready and the kstatus conditions. err is what ended the pass.
func (p *pass) conclude(ready []string, err error) {
	h := haltOf(err)
	stalled := h != nil && h.stalled
	failing := err != nil && h == nil
	r := p.rollUp(ready, err)
	p.set(mdmv1alpha1.ConditionReady, r.status, r.reason, r.message)
	p.flag(mdmv1alpha1.ConditionStalled, stalled, r)
	p.flag(mdmv1alpha1.ConditionReconciling, !stalled && (failing || r.status != metav1.ConditionTrue), r)
	p.status.ObservedGeneration = p.obj.GetGeneration()
	if !failing {
		p.status.LastHandledRequest = p.obj.GetAnnotations()[mdmv1alpha1.AnnotationRequestedAt]
	}
}

func (p *pass) rollUp(ready []string, err error) *Report {
	if h := haltOf(err); h != nil && h.stalled {
		return &Report{status: metav1.ConditionFalse, reason: h.reason, message: h.message}
	}
	if !p.obj.GetDeletionTimestamp().IsZero() {
		return &Report{status: metav1.ConditionFalse, reason: mdmv1alpha1.ReasonDeleting, message: err.Error()}
	}
	r := &Report{status: metav1.ConditionTrue, reason: mdmv1alpha1.ReasonReady}
	for _, name := range ready {
		c := meta.FindStatusCondition(p.status.Conditions, name)
		if c == nil {
			return &Report{status: metav1.ConditionUnknown, reason: mdmv1alpha1.ReasonPending, message: name + " is not known yet"}
		}
		r = &Report{status: c.Status, reason: c.Reason, message: c.Message}
		if c.Status != metav1.ConditionTrue {
			break
		}
	}
	return r
}

// flag keeps a condition that is present only while it is True; it says what Ready says.
func (p *pass) flag(condition string, on bool, ready *Report) {
	if !on {
		meta.RemoveStatusCondition(&p.status.Conditions, condition)
		return
	}
	p.set(condition, metav1.ConditionTrue, ready.reason, ready.message)
}

func (p *pass) result(err error) (ctrl.Result, error) {
	h := haltOf(err)
	if err != nil && h == nil {
		return ctrl.Result{}, err
	}
	if h != nil {
		p.again = soonest(p.again, h.after)
	}
	return ctrl.Result{RequeueAfter: p.again}, nil
}
