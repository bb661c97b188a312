package loop

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

// conflictRetry is the pause after a write met a newer object than the cache had: long enough for the cache to catch up.
const conflictRetry = 500 * time.Millisecond

// Engine runs reconciles. All controllers share one.
type Engine struct {
	Client client.Client
	Events events.EventRecorder
	Clock  clock.PassiveClock
}

// Spec is one kind's reconcile.
type Spec struct {
	// Steps run in order until one of them does not return nil.
	Steps []Step
	// Finalize runs in their place once the object is being deleted. When it is empty the object gets no finalizer; when all of it
	// returned nil the finalizer goes. What a step that gives up said to its Report becomes an event.
	Finalize []Step
	// Ready names the conditions that must all be True for Ready to be True. The first that is not lends Ready its reason and message.
	Ready []string
	// Written is called, if it is set, when the object says what the steps found. It is not called after an error, nor after a conflict.
	Written func()
}

// Step is one part of a reconcile.
type Step struct {
	// Condition is the one condition that the step sets, through its Report; empty for a step without one.
	Condition string
	// Run does the work. The condition becomes what it said to the Report. If it said nothing, then nil means True, Wait and Stall mean False
	// with their reason, and any other error means Unknown and a retry with back-off. A condition that is not among the object's
	// KnownConditions is abnormal: it becomes True only by the Report, and nil without it removes the condition.
	//
	// Steps behind one that did not return nil keep their conditions. Run may write the object's metadata only through a copy, since the
	// answer of the API server would overwrite the status, and hands the new resource version to the object.
	Run func(ctx context.Context, r *Report) error
}

// Run reconciles obj once. It writes the status in one patch, and only if something changed.
//
// An object with the paused annotation is left alone, deletion included.
func (e *Engine) Run(ctx context.Context, obj mdmv1alpha1.Object, spec Spec) (ctrl.Result, error) {
	result, err := e.run(ctx, obj, spec)
	var held *hold
	switch {
	case errors.As(err, &held):
		return ctrl.Result{RequeueAfter: held.after}, nil
	case apierrors.IsConflict(err):
		return ctrl.Result{RequeueAfter: conflictRetry}, nil
	case leaving(err):
		return ctrl.Result{}, nil
	case err == nil && spec.Written != nil:
		spec.Written()
	}
	return result, err
}

// leaving says whether nothing can be made any more because the namespace is being deleted: the object is about to be deleted with it.
func leaving(err error) bool { return apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) }

func (e *Engine) run(ctx context.Context, obj mdmv1alpha1.Object, spec Spec) (ctrl.Result, error) {
	deleting := !obj.GetDeletionTimestamp().IsZero()
	switch {
	case deleting && !controllerutil.ContainsFinalizer(obj, mdmv1alpha1.Finalizer):
		return ctrl.Result{}, nil
	case obj.GetAnnotations()[mdmv1alpha1.AnnotationPaused] == "true":
		return ctrl.Result{}, e.write(ctx, begin(obj, e.Clock.Now()), (*pass).pause)
	case deleting:
		return e.finalize(ctx, obj, spec)
	}
	if len(spec.Finalize) > 0 {
		if err := e.finalizer(ctx, obj, controllerutil.AddFinalizer); err != nil {
			return ctrl.Result{}, fmt.Errorf("adding the finalizer: %w", err)
		}
	}
	p := begin(obj, e.Clock.Now())
	p.introduce()
	return e.end(ctx, p, spec, p.run(ctx, spec.Steps))
}

func (e *Engine) finalize(ctx context.Context, obj mdmv1alpha1.Object, spec Spec) (ctrl.Result, error) {
	p := begin(obj, e.Clock.Now())
	if err := p.run(ctx, spec.Finalize); err != nil {
		return e.end(ctx, p, spec, err)
	}
	if err := e.finalizer(ctx, obj, controllerutil.RemoveFinalizer); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(fmt.Errorf("removing the finalizer: %w", err))
	}
	e.tell(obj, p.transitions())
	return ctrl.Result{}, nil
}

// end writes what a pass found. err is what ended it.
func (e *Engine) end(ctx context.Context, p *pass, spec Spec, err error) (ctrl.Result, error) {
	if apierrors.IsConflict(err) || leaving(err) || ctx.Err() != nil || errors.As(err, new(*hold)) {
		return ctrl.Result{}, err // says nothing about the object
	}
	if err := e.write(ctx, p, func(p *pass) { p.conclude(spec.Ready, err) }); err != nil {
		return ctrl.Result{}, err
	}
	return p.result(err)
}

// finalizer changes the finalizers on a copy, so that the object keeps the status it has in memory.
func (e *Engine) finalizer(ctx context.Context, obj mdmv1alpha1.Object, change func(client.Object, string) bool) error {
	changed := obj.DeepCopyObject().(mdmv1alpha1.Object)
	if !change(changed, mdmv1alpha1.Finalizer) {
		return nil
	}
	// The list is replaced as a whole: without the lock another controller's finalizer could be lost.
	patch := client.MergeFromWithOptions(obj, client.MergeFromWithOptimisticLock{})
	if err := e.Client.Patch(ctx, changed, patch); err != nil {
		return err
	}
	obj.SetFinalizers(changed.GetFinalizers())
	obj.SetResourceVersion(changed.GetResourceVersion())
	return nil
}

// write ends a pass: it completes the status, patches it if it changed, and tells of the transitions. An object that the cache had not brought
// up to date is refused, or the same would be written and told twice.
func (e *Engine) write(ctx context.Context, p *pass, complete func(*pass)) error {
	complete(p)
	p.before.SetResourceVersion(p.obj.GetResourceVersion())
	if equality.Semantic.DeepEqual(p.before, p.obj) {
		return nil // as a rule, and much sooner known than by comparing what would be sent
	}
	data, err := client.MergeFrom(p.before).Data(p.obj)
	if err != nil {
		return fmt.Errorf("comparing the status: %w", err)
	}
	if string(data) == "{}" {
		return nil
	}
	transitions := p.transitions()
	patch := client.MergeFromWithOptions(p.before, client.MergeFromWithOptimisticLock{})
	if err := e.Client.Status().Patch(ctx, p.obj, patch); err != nil {
		return client.IgnoreNotFound(fmt.Errorf("writing the status: %w", err))
	}
	e.tell(p.obj, transitions)
	return nil
}

func (e *Engine) tell(obj mdmv1alpha1.Object, transitions []transition) {
	for _, t := range transitions {
		e.Events.Eventf(obj, nil, t.eventType, t.Reason, action, "%s", t.note())
	}
}
