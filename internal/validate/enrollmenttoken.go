package validate

import (
	"strings"

	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
)

// EnrollmentToken checks that the labels can be put on a Device and are none that the operator sets itself.
func EnrollmentToken(t *v1alpha1.EnrollmentToken) field.ErrorList {
	return deviceLabels(t.Spec.Labels, field.NewPath("spec", "labels"))
}

// deviceLabels checks labels that the operator puts on Devices for people.
func deviceLabels(labels map[string]string, path *field.Path) field.ErrorList {
	errs := metav1validation.ValidateLabels(labels, path)
	for key := range labels {
		if strings.HasPrefix(key, v1alpha1.GroupVersion.Group+"/") {
			errs = append(errs, field.Forbidden(path.Key(key), "labels of "+v1alpha1.GroupVersion.Group+" are set by the operator"))
		}
	}
	return errs
}
