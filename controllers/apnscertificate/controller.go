package apnscertificate

import (
	"context"
	"crypto/x509"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/owned"
	"github.com/kubemdm/kubemdm/internal/pushcert"
	"github.com/kubemdm/kubemdm/internal/validate"
)

// recheck is how often Secrets are looked at again: they are read, never watched, since watching needs the right to list all Secrets.
const recheck = time.Minute

// +kubebuilder:rbac:groups=mdm.kubemdm.io,resources=apnscertificates,verbs=get;list;watch
// +kubebuilder:rbac:groups=mdm.kubemdm.io,resources=apnscertificates/status,verbs=patch
// +kubebuilder:rbac:groups=mdm.kubemdm.io,resources=mdmservers,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;create;update
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get

// Reconciler brings APNSCertificates from their first request through every renewal.
type Reconciler struct {
	loop.Engine
	Links *link.Registry
}

// scope is what one step hands to the next.
type scope struct {
	object *mdmv1alpha1.APNSCertificate
	store  store
	live   *x509.Certificate        // the certificate in use, nil before the first one
	csr    *x509.CertificateRequest // the request that waits, nil if none does
	// keyless is why there is no key to request a certificate with.
	keyless *problem
	// unsigned is why the request that waits cannot be uploaded, refused why the newest certificate that was given is not in use.
	unsigned, refused *problem
}

// problem is the error of what keeps an object from being Ready. One of patience is part of the ordinary way, any other one is a mistake that a
// person corrects.
type problem struct{ reason, message string }

func (p *problem) Error() string { return p.message }

// problemOf returns the problem in an error, nil if it is another one, such as the API server's.
func problemOf(err error) *problem {
	var p *problem
	if errors.As(err, &p) {
		return p
	}
	return nil
}

// because says what the problem is with.
func because(what string, r *pushcert.Refusal) *problem {
	return &problem{r.Reason, what + r.Message}
}

// Reconcile brings one APNSCertificate on.
func (r *Reconciler) Reconcile(ctx context.Context, c *mdmv1alpha1.APNSCertificate) (ctrl.Result, error) {
	s := &scope{object: c}
	return r.Run(ctx, c, loop.Spec{
		Steps: []loop.Step{
			loop.Admit("", func() field.ErrorList { return validate.APNSCertificate(c) }),
			s.step(mdmv1alpha1.APNSCertificatePushAccepted, r.accepted),
			s.step(mdmv1alpha1.APNSCertificateKeyReady, r.keys),
			s.step(mdmv1alpha1.APNSCertificateIssued, r.issue), // which may end the request that waits
			s.step(mdmv1alpha1.APNSCertificateCSRReady, r.request),
			s.step(mdmv1alpha1.APNSCertificateVendorSigned, r.sign),
			s.step(mdmv1alpha1.APNSCertificateUploaded, r.uploaded),
			s.step(mdmv1alpha1.APNSCertificateTopicUnchanged, r.topic),
			s.step(mdmv1alpha1.APNSCertificateNotExpiring, r.expiry),
			s.step("", r.next),
		},
		Ready: []string{mdmv1alpha1.APNSCertificateIssued, mdmv1alpha1.APNSCertificateTopicUnchanged},
	})
}

func (s *scope) step(condition string, run func(context.Context, *scope, *loop.Report) error) loop.Step {
	return loop.Step{Condition: condition, Run: func(ctx context.Context, report *loop.Report) error { return run(ctx, s, report) }}
}

// SetupWithManager registers the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).Named("apnscertificate").For(&mdmv1alpha1.APNSCertificate{}).
		Watches(&mdmv1alpha1.MDMServer{}, handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) []reconcile.Request {
			return used(o.(*mdmv1alpha1.MDMServer))
		})).
		WatchesRawSource(r.Links.Source(link.KindServer, r.usedBy)).
		Complete(reconcile.AsReconciler(r.Client, r))
}

// usedBy maps the event of a server to the certificate that it uses.
func (r *Reconciler) usedBy(ctx context.Context, e link.Event) []reconcile.Request {
	server := &mdmv1alpha1.MDMServer{}
	if err := r.Client.Get(ctx, e.Server, server); err != nil {
		if client.IgnoreNotFound(err) != nil {
			log.FromContext(ctx).Error(err, "reading a server")
		}
		return nil
	}
	return used(server)
}

func used(server *mdmv1alpha1.MDMServer) []reconcile.Request {
	ref := server.APNSCertificate()
	if ref == nil {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: server.Namespace, Name: ref.Name}}}
}

// users lists the servers that use the certificate.
func (r *Reconciler) users(ctx context.Context, s *scope) ([]mdmv1alpha1.MDMServer, error) {
	servers := &mdmv1alpha1.MDMServerList{}
	err := r.Client.List(ctx, servers, client.InNamespace(s.object.Namespace), client.MatchingFields{owned.FieldAPNSCertificate: s.object.Name})
	return servers.Items, err
}
