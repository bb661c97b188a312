package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MaxImport bounds the enrolments of one EnrollmentImport.
const MaxImport = 500

// EnrollmentImport hands enrolments of another MDM server to an MDMServer, which manages the devices from then on. It can be created only, and is not
// stored: the answer has the results. It holds secrets (push magic, tokens), as a Secret does.
//
// +kubebuilder:object:root=true
type EnrollmentImport struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// server is the name of the MDMServer that takes the enrolments over.
	Server string `json:"server"`
	// import is the name of the item of the MDMServer's spec.apple.imports by whose paths and CA the enrolments go on.
	Import string `json:"import"`
	// dryRun judges the enrolments and stores nothing.
	// +optional
	DryRun bool `json:"dryRun,omitempty"`
	// enrollments are the enrolments to take over, at most 500. The answer leaves them out.
	// +listType=atomic
	Enrollments []ImportedEnrollment `json:"enrollments"`
	// results are what became of the enrolments, in the same order. Only the answer has them.
	// +optional
	// +listType=atomic
	Results []ImportResult `json:"results,omitempty"`
}

// ImportedEnrollment is one device with its channels.
type ImportedEnrollment struct {
	// deviceID is the UDID, or the EnrollmentID of a User Enrollment.
	DeviceID string `json:"deviceID"`
	// kind is Device or UserEnrollment.
	Kind string `json:"kind"`
	// udid is Apple's unique id of the device.
	// +optional
	UDID string `json:"udid,omitempty"`
	// serialNumber is what the manufacturer printed on the device.
	// +optional
	SerialNumber string `json:"serialNumber,omitempty"`
	// model is the model number.
	// +optional
	Model string `json:"model,omitempty"`
	// modelName is the name of the model, such as "MacBook Pro".
	// +optional
	ModelName string `json:"modelName,omitempty"`
	// productName is the manufacturer's code of the model, such as "Mac16,1".
	// +optional
	ProductName string `json:"productName,omitempty"`
	// osVersion is the version of the operating system.
	// +optional
	OSVersion string `json:"osVersion,omitempty"`
	// buildVersion is the build of the operating system.
	// +optional
	BuildVersion string `json:"buildVersion,omitempty"`
	// deviceName is the name that the device's user gave it.
	// +optional
	DeviceName string `json:"deviceName,omitempty"`
	// enrolledAt is when the device enrolled at the other server.
	// +optional
	EnrolledAt *metav1.Time `json:"enrolledAt,omitempty"`
	// lastSeen is when it last called there.
	// +optional
	LastSeen *metav1.Time `json:"lastSeen,omitempty"`
	// payloadIdentifier is that of its enrolment profile. A renewal repeats this and the next four to the letter, or the device refuses it.
	PayloadIdentifier string `json:"payloadIdentifier"`
	// serverURL is ServerURL of its enrolment profile.
	ServerURL string `json:"serverURL"`
	// checkInURL is CheckInURL of its enrolment profile.
	CheckInURL string `json:"checkInURL"`
	// topic is that of its push certificate.
	Topic string `json:"topic"`
	// accessRights is AccessRights of its enrolment profile.
	AccessRights int32 `json:"accessRights"`
	// certificate is the identity certificate in use (DER, in base64).
	// +optional
	Certificate []byte `json:"certificate,omitempty"`
	// certificateSHA256 is its SHA-256 in lower-case hex, where only that is known.
	// +optional
	CertificateSHA256 string `json:"certificateSHA256,omitempty"`
	// bootstrapToken is what a Mac escrowed, in base64. It is a secret.
	// +optional
	BootstrapToken []byte `json:"bootstrapToken,omitempty"`
	// unlockToken is what an iPhone or iPad escrowed, in base64. It is a secret.
	// +optional
	UnlockToken []byte `json:"unlockToken,omitempty"`
	// channels are the device's own (its id is deviceID) and those of users.
	// +listType=atomic
	Channels []ImportedChannel `json:"channels"`
}

// ImportedChannel is one enrolment channel and where it is woken.
type ImportedChannel struct {
	// id is deviceID for the device's own channel, else that of a user.
	ID string `json:"id"`
	// pushToken is the token of Apple's push service, in base64.
	PushToken []byte `json:"pushToken"`
	// pushMagic is what a push must carry. It is a secret.
	PushMagic string `json:"pushMagic"`
	// tokenAt is when the device gave the token.
	// +optional
	TokenAt *metav1.Time `json:"tokenAt,omitempty"`
}

// ImportResult is what became of one enrolment, or in a dry run what would.
type ImportResult struct {
	// deviceID is that of the enrolment.
	DeviceID string `json:"deviceID"`
	// outcome is Imported, Unchanged (imported before, or enrolled here since) or Refused.
	Outcome string `json:"outcome"`
	// message says why it was refused.
	// +optional
	Message string `json:"message,omitempty"`
}

// EnrollmentImportList is a list of EnrollmentImports; nothing answers with one.
//
// +kubebuilder:object:root=true
type EnrollmentImportList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []EnrollmentImport `json:"items"`
}
