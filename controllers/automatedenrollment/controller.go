package automatedenrollment

import (
	"context"
	"errors"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/apple"
	"github.com/kubemdm/kubemdm/controllers/internal/convert"
	"github.com/kubemdm/kubemdm/controllers/internal/keyring"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/validate"
)

// recheck is how often Secrets are looked at again: they are read, never watched, since watching needs the right to list all Secrets.
const recheck = time.Minute

// +kubebuilder:rbac:groups=mdm.kubemdm.io,resources=automatedenrollments,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=mdm.kubemdm.io,resources=automatedenrollments/status,verbs=patch
// +kubebuilder:rbac:groups=mdm.kubemdm.io,resources=automatedenrollments/finalizers,verbs=update
// +kubebuilder:rbac:groups=mdm.kubemdm.io,resources=devices,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups=mdm.kubemdm.io,resources=mdmservers,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;create;update
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get

// Reconciler looks after AutomatedEnrollments. It runs in the leader alone, which therefore alone talks to Apple.
type Reconciler struct {
	loop.Engine
	Links *link.Registry
	// Apple takes the sessions with Apple, for other controllers to use.
	Apple *apple.Sessions

	accounts sync.Map // types.NamespacedName -> *account
}

// scope is what one step hands to the next.
type scope struct {
	object  *mdmv1alpha1.AutomatedEnrollment
	store   *keyring.Keyring
	account *account
	server  *mdmv1alpha1.MDMServer
	// fresh says that the list in the account is what Apple said last; nothing is done for devices without.
	fresh bool
	// cut is why Apple is not asked any more in this pass, nil while it answers.
	cut *outage
	// plan is what each listed device should have, nil until every one has its Device.
	plan *plan
}

// Reconcile brings one AutomatedEnrollment on.
func (r *Reconciler) Reconcile(ctx context.Context, a *mdmv1alpha1.AutomatedEnrollment) (ctrl.Result, error) {
	key := client.ObjectKeyFromObject(a)
	kept, _ := r.accounts.LoadOrStore(key, &account{})
	s := &scope{object: a, account: kept.(*account)}
	return r.Run(ctx, a, loop.Spec{
		Steps: []loop.Step{
			loop.Admit("", func() field.ErrorList { return validate.AutomatedEnrollment(a) }),
			s.step(mdmv1alpha1.AutomatedEnrollmentKeyReady, r.keys),
			s.step(mdmv1alpha1.AutomatedEnrollmentTokenAccepted, r.token),
			s.step(mdmv1alpha1.AutomatedEnrollmentTokenNotExpiring, r.expiry),
			s.step(mdmv1alpha1.AutomatedEnrollmentServiceReachable, r.sync),
			s.step(mdmv1alpha1.AutomatedEnrollmentProfilesDefined, r.define),
			s.step(mdmv1alpha1.AutomatedEnrollmentDevicesSynced, r.devices),
			s.step(mdmv1alpha1.AutomatedEnrollmentPublished, r.publish),
			s.step(mdmv1alpha1.AutomatedEnrollmentDevicesAssigned, r.assign),
			s.step("", r.next),
		},
		Finalize: []loop.Step{s.step(mdmv1alpha1.AutomatedEnrollmentPublished, r.withdraw)},
		Ready: []string{
			mdmv1alpha1.AutomatedEnrollmentTokenAccepted, mdmv1alpha1.AutomatedEnrollmentServiceReachable, mdmv1alpha1.AutomatedEnrollmentProfilesDefined,
			mdmv1alpha1.AutomatedEnrollmentDevicesSynced, mdmv1alpha1.AutomatedEnrollmentPublished, mdmv1alpha1.AutomatedEnrollmentDevicesAssigned,
		},
	})
}

func (s *scope) step(condition string, run func(context.Context, *scope, *loop.Report) error) loop.Step {
	return loop.Step{Condition: condition, Run: func(ctx context.Context, report *loop.Report) error { return run(ctx, s, report) }}
}

func (s *scope) key() adminapi.Key { return convert.Key(s.object) }

func (s *scope) serverKey() types.NamespacedName {
	return types.NamespacedName{Namespace: s.object.Namespace, Name: s.object.Spec.ServerRef.Name}
}

// withdraw makes the server forget which devices may enrol this way. A server that is gone needs no telling.
func (r *Reconciler) withdraw(ctx context.Context, s *scope, report *loop.Report) error {
	session, err := r.Links.Find(ctx, r.Client, s.object.Namespace, s.object.Spec.ServerRef.Name)
	if errors.Is(err, link.ErrNotFound) {
		report.False(mdmv1alpha1.ReasonServerNotFound, "the MDMServer %s is gone, so there is nothing to withdraw the devices from", s.object.Spec.ServerRef.Name)
		err = nil
	} else if err == nil {
		err = session.Client().DeleteAutomated(ctx, s.key())
	}
	if err == nil {
		r.accounts.Delete(client.ObjectKeyFromObject(s.object))
		r.Apple.Open(client.ObjectKeyFromObject(s.object), nil)
	}
	return link.Halt(err)
}

// SetupWithManager registers the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	relabelled := predicate.Or[client.Object](predicate.LabelChangedPredicate{}, predicate.GenerationChangedPredicate{})
	return ctrl.NewControllerManagedBy(mgr).Named("automatedenrollment").For(&mdmv1alpha1.AutomatedEnrollment{}).
		Watches(&mdmv1alpha1.Device{}, handler.EnqueueRequestsFromMapFunc(r.ofDevice), builder.WithPredicates(relabelled)).
		Watches(&mdmv1alpha1.MDMServer{}, handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) []reconcile.Request {
			return r.ofServer(ctx, client.ObjectKeyFromObject(o))
		}), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesRawSource(r.Links.Source(link.KindServer, func(ctx context.Context, e link.Event) []reconcile.Request { return r.ofServer(ctx, e.Server) })).
		Complete(reconcile.AsReconciler(r.Client, r))
}

// ofDevice maps a Device to the AutomatedEnrollment that lists it, or to all of its server: one of them may be about to.
func (r *Reconciler) ofDevice(ctx context.Context, o client.Object) []reconcile.Request {
	d := o.(*mdmv1alpha1.Device)
	if name := d.Labels[mdmv1alpha1.LabelAutomatedEnrollment]; name != "" {
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: d.Namespace, Name: name}}}
	}
	return r.ofServer(ctx, types.NamespacedName{Namespace: d.Namespace, Name: d.Spec.ServerRef.Name})
}

// ofServer lists the AutomatedEnrollments of a server.
func (r *Reconciler) ofServer(ctx context.Context, server types.NamespacedName) []reconcile.Request {
	all := &mdmv1alpha1.AutomatedEnrollmentList{}
	err := r.Client.List(ctx, all, client.InNamespace(server.Namespace), client.MatchingFields{link.FieldServer: server.Name}, client.UnsafeDisableDeepCopy)
	if err != nil {
		log.FromContext(ctx).Error(err, "listing the AutomatedEnrollments of a server")
		return nil
	}
	var requests []reconcile.Request
	for i := range all.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&all.Items[i])})
	}
	return requests
}
