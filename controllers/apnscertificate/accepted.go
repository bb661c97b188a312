package apnscertificate

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
)

// accepted sums up what the servers that use the certificate hear from Apple.
func (r *Reconciler) accepted(ctx context.Context, s *scope, report *loop.Report) error {
	servers, err := r.users(ctx, s)
	if err != nil {
		return err
	}
	if len(servers) == 0 {
		report.Unknown(mdmv1alpha1.APNSCertificateNotUsed, "no server uses the certificate; name it in spec.apple.apnsCertificateRef of an MDMServer")
		return nil
	}
	report.Unknown(mdmv1alpha1.APNSCertificateNoPushYet, "no push was sent with it yet")
	for i := range servers {
		server, err := r.Links.Server(client.ObjectKeyFromObject(&servers[i]))
		if err != nil {
			continue // its own condition says so
		}
		push := server.Info().Push
		if push.Paused {
			report.False(mdmv1alpha1.APNSCertificatePushRefused, "Apple refuses pushes of the server %s (%s): %s", servers[i].Name, push.Reason, push.Message)
			return nil
		}
		if !push.LastAccepted.IsZero() {
			report.True(mdmv1alpha1.APNSCertificateAccepted, "Apple takes pushes")
		}
	}
	return nil
}
