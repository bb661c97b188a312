package adminapi

import "time"

// WindowsProviderID is the PROVIDER-ID (w7 APPLICATION, DMClient CSP) under which devices know the server. It is part of LocURIs that devices keep, so it
// never changes. Names of w7 APPLICATION are case-sensitive.
const WindowsProviderID = "KubeMDM"

// SyncMLVerb is what a command does with a node of the device's management tree (OMA-DM 1.2, MS-MDM section 2.2.7).
type SyncMLVerb string

// The verbs. VerbSet is ours: Replace, or Add where there is nothing to replace.
const (
	VerbSet      SyncMLVerb = "Set"
	VerbAdd      SyncMLVerb = "Add"
	VerbReplace  SyncMLVerb = "Replace"
	VerbDelete   SyncMLVerb = "Delete"
	VerbExec     SyncMLVerb = "Exec"
	VerbGet      SyncMLVerb = "Get"
	VerbAtomic   SyncMLVerb = "Atomic"
	VerbSequence SyncMLVerb = "Sequence"
)

// SyncMLCommand is one command in terms of Windows' management protocol.
type SyncMLCommand struct {
	Verb SyncMLVerb `json:"verb"`
	// LocURI starts with "./"; one below "./User/" is for the user who is logged in. Empty for Atomic and Sequence.
	LocURI string `json:"locURI,omitempty"`
	// Format and Type are the Meta of the item: chr, int, bool, b64, bin, node, null, xml, date, time or float, and a MIME type.
	Format string `json:"format,omitempty"`
	Type   string `json:"type,omitempty"`
	Data   string `json:"data,omitempty"`
	// Unverified leaves a node out of verification: nobody can read it, or it never answers what was written.
	Unverified bool `json:"unverified,omitempty"`
	// Commands are those of an Atomic or a Sequence; they do not nest further.
	Commands []SyncMLCommand `json:"commands,omitempty"`
}

// WindowsProfile is the Template of an artifact for Windows, in JSON: commands in order. What Set, Add and Replace write is verified by Get and removed
// by Delete once no assigned artifact has the node any more.
type WindowsProfile struct {
	Commands []SyncMLCommand `json:"commands"`
}

// Windows request types. All but WindowsUnenroll come with their commands; the names show in DeviceCommand results.
const (
	WindowsDeviceInformation  = "DeviceInformation"
	WindowsRestart            = "RebootNow"
	WindowsWipe               = "RemoteWipe"
	WindowsUnenroll           = "Unenroll"
	WindowsInstallMSI         = "InstallMSI"
	WindowsInstallCertificate = "InstallCertificate"
	WindowsRaw                = "Raw"
)

// WindowsCommand is an action in terms of Windows' protocol. The commands go to the device in one message and in order; the action succeeds when each was
// answered with success, and Await, if set, has come to its end.
type WindowsCommand struct {
	RequestType string          `json:"requestType"`
	Commands    []SyncMLCommand `json:"commands"`
	// Await is asked for in later sessions after the commands were accepted.
	Await *WindowsAwait `json:"await,omitempty"`
}

// WindowsAwait is a node that tells how far a long job is.
type WindowsAwait struct {
	LocURI string `json:"locURI"`
	// Done and Failed are the values that end the job.
	Done   []string `json:"done"`
	Failed []string `json:"failed"`
	// ErrorLocURI is read when the job has failed; empty: there is no such node.
	ErrorLocURI string `json:"errorLocURI,omitempty"`
}

// ManagementAuthentication is how a device proved who it is in a management session, weakest first.
type ManagementAuthentication string

// The layers.
const (
	// AuthDigest is an OMA-DM MD5 digest with a nonce (OMA-DM Security 1.2, section 5.3).
	AuthDigest ManagementAuthentication = "Digest"
	// AuthForwarded is a client certificate that a trusted proxy verified (RFC 9440).
	AuthForwarded ManagementAuthentication = "ForwardedCertificate"
	// AuthMutualTLS is a client certificate in the TLS handshake.
	AuthMutualTLS ManagementAuthentication = "MutualTLS"
	// AuthSignature is a CMS signature over every message (MS-MDM section 2.1).
	AuthSignature ManagementAuthentication = "Signature"
)

// DeviceError is the last thing that a device refused.
type DeviceError struct {
	// Code is the SyncML status; Original the HRESULT in "msft:originalerror", such as 0x86000002, if the device gave one.
	Code     int    `json:"code"`
	Original string `json:"original,omitempty"`
	LocURI   string `json:"locURI,omitempty"`
	// Message says both in words.
	Message string    `json:"message"`
	At      time.Time `json:"at,omitzero"`
}

// Drift is a setting that a device had lost and got back.
type Drift struct {
	Artifact Key       `json:"artifact"`
	LocURI   string    `json:"locURI"`
	At       time.Time `json:"at,omitzero"`
}
