package devicesim

import "fmt"

// EventKind is what happened to a device.
type EventKind string

// The events.
const (
	EventEnrolled         EventKind = "enrolled"
	EventRenewed          EventKind = "renewed its identity"
	EventConnected        EventKind = "connected"
	EventCommand          EventKind = "answered"
	EventProfileInstalled EventKind = "installed profile"
	EventProfileRemoved   EventKind = "removed profile"
	EventRestarted        EventKind = "restarted"
	EventPoweredOff       EventKind = "shut down"
	EventUnmanaged        EventKind = "is no longer managed"
	EventErased           EventKind = "was erased"
	EventConfigured       EventKind = "left Setup Assistant"
	EventUpdated          EventKind = "updated itself to"
	EventFailed           EventKind = "failed"
)

// Event tells an observer what happened. It holds no secret.
type Event struct {
	Serial string
	Kind   EventKind
	// Detail is what it happened to: a RequestType with its status, a PayloadIdentifier, an error.
	Detail string
}

// String is one line for people.
func (e Event) String() string {
	if e.Detail == "" {
		return fmt.Sprintf("%s %s", e.Serial, e.Kind)
	}
	return fmt.Sprintf("%s %s %s", e.Serial, e.Kind, e.Detail)
}
