package enrollmenttoken

import (
	"context"
	"errors"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// +kubebuilder:rbac:groups=mdm.kubemdm.io,resources=enrollmenttokens,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=mdm.kubemdm.io,resources=enrollmenttokens/status,verbs=patch
// +kubebuilder:rbac:groups=mdm.kubemdm.io,resources=enrollmenttokens/finalizers,verbs=update
// +kubebuilder:rbac:groups=mdm.kubemdm.io,resources=mdmservers;devices,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;create;update

// Reconciler publishes EnrollmentTokens.
type Reconciler struct {
	loop.Engine
	Links *link.Registry

	// sent remembers, by key, what was PUT in which session, so that nothing is PUT twice.
	sent sync.Map
}

// scope is what one step hands to the next.
type scope struct {
	token *mdmv1alpha1.EnrollmentToken
	hash  string // lower-case hex SHA-256 of the token
	uses  int
}

func (s *scope) key() adminapi.Key { return adminapi.Key(s.token.Namespace + "/" + s.token.Name) }

// Reconcile publishes one EnrollmentToken.
func (r *Reconciler) Reconcile(ctx context.Context, t *mdmv1alpha1.EnrollmentToken) (ctrl.Result, error) {
	s := &scope{token: t}
	spec := loop.Spec{
		Steps: []loop.Step{
			s.step(mdmv1alpha1.EnrollmentTokenPublished, r.publish),
			s.step(mdmv1alpha1.EnrollmentTokenUsable, r.count),
		},
		Finalize: []loop.Step{s.step(mdmv1alpha1.EnrollmentTokenPublished, r.withdraw)},
		Ready:    []string{mdmv1alpha1.EnrollmentTokenPublished},
	}
	if server, err := r.Links.Server(s.serverKey()); err == nil {
		version := server.Pending(adminapi.KindToken, string(s.key()))
		spec.Written = func() { server.Done(adminapi.KindToken, string(s.key()), version) }
	}
	return r.Run(ctx, t, spec)
}

func (s *scope) step(condition string, run func(context.Context, *scope, *loop.Report) error) loop.Step {
	return loop.Step{Condition: condition, Run: func(ctx context.Context, report *loop.Report) error { return run(ctx, s, report) }}
}

func (s *scope) serverKey() types.NamespacedName {
	return types.NamespacedName{Namespace: s.token.Namespace, Name: s.token.Spec.ServerRef.Name}
}

// SetupWithManager registers the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).Named("enrollmenttoken").For(&mdmv1alpha1.EnrollmentToken{}).
		WatchesRawSource(r.Links.Source(adminapi.KindToken, link.ToNamed(r.Client, &mdmv1alpha1.EnrollmentTokenList{}))).
		Complete(reconcile.AsReconciler(r.Client, r))
}

// withdraw makes the token unusable at the server. A server that is gone needs no telling.
func (r *Reconciler) withdraw(ctx context.Context, s *scope, report *loop.Report) error {
	r.sent.Delete(s.key())
	session, err := r.Links.Find(ctx, r.Client, s.token.Namespace, s.token.Spec.ServerRef.Name)
	if errors.Is(err, link.ErrNotFound) {
		report.False(mdmv1alpha1.ReasonServerNotFound, "the MDMServer %s is gone, so there is nothing to withdraw the token from", s.token.Spec.ServerRef.Name)
		return nil
	}
	if err != nil {
		return link.Halt(err)
	}
	return link.Halt(session.DeleteToken(ctx, s.key()))
}
