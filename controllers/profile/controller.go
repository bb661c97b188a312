package profile

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/convert"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/pace"
	"github.com/kubemdm/kubemdm/controllers/internal/roster"
	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/payload/content"
	"github.com/kubemdm/kubemdm/internal/validate"
)

// +kubebuilder:rbac:groups=mdm.kubemdm.io,resources=profiles,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=mdm.kubemdm.io,resources=profiles/status,verbs=patch
// +kubebuilder:rbac:groups=mdm.kubemdm.io,resources=mdmservers;devices,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets;configmaps,verbs=get

// Reconciler publishes Profiles.
type Reconciler struct {
	loop.Engine
	Links *link.Registry
	Book  *roster.Book
	// Pace spaces the writes of counters.
	Pace *pace.Pace
}

// scope is what one step hands to the next.
type scope struct {
	profile  *mdmv1alpha1.Profile
	key      adminapi.Key
	server   *link.Server
	version  int64 // of the artifact's row
	rendered *content.Rendered
	artifact *adminapi.ArtifactStatus
	groups   []roster.Group
	decision roster.Decision
	// late is how long the counters of this version wait until they are written and acked; 0: they were.
	late time.Duration
}

// Reconcile brings one Profile about.
func (r *Reconciler) Reconcile(ctx context.Context, p *mdmv1alpha1.Profile) (ctrl.Result, error) {
	s := &scope{profile: p, key: convert.Key(p)}
	return r.Run(ctx, p, loop.Spec{
		Steps: []loop.Step{
			s.step(mdmv1alpha1.ProfileAccepted, r.accept),
			s.step(mdmv1alpha1.ProfileRendered, r.render),
			s.step(mdmv1alpha1.ProfilePublished, r.publish),
			s.step(mdmv1alpha1.ProfileRemovalHeld, r.hold),
			s.step(mdmv1alpha1.ProfileConverged, r.count),
		},
		Finalize: []loop.Step{s.step(mdmv1alpha1.ProfilePublished, r.withdraw)},
		Ready:    []string{mdmv1alpha1.ProfileAccepted, mdmv1alpha1.ProfileRendered, mdmv1alpha1.ProfilePublished},
		Written:  s.settle,
	})
}

// settle acks the version that was read, unless its progress is late.
func (s *scope) settle() {
	if s.server != nil && s.late == 0 {
		s.server.Done(adminapi.KindArtifact, string(s.key), s.version)
	}
}

func (s *scope) step(condition string, run func(context.Context, *scope, *loop.Report) error) loop.Step {
	return loop.Step{Condition: condition, Run: func(ctx context.Context, report *loop.Report) error { return run(ctx, s, report) }}
}

func (s *scope) serverName() types.NamespacedName {
	return types.NamespacedName{Namespace: s.profile.Namespace, Name: s.profile.Spec.ServerRef.Name}
}

// accept judges the spec and finds the server. The row's version is read before the row, so that it is never acked for a newer one.
func (r *Reconciler) accept(ctx context.Context, s *scope, report *loop.Report) error {
	valid := loop.Admit(mdmv1alpha1.ProfileAccepted, func() field.ErrorList { return validate.Profile(s.profile) })
	err := valid.Run(ctx, report)
	if err != nil {
		return err
	}
	s.server, err = r.Links.Await(ctx, r.Client, s.profile, s.profile.Spec.ServerRef.Name, mdmv1alpha1.ProfileAccepted, report)
	if err != nil {
		return err
	}
	s.version = s.server.Pending(adminapi.KindArtifact, string(s.key))
	return nil
}

// SetupWithManager registers the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	changed := predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{})
	return ctrl.NewControllerManagedBy(mgr).Named("profile").
		For(&mdmv1alpha1.Profile{}, builder.WithPredicates(changed)).
		WatchesRawSource(r.Links.Source(adminapi.KindArtifact, link.ToNamed(r.Client, &mdmv1alpha1.ProfileList{}))).
		Complete(reconcile.AsReconciler(r.Client, r))
}
