package validate

import (
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/payload/apple"
)

// Profile checks the selectors and, as far as it stands in the Profile itself, that the content makes a configuration profile. What comes
// from ConfigMaps and Secrets is checked when it is rendered.
func Profile(p *v1alpha1.Profile) field.ErrorList {
	spec := field.NewPath("spec")
	errs := metav1validation.ValidateLabelSelector(p.Spec.Selector, metav1validation.LabelSelectorValidationOptions{}, spec.Child("selector"))
	errs = append(errs, metav1validation.ValidateLabelSelector(
		p.Spec.ExcludeSelector, metav1validation.LabelSelectorValidationOptions{}, spec.Child("excludeSelector"))...)

	source := spec.Child("apple")
	switch {
	case p.Spec.Apple.Payloads != nil:
		source = source.Child("payloads")
	case p.Spec.Apple.Mobileconfig != nil && p.Spec.Apple.Mobileconfig.Inline != "":
		source = source.Child("mobileconfig", "inline")
	default:
		return errs
	}
	if _, err := apple.Render(p, placeholders(p)); err != nil {
		errs = append(errs, field.Invalid(source, field.OmitValueType{}, err.Error()))
	}
	return errs
}

// placeholders stand for the values of Secrets, which only the controller may read.
func placeholders(p *v1alpha1.Profile) apple.Sources {
	_, secrets := apple.References(p)
	values := make(map[v1alpha1.KeyReference][]byte, len(secrets))
	for _, ref := range secrets {
		values[ref] = []byte("placeholder")
	}
	return apple.Sources{Secrets: values}
}
