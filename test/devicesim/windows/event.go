package windows

import "github.com/kubemdm/kubemdm/test/devicesim"

// What happens to PCs beside the events of devicesim.
const (
	EventSession     devicesim.EventKind = "had a session"
	EventCommand     devicesim.EventKind = "answered"
	EventSet         devicesim.EventKind = "set"
	EventDeleted     devicesim.EventKind = "deleted"
	EventRegistering devicesim.EventKind = "was told by its agent to enrol"
	EventSynced      devicesim.EventKind = "was told by its agent to sync"
)
