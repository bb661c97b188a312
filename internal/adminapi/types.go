package adminapi

import "time"

// Key is the durable name of an object of the cluster: "namespace/name". Kubernetes UIDs are never used, so a restored cluster
// names the same things.
type Key string

// Platform is a family of devices with a management protocol of its own.
type Platform string

// The platforms.
const (
	PlatformApple   Platform = "Apple"
	PlatformWindows Platform = "Windows"
)

// Kind says what a Change is about.
type Kind string

// The kinds of state that the server reports.
const (
	KindDevice   Kind = "device"
	KindArtifact Kind = "artifact"
	KindAction   Kind = "action"
	KindToken    Kind = "token"
)

// Info describes a running server.
type Info struct {
	Version    string `json:"version"`
	StoreEpoch string `json:"storeEpoch"`
	// LeaseEpoch is the highest manager epoch seen.
	LeaseEpoch int64 `json:"leaseEpoch"`
	// Serving is the certificate devices see.
	Serving CertificateInfo `json:"serving"`
	// IdentityCAs are the loaded generations of the device-identity CA.
	IdentityCAs []CAInfo `json:"identityCAs,omitempty"`
	// WSTEPCAs are the loaded generations of the CA that issues the certificates of Windows devices.
	WSTEPCAs []CAInfo `json:"wstepCAs,omitempty"`
	// SealingKeys are the ids of the loaded sealing keys, the writing one first.
	SealingKeys []string `json:"sealingKeys,omitempty"`
	Push        PushInfo `json:"push"`
	// Refused says, by mounted folder (serving, admin, sealing, push, identity, wstep), why its newest content is not in use; the last good content
	// still is.
	Refused map[string]string `json:"refused,omitempty"`
	// Store says why the store cannot be used; then the counts below are not known, and 0.
	Store StoreProblem `json:"store,omitzero"`
	// Enrolled counts enrolled devices, Behind those with work waiting, Responding those seen within the silence limit.
	Enrolled   int `json:"enrolled"`
	Behind     int `json:"behind"`
	Responding int `json:"responding"`
}

// StoreProblem is a reason in CamelCase and a message for the administrator; both are empty while all is well.
type StoreProblem struct {
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// CertificateInfo names one certificate.
type CertificateInfo struct {
	// Fingerprint is the lower-case hex SHA-256 of the DER certificate.
	Fingerprint string    `json:"fingerprint,omitempty"`
	NotAfter    time.Time `json:"notAfter,omitzero"`
}

// CAInfo is one generation of the device-identity CA.
type CAInfo struct {
	CertificateInfo
	Generation int    `json:"generation"`
	Role       string `json:"role"`
}

// PushInfo is what the server knows of Apple's push service.
type PushInfo struct {
	Certificate CertificateInfo `json:"certificate"`
	Topic       string          `json:"topic,omitempty"`
	// Paused is true while nothing can be pushed: there is no certificate, or Apple refuses it or its topic. Reason and Message say why. No
	// device is changed by it. A Reason without Paused hinders the pushes to some devices only.
	Paused  bool      `json:"paused,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Message string    `json:"message,omitempty"`
	Since   time.Time `json:"since,omitzero"`
	// LastAccepted is the time of the last push that Apple accepted with this certificate.
	LastAccepted time.Time `json:"lastAccepted,omitzero"`
}

// Changes is the answer of PathChanges.
type Changes struct {
	StoreEpoch string   `json:"storeEpoch"`
	Changes    []Change `json:"changes,omitempty"`
}

// Change is the current state of one dirty row. Exactly one of the pointers is set, the one that Kind names; none is when
// the row is gone (Deleted).
type Change struct {
	Kind     Kind            `json:"kind"`
	Key      string          `json:"key"`
	Version  int64           `json:"version"`
	Deleted  bool            `json:"deleted,omitempty"`
	Device   *Device         `json:"device,omitempty"`
	Artifact *ArtifactStatus `json:"artifact,omitempty"`
	Action   *ActionStatus   `json:"action,omitempty"`
	Token    *TokenStatus    `json:"token,omitempty"`
}

// Acks confirms or refuses delivered changes.
type Acks struct {
	StoreEpoch string `json:"storeEpoch"`
	Acks       []Ack  `json:"acks,omitempty"`
	Nacks      []Nack `json:"nacks,omitempty"`
}

// Ack says that exactly this version was written to the API server.
type Ack struct {
	Kind    Kind   `json:"kind"`
	Key     string `json:"key"`
	Version int64  `json:"version"`
}

// Nack says that this version could not be written; it is offered again after RetryAfter seconds and blocks no other row.
type Nack struct {
	Ack
	RetryAfterSeconds int `json:"retryAfterSeconds"`
}

// Page is one page of a list. Next is empty on the last page, else the value of the after parameter for the next one.
type Page[T any] struct {
	StoreEpoch string `json:"storeEpoch"`
	Items      []T    `json:"items"`
	Next       string `json:"next,omitempty"`
}
