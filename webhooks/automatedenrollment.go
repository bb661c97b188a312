package webhooks

import (
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/validate"
)

// +kubebuilder:webhook:path=/validate-mdm-kubemdm-io-v1alpha1-automatedenrollment,mutating=false,failurePolicy=ignore,sideEffects=None,groups=mdm.kubemdm.io,resources=automatedenrollments,verbs=create;update,versions=v1alpha1,name=automatedenrollments.mdm.kubemdm.io,admissionReviewVersions=v1,timeoutSeconds=5

func setupAutomatedEnrollment(mgr ctrl.Manager) error {
	return setup(mgr, &v1alpha1.AutomatedEnrollment{}, validate.AutomatedEnrollment)
}
