package devicecommand

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/apple"
	"github.com/kubemdm/kubemdm/controllers/internal/convert"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/pace"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// +kubebuilder:rbac:groups=mdm.kubemdm.io,resources=devicecommands,verbs=get;list;watch;patch;delete
// +kubebuilder:rbac:groups=mdm.kubemdm.io,resources=devicecommands/status,verbs=patch
// +kubebuilder:rbac:groups=mdm.kubemdm.io,resources=devicecommands/finalizers,verbs=update
// +kubebuilder:rbac:groups=mdm.kubemdm.io,resources=mdmservers;devices,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;create;update
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get

// FieldDevice is the name of the field index by which commands are found that name one Device (see controllers/setup).
const FieldDevice = "spec.target.deviceRef.name"

// IndexDevice are the values of FieldDevice.
func IndexDevice(o client.Object) []string {
	if ref := o.(*mdmv1alpha1.DeviceCommand).Spec.Target.DeviceRef; ref != nil {
		return []string{ref.Name}
	}
	return nil
}

// Reconciler runs DeviceCommands.
type Reconciler struct {
	loop.Engine
	Links *link.Registry
	// Pace spaces the writes of progress.
	Pace *pace.Pace
	// Apple has the sessions with Apple's device-enrolment service.
	Apple *apple.Sessions
}

// scope is what one step hands to the next.
type scope struct {
	command *mdmv1alpha1.DeviceCommand
	key     adminapi.Key
	server  *link.Server
	version int64 // of the action's row
	// refused says why nothing is sent, for good; nil: it is.
	refused *refusal
	targets []adminapi.ActionTarget
	// action is what the server has of the command; nil: nothing yet.
	action *adminapi.ActionStatus
	// late is how long the progress of this version waits until it is written and acked; 0: it was.
	late time.Duration
}

// Reconcile brings one DeviceCommand about. A command that has finished is never sent again, whatever store its server has by then.
func (r *Reconciler) Reconcile(ctx context.Context, c *mdmv1alpha1.DeviceCommand) (ctrl.Result, error) {
	s := &scope{command: c, key: convert.Key(c)}
	steps := []loop.Step{
		s.step(mdmv1alpha1.DeviceCommandAccepted, r.accept),
		s.step(mdmv1alpha1.DeviceCommandPublished, r.publish),
		s.step("", r.space),
		s.step("", r.keepPINs),
		s.step("", r.observe),
		s.step(mdmv1alpha1.DeviceCommandSucceeded, r.succeeded),
		s.step(mdmv1alpha1.DeviceCommandFailed, r.failed),
		s.step("", r.expire),
		s.step("", r.rest),
	}
	switch {
	case c.Status.FinishedAt == nil && c.Spec.Action.Type == mdmv1alpha1.ActionDisown:
		steps = r.disown(s)
	case c.Status.FinishedAt != nil:
		steps = []loop.Step{s.step("", r.acknowledge), s.step("", r.expire), s.step("", r.rest)}
	}
	return r.Run(ctx, c, loop.Spec{
		Steps:    steps,
		Finalize: []loop.Step{s.step(mdmv1alpha1.DeviceCommandPublished, r.cancel)},
		Ready:    []string{mdmv1alpha1.DeviceCommandAccepted, mdmv1alpha1.DeviceCommandPublished},
		Written:  s.settle,
	})
}

// settle acks the version that was read, unless its progress is late.
func (s *scope) settle() {
	if s.server != nil && s.late == 0 {
		s.server.Done(adminapi.KindAction, string(s.key), s.version)
	}
}

func (s *scope) step(condition string, run func(context.Context, *scope, *loop.Report) error) loop.Step {
	return loop.Step{Condition: condition, Run: func(ctx context.Context, report *loop.Report) error { return run(ctx, s, report) }}
}

func (s *scope) name() types.NamespacedName { return client.ObjectKeyFromObject(s.command) }

func (s *scope) serverName() types.NamespacedName {
	return types.NamespacedName{Namespace: s.command.Namespace, Name: s.command.Spec.ServerRef.Name}
}

// connect takes a server. The row's version is read before the row, so that it is never acked for a newer one.
func (s *scope) connect(server *link.Server) {
	s.server, s.version = server, server.Pending(adminapi.KindAction, string(s.key))
}

// SetupWithManager registers the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	changed := predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{})
	return ctrl.NewControllerManagedBy(mgr).Named("devicecommand").
		For(&mdmv1alpha1.DeviceCommand{}, builder.WithPredicates(changed)).
		Watches(&mdmv1alpha1.Device{}, handler.EnqueueRequestsFromMapFunc(r.waiting), builder.WithPredicates(awaited)).
		WatchesRawSource(r.Links.Source(adminapi.KindAction, link.ToNamed(r.Client, &mdmv1alpha1.DeviceCommandList{}))).
		Complete(reconcile.AsReconciler(r.Client, r))
}

// awaited passes Devices for which a command may have waited.
var awaited = predicate.Funcs{
	DeleteFunc: func(event.DeleteEvent) bool { return false },
	UpdateFunc: func(e event.UpdateEvent) bool {
		before, after := e.ObjectOld.(*mdmv1alpha1.Device).Status.Enrollment, e.ObjectNew.(*mdmv1alpha1.Device).Status.Enrollment
		return after != nil && after.State == mdmv1alpha1.EnrollmentEnrolled && (before == nil || before.ID != after.ID || before.State != after.State)
	},
}

// waiting maps a Device to the commands that name it.
func (r *Reconciler) waiting(ctx context.Context, device client.Object) []reconcile.Request {
	commands := &mdmv1alpha1.DeviceCommandList{}
	err := r.Client.List(ctx, commands, client.InNamespace(device.GetNamespace()), client.MatchingFields{FieldDevice: device.GetName()}, client.UnsafeDisableDeepCopy)
	if err != nil {
		log.FromContext(ctx).Error(err, "listing the commands for a Device")
	}
	var requests []reconcile.Request
	for i := range commands.Items {
		if c := &commands.Items[i]; c.Status.FinishedAt == nil {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(c)})
		}
	}
	return requests
}
