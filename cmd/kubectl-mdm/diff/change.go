package diff

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// State is what would become of an object.
type State string

// The states of an object.
const (
	New       State = "New"
	Changed   State = "Changed"
	Unchanged State = "Unchanged"
	// Refused is what the API server would not take.
	Refused State = "Refused"
)

// report is the output for programs.
type report struct {
	Changes []*Change `json:"changes"`
	// Follows are Profiles that stay as they are, and get to other devices since labels change.
	Follows []*Follower `json:"follows,omitempty"`
	// Notes say what could not be told, and why.
	Notes []string `json:"notes,omitempty"`
}

// Change is what would become of one object.
type Change struct {
	File      string `json:"file"`
	Line      int    `json:"line"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	State     State  `json:"state"`
	// Message says why it is refused.
	Message string  `json:"message,omitempty"`
	Fields  []Field `json:"fields,omitempty"`
	// Devices says which devices notice, and Setups the same of each setup profile of an AutomatedEnrollment.
	Devices *Effect           `json:"devices,omitempty"`
	Setups  map[string]Effect `json:"setupProfiles,omitempty"`
	// Gains and Loses are Profiles that a Device would get and lose.
	Gains []string `json:"gains,omitempty"`
	Loses []string `json:"loses,omitempty"`
	// Warnings say what will not go the way that the files ask for; Notes what else there is to know.
	Warnings []string `json:"warnings,omitempty"`
	Notes    []string `json:"notes,omitempty"`

	before, after *unstructured.Unstructured
}

// Field is a field that would change. A value that is absent is null.
type Field struct {
	Path   string `json:"path"`
	Before any    `json:"before"`
	After  any    `json:"after"`
}

// Effect is who notices.
type Effect struct {
	Gain []string `json:"gain"`
	// Keep have it before and after; they get it anew if Updated.
	Keep    []string `json:"keep"`
	Updated bool     `json:"updated"`
	Lose    []string `json:"lose"`
	// Awaited are those that get it when they enrol.
	Awaited []string `json:"awaited,omitempty"`
	// Held says that the removal guard would hold, so that nobody loses it until somebody acknowledges.
	Held bool `json:"held,omitempty"`
}

// Follower is a Profile that is not in the files, or unchanged in them.
type Follower struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Effect
}

func (r *report) count(state State) int {
	n := 0
	for _, c := range r.Changes {
		if c.State == state {
			n++
		}
	}
	return n
}

func (r *report) differs() bool { return r.count(Unchanged) < len(r.Changes) }

func (c *Change) differs() bool { return c.State == New || c.State == Changed }

func (c *Change) note(text string) { c.Notes = append(c.Notes, text) }

func (c *Change) warn(text string) { c.Warnings = append(c.Warnings, text) }

func (e *Effect) none() bool { return len(e.Gain)+len(e.Lose) == 0 }
