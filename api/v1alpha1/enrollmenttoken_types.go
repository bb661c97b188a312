package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// EnrollmentToken allows devices to enrol with a server. Whoever opens the address in its Secret on an Apple device gets an enrolment profile, and
// whoever types the token as the password on a PC enrols it: hand it to the people whose devices should be managed and to nobody else.
//
// Deleting a token ends its use. Devices that enrolled with it stay enrolled.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:categories=mdm,shortName=et
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="READY",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="SERVER",type=string,JSONPath=`.spec.serverRef.name`
// +kubebuilder:printcolumn:name="USES",type=integer,JSONPath=`.status.uses`
// +kubebuilder:printcolumn:name="LEFT",type=integer,JSONPath=`.status.usesLeft`
// +kubebuilder:printcolumn:name="EXPIRES",type=string,JSONPath=`.spec.expiresAt`
// +kubebuilder:printcolumn:name="SECRET",type=string,JSONPath=`.status.secretRef.name`
// +kubebuilder:printcolumn:name="MESSAGE",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
type EnrollmentToken struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what the token allows.
	// +required
	Spec EnrollmentTokenSpec `json:"spec,omitzero"`

	// status is where the token is and how often it was used.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status EnrollmentTokenStatus `json:"status,omitzero"`
}

// EnrollmentTokenSpec is what a token allows.
//
// +kubebuilder:validation:XValidation:rule="has(self.deviceRef) == has(oldSelf.deviceRef)",message="deviceRef is immutable: create another token"
// +kubebuilder:validation:XValidation:rule="has(self.secretName) == has(oldSelf.secretName)",message="secretName is immutable: create another token"
type EnrollmentTokenSpec struct {
	// serverRef is the MDMServer that the token is for.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="serverRef is immutable: create another token"
	ServerRef LocalReference `json:"serverRef,omitzero"`

	// platforms that may enrol; absent: all that the server serves.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	Platforms []Platform `json:"platforms,omitempty"`

	// maxUses is how many certificates may be issued for the token, one for each enrolment; absent: no limit. Opening the address is no use.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxUses int32 `json:"maxUses,omitempty"`

	// expiresAt is when the token ends; absent: never.
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`

	// labels that the Device of an enrolment gets, so that Profiles select it from its first minute. They are replaced when the device enrols
	// again with another token.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Labels map[string]string `json:"labels,omitempty"`

	// deviceRef is the one Device that may enrol with the token. Only such a token lets a device take the place of its own live enrolment.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="deviceRef is immutable: create another token"
	DeviceRef *LocalReference `json:"deviceRef,omitempty"`

	// secretName is the Secret that the token is written to; absent: <name>-enrollment.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="secretName is immutable: create another token"
	SecretName string `json:"secretName,omitempty"`
}

// EnrollmentTokenStatus is where a token is and how often it was used.
type EnrollmentTokenStatus struct {
	CommonStatus `json:",inline"`

	// secretRef is the Secret with the key "token", which PCs take as the password, and for Apple devices, under "url", the whole address to
	// open on a device.
	// +optional
	SecretRef *LocalReference `json:"secretRef,omitempty"`

	// windowsDeepLink opens the enrolment in the Settings of a PC, which then asks for a user name (any) and a password (the token). It holds no
	// secret.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	WindowsDeepLink string `json:"windowsDeepLink,omitempty"`

	// url is the address for Apple devices without the token, which alone enrols nothing.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	URL string `json:"url,omitempty"`

	// uses counts the certificates that were issued for the token.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Uses *int32 `json:"uses,omitempty"`

	// usesLeft is absent without spec.maxUses.
	// +optional
	// +kubebuilder:validation:Minimum=0
	UsesLeft *int32 `json:"usesLeft,omitempty"`
}

// GetCommonStatus implements Object.
func (t *EnrollmentToken) GetCommonStatus() *CommonStatus { return &t.Status.CommonStatus }

// EnrollmentTokenList is a list of EnrollmentTokens.
//
// +kubebuilder:object:root=true
type EnrollmentTokenList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []EnrollmentToken `json:"items"`
}
