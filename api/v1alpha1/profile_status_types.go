package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ProfileStatus is how far the fleet is with a Profile. Every targeted device is counted in exactly one of installed, pending and failed.
type ProfileStatus struct {
	CommonStatus `json:",inline"`

	// identifier is the PayloadIdentifier by which Apple devices know the profile, or namespace and name of one for Windows.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Identifier string `json:"identifier,omitempty"`

	// digest identifies the content that devices should have. It covers the values of Secrets, and no signature.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Digest string `json:"digest,omitempty"`

	// targeted counts the devices that should have the profile.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Targeted *int32 `json:"targeted,omitempty"`

	// installed counts the devices that have it.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Installed *int32 `json:"installed,omitempty"`

	// pending counts the devices that it has not reached yet.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Pending *int32 `json:"pending,omitempty"`

	// notNow counts those of the pending devices that asked to be asked again later, most often because they are locked.
	// +optional
	// +kubebuilder:validation:Minimum=0
	NotNow *int32 `json:"notNow,omitempty"`

	// failed counts the devices that refused it. They are not asked again until the content changes.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Failed *int32 `json:"failed,omitempty"`

	// removing counts the devices that still have it and should not.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Removing *int32 `json:"removing,omitempty"`

	// failing names some of the devices that refused it, with their reason.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=5
	Failing []FailingDevice `json:"failing,omitempty"`

	// lastCountedAt is when the counters last changed.
	// +optional
	LastCountedAt *metav1.Time `json:"lastCountedAt,omitempty"`

	// heldRemoval is the removal that waits for spec.removal.acknowledge.
	// +optional
	HeldRemoval *HeldRemoval `json:"heldRemoval,omitempty"`
}

// FailingDevice is a device that refused a profile.
type FailingDevice struct {
	// device is the name of the Device.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Device string `json:"device,omitempty"`

	// message is the device's reason.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`

	// since is when the device refused it.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
}

// HeldRemoval is a removal from so many devices that a person has to confirm it.
type HeldRemoval struct {
	// devices counts the devices that would lose the profile.
	// +required
	// +kubebuilder:validation:Minimum=1
	Devices int32 `json:"devices,omitempty"`

	// token is what spec.removal.acknowledge must say for the removal to happen. It changes with the set of devices.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Token string `json:"token,omitempty"`
}

// GetCommonStatus implements Object.
func (p *Profile) GetCommonStatus() *CommonStatus { return &p.Status.CommonStatus }

// ProfileList is a list of Profiles.
//
// +kubebuilder:object:root=true
type ProfileList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Profile `json:"items"`
}
