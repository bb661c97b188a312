package validate

import (
	"errors"

	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/payload/apple"
	"github.com/kubemdm/kubemdm/internal/payload/content"
	"github.com/kubemdm/kubemdm/internal/payload/windows"
)

// Profile checks the selectors and, as far as it stands in the Profile itself, that the content makes a profile. What comes from ConfigMaps and
// Secrets is checked when it is rendered.
func Profile(p *v1alpha1.Profile) field.ErrorList {
	spec := field.NewPath("spec")
	errs := metav1validation.ValidateLabelSelector(p.Spec.Selector, metav1validation.LabelSelectorValidationOptions{}, spec.Child("selector"))
	errs = append(errs, metav1validation.ValidateLabelSelector(
		p.Spec.ExcludeSelector, metav1validation.LabelSelectorValidationOptions{}, spec.Child("excludeSelector"))...)
	switch {
	case p.Spec.Apple != nil:
		errs = append(errs, appleProfile(p, spec.Child("apple"))...)
	case p.Spec.Windows != nil:
		errs = append(errs, faults(windows.Validate(p), spec.Child("windows"))...)
	}
	return errs
}

func appleProfile(p *v1alpha1.Profile, source *field.Path) field.ErrorList {
	switch {
	case p.Spec.Apple.Payloads != nil:
		source = source.Child("payloads")
	case p.Spec.Apple.Mobileconfig != nil && p.Spec.Apple.Mobileconfig.Inline != "":
		source = source.Child("mobileconfig", "inline")
	default:
		return nil
	}
	_, err := apple.Render(p, placeholders(p))
	return faults(err, source)
}

// placeholders stand for the values of Secrets, which only the controller may read.
func placeholders(p *v1alpha1.Profile) content.Sources {
	secrets := apple.References(p).Secrets
	values := make(map[v1alpha1.KeyReference][]byte, len(secrets))
	for _, ref := range secrets {
		values[ref] = []byte("placeholder")
	}
	return content.Sources{Secrets: values}
}

// faults are what rendering found wrong below a path, field by field.
func faults(err error, path *field.Path) field.ErrorList {
	var several interface{ Unwrap() []error }
	var one *content.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &several):
		var errs field.ErrorList
		for _, e := range several.Unwrap() {
			errs = append(errs, faults(e, path)...)
		}
		return errs
	case errors.As(err, &one) && one.Field != "":
		return field.ErrorList{field.Invalid(path.Child(one.Field), field.OmitValueType{}, one.Message)}
	}
	return field.ErrorList{field.Invalid(path, field.OmitValueType{}, err.Error())}
}
