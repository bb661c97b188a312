package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// VerbReveal is the verb on devicepins that lets a person read an escrowed PIN, besides get. No role gets it by a list of resources.
const VerbReveal = "reveal"

// The field selectors of deviceevents, besides metadata.name and metadata.namespace.
const (
	FieldDevice = "device"
	FieldServer = "server"
)

// MaxEvents is how many events of each server a list has.
const MaxEvents = 500

// MaxBehind bounds ProfileReport.behind.
const MaxBehind = 1000

// DeviceReport is what the server of a Device knows about it now: the facts, how far each Profile is, and what happened last. It has the name of the
// Device, is asked of the server at the moment of the question, and can be read one by one only. POST to its subresource push wakes the device.
//
// +kubebuilder:object:root=true
type DeviceReport struct {
	metav1.TypeMeta `json:",inline"`
	// metadata has the name and the namespace of the Device.
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// server is the name of the MDMServer.
	Server string `json:"server"`
	// platform is Apple or Windows.
	// +optional
	Platform string `json:"platform,omitempty"`
	// serialNumber is what the manufacturer printed on the device; empty on a User Enrollment, which hides it.
	// +optional
	SerialNumber string `json:"serialNumber,omitempty"`
	// udid is Apple's unique id of the device, or the id under which a PC enrolled.
	// +optional
	UDID string `json:"udid,omitempty"`
	// deviceID is the id by which the server knows the device: its UDID, or the EnrollmentID of a User Enrollment.
	DeviceID string `json:"deviceID"`
	// state is Pending (it has begun to enrol), Enrolled or Ended.
	State string `json:"state"`
	// message is what a person should know of the device, in words: why its enrolment ended, that it is silent, that an attempt to enrol was refused.
	// +optional
	Message string `json:"message,omitempty"`
	// enrollmentID is that of the present enrolment, or the last one. It is new at every enrolment; a wipe repeats it.
	// +optional
	EnrollmentID string `json:"enrollmentID,omitempty"`
	// lastSeen is when the device last called; a call in the last half minute may be missing.
	// +optional
	LastSeen *metav1.Time `json:"lastSeen,omitempty"`
	// responding is false once it has been silent for longer than the server's silentAfter.
	Responding bool `json:"responding"`
	// profiles is what the device should have, and how far each is; what is still being removed is among it.
	// +optional
	// +listType=atomic
	Profiles []ProfileState `json:"profiles,omitempty"`
	// history is what happened to the device, the newest first, at most 200 entries.
	// +optional
	// +listType=atomic
	History []HistoryEntry `json:"history,omitempty"`
}

// ProfileState is one Profile on one channel of a device.
type ProfileState struct {
	// profile is the name of the Profile.
	Profile string `json:"profile"`
	// user is the channel of a user of the device; empty: the device's own.
	// +optional
	User string `json:"user,omitempty"`
	// identifier is the PayloadIdentifier on an Apple device, or empty.
	// +optional
	Identifier string `json:"identifier,omitempty"`
	// outcome is Pending (not delivered yet), Sent (delivered, no answer yet), NotNow (put off by the device), Installed, Failed (refused by the device: it is
	// not tried again until the Profile changes) or Removing.
	Outcome string `json:"outcome"`
	// message is why, in words: what the device said, or what it waits for.
	// +optional
	Message string `json:"message,omitempty"`
	// since is when the outcome was reached.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
	// attempts counts deliveries without an answer.
	// +optional
	Attempts int32 `json:"attempts,omitempty"`
	// nextAttempt is the earliest time of another delivery.
	// +optional
	NextAttempt *metav1.Time `json:"nextAttempt,omitempty"`
}

// HistoryEntry is one thing that happened to a device.
type HistoryEntry struct {
	// time is when it happened, by the server's clock.
	Time metav1.Time `json:"time"`
	// type is Enrolled, Renewed (a new identity certificate is in use), Ended, Blocked (an attempt to enrol was refused), Sent (a command was delivered),
	// Acknowledged (it was carried out), NotNow (it was put off by the device), Failed (it was refused) or Drifted (a PC had lost a setting, which is given back).
	Type string `json:"type"`
	// user is the channel of a user of the device; empty: the device's own.
	// +optional
	User string `json:"user,omitempty"`
	// profile is the name of the Profile that a command was for.
	// +optional
	Profile string `json:"profile,omitempty"`
	// command is the name of the DeviceCommand that a command was for. A command that has neither profile nor command is the server's own.
	// +optional
	Command string `json:"command,omitempty"`
	// requestType is the MDM protocol's name of the command, such as InstallProfile.
	// +optional
	RequestType string `json:"requestType,omitempty"`
	// commandUUID tells the commands apart: what is Sent and its answer have the same.
	// +optional
	CommandUUID string `json:"commandUUID,omitempty"`
	// message is what the device said, or why it ended or was refused. No message has a secret in it.
	// +optional
	Message string `json:"message,omitempty"`
}

// DeviceReportList is a list of DeviceReports; nothing answers with one.
//
// +kubebuilder:object:root=true
type DeviceReportList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []DeviceReport `json:"items"`
}

// DevicePush wakes a device now: POST of an empty one ({}) to the subresource push of its DeviceReport. The server asks Apple's push service, or that of
// Windows, to make the device call; whether it does shows in lastSeen of the report.
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
	metav1.TypeMeta `json:",inline"`
	// metadata has the name and the namespace of the Profile.
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// server is the name of the MDMServer.
	Server string `json:"server"`
	// targeted counts the devices that should have it.
	Targeted int32 `json:"targeted"`
	// installed counts those that have it on every channel.
	Installed int32 `json:"installed"`
	// pending counts those on their way.
	Pending int32 `json:"pending"`
	// failed counts those that refused it on a channel.
	Failed int32 `json:"failed"`
	// behind are the channels of devices that have not installed it, failed ones first and then those that have been behind the longest; at most 1,000.
	// +optional
	// +listType=atomic
	Behind []DeviceProfileState `json:"behind,omitempty"`
	// truncated counts what is behind and not in the list.
	// +optional
	Truncated int32 `json:"truncated,omitempty"`
}

// DeviceProfileState is a Profile on one device.
type DeviceProfileState struct {
	// device is the name of the Device; empty if there is none for it.
	// +optional
	Device string `json:"device,omitempty"`
	// deviceID is the id by which the server knows the device.
	DeviceID string `json:"deviceID"`
	// serialNumber is that of the Device, if it is known.
	// +optional
	SerialNumber string `json:"serialNumber,omitempty"`
	// lastSeen is when the device last called.
	// +optional
	LastSeen *metav1.Time `json:"lastSeen,omitempty"`
	// responding is false once the device has been silent for longer than the server's silentAfter.
	Responding bool `json:"responding"`

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

// DeviceEvent is something that happened to a device, as its server keeps it. Events can be listed (the newest 500 of each server; with the field selector
// device, what is kept of that device) and watched; a watch that begins at the resourceVersion of a list misses nothing. The field selectors device (name of the
// Device) and server narrow both.
//
// +kubebuilder:object:root=true
type DeviceEvent struct {
	metav1.TypeMeta `json:",inline"`
	// metadata has a name made of the server's name and the number of the event there. The resourceVersion is opaque; a watch may begin at it.
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// server is the name of the MDMServer.
	Server string `json:"server"`
	// device is the name of the Device; empty if there is none for it.
	// +optional
	Device string `json:"device,omitempty"`
	// deviceID is the id by which the server knows the device.
	DeviceID string `json:"deviceID"`
	// serialNumber is that of the Device, if it is known.
	// +optional
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
// keeps PINs for 90 days. Reading one takes the verb reveal besides get, is written to the manager's log, and makes an Event of the DeviceCommand.
//
// +kubebuilder:object:root=true
type DevicePIN struct {
	metav1.TypeMeta `json:",inline"`
	// metadata has the name and the namespace of the DeviceCommand.
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// server is the name of the MDMServer.
	Server string `json:"server"`
	// pins has one PIN for each device that the command was delivered to.
	// +listType=atomic
	PINs []PIN `json:"pins"`
}

// PIN is that of one device.
type PIN struct {
	// device is the name of the Device; empty if there is none for it.
	// +optional
	Device string `json:"device,omitempty"`
	// deviceID is the id by which the server knows the device.
	DeviceID string `json:"deviceID"`
	// serialNumber is that of the Device, if it is known.
	// +optional
	SerialNumber string `json:"serialNumber,omitempty"`
	// pin is what to type at the Mac's lock screen.
	PIN string `json:"pin"`
}

// DevicePINList is a list of DevicePINs; nothing answers with one.
//
// +kubebuilder:object:root=true
type DevicePINList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []DevicePIN `json:"items"`
}
