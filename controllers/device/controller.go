package device

import (
	"context"

	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/roster"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// +kubebuilder:rbac:groups=mdm.kubemdm.io,resources=devices,verbs=get;list;watch;patch;delete
// +kubebuilder:rbac:groups=mdm.kubemdm.io,resources=devices/status,verbs=patch
// +kubebuilder:rbac:groups=mdm.kubemdm.io,resources=mdmservers,verbs=get;list;watch

// Reconciler brings what a server knows of a device to its Device, and what is wanted of the enrolment to the server.
type Reconciler struct {
	loop.Engine
	Links *link.Registry
}

// scope is what one step hands to the next.
type scope struct {
	object *mdmv1alpha1.Device
	// newborn: it was made by the operator and has no status yet.
	newborn bool
	server  *link.Server
	// device is what the server knows of it; nil if it knows nothing. version is that of its row.
	device  *adminapi.Device
	version int64
	// news are told once the status is written.
	news []news
}

// Reconcile brings one Device about.
func (r *Reconciler) Reconcile(ctx context.Context, d *mdmv1alpha1.Device) (ctrl.Result, error) {
	s := &scope{object: d, newborn: roster.Discovered(d) && len(d.Status.Conditions) == 0}
	return r.Run(ctx, d, loop.Spec{
		Steps: []loop.Step{
			s.step(mdmv1alpha1.DeviceMatched, r.match),
			s.step("", r.observe),
			s.step(mdmv1alpha1.DeviceEnrolled, r.enrolled),
			s.step(mdmv1alpha1.DeviceResponding, r.responding),
			s.step(mdmv1alpha1.DeviceProfilesApplied, r.profilesApplied),
			s.step(mdmv1alpha1.DeviceConfigured, r.configured),
			s.step(mdmv1alpha1.DeviceReenrolmentBlocked, r.reenrolmentBlocked),
			s.step(mdmv1alpha1.DeviceRenewalDue, r.renewalDue),
			s.step("", r.label),
			s.step(mdmv1alpha1.DevicePublished, r.publish),
		},
		Finalize: []loop.Step{s.step(mdmv1alpha1.DevicePublished, r.handOver)},
		Ready:    []string{mdmv1alpha1.DeviceMatched, mdmv1alpha1.DevicePublished},
		Written:  func() { r.settle(s) },
	})
}

// settle tells what is new and acks the version that was read.
func (r *Reconciler) settle(s *scope) {
	for _, n := range s.news {
		r.Events.Eventf(s.object, nil, n.eventType, n.reason, "Reconcile", "%s", n.note)
	}
	if s.device != nil {
		s.server.Done(adminapi.KindDevice, s.device.ID, s.version)
	}
}

func (s *scope) step(condition string, run func(context.Context, *scope, *loop.Report) error) loop.Step {
	return loop.Step{Condition: condition, Run: func(ctx context.Context, report *loop.Report) error { return run(ctx, s, report) }}
}

// find looks the device up at the server. The version is read before the row, so that it is never acked for a newer one.
func (s *scope) find() {
	found, ok := roster.Find(s.server, s.object)
	if !ok {
		return
	}
	s.version = s.server.Pending(adminapi.KindDevice, found.ID)
	if found, ok = s.server.Device(found.ID); ok {
		s.device = &found
	}
}

// SetupWithManager registers the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	changed := predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}, predicate.LabelChangedPredicate{})
	appeared := predicate.Funcs{UpdateFunc: func(event.UpdateEvent) bool { return false }}
	return ctrl.NewControllerManagedBy(mgr).Named("device").
		Watches(&mdmv1alpha1.Device{}, &own{}, builder.WithPredicates(changed)).
		Watches(&mdmv1alpha1.Device{}, handler.EnqueueRequestsFromMapFunc(r.rivals), builder.WithPredicates(appeared)).
		WatchesRawSource(r.Links.Source(adminapi.KindDevice, r.claimants)).
		Complete(reconcile.AsReconciler(r.Client, r))
}

// own enqueues a Device itself. One that the operator made for a device that enrolled comes after what people do, as all that servers say.
type own struct {
	handler.EnqueueRequestForObject
}

// Create implements handler.EventHandler.
func (o *own) Create(ctx context.Context, e event.CreateEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	if roster.Discovered(e.Object.(*mdmv1alpha1.Device)) && !e.IsInInitialList {
		link.AfterPeople(q, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(e.Object)})
		return
	}
	o.EnqueueRequestForObject.Create(ctx, e, q)
}

// rivals maps a Device that came or went to the others that claim its device: another one may speak for it now.
func (r *Reconciler) rivals(ctx context.Context, o client.Object) []reconcile.Request {
	rivals, err := roster.Rivals(ctx, r.Client, o.(*mdmv1alpha1.Device), nil)
	return requests(ctx, rivals, err)
}

// claimants maps a row of a server to the Devices that claim it.
func (r *Reconciler) claimants(ctx context.Context, e link.Event) []reconcile.Request {
	if e.Key == "" {
		return link.ToNamed(r.Client, &mdmv1alpha1.DeviceList{})(ctx, e)
	}
	server, err := r.Links.Server(e.Server)
	if err != nil {
		return nil // all of its Devices are looked at again once it is connected
	}
	claimants, err := roster.Claimants(ctx, r.Client, e.Server, server, e.Key)
	return requests(ctx, claimants, err)
}

func requests(ctx context.Context, devices []*mdmv1alpha1.Device, err error) []reconcile.Request {
	if err != nil {
		log.FromContext(ctx).Error(err, "mapping an event to Devices")
	}
	var all []reconcile.Request
	for _, d := range devices {
		all = append(all, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(d)})
	}
	return all
}
