package device

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// renewalDue warns of a PC that has not renewed its certificate: Windows does that by itself, and nobody can do it for it. A PC that was off when the
// time came is given half of the time until it is called late.
func (r *Reconciler) renewalDue(ctx context.Context, s *scope, report *loop.Report) error {
	d := s.device
	if d == nil || d.Platform != adminapi.PlatformWindows || d.State != adminapi.DeviceEnrolled || d.IdentityNotAfter.IsZero() {
		return nil
	}
	server := &mdmv1alpha1.MDMServer{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: s.object.Namespace, Name: s.object.Spec.ServerRef.Name}, server)
	if err != nil || server.Spec.Windows == nil {
		return client.IgnoreNotFound(err)
	}
	now, end := r.Clock.Now(), d.IdentityNotAfter
	late := end.Add(-server.Spec.Windows.Identity.RenewBefore.Duration / 2)
	switch {
	case !now.Before(end):
		report.True(mdmv1alpha1.DeviceIdentityExpired, "the device's certificate expired at %s: enrol the device again", end.UTC().Format(time.RFC3339))
	case !now.Before(late):
		report.True(mdmv1alpha1.DeviceRenewalLate, "the device has not renewed its certificate, which expires at %s: see that it is on and reaches the server, or it must enrol again",
			end.UTC().Format(time.RFC3339))
		report.Again(end.Sub(now))
	default:
		report.Again(late.Sub(now))
	}
	return nil
}
