package schema

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/validate"
)

// sense runs the checks of internal/validate, which webhooks and controllers run.
func sense(object *unstructured.Unstructured) (field.ErrorList, error) {
	switch object.GetKind() {
	case "APNSCertificate":
		return judge(object, validate.APNSCertificate)
	case "AutomatedEnrollment":
		return judge(object, validate.AutomatedEnrollment)
	case "DeviceCommand":
		return judge(object, validate.DeviceCommand)
	case "EnrollmentToken":
		return judge(object, validate.EnrollmentToken)
	case "Profile":
		return judge(object, validate.Profile)
	}
	return nil, nil
}

func judge[T any, P interface {
	*T
	mdmv1alpha1.Object
}](object *unstructured.Unstructured, check func(P) field.ErrorList) (field.ErrorList, error) {
	typed := P(new(T))
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, typed); err != nil {
		return field.ErrorList{field.Invalid(field.NewPath(""), field.OmitValueType{}, err.Error())}, nil
	}
	return check(typed), nil
}
