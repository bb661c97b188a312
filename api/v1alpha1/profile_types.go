package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

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
	// ProfileScopeUser is for each managed user of a device: of a Mac or a shared iPad.
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

// ProfileSpec is what which devices should have.
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
	// +required
	Apple AppleProfile `json:"apple,omitzero"`

	// signing says whether the profile is signed when it is delivered. A new signing certificate reinstalls nothing.
	// +optional
	// +kubebuilder:default=Signed
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

// AppleProfileType selects a member of AppleProfile.
//
// +kubebuilder:validation:Enum=Mobileconfig;Payloads
type AppleProfileType string

// The ways to write a profile for Apple devices.
const (
	// AppleMobileconfig is a whole configuration profile, as tools export it.
	AppleMobileconfig AppleProfileType = "Mobileconfig"
	// ApplePayloads is a list of payloads in YAML.
	ApplePayloads AppleProfileType = "Payloads"
)

// AppleProfile is a configuration profile for Apple devices. It cannot hold an MDM payload: enrolment is the server's business.
//
// +kubebuilder:validation:XValidation:rule="has(self.mobileconfig) == (self.type == 'Mobileconfig')",message="mobileconfig is required with type Mobileconfig and not allowed with another type"
// +kubebuilder:validation:XValidation:rule="has(self.payloads) == (self.type == 'Payloads')",message="payloads is required with type Payloads and not allowed with another type"
type AppleProfile struct {
	// type is the way the profile is written.
	// +unionDiscriminator
	// +required
	Type AppleProfileType `json:"type,omitempty"`

	// mobileconfig is a whole configuration profile.
	// +optional
	Mobileconfig *MobileconfigSource `json:"mobileconfig,omitempty"`

	// payloads are put together into a configuration profile.
	// +optional
	Payloads *PayloadList `json:"payloads,omitempty"`
}

// MobileconfigSource is where a whole configuration profile is: an unsigned property list in XML (plutil -convert xml1 makes one of a binary one).
// Its PayloadIdentifier is kept and owned by one Profile of a server; PayloadUUID and PayloadScope are set by the operator.
//
// +kubebuilder:validation:ExactlyOneOf=inline;configMapRef;secretRef
type MobileconfigSource struct {
	// inline is the profile itself.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1048576
	Inline string `json:"inline,omitempty"`

	// configMapRef is a key of a ConfigMap that holds the profile (data or binaryData).
	// +optional
	ConfigMapRef *KeyReference `json:"configMapRef,omitempty"`

	// secretRef is a key of a Secret that holds the profile.
	// +optional
	SecretRef *KeyReference `json:"secretRef,omitempty"`
}

// PayloadList are payloads that are put together into a configuration profile.
type PayloadList struct {
	// identifier is the PayloadIdentifier of the profile; absent: io.kubemdm.<namespace>.<name>. One Profile of a server owns it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-.A-Za-z0-9]+$`
	Identifier string `json:"identifier,omitempty"`

	// displayName is the title that people see on the device; absent: the name of the Profile.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	DisplayName string `json:"displayName,omitempty"`

	// description is the text that people see on the device.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Description string `json:"description,omitempty"`

	// items are the payloads, in order.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Items []Payload `json:"items,omitempty"`
}

// Payload is one payload of a configuration profile, in the terms of Apple's documentation
// (https://developer.apple.com/documentation/devicemanagement/profile-specific-payload-keys).
type Payload struct {
	// type is the PayloadType, such as com.apple.wifi.managed.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._A-Za-z0-9]+$`
	// +kubebuilder:validation:XValidation:rule="self != 'com.apple.mdm'",message="a Profile cannot hold an MDM payload: enrolment is the server's business"
	Type string `json:"type,omitempty"`

	// settings are the keys of the payload. Numbers without a fraction become integers. An object with the single key $data is binary data
	// (base64), one with the single key $date a date (RFC 3339). Keys that start with Payload and name the payload itself (PayloadType,
	// PayloadIdentifier, PayloadUUID, PayloadVersion) are set by the operator.
	// +optional
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	Settings runtime.RawExtension `json:"settings,omitzero"`

	// secretValues are put into the settings when the profile is rendered, so that no secret stands in this object.
	// +optional
	// +listType=map
	// +listMapKey=path
	// +kubebuilder:validation:MaxItems=32
	SecretValues []SecretValue `json:"secretValues,omitempty"`
}

// SecretValueEncoding is how a secret value becomes a value of a property list.
//
// +kubebuilder:validation:Enum=String;Data
type SecretValueEncoding string

// The encodings of a secret value.
const (
	// SecretValueString is text, such as a password.
	SecretValueString SecretValueEncoding = "String"
	// SecretValueData is binary data, such as a PKCS #12 file.
	SecretValueData SecretValueEncoding = "Data"
)

// SecretValue is one value in the settings of a payload that comes from a Secret.
type SecretValue struct {
	// path is where the value goes in the settings, as a JSON Pointer (RFC 6901), such as /Password or /EAPClientConfiguration/UserPassword.
	// Objects on the way are made; lists must exist.
	// +required
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^(/([^/~]|~[01])+)+$`
	Path string `json:"path,omitempty"`

	// encoding is how the value is written.
	// +optional
	// +kubebuilder:default=String
	Encoding SecretValueEncoding `json:"encoding,omitempty"`

	// secretRef is the key of a Secret that holds the value.
	// +required
	SecretRef KeyReference `json:"secretRef,omitzero"`
}
