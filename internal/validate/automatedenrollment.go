package validate

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/keys/keyuri"
)

// AutomatedEnrollment checks the URI of a key in a KMS, the labels and selectors, and that no Secret that is given is the operator's own.
func AutomatedEnrollment(a *v1alpha1.AutomatedEnrollment) field.ErrorList {
	spec := field.NewPath("spec")
	errs := deviceLabels(a.Spec.DeviceLabels, spec.Child("deviceLabels"))
	if kms := a.Spec.KeyStorage.KMS; kms != nil {
		if err := keyuri.Check(kms.URI); err != nil {
			errs = append(errs, field.Invalid(spec.Child("keyStorage", "kms", "uri"), kms.URI, err.Error()))
		}
	}
	if ref := a.Spec.TokenSecretRef; ref != nil && ref.Name == a.KeySecretName() {
		errs = append(errs, field.Invalid(spec.Child("tokenSecretRef", "name"), ref.Name,
			fmt.Sprintf("the operator keeps its own keys in the Secret %s: give another one", ref.Name)))
	}
	for i := range a.Spec.Profiles {
		if _, err := metav1.LabelSelectorAsSelector(a.Spec.Profiles[i].Selector); err != nil {
			errs = append(errs, field.Invalid(spec.Child("profiles").Index(i).Child("selector"), a.Spec.Profiles[i].Selector, err.Error()))
		}
	}
	return errs
}
