package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// VerbReveal is the verb on devicepins that lets a person read an escrowed PIN, besides get. No role gets it by a list of resources.
const VerbReveal = "reveal"

// DeviceReport is what the server of a Device knows about it now. It has the name of the Device, and can be read one by one only.
//
// +kubebuilder:object:root=true
type DeviceReport struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// server is the name of the MDMServer.
	Server string `json:"server"`
	// serialNumber, udid and deviceID are how the device is known; deviceID is that of its server.
	SerialNumber string `json:"serialNumber,omitempty"`
	UDID         string `json:"udid,omitempty"`
	DeviceID     string `json:"deviceID"`
	// state is Pending, Enrolled or Ended.
	State string `json:"state"`
	// enrollmentID is that of the present enrolment, or the last one.
	EnrollmentID string `json:"enrollmentID,omitempty"`
	// lastSeen is when the device last called; a call in the last half minute may be missing.
	LastSeen *metav1.Time `json:"lastSeen,omitempty"`
	// responding is false once it has been silent for longer than the server's silentAfter.
	Responding bool `json:"responding"`
	// profiles is what the device should have, and how far each is.
	Profiles []ProfileState `json:"profiles,omitempty"`
	// history has the newest first, at most 200.
	History []HistoryEntry `json:"history,omitempty"`
}

// ProfileState is one Profile on one channel of a device.
type ProfileState struct {
	// profile is the name of the Profile.
	Profile string `json:"profile"`
	// user is the channel of a user of the device; empty: the device's own.
	User string `json:"user,omitempty"`
	// identifier is the PayloadIdentifier, or empty.
	Identifier string `json:"identifier,omitempty"`
	// outcome is Pending, Sent, NotNow, Installed, Failed or Removing.
	Outcome string `json:"outcome"`
	// message is why, in words: what the device said, or what it waits for.
	Message string `json:"message,omitempty"`
	// since is when the outcome was reached.
	Since *metav1.Time `json:"since,omitempty"`
	// attempts counts deliveries without an answer; nextAttempt is the earliest time of another.
	Attempts    int32        `json:"attempts,omitempty"`
	NextAttempt *metav1.Time `json:"nextAttempt,omitempty"`
}

// HistoryEntry is one thing that happened to a device.
type HistoryEntry struct {
	Time metav1.Time `json:"time"`
	// type is Enrolled, Renewed, Ended, Blocked, Sent, Acknowledged, NotNow, Failed or Drifted.
	Type string `json:"type"`
	// user is the channel of a user of the device; empty: the device's own.
	User string `json:"user,omitempty"`
	// profile or command is the Profile or DeviceCommand that a command was for; both are empty for the server's own.
	Profile string `json:"profile,omitempty"`
	Command string `json:"command,omitempty"`
	// requestType is the MDM protocol's, such as InstallProfile.
	RequestType string `json:"requestType,omitempty"`
	// commandUUID tells the commands apart.
	CommandUUID string `json:"commandUUID,omitempty"`
	Message     string `json:"message,omitempty"`
}

// DeviceReportList is a list of DeviceReports; nothing answers with one.
//
// +kubebuilder:object:root=true
type DeviceReportList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []DeviceReport `json:"items"`
}

// DevicePush wakes a device now: POST of an empty one to the subresource push of its DeviceReport.
//
// +kubebuilder:object:root=true
type DevicePush struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
}

// ProfileReport is how far a Profile is on its devices. It has the name of the Profile, and can be read one by one only.
//
// +kubebuilder:object:root=true
type ProfileReport struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// server is the name of the MDMServer.
	Server string `json:"server"`
	// targeted, installed, pending and failed count devices.
	Targeted  int32 `json:"targeted"`
	Installed int32 `json:"installed"`
	Pending   int32 `json:"pending"`
	Failed    int32 `json:"failed"`
	// behind are the devices that have not installed it, failed ones first and then who has been behind the longest; at most 1,000.
	Behind []DeviceProfileState `json:"behind,omitempty"`
	// truncated counts the devices that are behind and not in the list.
	Truncated int32 `json:"truncated,omitempty"`
}

// DeviceProfileState is a Profile on one device.
type DeviceProfileState struct {
	// device is the name of the Device; empty if there is none for it.
	Device       string `json:"device,omitempty"`
	DeviceID     string `json:"deviceID"`
	SerialNumber string `json:"serialNumber,omitempty"`
	// lastSeen is when the device last called; responding is false once it has been silent for too long.
	LastSeen   *metav1.Time `json:"lastSeen,omitempty"`
	Responding bool         `json:"responding"`

	ProfileState `json:",inline"`
}

// ProfileReportList is a list of ProfileReports; nothing answers with one.
//
// +kubebuilder:object:root=true
type ProfileReportList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ProfileReport `json:"items"`
}

// DeviceEvent is something that happened to a device. Events can be listed (the newest of each server) and watched; the field selectors device
// (name of the Device) and server narrow them.
//
// +kubebuilder:object:root=true
type DeviceEvent struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// server is the name of the MDMServer.
	Server string `json:"server"`
	// device is the name of the Device; empty if there is none for it.
	Device string `json:"device,omitempty"`
	// deviceID and serialNumber are how the device is known.
	DeviceID     string `json:"deviceID"`
	SerialNumber string `json:"serialNumber,omitempty"`

	HistoryEntry `json:",inline"`
}

// DeviceEventList is a list of DeviceEvents, oldest first.
//
// +kubebuilder:object:root=true
type DeviceEventList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []DeviceEvent `json:"items"`
}

// DevicePIN is the PINs that a DeviceCommand of type Lock or Wipe sent to Macs. It has the name of the DeviceCommand, which may be gone already: the server
// keeps PINs for 90 days. Reading one takes the verb reveal besides get, and is written to the manager's log.
//
// +kubebuilder:object:root=true
type DevicePIN struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// server is the name of the MDMServer.
	Server string `json:"server"`
	// pins, one for each device that the command was delivered to.
	PINs []PIN `json:"pins"`
}

// PIN is that of one device.
type PIN struct {
	// device is the name of the Device; empty if there is none for it.
	Device       string `json:"device,omitempty"`
	DeviceID     string `json:"deviceID"`
	SerialNumber string `json:"serialNumber,omitempty"`
	PIN          string `json:"pin"`
}

// DevicePINList is a list of DevicePINs; nothing answers with one.
//
// +kubebuilder:object:root=true
type DevicePINList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []DevicePIN `json:"items"`
}

// EnrollmentImport hands enrolments of another MDM server to an MDMServer, which manages the devices from then on. It can be created only, and is not
// stored: the answer has the results. It holds secrets (push magic, tokens), as a Secret does.
//
// +kubebuilder:object:root=true
type EnrollmentImport struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// server is the name of the MDMServer, import that of an item of its spec.apple.imports.
	Server string `json:"server"`
	Import string `json:"import"`
	// dryRun judges and stores nothing.
	DryRun bool `json:"dryRun,omitempty"`
	// enrollments are at most 500.
	Enrollments []ImportedEnrollment `json:"enrollments"`
	// results are what became of them, in the same order.
	Results []ImportResult `json:"results,omitempty"`
}

// ImportedEnrollment is one device with its channels.
type ImportedEnrollment struct {
	// deviceID is the UDID, or the EnrollmentID of a user enrolment; kind is Device or UserEnrollment.
	DeviceID     string       `json:"deviceID"`
	Kind         string       `json:"kind"`
	UDID         string       `json:"udid,omitempty"`
	SerialNumber string       `json:"serialNumber,omitempty"`
	Model        string       `json:"model,omitempty"`
	ModelName    string       `json:"modelName,omitempty"`
	ProductName  string       `json:"productName,omitempty"`
	OSVersion    string       `json:"osVersion,omitempty"`
	BuildVersion string       `json:"buildVersion,omitempty"`
	DeviceName   string       `json:"deviceName,omitempty"`
	EnrolledAt   *metav1.Time `json:"enrolledAt,omitempty"`
	LastSeen     *metav1.Time `json:"lastSeen,omitempty"`
	// payloadIdentifier, serverURL, checkInURL, topic and accessRights are those of its enrolment profile: a renewal repeats them to the letter.
	PayloadIdentifier string `json:"payloadIdentifier"`
	ServerURL         string `json:"serverURL"`
	CheckInURL        string `json:"checkInURL"`
	Topic             string `json:"topic"`
	AccessRights      int32  `json:"accessRights"`
	// certificate is the identity certificate in use (DER); certificateSHA256 in lower-case hex serves where only that is known.
	Certificate       []byte `json:"certificate,omitempty"`
	CertificateSHA256 string `json:"certificateSHA256,omitempty"`
	BootstrapToken    []byte `json:"bootstrapToken,omitempty"`
	UnlockToken       []byte `json:"unlockToken,omitempty"`
	// channels are the device's own (its id is deviceID) and those of users.
	Channels []ImportedChannel `json:"channels"`
}

// ImportedChannel is one enrolment channel and where it is woken.
type ImportedChannel struct {
	ID        string       `json:"id"`
	PushToken []byte       `json:"pushToken"`
	PushMagic string       `json:"pushMagic"`
	TokenAt   *metav1.Time `json:"tokenAt,omitempty"`
}

// ImportResult is what became of one enrolment, or in a dry run what would.
type ImportResult struct {
	DeviceID string `json:"deviceID"`
	// outcome is Imported, Unchanged (imported before, or enrolled here since) or Refused.
	Outcome string `json:"outcome"`
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
