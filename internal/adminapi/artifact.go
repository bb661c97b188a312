package adminapi

import "time"

// Scope says on which channel of a device an artifact is installed.
type Scope string

// The scopes of an artifact.
const (
	ScopeSystem Scope = "System"
	ScopeUser   Scope = "User"
)

// Artifact is one rendered Profile: an unsigned canonical template. Per-device variables are substituted and the result is signed
// at delivery.
type Artifact struct {
	Key   Key   `json:"key"`
	Scope Scope `json:"scope"`
	// Platform that the artifact is for; empty means Apple.
	Platform Platform `json:"platform,omitempty"`
	// Identifier is the top-level PayloadIdentifier. One (server, scope, identifier) has one owner. An artifact for Windows has its key here and owns
	// nodes, which it may share.
	Identifier string `json:"identifier"`
	// Digest covers the template, the resolved secret values and the payload format version, never a signature.
	Digest string `json:"digest"`
	// Template is a property list, or a WindowsProfile in JSON.
	Template []byte `json:"template"`
	// Sign asks for a CMS signature at delivery.
	Sign bool `json:"sign,omitempty"`
}

// ArtifactStatus counts how far the fleet is with an artifact. Targeted counts assigned devices; every targeted device
// is counted in exactly one of Installed, Pending and Failed. A device with several channels in scope counts by its worst one.
type ArtifactStatus struct {
	Key        Key    `json:"key"`
	Digest     string `json:"digest"`
	Scope      Scope  `json:"scope"`
	Identifier string `json:"identifier"`
	Targeted   int    `json:"targeted"`
	Installed  int    `json:"installed"`
	// Pending includes the devices that answered NotNow, which NotNow counts again on its own.
	Pending int `json:"pending"`
	NotNow  int `json:"notNow"`
	Failed  int `json:"failed"`
	// Removing counts devices that still carry the artifact though it is no longer assigned to them.
	Removing int `json:"removing"`
	// Failing names at most MaxFailing of the failed devices.
	Failing []Failure `json:"failing,omitempty"`
	// Withdrawn is true once the artifact was deleted and only removals are left.
	Withdrawn bool `json:"withdrawn,omitempty"`
}

// Failure is one artifact that a device refused. Error is final for the digest.
type Failure struct {
	DeviceID string    `json:"deviceID,omitempty"`
	Artifact Key       `json:"artifact,omitempty"`
	Digest   string    `json:"digest,omitempty"`
	Message  string    `json:"message,omitempty"`
	Since    time.Time `json:"since,omitzero"`
}

// Assignment is the whole set of artifacts that one device should have.
type Assignment struct {
	DeviceID string `json:"deviceID"`
	// EnrollmentID is the enrolment for which the set was computed; a server answers a stale one in AssignmentReply.Stale.
	EnrollmentID string `json:"enrollmentID"`
	Artifacts    []Key  `json:"artifacts"`
}

// AssignmentBatch carries at most MaxBatch assignments.
type AssignmentBatch struct {
	Assignments []Assignment `json:"assignments"`
}

// AssignmentReply names what the server could not take; all else was stored.
type AssignmentReply struct {
	// Stale holds ids of devices that are unknown or have another enrolment than the one named.
	Stale []string `json:"stale,omitempty"`
	// Missing holds artifacts that were never PUT; the assignment stands and takes effect once they are.
	Missing []Key `json:"missing,omitempty"`
}
