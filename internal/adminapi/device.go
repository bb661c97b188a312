package adminapi

import "time"

// DeviceState says where a device is in its enrolment.
type DeviceState string

// The states of an enrolment.
const (
	// DevicePending has authenticated but not yet sent its first TokenUpdate.
	DevicePending DeviceState = "Pending"
	// DeviceEnrolled can be managed.
	DeviceEnrolled DeviceState = "Enrolled"
	// DeviceEnded is over; EndReason says why. A new identity may enrol it.
	DeviceEnded DeviceState = "Ended"
)

// Reasons why an enrolment ended.
const (
	EndCheckedOut = "CheckedOut"
	EndWiped      = "Wiped"
	EndUnenrolled = "Unenrolled"
	EndReleased   = "Released"
)

// EnrollmentKind is the kind of an Apple enrolment.
type EnrollmentKind string

// The kinds of enrolment.
const (
	EnrollmentDevice EnrollmentKind = "Device"
	EnrollmentUser   EnrollmentKind = "UserEnrollment"
)

// Device is what the server knows of one device.
type Device struct {
	// ID is the durable id of the device at this server: the UDID, the EnrollmentID of a user enrolment, or the DeviceID
	// under which Windows enrolled (which UDID repeats).
	ID       string         `json:"id"`
	Platform Platform       `json:"platform"`
	Kind     EnrollmentKind `json:"kind"`
	State    DeviceState    `json:"state"`
	// EnrollmentID is new at every enrolment and kept by a renewal.
	EnrollmentID string    `json:"enrollmentID"`
	EnrolledAt   time.Time `json:"enrolledAt,omitzero"`
	EndReason    string    `json:"endReason,omitempty"`
	EndedAt      time.Time `json:"endedAt,omitzero"`

	UDID         string `json:"udid,omitempty"`
	SerialNumber string `json:"serialNumber,omitempty"`
	Model        string `json:"model,omitempty"`
	ModelName    string `json:"modelName,omitempty"`
	ProductName  string `json:"productName,omitempty"`
	OSVersion    string `json:"osVersion,omitempty"`
	BuildVersion string `json:"buildVersion,omitempty"`
	DeviceName   string `json:"deviceName,omitempty"`
	// Users counts the enabled user channels.
	Users int `json:"users,omitempty"`

	// IdentityNotAfter is the expiry of the identity certificate in use; RenewingSince is set while a renewal is under way.
	IdentityNotAfter time.Time `json:"identityNotAfter,omitzero"`
	RenewingSince    time.Time `json:"renewingSince,omitzero"`
	// Token is the EnrollmentToken that enrolled the device, TokenLabels the labels it gives.
	Token       Key               `json:"token,omitempty"`
	TokenLabels map[string]string `json:"tokenLabels,omitempty"`
	// Ignored and Unenrolling are true while IntentIgnore or IntentUnenroll is wanted of the enrolment.
	Ignored     bool `json:"ignored,omitempty"`
	Unenrolling bool `json:"unenrolling,omitempty"`
	// Responding is false once the device has been silent for longer than the server's silentAfter.
	Responding bool      `json:"responding"`
	LastSeen   time.Time `json:"lastSeen,omitzero"`
	// PushUnregistered is true after Apple said 410 Unregistered for the token in use.
	PushUnregistered bool `json:"pushUnregistered,omitempty"`
	// Automated is the automated enrolment by which the device enrolled.
	Automated Key `json:"automated,omitempty"`
	// AwaitingConfiguration is true while an Apple device waits in Setup Assistant to be configured; ConfiguredAt is when it was let go.
	AwaitingConfiguration bool      `json:"awaitingConfiguration,omitempty"`
	ConfiguredAt          time.Time `json:"configuredAt,omitzero"`
	// UserPrincipalName is whom the sign-in page knew when the device enrolled by it.
	UserPrincipalName string `json:"userPrincipalName,omitempty"`
	// Authentication is the strongest layer by which a Windows device proved itself in this enrolment.
	Authentication    ManagementAuthentication `json:"authentication,omitempty"`
	LastError         *DeviceError             `json:"lastError,omitempty"`
	LastDrift         *Drift                   `json:"lastDrift,omitempty"`
	HasBootstrapToken bool                     `json:"hasBootstrapToken,omitempty"`
	HasUnlockToken    bool                     `json:"hasUnlockToken,omitempty"`
	// Failing lists at most MaxFailing artifacts that this device refused; FailingCount counts all.
	Failing      []Failure `json:"failing,omitempty"`
	FailingCount int       `json:"failingCount,omitempty"`
	// Blocked tells of the last enrolment attempt with this identifier that was refused, if one was.
	Blocked *BlockedEnrollment `json:"blocked,omitempty"`
}

// BlockedEnrollment is a refused attempt to enrol an identifier that is already enrolled.
type BlockedEnrollment struct {
	Since time.Time `json:"since"`
	// Token is the EnrollmentToken that the attempt came with, if any.
	Token Key `json:"token,omitempty"`
}

// Intent is what the cluster wants of an enrolment besides its assignments.
type Intent string

// The intents of the cluster.
const (
	// IntentManage is the normal state; it takes Ignore back.
	IntentManage Intent = "Manage"
	// IntentIgnore leaves the device enrolled but asks nothing of it and removes nothing from it.
	IntentIgnore Intent = "Ignore"
	// IntentUnenroll removes the enrolment profile from the device at its next contact.
	IntentUnenroll Intent = "Unenroll"
	// IntentRelease ends the enrolment at the server, so that a new identity may enrol the device.
	IntentRelease Intent = "Release"
)

// DeviceIntent names one enrolment and what is wanted of it. An intent for an earlier enrolment is answered in IntentReply.Stale.
type DeviceIntent struct {
	DeviceID     string `json:"deviceID"`
	EnrollmentID string `json:"enrollmentID"`
	Intent       Intent `json:"intent"`
}

// IntentBatch carries at most MaxBatch intents.
type IntentBatch struct {
	Intents []DeviceIntent `json:"intents"`
}

// IntentReply names the devices whose intent was for an earlier enrolment or an unknown device.
type IntentReply struct {
	Stale []string `json:"stale,omitempty"`
}

// PushRequest asks to wake devices now.
type PushRequest struct {
	DeviceIDs []string `json:"deviceIDs"`
}

// Token is an EnrollmentToken as the server knows it: never the token, only its hash.
type Token struct {
	Key Key `json:"key"`
	// Hash is the lower-case hex SHA-256 of the token.
	Hash      string            `json:"hash"`
	ExpiresAt time.Time         `json:"expiresAt,omitzero"`
	MaxUses   int               `json:"maxUses,omitempty"` // 0: no limit
	Labels    map[string]string `json:"labels,omitempty"`
	// Platforms that may enrol with the token; none means Apple.
	Platforms []Platform `json:"platforms,omitempty"`
	// SerialNumber or UDID bind the token to the one Device it is for. Such a token may replace that device's live enrolment.
	SerialNumber string `json:"serialNumber,omitempty"`
	UDID         string `json:"udid,omitempty"`
}

// TokenStatus counts the uses of a token. A use counts when a certificate is issued.
type TokenStatus struct {
	Key      Key       `json:"key"`
	Uses     int       `json:"uses"`
	LastUsed time.Time `json:"lastUsed,omitzero"`
}
