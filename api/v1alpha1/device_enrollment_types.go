package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// EnrollmentState is where a device is in its enrolment.
//
// +kubebuilder:validation:Enum=Pending;Enrolled;Ended
type EnrollmentState string

// The states of an enrolment.
const (
	// EnrollmentPending has begun and is not usable yet.
	EnrollmentPending EnrollmentState = "Pending"
	// EnrollmentEnrolled is managed.
	EnrollmentEnrolled EnrollmentState = "Enrolled"
	// EnrollmentEnded is over; endReason says why.
	EnrollmentEnded EnrollmentState = "Ended"
)

// EnrollmentKind is how much of a device its enrolment covers.
//
// +kubebuilder:validation:Enum=Device;UserEnrollment
type EnrollmentKind string

// The kinds of enrolment.
const (
	// EnrollmentKindDevice covers the whole device.
	EnrollmentKindDevice EnrollmentKind = "Device"
	// EnrollmentKindUser covers the managed part of a personal device.
	EnrollmentKindUser EnrollmentKind = "UserEnrollment"
)

// DeviceEnrollment is one enrolment of a device.
type DeviceEnrollment struct {
	// id is new at every enrolment and kept by a renewal. A wipe must repeat it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	ID string `json:"id,omitempty"`

	// kind is how much of the device the enrolment covers.
	// +optional
	Kind EnrollmentKind `json:"kind,omitempty"`

	// state of the enrolment.
	// +required
	State EnrollmentState `json:"state,omitempty"`

	// since is when the state was reached.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`

	// token is the EnrollmentToken that the device enrolled with.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Token string `json:"token,omitempty"`

	// automatedEnrollment is the AutomatedEnrollment by which the device enrolled, if it did.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	AutomatedEnrollment string `json:"automatedEnrollment,omitempty"`

	// configuredAt is when the device was told that it is configured and left Setup Assistant, if it waited for that.
	// +optional
	ConfiguredAt *metav1.Time `json:"configuredAt,omitempty"`

	// endReason is CheckedOut (its user removed the enrolment), Wiped, Unenrolled or Released.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	EndReason string `json:"endReason,omitempty"`
}

// ManagementAuthentication is how a PC proves in a management session who it is.
//
// +kubebuilder:validation:Enum=Digest;ForwardedCertificate;MutualTLS;Signature
type ManagementAuthentication string

// The proofs, weakest first.
const (
	// AuthenticationDigest is a digest of a secret of the enrolment.
	AuthenticationDigest ManagementAuthentication = "Digest"
	// AuthenticationForwardedCertificate is the PC's certificate as a trusted proxy forwarded it.
	AuthenticationForwardedCertificate ManagementAuthentication = "ForwardedCertificate"
	// AuthenticationMutualTLS is the PC's certificate in the TLS handshake with the server.
	AuthenticationMutualTLS ManagementAuthentication = "MutualTLS"
	// AuthenticationSignature is a signature over every message.
	AuthenticationSignature ManagementAuthentication = "Signature"
)
