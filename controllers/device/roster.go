package device

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/controllers/internal/roster"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// +kubebuilder:rbac:groups=mdm.kubemdm.io,resources=devices,verbs=create
// +kubebuilder:rbac:groups=mdm.kubemdm.io,resources=profiles,verbs=get;list;watch

// passPause is the least time between two passes over a server: a burst of events is one pass.
const passPause = time.Second

// Roster looks at all devices of a server at once: it discovers those that nobody declared, and tells the server which Profiles each should have.
// One pass is never enough of a reason to take a Profile away: see settle.
type Roster struct {
	Client client.Client
	Links  *link.Registry
	Book   *roster.Book
	Clock  clock.PassiveClock

	// passes is what is remembered of each server. Only Reconcile uses it, and the controller has one worker.
	passes map[types.NamespacedName]pass
}

// pass is what one pass over a server leaves to the next.
type pass struct {
	at       time.Time
	removals map[adminapi.Key]removal
}

// Reconcile passes over one server. Without a connection it does nothing; the server's source calls again when there is one.
func (r *Roster) Reconcile(ctx context.Context, request reconcile.Request) (ctrl.Result, error) {
	if s, err := r.Links.Server(request.NamespacedName); err == nil {
		return r.pass(ctx, request.NamespacedName, s)
	}
	delete(r.passes, request.NamespacedName)
	return ctrl.Result{}, nil
}

func (r *Roster) pass(ctx context.Context, name types.NamespacedName, s *link.Server) (ctrl.Result, error) {
	last, now := r.passes[name], r.Clock.Now()
	if wait := passPause - now.Sub(last.at); wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	groups, err := r.Book.Groups(ctx, r.Client, name, s)
	if err != nil {
		return ctrl.Result{}, err
	}
	profiles := &mdmv1alpha1.ProfileList{}
	err = r.Client.List(ctx, profiles, client.InNamespace(name.Namespace), client.MatchingFields{link.FieldServer: name.Name}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("listing the Profiles of a server: %w", err)
	}
	more, undiscovered := r.discover(ctx, name, s, groups)
	p := newPlan(s, groups, profiles.Items)
	next := pass{at: now, removals: p.removals(last.removals, now)}
	if r.passes == nil {
		r.passes = map[types.NamespacedName]pass{}
	}
	r.passes[name] = next
	r.tellProfiles(ctx, name, last.removals, next.removals)
	if err := errors.Join(undiscovered, r.assign(ctx, name, s, p.changes(next.removals, now))); err != nil {
		return ctrl.Result{}, err
	}
	if more {
		return ctrl.Result{RequeueAfter: passPause}, nil
	}
	return ctrl.Result{RequeueAfter: soonest(next.removals, now)}, nil
}

// assign tells the server, and the Devices that wait for it.
func (r *Roster) assign(ctx context.Context, name types.NamespacedName, s *link.Server, changes []adminapi.Assignment) error {
	var waiting []string
	for _, c := range changes {
		if told, ok := s.Assignment(c.DeviceID); !ok || told.EnrollmentID != c.EnrollmentID {
			waiting = append(waiting, c.DeviceID)
		}
	}
	if err := s.PutAssignments(ctx, changes); err != nil {
		return fmt.Errorf("telling a server what its devices should have: %w", err)
	}
	for _, id := range waiting {
		r.Links.Wake(ctx, link.Event{Server: name, Kind: adminapi.KindDevice, Key: id})
	}
	return nil
}

// tellProfiles wakes the Profiles of which other devices are to be stripped than before: they report it.
func (r *Roster) tellProfiles(ctx context.Context, name types.NamespacedName, before, after map[adminapi.Key]removal) {
	all := maps.Clone(after)
	maps.Copy(all, before)
	for key := range all {
		if before[key].token != after[key].token {
			r.Links.Wake(ctx, link.Event{Server: name, Kind: adminapi.KindArtifact, Key: string(key)})
		}
	}
}

// SetupWithManager registers the controller.
func (r *Roster) SetupWithManager(mgr ctrl.Manager) error {
	paused := predicate.AnnotationChangedPredicate{}
	r.Book.Watch()
	moved := turning(r.Book, predicate.Or[client.Object](paused, predicate.LabelChangedPredicate{}, predicate.GenerationChangedPredicate{}, enrolmentChanged))
	edited := predicate.Or[client.Object](paused, predicate.GenerationChangedPredicate{})
	return ctrl.NewControllerManagedBy(mgr).Named("device-roster").
		Watches(&mdmv1alpha1.Device{}, handler.EnqueueRequestsFromMapFunc(ofDevice), builder.WithPredicates(moved)).
		Watches(&mdmv1alpha1.Profile{}, handler.EnqueueRequestsFromMapFunc(ofProfile), builder.WithPredicates(edited)).
		WatchesRawSource(r.Links.Source(adminapi.KindDevice, r.known)).
		WatchesRawSource(r.Links.Source(link.KindAssignments, link.ToServer)).
		WithOptions(controller.Options{MaxConcurrentReconciles: 1}).
		Complete(r)
}

// turning tells the book of the events that it passes on.
func turning(book *roster.Book, which predicate.Predicate) predicate.Predicate {
	return predicate.And(which, predicate.NewPredicateFuncs(func(client.Object) bool { book.Turn(); return true }))
}

// enrolmentChanged passes updates after which another enrolment counts as managed.
var enrolmentChanged = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	before, after := e.ObjectOld.(*mdmv1alpha1.Device).Status.Enrollment, e.ObjectNew.(*mdmv1alpha1.Device).Status.Enrollment
	return (before == nil) != (after == nil) || before != nil && (before.ID != after.ID || before.State != after.State)
}}

// known maps a row that the server has to the server; a row that is gone is none of the roster's business, so that it may be acked.
func (r *Roster) known(ctx context.Context, e link.Event) []reconcile.Request {
	if s, err := r.Links.Server(e.Server); err == nil && e.Key != "" {
		if _, known := s.Device(e.Key); !known {
			return nil
		}
	}
	return link.ToServer(ctx, e)
}

func ofDevice(_ context.Context, o client.Object) []reconcile.Request {
	return server(o, o.(*mdmv1alpha1.Device).Spec.ServerRef)
}

func ofProfile(_ context.Context, o client.Object) []reconcile.Request {
	return server(o, o.(*mdmv1alpha1.Profile).Spec.ServerRef)
}

func server(o client.Object, ref mdmv1alpha1.LocalReference) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: o.GetNamespace(), Name: ref.Name}}}
}
