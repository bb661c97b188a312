package validate

import (
	"strings"

	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
)

// EnrollmentToken checks that the labels can be put on a Device and are none that the operator sets itself.
func EnrollmentToken(t *v1alpha1.EnrollmentToken) field.ErrorList {
	path := field.NewPath("spec", "labels")
	errs := metav1validation.ValidateLabels(t.Spec.Labels, path)
	for key := range t.Spec.Labels {
		if strings.HasPrefix(key, v1alpha1.GroupVersion.Group+"/") {
			errs = append(errs, field.Forbidden(path.Key(key), "labels of "+v1alpha1.GroupVersion.Group+" are set by the operator"))
		}
	}
	return errs
}
