package webhooks

import (
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/validate"
)

// +kubebuilder:webhook:path=/validate-mdm-kubemdm-io-v1alpha1-devicecommand,mutating=false,failurePolicy=ignore,sideEffects=None,groups=mdm.kubemdm.io,resources=devicecommands,verbs=create;update,versions=v1alpha1,name=devicecommands.mdm.kubemdm.io,admissionReviewVersions=v1,timeoutSeconds=5

func setupDeviceCommand(mgr ctrl.Manager) error {
	return setup(mgr, &v1alpha1.DeviceCommand{}, validate.DeviceCommand)
}
