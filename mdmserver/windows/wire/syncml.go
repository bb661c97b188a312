package wire

// ContentTypeSyncML is the media type of a SyncML message in XML.
const ContentTypeSyncML = "application/vnd.syncml.dm+xml"

// Names of the commands that the server itself knows (OMA SyncML Representation Protocol 1.2.2, section 6). Decoded messages may hold others.
const (
	CmdStatus   = "Status"
	CmdResults  = "Results"
	CmdAlert    = "Alert"
	CmdReplace  = "Replace"
	CmdAtomic   = "Atomic"
	CmdSequence = "Sequence"
	// CmdHeader is what the Status of a message's header names as the command; its CmdRef is HeaderRef.
	CmdHeader = "SyncHdr"
	HeaderRef = "0"
)

// Statuses that the server gives (OMA SyncML Representation Protocol 1.2.2, section 10).
const (
	StatusOK                 = "200"
	StatusAuthenticated      = "212"
	StatusChunkAccepted      = "213"
	StatusInvalidCredentials = "401"
	StatusForbidden          = "403"
	StatusNotSupported       = "406"
	StatusMissingCredentials = "407"
	StatusSizeRequired       = "411"
	StatusSizeTooBig         = "416"
	StatusSizeMismatch       = "424"
	StatusFailed             = "500"
)

// Alerts (OMA SyncML Representation Protocol 1.2.2, section 11; OMA DM Protocol 1.2.1, section 8.7).
const (
	AlertServerInitiated = "1200"
	AlertClientInitiated = "1201"
	AlertNextMessage     = "1222"
	AlertAbort           = "1223"
)

// Message is a SyncML message, of either side.
type Message struct {
	Header   Header
	Commands []Command
	// Final is true in the last message of a package.
	Final bool
}

// Header is SyncHdr. SessionID is opaque: decimal, or hexadecimal in newer clients. MsgID counts the messages of a session from 1 on.
type Header struct {
	SessionID      string
	MsgID          string
	Target, Source string
	Cred           *Cred
}

// Cred is a credential; Data is in base64.
type Cred struct {
	Type, Format, Data string
}

// Chal asks for a credential; NextNonce is in base64.
type Chal struct {
	Type, Format, NextNonce string
}

// Command is an element of SyncBody: a command, an answer or an alert.
type Command struct {
	// Name is that of the element, such as CmdAlert.
	Name  string
	CmdID string
	// MsgRef, CmdRef and Cmd name the command that a Status or Results answers.
	MsgRef, CmdRef, Cmd string
	Chal                *Chal
	// Data is the code of a Status or an Alert.
	Data string
	// OriginalError is the HRESULT that Windows adds to a Status.
	OriginalError string
	Items         []Item
	// Commands are those of an Atomic or a Sequence.
	Commands []Command
}

// Item is one node and its value.
type Item struct {
	Target, Source string
	Meta           Meta
	Data           string
	// More is true when the rest of Data comes in the next message.
	More bool
}

// Meta describes Data. Size is in bytes, and 0 unless Data comes in several messages.
type Meta struct {
	Format, Type string
	Size         int
}
