package mdmserver

import (
	"context"
	"crypto/x509"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
	"github.com/kubemdm/kubemdm/controllers/internal/certs"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/owned"
	"github.com/kubemdm/kubemdm/internal/validate"
)

// +kubebuilder:rbac:groups=mdm.kubemdm.io,resources=mdmservers,verbs=get;list;watch
// +kubebuilder:rbac:groups=mdm.kubemdm.io,resources=mdmservers/status,verbs=patch
// +kubebuilder:rbac:groups=mdm.kubemdm.io,resources=mdmservers/finalizers,verbs=update
// +kubebuilder:rbac:groups=mdm.kubemdm.io,resources=apnscertificates,verbs=get;list;watch
// +kubebuilder:rbac:groups=apps,resources=statefulsets;deployments,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=discovery.k8s.io,resources=endpointslices,verbs=list
// +kubebuilder:rbac:groups="",resources=services;configmaps,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;create;update;patch
// +kubebuilder:rbac:groups="",resources=persistentvolumeclaims,verbs=get
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups=networking.k8s.io,resources=ingresses,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=tlsroutes,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=cert-manager.io,resources=issuers,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups=cert-manager.io,resources=certificates,verbs=get;list;watch;create;patch;delete

// Reconciler runs MDMServers.
type Reconciler struct {
	loop.Engine
	Links *link.Registry
	// Image is the server image that belongs to this manager.
	Image string
	// Namespace is where the manager runs.
	Namespace string
	// Roots are the public CAs; nil: those of the system.
	Roots *x509.CertPool
}

// scope is what one step hands to the next.
type scope struct {
	server owned.Server
	// certificate is the APNSCertificate that the server uses, nil if there is none.
	certificate *mdmv1alpha1.APNSCertificate
	client      *corev1.Secret // the manager's certificate for the internal API
	serving     *certs.Pair
	// wrong is what is wrong with what people give the server to reach its database, or nil.
	wrong   *fault
	answers *link.Answers // nil while the server cannot be reached
	// connecting is true until the first attempt to reach the server has ended.
	connecting bool
}

// Reconcile brings one MDMServer about.
func (r *Reconciler) Reconcile(ctx context.Context, request reconcile.Request) (ctrl.Result, error) {
	server := &mdmv1alpha1.MDMServer{}
	err := r.Client.Get(ctx, request.NamespacedName, server)
	if apierrors.IsNotFound(err) {
		r.Links.Disconnect(request.NamespacedName)
	}
	if err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	s := &scope{server: owned.Server{MDMServer: server, Image: r.Image, ManagerNamespace: r.Namespace}}
	if s.certificate, err = r.pushCertificate(ctx, server); err != nil {
		return ctrl.Result{}, err
	}
	if s.server.AWSRole, err = r.awsRole(ctx, s.certificate); err != nil {
		return ctrl.Result{}, err
	}
	if s.server.DatabasePorts, s.wrong, err = r.database(ctx, server); err != nil {
		return ctrl.Result{}, err
	}
	if server.Spec.Image != "" {
		s.server.Image = server.Spec.Image
	}
	return r.Run(ctx, server, loop.Spec{
		Steps: []loop.Step{
			loop.Admit("", func() field.ErrorList { return validate.MDMServer(server) }),
			s.step(mdmv1alpha1.MDMServerCredentialsReady, r.credentials),
			s.step(mdmv1alpha1.MDMServerCertificatesReady, r.certificates),
			s.step(mdmv1alpha1.MDMServerDeployed, r.deploy),
			s.step(mdmv1alpha1.MDMServerReachable, r.reach),
			s.step(mdmv1alpha1.MDMServerPubliclyTrusted, r.trust),
			s.step(mdmv1alpha1.MDMServerPushReady, r.push),
			s.step(mdmv1alpha1.MDMServerEnrollmentPageReady, r.page),
			s.step(mdmv1alpha1.MDMServerStoreReady, r.store),
		},
		Ready: []string{
			mdmv1alpha1.MDMServerCredentialsReady, mdmv1alpha1.MDMServerCertificatesReady,
			mdmv1alpha1.MDMServerDeployed, mdmv1alpha1.MDMServerReachable, mdmv1alpha1.MDMServerStoreReady,
			mdmv1alpha1.MDMServerReachable, // once more: when all are True, the last lends its message
		},
	})
}

func (s *scope) step(condition string, run func(context.Context, *scope, *loop.Report) error) loop.Step {
	return loop.Step{Condition: condition, Run: func(ctx context.Context, report *loop.Report) error { return run(ctx, s, report) }}
}

// SetupWithManager registers the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	// Not its own status: the counts in it change all the time while devices are busy, and are read once a minute.
	changed := predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{})
	b := ctrl.NewControllerManagedBy(mgr).Named("mdmserver").For(&mdmv1alpha1.MDMServer{}, builder.WithPredicates(changed)).
		Owns(&appsv1.StatefulSet{}).Owns(&appsv1.Deployment{}).Owns(&corev1.Service{}).Owns(&corev1.ConfigMap{}).
		Owns(&networkingv1.NetworkPolicy{}).Owns(&networkingv1.Ingress{}).Owns(&policyv1.PodDisruptionBudget{}).
		Owns(&cmapi.Certificate{}).Owns(&cmapi.Issuer{}).
		Watches(&mdmv1alpha1.APNSCertificate{}, handler.EnqueueRequestsFromMapFunc(r.users)).
		WatchesRawSource(r.Links.Source(link.KindServer, link.ToExisting(r.Client)))
	if routes, err := gatewayInstalled(mgr.GetRESTMapper()); err != nil {
		return err
	} else if routes {
		b = b.Owns(tlsRoute())
	}
	return b.Complete(r)
}

// users maps an APNSCertificate to the servers that use it.
func (r *Reconciler) users(ctx context.Context, certificate client.Object) []reconcile.Request {
	servers := &mdmv1alpha1.MDMServerList{}
	err := r.Client.List(ctx, servers, client.InNamespace(certificate.GetNamespace()), client.MatchingFields{owned.FieldAPNSCertificate: certificate.GetName()})
	if err != nil {
		log.FromContext(ctx).Error(err, "listing the servers that use an APNSCertificate")
		return nil
	}
	var requests []reconcile.Request
	for _, s := range servers.Items {
		requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: s.Namespace, Name: s.Name}})
	}
	return requests
}
