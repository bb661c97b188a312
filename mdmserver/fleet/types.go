package fleet

import (
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// Identity is a client certificate that was verified to come from a trusted generation of the device-identity CA.
type Identity struct {
	// Fingerprint is the lower-case hex SHA-256 of the DER certificate.
	Fingerprint string
	// EnrollmentID is the enrolment the certificate was issued for: its subject's common name, which the server chose. It is empty for a certificate of
	// another server's CA, whose names mean nothing here: that one is known by its fingerprint alone, if it was imported.
	EnrollmentID string
	NotBefore    time.Time
	NotAfter     time.Time
}

// ChannelKind is the kind of an enrolment channel.
type ChannelKind string

// The kinds of channel (nanomdm's mdm.EnrollType in our words).
const (
	ChannelDevice               ChannelKind = "Device"
	ChannelUser                 ChannelKind = "User"
	ChannelUserEnrollmentDevice ChannelKind = "UserEnrollmentDevice"
	ChannelUserEnrollment       ChannelKind = "UserEnrollment"
	ChannelSharedIPad           ChannelKind = "SharedIPad"
)

// Channel names one enrolment channel. A user channel is never a second device.
type Channel struct {
	// ID is nanomdm's enrolment id: UDID, UDID:UserID, EnrollmentID or EnrollmentID:EnrollmentUserID.
	ID string
	// DeviceID is the id of the device channel it belongs to; equal to ID on the device channel itself.
	DeviceID string
	Kind     ChannelKind
}

// IsDevice says whether the channel is the device's own.
func (c Channel) IsDevice() bool { return c.ID == c.DeviceID }

// DeviceFacts is what a device says of itself. Empty fields are unknown and overwrite nothing.
type DeviceFacts struct {
	UDID, SerialNumber, Model, ModelName, ProductName, OSVersion, BuildVersion, DeviceName string
}

// PushInfo is where a channel is woken.
type PushInfo struct {
	Token []byte
	Magic string
	Topic string
}

// EnrollmentParams is what a device remembers of its enrolment profile. A renewal must repeat it to the letter, or the device
// refuses the new profile.
type EnrollmentParams struct {
	PayloadIdentifier string
	ServerURL         string
	CheckInURL        string
	Topic             string
	AccessRights      int
}

// Challenge is a freshly minted one-time SCEP challenge and the enrolment that a certificate issued for it belongs to.
type Challenge struct {
	Secret       string
	EnrollmentID string
	ExpiresAt    time.Time
}

// Grant is what a redeemed challenge allows: one certificate for this enrolment.
type Grant struct {
	EnrollmentID string
	// Renewal is true when the enrolment is live already.
	Renewal bool
}

// Status is a device's answer to a command (MDM protocol reference, "Status").
type Status string

// The statuses of a report.
const (
	StatusIdle               Status = "Idle"
	StatusAcknowledged       Status = "Acknowledged"
	StatusError              Status = "Error"
	StatusCommandFormatError Status = "CommandFormatError"
	StatusNotNow             Status = "NotNow"
)

// Report is one request of a device to the command endpoint.
type Report struct {
	Status Status
	// CommandUUID is empty when the device is idle.
	CommandUUID string
	// Message is the error chain in words, bounded.
	Message string
	// Body is the whole answer; it is sealed when stored.
	Body []byte
	// Facts are set when the answer holds some (DeviceInformation).
	Facts *DeviceFacts
}

// Delivery is the next thing a channel gets. Exactly one of the pointers is set.
type Delivery struct {
	CommandUUID string
	Channel     Channel
	Device      adminapi.Device
	Install     *Install
	Remove      *Remove
	Action      *ActionDelivery
	Renewal     *Renewal
	// Configured lets the device leave Setup Assistant.
	Configured *Configured
}

// Install installs an artifact.
type Install struct {
	Artifact   adminapi.Key
	Identifier string
	Digest     string
	Template   []byte
	Sign       bool
}

// Remove removes the profile with this identifier; the enrolment profile itself to unenrol a device.
type Remove struct {
	Identifier string
}

// ActionDelivery runs an action on this channel.
type ActionDelivery struct {
	Command adminapi.AppleCommand
	// PIN is set when Command.GeneratePIN is, UnlockToken for ClearPasscode.
	PIN         string
	UnlockToken []byte
}

// Configured is the command DeviceConfigured, which holds nothing.
type Configured struct{}

// Renewal reinstalls the enrolment profile with a challenge for the same enrolment.
type Renewal struct {
	Params    EnrollmentParams
	Challenge string
}

// Encoder turns a delivery into the bytes of a command. It is called inside the transaction that records the delivery: an error is
// final for that delivery, which is closed as failed with the error's text, and the next one is tried.
type Encoder interface {
	Encode(d Delivery) ([]byte, error)
}

// Wake is one channel that has work waiting and should be pushed to now.
type Wake struct {
	ChannelID string
	PushInfo
}

// WakeOutcome is what became of a push.
type WakeOutcome string

// The outcomes of a push.
const (
	// WakeAccepted was taken by the push service; the channel is woken again, with growing pauses, while it stays behind.
	WakeAccepted WakeOutcome = "Accepted"
	// WakeUnregistered was answered 410 with a timestamp later than the stored token: pushing to it ends until its next TokenUpdate.
	WakeUnregistered WakeOutcome = "Unregistered"
	// WakeRetry failed for a reason that is not the device's (network, 429, 5xx, certificate): tried again later, nothing else changes.
	WakeRetry WakeOutcome = "Retry"
	// WakeRejected was refused for this token (BadDeviceToken, payload): tried again with long pauses, the enrolment stays.
	WakeRejected WakeOutcome = "Rejected"
)

// WakeResult reports a push back.
type WakeResult struct {
	ChannelID string
	Outcome   WakeOutcome
	// Token is the one that was pushed to: a newer token in the store is not touched by an old answer.
	Token []byte
	// Timestamp is APNs' time of unregistration (WakeUnregistered).
	Timestamp time.Time
}
