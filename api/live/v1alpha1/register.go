package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	// GroupVersion of all kinds in this package.
	GroupVersion = schema.GroupVersion{Group: "live.mdm.kubemdm.io", Version: "v1alpha1"}

	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds all kinds of this package to a scheme.
	AddToScheme = schemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&DeviceReport{}, &DeviceReportList{}, &DevicePush{},
		&ProfileReport{}, &ProfileReportList{},
		&DeviceEvent{}, &DeviceEventList{},
		&DevicePIN{}, &DevicePINList{},
		&EnrollmentImport{}, &EnrollmentImportList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
