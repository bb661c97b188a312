package fleet

import (
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// Channels of a Windows device. The user channel, "<DeviceID>:user", is whoever is logged in: Windows tells no more.
const (
	ChannelWindows     ChannelKind = "Windows"
	ChannelWindowsUser ChannelKind = "WindowsUser"
)

// platform is that of the devices with such a channel.
func (k ChannelKind) platform() adminapi.Platform {
	if k == ChannelWindows || k == ChannelWindowsUser {
		return adminapi.PlatformWindows
	}
	return adminapi.PlatformApple
}

// WindowsCredential is what a Windows device enrols with. Exactly one is set.
type WindowsCredential struct {
	// TokenHash is the lower-case hex SHA-256 of an enrolment token that a person typed as the password.
	TokenHash string
	// NodeKeyHash is the lower-case hex SHA-256 of the node key of an agent.
	NodeKeyHash string
	// Ticket is the one-time secret that the sign-in page handed out.
	Ticket string
}

// WindowsClaim is what a device says of itself when it enrols or renews.
type WindowsClaim struct {
	// DeviceID is how Windows names itself in this enrolment and in SyncHdr Source; never a secret. It may be empty in a renewal.
	DeviceID string
	Facts    DeviceFacts
	// PublicKeySHA256 is the lower-case hex SHA-256 of the SubjectPublicKeyInfo in the CSR.
	PublicKeySHA256 string
}

// WindowsEnrollment is what an enrolled device is given.
type WindowsEnrollment struct {
	EnrollmentID string
	// Certificate is DER.
	Certificate []byte
	// DigestSecret is the password of the OMA-DM digest, whose user name is the EnrollmentID.
	DigestSecret string
}

// DigestCredentials are what a digest of a device is held against. Identity is that of the enrolment's certificate in use.
type DigestCredentials struct {
	Identity Identity
	Secret   string
}

// WindowsMessage is one message of a device in an OMA-DM session, decoded. Texts are bounded.
type WindowsMessage struct {
	// SessionID is opaque (decimal or hexadecimal); (SessionID, MsgID) names the message.
	SessionID, MsgID string
	// First is true when the message opens a session (Alert 1200 or 1201).
	First bool
	// Login is what the LoginStatus alert said: "user", "others", "none", or "" without one.
	Login string
	// More is true while the device has more of this package to send (Alert 1222, or no Final): it gets no command now.
	More bool
	// Aborted is true when the device ends the session (Alert 1223).
	Aborted  bool
	Statuses []WindowsStatus
	Results  []WindowsResult
	Alerts   []WindowsAlert
	// Replaced is what the device says of itself without being asked (./DevInfo).
	Replaced []WindowsResult
}

// WindowsStatus answers a command of an earlier reply.
type WindowsStatus struct {
	// MsgRef and CmdRef name the command; CmdRef is WindowsOrder.ID.
	MsgRef, CmdRef string
	Code           int
	// OriginalError is the HRESULT of msft:originalerror, if any.
	OriginalError string
}

// WindowsResult is the value of a node.
type WindowsResult struct {
	MsgRef, CmdRef             string
	LocURI, Format, Type, Data string
}

// WindowsAlert is an event of the device (Alert 1224 and 1226) other than those that have a field of their own.
type WindowsAlert struct {
	Code                    int
	Type, LocURI, Fmt, Data string
}

// WindowsOrder is a command to the device. ID is its CmdID: numbers from 1 on, in the order of the document, inner commands of an Atomic or a Sequence
// included, whose IDs stand in Inner.
type WindowsOrder struct {
	ID      string
	Command adminapi.SyncMLCommand
	Inner   []string
}

// AgentClaim is what an agent says of the machine it runs on. All of it is self-asserted.
type AgentClaim struct {
	HardwareUUID, SerialNumber string
}

// AgentNotice is what an agent is told when it polls.
type AgentNotice struct {
	// Enroll asks it to make Windows enrol, Unenroll to make Windows leave, Sync to start a management session now.
	Enroll, Unenroll, Sync bool
}

// AgentRow is an agent. NodeKeyHash is the lower-case hex SHA-256 of its node key.
type AgentRow struct {
	NodeKeyHash  string
	HardwareUUID string
	SerialNumber string
	Token        adminapi.Key
	CreatedAt    time.Time
	// DeviceID is the device that enrolled with its node key last; empty before one did.
	DeviceID string
}

// AgentView is what the notice of an agent depends on. WakeAt is when its device is asked for a session; zero: nothing waits.
type AgentView struct {
	NodeKeyHash      string
	Enroll, Unenroll bool
	WakeAt           time.Time
}

// SessionRow is the latest OMA-DM session of a device. State is sealed: what was sent in it and the last reply.
type SessionRow struct {
	DeviceID  string
	SessionID string
	MsgID     string
	State     []byte
	UpdatedAt time.Time
}
