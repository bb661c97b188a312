package apnscertificate

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/certs"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/remind"
	"github.com/kubemdm/kubemdm/internal/pushcert"
)

// topic shows the facts of the certificate in use, and refuses another topic than the one that enrolled devices know.
func (r *Reconciler) topic(_ context.Context, s *scope, report *loop.Report) error {
	s.describe()
	switch {
	case s.refused != nil && s.refused.reason == mdmv1alpha1.APNSCertificateTopicChanged:
		report.False(s.refused.reason, "%s", s.refused.message)
	case s.object.Status.Topic == "":
		report.Unknown(mdmv1alpha1.ReasonPending, "there was no certificate yet")
	default:
		report.True(mdmv1alpha1.ReasonReady, "the topic is %s", s.object.Status.Topic)
	}
	return nil
}

// describe puts the certificate in use into the status.
func (s *scope) describe() {
	if s.live == nil {
		return
	}
	status, begin, end := &s.object.Status, metav1.NewTime(s.live.NotBefore), metav1.NewTime(s.live.NotAfter)
	status.Topic, status.NotBefore, status.NotAfter = pushcert.Topic(s.live), &begin, &end
	status.Fingerprint, status.SerialNumber, status.Issuer = certs.Fingerprint(s.live), s.live.SerialNumber.Text(16), s.live.Issuer.CommonName
}

// expiry reminds in time.
func (r *Reconciler) expiry(_ context.Context, s *scope, report *loop.Report) error {
	if s.live == nil {
		report.Unknown(mdmv1alpha1.ReasonPending, "there was no certificate yet")
		return nil
	}
	remind.Ending{
		Condition: mdmv1alpha1.APNSCertificateNotExpiring, Reason: mdmv1alpha1.APNSCertificateExpiring, Cure: renewCure, First: s.object.Spec.RenewBefore.Duration,
	}.Tell(r.Engine, s.object, s.live.NotAfter.Sub(r.Clock.Now()), report)
	return nil
}

// renewCure is how a certificate is renewed, in one line.
const renewCure = "renew it at identity.apple.com with the same Apple Account, by Renew and not by Create; status.nextStep leads through it"

// date is how messages tell a time.
func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }
