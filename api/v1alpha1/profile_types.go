package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Profile is a configuration that the selected devices of a server should have. Ready says that the server has it; the counters in the
// status say how far the fleet is.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:categories=mdm
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="READY",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="CONVERGED",type=string,JSONPath=`.status.conditions[?(@.type=="Converged")].status`
// +kubebuilder:printcolumn:name="TARGETED",type=integer,JSONPath=`.status.targeted`
// +kubebuilder:printcolumn:name="INSTALLED",type=integer,JSONPath=`.status.installed`
// +kubebuilder:printcolumn:name="PENDING",type=integer,JSONPath=`.status.pending`
// +kubebuilder:printcolumn:name="FAILED",type=integer,JSONPath=`.status.failed`
// +kubebuilder:printcolumn:name="SERVER",type=string,JSONPath=`.spec.serverRef.name`,priority=1
// +kubebuilder:printcolumn:name="IDENTIFIER",type=string,JSONPath=`.status.identifier`,priority=1
// +kubebuilder:printcolumn:name="MESSAGE",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
type Profile struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what which devices should have.
	// +required
	Spec ProfileSpec `json:"spec,omitzero"`

	// status is how far the fleet is.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status ProfileStatus `json:"status,omitzero"`
}

// ProfileScope is the channel of a device that a profile is installed on.
//
// +kubebuilder:validation:Enum=System;User
type ProfileScope string

// The scopes of a profile.
const (
	// ProfileScopeSystem is for everybody on the device.
	ProfileScopeSystem ProfileScope = "System"
	// ProfileScopeUser is for each managed user of a device: of a Mac or a shared iPad, or the user of the enrolment of a PC.
	ProfileScopeUser ProfileScope = "User"
)

// ProfileSigning says whether profiles are signed.
//
// +kubebuilder:validation:Enum=Signed;Unsigned
type ProfileSigning string

// The ways to deliver a profile.
const (
	// ProfileSigned is signed with the serving certificate when it is delivered, so that people see it as verified.
	ProfileSigned ProfileSigning = "Signed"
	// ProfileUnsigned is delivered as it is.
	ProfileUnsigned ProfileSigning = "Unsigned"
)

// ProfileDeletionPolicy is what becomes of a profile on devices when its Profile is deleted.
//
// +kubebuilder:validation:Enum=Remove;Retain
type ProfileDeletionPolicy string

// The deletion policies of a Profile.
const (
	// ProfileRemove removes it from devices.
	ProfileRemove ProfileDeletionPolicy = "Remove"
	// ProfileRetain leaves it on devices.
	ProfileRetain ProfileDeletionPolicy = "Retain"
)

// ProfileSpec is what which devices should have. A Profile is for devices of one platform; it selects no others, whatever their labels.
//
// +kubebuilder:validation:ExactlyOneOf=apple;windows
// +kubebuilder:validation:XValidation:rule="has(self.windows) == has(oldSelf.windows)",message="a Profile stays with its platform: create another Profile"
// +kubebuilder:validation:XValidation:rule="!has(self.windows) || !has(self.signing)",message="signing is for Apple devices only"
type ProfileSpec struct {
	// serverRef is the MDMServer whose devices get the profile.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="serverRef is immutable: create another Profile"
	ServerRef LocalReference `json:"serverRef,omitzero"`

	// selector selects devices of the server by their labels. {} selects them all.
	// +required
	Selector *metav1.LabelSelector `json:"selector,omitempty"`

	// excludeSelector takes devices out again.
	// +optional
	// +kubebuilder:validation:XValidation:rule="has(self.matchLabels) && self.matchLabels.size() > 0 || has(self.matchExpressions) && self.matchExpressions.size() > 0",message="an empty excludeSelector would exclude every device: leave it out, or say which devices it is for"
	ExcludeSelector *metav1.LabelSelector `json:"excludeSelector,omitempty"`

	// scope is the channel that the profile is installed on.
	// +optional
	// +kubebuilder:default=System
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="scope is immutable: create another Profile"
	Scope ProfileScope `json:"scope,omitempty"`

	// apple is the profile for Apple devices.
	// +optional
	Apple *AppleProfile `json:"apple,omitempty"`

	// windows is the profile for Windows devices.
	// +optional
	Windows *WindowsProfile `json:"windows,omitempty"`

	// signing says whether a profile for Apple devices is signed when it is delivered; absent: Signed. A new signing certificate reinstalls
	// nothing.
	// +optional
	Signing ProfileSigning `json:"signing,omitempty"`

	// deletionPolicy is what becomes of the profile on devices when this object is deleted.
	// +optional
	// +kubebuilder:default=Remove
	DeletionPolicy ProfileDeletionPolicy `json:"deletionPolicy,omitempty"`

	// removal guards devices against a mistake in a selector or in labels.
	// +optional
	// +kubebuilder:default={}
	Removal ProfileRemoval `json:"removal,omitzero"`
}

// Platform is the platform that the profile is for.
func (s *ProfileSpec) Platform() Platform {
	if s.Windows != nil {
		return PlatformWindows
	}
	return PlatformApple
}

// ProfileRemoval guards devices against a mistake that would take a profile from many of them.
type ProfileRemoval struct {
	// maxPercent of the devices that carry the profile may lose it at once (always at least 5 devices), by a change of selector or labels.
	// Above that nothing is removed and the condition RemovalHeld says how to go on. 100 switches the guard off.
	// +optional
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	MaxPercent *int32 `json:"maxPercent,omitempty"`

	// acknowledge lets the removal happen that status.heldRemoval.token names, and no other.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Acknowledge string `json:"acknowledge,omitempty"`
}

// ContentSource is where a whole file is.
//
// +kubebuilder:validation:ExactlyOneOf=inline;configMapRef;secretRef
type ContentSource struct {
	// inline is the content itself.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1048576
	Inline string `json:"inline,omitempty"`

	// configMapRef is a key of a ConfigMap that holds the content (data or binaryData).
	// +optional
	ConfigMapRef *KeyReference `json:"configMapRef,omitempty"`

	// secretRef is a key of a Secret that holds the content.
	// +optional
	SecretRef *KeyReference `json:"secretRef,omitempty"`
}
