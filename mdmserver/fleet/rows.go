package fleet

import (
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// TokenRow is an enrolment token and its uses.
type TokenRow struct {
	adminapi.Token
	Uses     int
	LastUsed time.Time
}

// ChallengeRow is a one-time SCEP challenge. PublicKey and Certificate are set once it was redeemed.
type ChallengeRow struct {
	// SecretHash is the lower-case hex SHA-256 of the challenge.
	SecretHash   string
	EnrollmentID string
	Renewal      bool
	// Token is the token that minted it; empty for a renewal and in Setup Assistant.
	Token     adminapi.Key
	Params    EnrollmentParams
	ExpiresAt time.Time
	// UserPrincipalName is who signed in; empty without a sign-in.
	UserPrincipalName string
	// Automated is the automated enrolment that minted it, SerialNumber the device that it is for; both are empty otherwise.
	Automated    adminapi.Key
	SerialNumber string
	// PublicKey is the hash of the key that redeemed it, Certificate what it got (DER).
	PublicKey   string
	Certificate []byte
}

// EnrollmentRow is an enrolment that a certificate was issued for.
type EnrollmentRow struct {
	ID string
	// DeviceID is empty until the first Authenticate.
	DeviceID string
	Token    adminapi.Key
	Labels   map[string]string
	// SerialNumber and UDID are the device that the token was for, if it was for one, and the one that asked in Setup Assistant.
	SerialNumber string
	UDID         string
	Params       EnrollmentParams
	IssuedAt     time.Time
	// Automated is the automated enrolment, in the place of Token.
	Automated adminapi.Key
	// UserPrincipalName is who signed in; empty without a sign-in.
	UserPrincipalName string
}

// AutomatedRow is an automated enrolment without its devices.
type AutomatedRow struct {
	Key      adminapi.Key
	Digest   string
	Profiles []adminapi.AutomatedProfile
}

// AutomatedDeviceRow is a device that may enrol with an automated enrolment. Profile is empty or the name of one of its profiles.
type AutomatedDeviceRow struct {
	SerialNumber string
	Automated    adminapi.Key
	Profile      string
}

// IdentityRow is an issued certificate.
type IdentityRow struct {
	Fingerprint  string
	EnrollmentID string
	NotBefore    time.Time
	NotAfter     time.Time
	// RejectAfter is zero for a certificate in use; it is the end of the grace of a superseded one, and the time of revocation.
	RejectAfter time.Time
	// PublicKey is the hash of the key of a Windows device, as in WindowsClaim; empty for Apple devices.
	PublicKey string
	// Thumbprint is the upper-case hex SHA-1 of the DER certificate, by which Windows names it.
	Thumbprint string
}

// DeviceRow is a device and its latest enrolment.
type DeviceRow struct {
	ID           string
	Platform     adminapi.Platform
	Kind         adminapi.EnrollmentKind
	State        adminapi.DeviceState
	EnrollmentID string
	EnrolledAt   time.Time
	EndReason    string
	EndedAt      time.Time
	Facts        DeviceFacts
	Token        adminapi.Key
	TokenLabels  map[string]string
	// Automated is the automated enrolment by which it enrolled.
	Automated adminapi.Key
	// Bound is true when the token was for this very device, or the automated enrolment.
	Bound  bool
	Params EnrollmentParams
	Intent adminapi.Intent
	// UnenrollAt is when the removal of the enrolment profile may next be asked for (IntentUnenroll).
	UnenrollAt time.Time
	Blocked    *adminapi.BlockedEnrollment

	// Fingerprint, IdentityNotBefore and IdentityNotAfter are those of the identity in use.
	Fingerprint       string
	IdentityNotBefore time.Time
	IdentityNotAfter  time.Time
	// RenewAt is when a renewal is next due; it moves on with each attempt.
	RenewAt       time.Time
	RenewingSince time.Time

	LastSeen time.Time
	Silent   bool
	// BootstrapToken and UnlockToken are sealed; nil when there is none.
	BootstrapToken []byte
	UnlockToken    []byte

	// Setup is how far the device came in Setup Assistant (Apple).
	Setup Setup
	// UserPrincipalName is who signed in.
	UserPrincipalName string

	// Of Windows devices only. DigestSecret is sealed.
	DigestSecret   []byte
	Authentication adminapi.ManagementAuthentication
	LastError      *adminapi.DeviceError
	LastDrift      *adminapi.Drift
}

// Setup is how far a device came in Setup Assistant, in one enrolment. The offer is that of DeviceConfigured.
type Setup struct {
	// Awaiting is true from the TokenUpdate that says so until DeviceConfigured is acknowledged, which happened at ConfiguredAt.
	Awaiting     bool
	ConfiguredAt time.Time
	// Assigned is true once the manager has told what the device should have.
	Assigned bool
	Offer
}

// ChannelRow is an enrolment channel and how it is woken.
type ChannelRow struct {
	Channel
	// Scope is the scope of the artifacts that go to this channel.
	Scope adminapi.Scope
	// Enabled is true from the first TokenUpdate to the end of the enrolment; Tally counts TokenUpdates.
	Enabled   bool
	Tally     int
	PushToken []byte
	// PushMagic is sealed.
	PushMagic []byte
	Topic     string
	// TokenAt is when the device sent PushToken last; Unregistered is true after APNs called it so.
	TokenAt      time.Time
	Unregistered bool
	// WakeAt is when the channel is pushed to next; zero when nothing waits for it. Wakes counts the pushes since it last connected.
	WakeAt time.Time
	Wakes  int
}

// ArtifactRow is an artifact; Template is sealed. A withdrawn one has no template and lives until its last removal is confirmed.
type ArtifactRow struct {
	Key        adminapi.Key
	Platform   adminapi.Platform
	Scope      adminapi.Scope
	Identifier string
	Digest     string
	Template   []byte
	Sign       bool
	Withdrawn  bool
}

// Outcome is what is known of an artifact on a channel.
type Outcome string

// The outcomes. Installed and Failed are final for the digest.
const (
	OutcomePending   Outcome = "Pending"
	OutcomeNotNow    Outcome = "NotNow"
	OutcomeInstalled Outcome = "Installed"
	OutcomeFailed    Outcome = "Failed"
)

// OfferState is where a piece of work stands in the current session of a channel.
type OfferState string

// The states of an offer. Both others become OfferReady at the channel's next Idle, which says that nothing is being executed.
const (
	OfferReady    OfferState = ""
	OfferSent     OfferState = "Sent"
	OfferDeferred OfferState = "Deferred" // the device answered NotNow
)

// Offer is how far a piece of work came on its way to a device.
type Offer struct {
	State OfferState
	// CommandUUID of the command that carried it last; a resend repeats it.
	CommandUUID string
	// Attempts counts deliveries without an answer, NextAttempt is the earliest time of another one.
	Attempts    int
	NextAttempt time.Time
}

// StateRow is the desired and the actual state of one artifact on one channel.
type StateRow struct {
	ChannelID string
	DeviceID  string
	Artifact  adminapi.Key
	// Digest is the assigned one; Outcome and Message belong to it.
	Digest  string
	Outcome Outcome
	Message string
	// Since is when the outcome was reached.
	Since time.Time
	// VerifyAt is when an installed artifact is next read back (Windows); zero: never.
	VerifyAt time.Time
	Offer
}

// RecordRow is a profile that is, or may be, on a channel. It is written when an install is sent, since a device may crash between
// installing and answering. The offer is that of its removal.
type RecordRow struct {
	ChannelID  string
	DeviceID   string
	Identifier string
	Artifact   adminapi.Key
	// Digest is the one the device confirmed last; empty before it did.
	Digest string
	Offer
}

// CommandKind is what a command does.
type CommandKind string

// The kinds of command.
const (
	CommandInstall  CommandKind = "Install"
	CommandRemove   CommandKind = "Remove"
	CommandAction   CommandKind = "Action"
	CommandRenew    CommandKind = "Renew"
	CommandUnenroll CommandKind = "Unenroll"
	// CommandConfigured lets the device leave Setup Assistant.
	CommandConfigured CommandKind = "Configured"
)

// CommandRow is the command last sent for (ChannelID, Kind, Key) and not finally answered. An answer is credited to what stands here.
type CommandRow struct {
	UUID      string
	ChannelID string
	Kind      CommandKind
	// Key is the artifact, the identifier or the action's ID; empty for Renew, Unenroll and Configured.
	Key string
	// Digest and Identifier are those of an install.
	Digest     string
	Identifier string
}

// ActionRow is an action; Command is its sealed adminapi.Action in JSON, without targets.
type ActionRow struct {
	ID          string
	Key         adminapi.Key
	SpecHash    string
	RequestType string
	Command     []byte
	Deadline    time.Time
	CreatedAt   time.Time
	FinishedAt  time.Time
	// Seq orders actions; the newest of a key is the one that was PUT last.
	Seq int64
	// WantedEpoch is the store epoch in which the manager last PUT a destructive action.
	WantedEpoch string
}

// TargetRow is an action on one enrolment; PIN and Body are sealed.
type TargetRow struct {
	ActionID     string
	Action       adminapi.Key
	DeviceID     string
	EnrollmentID string
	RequestType  string
	Deadline     time.Time
	Seq          int64
	State        adminapi.TargetState
	Message      string
	DeliveredAt  time.Time
	FinishedAt   time.Time
	PIN          []byte
	Body         []byte
	// Accepted is true once the commands of a Windows action were accepted and only its end is awaited.
	Accepted bool
	Offer
}

// OpenTarget is a target that is not final, with what it needs of its action.
type OpenTarget struct {
	TargetRow
	Command     []byte
	WantedEpoch string
}

// DirtyRow is one row that the manager has not seen yet.
type DirtyRow struct {
	Kind    adminapi.Kind
	Key     string
	Version int64
}

// ArtifactCounts are the counters of an artifact, in devices, over all devices that are neither ended nor ignored.
type ArtifactCounts struct {
	Targeted, Installed, NotNow, Failed, Removing int
}

// FleetCounts are the counters of the whole server, in devices.
type FleetCounts struct {
	Enrolled, Behind, Responding int
}

// ProgressPart says why an artifact is among what a device has or should have.
type ProgressPart int

// The parts.
const (
	// ProgressWanted is a state on a channel.
	ProgressWanted ProgressPart = iota
	// ProgressRemoving is on a channel that has no state of it.
	ProgressRemoving
	// ProgressUnreached is assigned and has no state on any channel: it does not exist yet, or the device has no channel for it.
	ProgressUnreached
)

// ProgressRow is an artifact on a channel, with what stands in other rows. Of ProgressRemoving, Digest and the offer are those of the records; of
// ProgressUnreached only the artifact and the device are set.
type ProgressRow struct {
	StateRow
	Part       ProgressPart
	Identifier string
	// LastSeen and Responding are those of the device.
	LastSeen   time.Time
	Responding bool
}

// ProgressPlace is a place in the list of one artifact: by part, then ProgressWanted by device and channel, ProgressRemoving by channel, ProgressUnreached
// by device.
type ProgressPlace struct {
	Part      ProgressPart
	DeviceID  string
	ChannelID string
}
