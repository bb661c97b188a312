package v1alpha1

import "k8s.io/apimachinery/pkg/runtime"

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

	// mobileconfig is a whole configuration profile: an unsigned property list in XML (plutil -convert xml1 makes one of a binary one).
	// Its PayloadIdentifier is kept and owned by one Profile of a server; PayloadUUID and PayloadScope are set by the operator.
	// +optional
	Mobileconfig *ContentSource `json:"mobileconfig,omitempty"`

	// payloads are put together into a configuration profile.
	// +optional
	Payloads *PayloadList `json:"payloads,omitempty"`
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
