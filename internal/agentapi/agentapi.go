// Package agentapi is the wire contract between a server and the agent on a Windows PC. It is that of Fleet's agent orbit, so that an orbit which is
// pointed at the server works as well; of orbit's calls only those are here that lead to an enrolment. Standard library only.
package agentapi

// Paths below the server's host. The ping is GET or HEAD, all else is POST with JSON. Whatever else orbit asks for is below PathPrefix too.
const (
	PathPrefix = "/api/fleet/orbit/"
	PathPing   = PathPrefix + "ping"
	PathEnroll = PathPrefix + "enroll"
	PathConfig = PathPrefix + "config"
)

// HeaderCapabilities lists, in both directions and separated by commas, which optional parts of the protocol a side knows.
const (
	HeaderCapabilities    = "X-Fleet-Capabilities"
	CapabilityEndpoints   = "orbit_endpoints"
	CapabilityWindowsSync = "windows_mdm_sync"
)

// PlatformWindows is how an agent names its operating system.
const PlatformWindows = "windows"

// EnrollRequest asks for a node key. All of it but the secret is self-asserted.
type EnrollRequest struct {
	// EnrollSecret is an enrolment token.
	EnrollSecret string `json:"enroll_secret"`
	// HardwareUUID is that of the SMBIOS, HardwareSerial may be a placeholder of the manufacturer.
	HardwareUUID   string `json:"hardware_uuid"`
	HardwareSerial string `json:"hardware_serial"`
	Hostname       string `json:"hostname"`
	Platform       string `json:"platform"`
	ComputerName   string `json:"computer_name,omitempty"`
	HardwareModel  string `json:"hardware_model,omitempty"`
}

// EnrollReply holds the node key, with which the agent proves itself from now on.
type EnrollReply struct {
	NodeKey string `json:"orbit_node_key"`
}

// ConfigRequest is one poll.
type ConfigRequest struct {
	NodeKey string `json:"orbit_node_key"`
}

// ConfigReply answers a poll. Orbit leaves settings alone that are not in it.
type ConfigReply struct {
	Notifications Notifications `json:"notifications"`
}

// Notifications say what the agent is to do now.
type Notifications struct {
	// Enroll asks for an enrolment at DiscoveryURL. An agent does nothing if only one of the two is there.
	Enroll       bool   `json:"needs_programmatic_windows_mdm_enrollment,omitempty"`
	DiscoveryURL string `json:"windows_mdm_discovery_endpoint,omitempty"`
	// Unenroll asks to leave management. Orbit looks at it only if Enroll is not set.
	Unenroll bool `json:"needs_programmatic_windows_mdm_unenrollment,omitempty"`
	// Sync asks for a management session now.
	Sync bool `json:"windows_mdm_sync_request,omitempty"`
}

// Problem is the body of an answer that is no success. Message is for people.
type Problem struct {
	Message string   `json:"message"`
	Errors  []Detail `json:"errors,omitempty"`
}

// Detail is one reason of a Problem; Name is the field it is about, or "base".
type Detail struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// TokenProgrammatic is the Type of a RegistrationToken of an agent.
const TokenProgrammatic = 1

// RegistrationToken is, as JSON, the access token that the agent hands to Windows' RegisterDeviceWithManagement. Windows sends it, base64 encoded, in the
// BinarySecurityToken of its own enrolment.
type RegistrationToken struct {
	Type    int                 `json:"type"`
	Payload RegistrationPayload `json:"payload"`
}

// RegistrationPayload names the agent. AuthToken is empty when Type is TokenProgrammatic.
type RegistrationPayload struct {
	NodeKey   string `json:"orbit_node_key"`
	AuthToken string `json:"auth_token"`
}
