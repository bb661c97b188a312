package apnscertificate

import (
	"context"
	"crypto/x509"
	"time"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/owned"
)

// recheck is how often the Secret is looked at again: it is read, never watched, since watching needs the right to list all Secrets.
const recheck = time.Minute

// +kubebuilder:rbac:groups=mdm.kubemdm.io,resources=apnscertificates,verbs=get;list;watch
// +kubebuilder:rbac:groups=mdm.kubemdm.io,resources=apnscertificates/status,verbs=patch
// +kubebuilder:rbac:groups=mdm.kubemdm.io,resources=mdmservers,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get

// Reconciler judges APNSCertificates.
type Reconciler struct {
	loop.Engine
	Links *link.Registry
}

// scope is what one step hands to the next.
type scope struct {
	object *mdmv1alpha1.APNSCertificate
	leaf   *x509.Certificate
}

// Reconcile judges one APNSCertificate.
func (r *Reconciler) Reconcile(ctx context.Context, c *mdmv1alpha1.APNSCertificate) (ctrl.Result, error) {
	s := &scope{object: c}
	return r.Run(ctx, c, loop.Spec{
		Steps: []loop.Step{
			s.step(mdmv1alpha1.APNSCertificatePushAccepted, r.accepted),
			s.step(mdmv1alpha1.APNSCertificateValid, r.valid),
			s.step(mdmv1alpha1.APNSCertificateTopicUnchanged, r.topic),
			s.step(mdmv1alpha1.APNSCertificateNotExpiring, r.expiry),
		},
		Ready: []string{mdmv1alpha1.APNSCertificateValid, mdmv1alpha1.APNSCertificateTopicUnchanged},
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

// accepted sums up what the servers that use the certificate hear from Apple.
func (r *Reconciler) accepted(ctx context.Context, s *scope, report *loop.Report) error {
	servers := &mdmv1alpha1.MDMServerList{}
	err := r.Client.List(ctx, servers, client.InNamespace(s.object.Namespace), client.MatchingFields{owned.FieldAPNSCertificate: s.object.Name})
	if err != nil {
		return err
	}
	if len(servers.Items) == 0 {
		report.Unknown(mdmv1alpha1.APNSCertificateNotUsed, "no server uses the certificate; name it in spec.apple.apnsCertificateRef of an MDMServer")
		return nil
	}
	report.Unknown(mdmv1alpha1.APNSCertificateNoPushYet, "no push was sent with it yet")
	for i := range servers.Items {
		server, err := r.Links.Server(client.ObjectKeyFromObject(&servers.Items[i]))
		if err != nil {
			continue // its own condition says so
		}
		push := server.Info().Push
		if push.Paused {
			report.False(mdmv1alpha1.APNSCertificatePushRefused, "Apple refuses pushes of the server %s (%s): %s", servers.Items[i].Name, push.Reason, push.Message)
			return nil
		}
		if !push.LastAccepted.IsZero() {
			report.True(mdmv1alpha1.APNSCertificateAccepted, "Apple takes pushes")
		}
	}
	return nil
}
