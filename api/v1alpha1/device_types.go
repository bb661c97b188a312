package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Device is one device: declared before it enrols, by serial number or UDID, or discovered when it does. Its labels (metadata.labels)
// decide which Profiles it gets.
//
// Deleting a Device never wipes it; spec.deletionPolicy says whether it stays enrolled.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:categories=mdm,shortName=dev
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="READY",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="STATE",type=string,JSONPath=`.status.enrollment.state`
// +kubebuilder:printcolumn:name="PLATFORM",type=string,JSONPath=`.status.platform`
// +kubebuilder:printcolumn:name="NAME-ON-DEVICE",type=string,JSONPath=`.status.deviceName`
// +kubebuilder:printcolumn:name="MODEL",type=string,JSONPath=`.status.hardware.modelName`
// +kubebuilder:printcolumn:name="OS",type=string,JSONPath=`.status.os.version`
// +kubebuilder:printcolumn:name="FAILING",type=integer,JSONPath=`.status.failingCount`
// +kubebuilder:printcolumn:name="SERIAL",type=string,JSONPath=`.status.hardware.serialNumber`,priority=1
// +kubebuilder:printcolumn:name="SERVER",type=string,JSONPath=`.spec.serverRef.name`,priority=1
// +kubebuilder:printcolumn:name="MESSAGE",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
type Device struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is which device it is.
	// +required
	Spec DeviceSpec `json:"spec,omitzero"`

	// status is what is known of the device.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status DeviceStatus `json:"status,omitzero"`
}

// DeviceDeletionPolicy is what becomes of the enrolment when a Device is deleted.
//
// +kubebuilder:validation:Enum=Retain;Unenroll
type DeviceDeletionPolicy string

// The deletion policies of a Device.
const (
	// DeviceRetain leaves the device enrolled and as it is. The server asks nothing more of it until it is declared again.
	DeviceRetain DeviceDeletionPolicy = "Retain"
	// DeviceUnenroll removes the enrolment, and with it all that came through it, at the next contact.
	DeviceUnenroll DeviceDeletionPolicy = "Unenroll"
)

// DeviceSpec is which device it is.
//
// +kubebuilder:validation:XValidation:rule="has(self.serialNumber) || has(self.udid) || has(self.enrollmentID)",message="give serialNumber or udid (or enrollmentID for a User Enrollment)"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.serialNumber) || has(self.serialNumber)",message="serialNumber is immutable once set"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.udid) || has(self.udid)",message="udid is immutable once set"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.enrollmentID) || has(self.enrollmentID)",message="enrollmentID is immutable once set"
type DeviceSpec struct {
	// serverRef is the MDMServer that manages the device.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="serverRef is immutable: a device changes its server by enrolling again"
	ServerRef LocalReference `json:"serverRef,omitzero"`

	// serialNumber is what the manufacturer printed on the device. It decides before udid, and udid before enrollmentID.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9]([-A-Za-z0-9._/+ ]*[A-Za-z0-9])?$`
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="serialNumber is immutable once set"
	SerialNumber string `json:"serialNumber,omitempty"`

	// udid is Apple's unique id of the device. Of a PC it is the id that Windows chose for the enrolment (DeviceID in DMClient CSP), which another
	// enrolment may change: declare a PC by its serial number.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[-A-Za-z0-9]+$`
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="udid is immutable once set"
	UDID string `json:"udid,omitempty"`

	// enrollmentID stands in for serial number and UDID on a personal device with a User Enrollment, which hides both. It is Apple's
	// EnrollmentID of that enrolment, not status.enrollment.id.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[-A-Za-z0-9]+$`
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="enrollmentID is immutable once set"
	EnrollmentID string `json:"enrollmentID,omitempty"`

	// listing is what Apple Business Manager says of the device. The operator writes it for devices of an AutomatedEnrollment: leave it out of manifests.
	// +optional
	Listing *AppleListing `json:"listing,omitempty"`

	// deletionPolicy is what becomes of the enrolment when this object is deleted.
	// +optional
	// +kubebuilder:default=Retain
	DeletionPolicy DeviceDeletionPolicy `json:"deletionPolicy,omitempty"`
}

// DeviceOrigin tells how a Device came to be.
//
// +kubebuilder:validation:Enum=Declared;Discovered;Listed
type DeviceOrigin string

// The origins of a Device.
const (
	// DeviceDeclared was written by a person or a pipeline.
	DeviceDeclared DeviceOrigin = "Declared"
	// DeviceDiscovered was made by the operator when the device enrolled.
	DeviceDiscovered DeviceOrigin = "Discovered"
	// DeviceListed was made by the operator for a device that an AutomatedEnrollment lists. One that a person declares takes its place.
	DeviceListed DeviceOrigin = "Listed"
)

// EscrowedSecret is a secret of a device that the server keeps.
//
// +kubebuilder:validation:Enum=BootstrapToken;UnlockToken
type EscrowedSecret string

// The secrets that a device may give its server.
const (
	// EscrowedBootstrapToken lets a Mac grant secure tokens and authorise updates.
	EscrowedBootstrapToken EscrowedSecret = "BootstrapToken"
	// EscrowedUnlockToken lets a DeviceCommand of type ClearPasscode work.
	EscrowedUnlockToken EscrowedSecret = "UnlockToken"
)

// DeviceStatus is what is known of a device. Lateness is not part of it: the counters of a Profile show that.
type DeviceStatus struct {
	CommonStatus `json:",inline"`

	// platform of the device.
	// +optional
	Platform Platform `json:"platform,omitempty"`

	// origin tells whether the object was declared, discovered or listed.
	// +optional
	Origin DeviceOrigin `json:"origin,omitempty"`

	// enrollment is the device's current enrolment, or its last one.
	// +optional
	Enrollment *DeviceEnrollment `json:"enrollment,omitempty"`

	// hardware is what the device says it is.
	// +optional
	Hardware *DeviceHardware `json:"hardware,omitempty"`

	// os is the operating system that the device runs.
	// +optional
	OS *DeviceOS `json:"os,omitempty"`

	// deviceName is the name that the device's user gave it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	DeviceName string `json:"deviceName,omitempty"`

	// identity is the certificate by which the server knows the device.
	// +optional
	Identity *DeviceCertificate `json:"identity,omitempty"`

	// userPrincipalName is who signed in to enrol the device, if somebody did.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	UserPrincipalName string `json:"userPrincipalName,omitempty"`

	// authentication is the strongest proof by which a PC has shown in a session of this enrolment who it is.
	// +optional
	Authentication ManagementAuthentication `json:"authentication,omitempty"`

	// lastError is the last thing that a PC refused. It stays until the PC refuses another thing.
	// +optional
	LastError *DeviceError `json:"lastError,omitempty"`

	// lastDrift is the setting that a PC lost last. It was given back.
	// +optional
	LastDrift *DeviceDrift `json:"lastDrift,omitempty"`

	// escrowed lists the secrets of the device that the server keeps.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	Escrowed []EscrowedSecret `json:"escrowed,omitempty"`

	// failing names some of the Profiles that the device refused, with its reason.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=5
	Failing []FailingProfile `json:"failing,omitempty"`

	// failingCount counts all Profiles that the device refused.
	// +optional
	// +kubebuilder:validation:Minimum=0
	FailingCount *int32 `json:"failingCount,omitempty"`
}

// DeviceHardware is what a device says it is.
type DeviceHardware struct {
	// serialNumber is what the manufacturer printed on it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	SerialNumber string `json:"serialNumber,omitempty"`

	// udid is Apple's unique id of it, or the id that Windows chose for its enrolment.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	UDID string `json:"udid,omitempty"`

	// model is the model number.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Model string `json:"model,omitempty"`

	// modelName is the name of the model, such as "MacBook Pro".
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	ModelName string `json:"modelName,omitempty"`

	// productName is the manufacturer's code of the model, such as "Mac16,1".
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	ProductName string `json:"productName,omitempty"`
}

// DeviceOS is the operating system of a device.
type DeviceOS struct {
	// version of the operating system.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Version string `json:"version,omitempty"`

	// build of the operating system.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Build string `json:"build,omitempty"`
}

// DeviceCertificate is the certificate by which the server knows a device.
type DeviceCertificate struct {
	// notAfter is its end.
	// +optional
	NotAfter *metav1.Time `json:"notAfter,omitempty"`

	// renewingSince is when its renewal began, while one is under way.
	// +optional
	RenewingSince *metav1.Time `json:"renewingSince,omitempty"`
}

// DeviceError is what a PC refused.
type DeviceError struct {
	// code is the status that it answered (OMA-DM, SyncML), such as 404.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=9999
	Code int32 `json:"code,omitempty"`

	// original is Windows' own error behind the code, such as 0x86000002, if it told one.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	Original string `json:"original,omitempty"`

	// locURI is the node that was to be read or written.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	LocURI string `json:"locURI,omitempty"`

	// message says both in words.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`

	// at is when the PC refused it.
	// +optional
	At *metav1.Time `json:"at,omitempty"`
}

// DeviceDrift is a setting that a PC had lost and was given back.
type DeviceDrift struct {
	// profile is the name of the Profile that the setting is of.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Profile string `json:"profile,omitempty"`

	// locURI is the node of the setting.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	LocURI string `json:"locURI,omitempty"`

	// at is when the loss was found.
	// +optional
	At *metav1.Time `json:"at,omitempty"`
}

// FailingProfile is a Profile that a device refused.
type FailingProfile struct {
	// profile is the name of the Profile.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Profile string `json:"profile,omitempty"`

	// message is the device's reason.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`

	// since is when the device refused it.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
}

// GetCommonStatus implements Object.
func (d *Device) GetCommonStatus() *CommonStatus { return &d.Status.CommonStatus }

// DeviceList is a list of Devices.
//
// +kubebuilder:object:root=true
type DeviceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Device `json:"items"`
}
