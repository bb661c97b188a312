package automatedenrollment

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
)

// firstStep is what a person does when nothing was given yet.
const firstStep = "Save status.publicKeyCertificate as a .pem file, add an MDM server with it at https://business.apple.com (Preferences, Your MDM Servers), " +
	"download its token, put the .p7m file into a Secret, and name that in spec.tokenSecretRef"

// next says in one sentence what a person does now.
func (r *Reconciler) next(_ context.Context, s *scope, _ *loop.Report) error {
	before := s.object.Status.NextStep
	s.object.Status.NextStep = s.nextStep()
	if now := s.object.Status.NextStep; now != before && now != "" {
		r.Events.Eventf(s.object, nil, corev1.EventTypeNormal, mdmv1alpha1.EventNextStep, "Reconcile", "%s", now)
	}
	return nil
}

// nextStep is the cure of the first condition that only a person can mend, "" if there is none.
func (s *scope) nextStep() string {
	for _, name := range []string{
		mdmv1alpha1.AutomatedEnrollmentTokenAccepted, mdmv1alpha1.AutomatedEnrollmentTokenNotExpiring, mdmv1alpha1.AutomatedEnrollmentServiceReachable,
		mdmv1alpha1.AutomatedEnrollmentProfilesDefined,
	} {
		c := meta.FindStatusCondition(s.object.Status.Conditions, name)
		if c != nil && c.Status == "False" && !mdmv1alpha1.Patience(c.Reason) && c.Reason != mdmv1alpha1.AutomatedEnrollmentServiceUnavailable {
			return "See to it: " + c.Message
		}
	}
	if len(s.store.Data[requestPrefix+"tls.crt"]) > 0 {
		return "Upload the new status.publicKeyCertificate to the MDM server in Apple Business Manager, download its token again, and put it into the Secret of " +
			"spec.tokenSecretRef; the pair in use stays until then"
	}
	return ""
}
