package looktest

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

// Meta is the metadata of an object of Namespace.
func Meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: Namespace, Name: name, Generation: 1, CreationTimestamp: Ago(48 * time.Hour)}
}

// With sets conditions, each as "Type=Status/Reason message", on an object, two hours ago.
func With[O mdmv1alpha1.Object](o O, conditions ...metav1.Condition) O {
	for _, c := range conditions {
		meta.SetStatusCondition(&o.GetCommonStatus().Conditions, c)
	}
	return o
}

// Is is a condition that changed two hours ago.
func Is(name string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{Type: name, Status: status, Reason: reason, Message: message, LastTransitionTime: Ago(2 * time.Hour)}
}

// Well is a condition that is True.
func Well(name string) metav1.Condition {
	return Is(name, metav1.ConditionTrue, mdmv1alpha1.ReasonReady, "")
}

// Not is a condition that is False.
func Not(name, reason, message string) metav1.Condition {
	return Is(name, metav1.ConditionFalse, reason, message)
}

// Device is one that is enrolled and well.
func Device(name, serial string, platform mdmv1alpha1.Platform) *mdmv1alpha1.Device {
	since := Ago(40 * 24 * time.Hour)
	d := &mdmv1alpha1.Device{ObjectMeta: Meta(name), Spec: mdmv1alpha1.DeviceSpec{ServerRef: mdmv1alpha1.LocalReference{Name: "berlin"}, SerialNumber: serial}}
	d.Status = mdmv1alpha1.DeviceStatus{
		Platform: platform, Origin: mdmv1alpha1.DeviceDeclared,
		Enrollment: &mdmv1alpha1.DeviceEnrollment{
			ID: "7f0c1c0e", Kind: mdmv1alpha1.EnrollmentKindDevice, State: mdmv1alpha1.EnrollmentEnrolled, Since: &since, Token: "staff",
		},
		Hardware: &mdmv1alpha1.DeviceHardware{SerialNumber: serial, ModelName: "MacBook Pro", ProductName: "Mac16,1"},
		OS:       &mdmv1alpha1.DeviceOS{Version: "26.1", Build: "25B78"},
	}
	if platform == mdmv1alpha1.PlatformWindows {
		d.Status.Hardware = &mdmv1alpha1.DeviceHardware{SerialNumber: serial, ModelName: "Latitude 5440"}
		d.Status.OS = &mdmv1alpha1.DeviceOS{Version: "10.0.26100.1"}
	}
	return With(d, Well(mdmv1alpha1.ConditionReady), Well(mdmv1alpha1.DeviceMatched), Well(mdmv1alpha1.DevicePublished), Well(mdmv1alpha1.DeviceEnrolled),
		Well(mdmv1alpha1.DeviceResponding), Well(mdmv1alpha1.DeviceProfilesApplied))
}

// Number points at a counter.
func Number(n int32) *int32 { return &n }
