package adminapi

import (
	"strings"
	"time"
)

// DetailRequest names the device of a DeviceDetail.
type DetailRequest struct {
	DeviceID string `json:"deviceID"`
}

// DeviceDetail is all that the server can say of one device.
type DeviceDetail struct {
	Device Device `json:"device"`
	// Artifacts is what the device should have and how far each is, by channel and key; what is still being removed is among it.
	Artifacts []ArtifactState `json:"artifacts,omitempty"`
	// History has the newest entry first, at most MaxHistory.
	History []HistoryEntry `json:"history,omitempty"`
}

// ArtifactOutcome is how far an artifact is on a channel.
type ArtifactOutcome string

// The outcomes. Sent, NotNow and Pending are on their way; Installed and Failed are final for this digest; Removing is to go.
const (
	ArtifactPending   ArtifactOutcome = "Pending"
	ArtifactSent      ArtifactOutcome = "Sent"
	ArtifactNotNow    ArtifactOutcome = "NotNow"
	ArtifactInstalled ArtifactOutcome = "Installed"
	ArtifactFailed    ArtifactOutcome = "Failed"
	ArtifactRemoving  ArtifactOutcome = "Removing"
)

// ArtifactState is one artifact on one channel of a device.
type ArtifactState struct {
	Artifact Key    `json:"artifact"`
	DeviceID string `json:"deviceID"`
	// Channel is DeviceID for the device's own channel, else that of a user of it. It is empty if the artifact is assigned and the device has no
	// channel for it yet, or the server not the artifact.
	Channel    string          `json:"channel"`
	Identifier string          `json:"identifier,omitempty"`
	Digest     string          `json:"digest,omitempty"`
	Outcome    ArtifactOutcome `json:"outcome"`
	// Message is what the device said of a failure.
	Message string `json:"message,omitempty"`
	// Since is when the outcome was reached.
	Since time.Time `json:"since,omitzero"`
	// Attempts counts deliveries without an answer; the next one is not before NextAttempt.
	Attempts    int       `json:"attempts,omitempty"`
	NextAttempt time.Time `json:"nextAttempt,omitzero"`
	// LastSeen and Responding are those of the device.
	LastSeen   time.Time `json:"lastSeen,omitzero"`
	Responding bool      `json:"responding"`
}

// HistoryType is what happened to a device.
type HistoryType string

// The types of entries.
const (
	HistoryEnrolled     HistoryType = "Enrolled"     // a new enrolment began to be managed
	HistoryRenewed      HistoryType = "Renewed"      // a new identity certificate is in use
	HistoryEnded        HistoryType = "Ended"        // the enrolment is over; Message is the reason
	HistoryBlocked      HistoryType = "Blocked"      // an attempt to enrol the identifier was refused
	HistorySent         HistoryType = "Sent"         // a command was delivered
	HistoryAcknowledged HistoryType = "Acknowledged" // it was carried out
	HistoryNotNow       HistoryType = "NotNow"       // it was put off by the device
	HistoryFailed       HistoryType = "Failed"       // it was refused; Message is what the device said
	HistoryDrifted      HistoryType = "Drifted"      // a setting had another value than it should, and is repaired (Windows)
)

// HistoryEntry is one thing that happened. No entry has a secret in it.
type HistoryEntry struct {
	// Seq is unique in the server and grows.
	Seq      int64       `json:"seq"`
	At       time.Time   `json:"at"`
	DeviceID string      `json:"deviceID"`
	Channel  string      `json:"channel,omitempty"`
	Type     HistoryType `json:"type"`
	// Artifact or Action is what a command was for; both are empty for the server's own.
	Artifact    Key    `json:"artifact,omitempty"`
	Action      Key    `json:"action,omitempty"`
	RequestType string `json:"requestType,omitempty"`
	CommandUUID string `json:"commandUUID,omitempty"`
	Message     string `json:"message,omitempty"`
}

// HistoryPage is the answer of PathHistory. Next is the value of after for the next one.
type HistoryPage struct {
	StoreEpoch string         `json:"storeEpoch"`
	Items      []HistoryEntry `json:"items,omitempty"`
	Next       int64          `json:"next"`
}

// Store names the store of the page: the part of its epoch that outlives a start of the server, and is the same for all replicas.
func (p *HistoryPage) Store() string {
	store, _, _ := strings.Cut(p.StoreEpoch, ".")
	return store
}

// MaxImport bounds the enrolments of one ImportBatch.
const MaxImport = 500

// ImportBatch carries enrolments of another server, which go on here without enrolling again.
type ImportBatch struct {
	// Import is the name of the Import in the server's configuration by whose paths and CA they go on.
	Import string `json:"import"`
	// DryRun judges and stores nothing.
	DryRun      bool                 `json:"dryRun,omitempty"`
	Enrollments []ImportedEnrollment `json:"enrollments"`
}

// ImportedEnrollment is one device with its channels.
type ImportedEnrollment struct {
	// Device has ID, Kind, the facts (UDID, SerialNumber, Model ...), EnrolledAt and LastSeen; the rest is ignored.
	Device Device `json:"device"`
	// PayloadIdentifier, ServerURL, CheckInURL, Topic and AccessRights are those of its enrolment profile.
	PayloadIdentifier string `json:"payloadIdentifier"`
	ServerURL         string `json:"serverURL"`
	CheckInURL        string `json:"checkInURL"`
	Topic             string `json:"topic"`
	AccessRights      int    `json:"accessRights"`
	// Certificate is the identity certificate in use (DER), or empty if only its SHA-256 (lower-case hex) is known.
	Certificate       []byte            `json:"certificate,omitempty"`
	CertificateSHA256 string            `json:"certificateSHA256,omitempty"`
	BootstrapToken    []byte            `json:"bootstrapToken,omitempty"`
	UnlockToken       []byte            `json:"unlockToken,omitempty"`
	Channels          []ImportedChannel `json:"channels"`
}

// ImportedChannel is the device's own channel (ID is the device's) or that of a user.
type ImportedChannel struct {
	ID        string    `json:"id"`
	PushToken []byte    `json:"pushToken"`
	PushMagic string    `json:"pushMagic"`
	TokenAt   time.Time `json:"tokenAt,omitzero"`
}

// ImportReply says what became of each enrolment, in the order of the batch.
type ImportReply struct {
	Results []ImportResult `json:"results"`
}

// ImportOutcome is what became of an enrolment.
type ImportOutcome string

// The outcomes of an import. In a dry run they are what would become of it.
const (
	Imported        ImportOutcome = "Imported"
	ImportUnchanged ImportOutcome = "Unchanged" // it was imported before, or has enrolled here since
	ImportRefused   ImportOutcome = "Refused"   // Message says why
)

// ImportResult is what became of one enrolment.
type ImportResult struct {
	DeviceID string        `json:"deviceID"`
	Outcome  ImportOutcome `json:"outcome"`
	Message  string        `json:"message,omitempty"`
}
