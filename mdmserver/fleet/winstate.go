package fleet

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// sealedSession is the first word of the context of SessionRow.State.
const sealedSession = "session"

// sessionState is what SessionRow.State holds, in JSON.
type sessionState struct {
	// EnrollmentID is the enrolment that all of it is about.
	EnrollmentID string
	// Messages counts those of the device in this session, Login is what its first one said.
	Messages int
	Login    string
	// Jobs are under way in this session.
	Jobs []*job
	// FactsAt is when the device last said what it is; Asked is true once it was asked in this session.
	FactsAt time.Time
	Asked   bool
	// Conflicts outlive the session.
	Conflicts []conflict
}

// jobKind is what a job does.
type jobKind string

// The kinds of job.
const (
	jobFacts    jobKind = "Facts"    // asks what the device is
	jobApply    jobKind = "Apply"    // writes an artifact
	jobVerify   jobKind = "Verify"   // reads back what was written
	jobCheck    jobKind = "Check"    // reads an installed artifact to find drift
	jobRemove   jobKind = "Remove"   // deletes nodes that nothing wants any more
	jobAct      jobKind = "Act"      // runs an action
	jobAwait    jobKind = "Await"    // asks how far an accepted action is
	jobUnenroll jobKind = "Unenroll" // ends the enrolment as an administrator intends
)

// job is a piece of work in the current session: commands that were sent or are to be sent, and what became of them.
type job struct {
	Kind jobKind
	// User is true on the user channel.
	User bool
	// Key is the artifact or the action's ID, Digest that of the artifact when the job began: answers are credited to it whatever is wanted by now.
	Key    string
	Digest string
	// Ends is true when the enrolment may be over with it.
	Ends  bool
	Steps []step
}

// step is a command and the device's answer to it. Code is 0 until there is one.
type step struct {
	Command adminapi.SyncMLCommand
	// Inner are the commands of an Atomic or a Sequence, which Command itself leaves out.
	Inner []step
	// Want is what a Get should read; nil if anything goes.
	Want *adminapi.SyncMLCommand
	// MsgRef and CmdRef are how the device refers to the command; empty until it is sent.
	MsgRef, CmdRef string
	Code           int
	OriginalError  string
	Results        []stepResult
	// Turned is true once an Add was turned into a Replace, or the other way; neither is turned again.
	Turned bool
	// New is true when nothing was recorded under the node before the command.
	New bool
}

// stepResult is one value that a Get brought.
type stepResult struct{ LocURI, Format, Data string }

// maxResults bounds the values that a session holds at once, in bytes.
const maxResults = 4 << 20

func newSteps(commands []adminapi.SyncMLCommand) []step {
	steps := make([]step, 0, len(commands))
	for _, c := range commands {
		inner := c.Commands
		c.Commands = nil
		steps = append(steps, step{Command: c, Inner: newSteps(inner)})
	}
	return steps
}

func get(locURI string) step {
	return step{Command: adminapi.SyncMLCommand{Verb: adminapi.VerbGet, LocURI: locURI}}
}

// load reads the session of the device. One of an earlier enrolment is forgotten, and so is one that cannot be read: nothing is lost with it that is not
// done again.
func (s *winSession) load() error {
	s.row, s.state = &SessionRow{DeviceID: s.device.ID}, &sessionState{EnrollmentID: s.device.EnrollmentID}
	row, err := s.tx.Session(s.device.ID)
	if err != nil || row == nil {
		return err
	}
	state := &sessionState{}
	plain, err := s.f.open(row.State, sealedSession, s.device.ID)
	if err == nil {
		err = json.Unmarshal(plain, state)
	}
	switch {
	case err != nil:
		s.f.opts.Log.Error("a stored session cannot be read; it begins anew", "error", err)
	case state.EnrollmentID == s.device.EnrollmentID:
		s.row, s.state = row, state
	}
	return nil
}

func (s *winSession) save() error {
	plain, err := json.Marshal(s.state)
	if err != nil {
		return fmt.Errorf("writing a session: %w", err)
	}
	if s.row.State, err = s.f.seal(plain, sealedSession, s.device.ID); err != nil {
		return err
	}
	s.row.UpdatedAt = s.tx.now
	return s.tx.PutSession(*s.row)
}

// walk visits the steps, inner ones after their own.
func walk(steps []step, visit func(*step)) {
	for i := range steps {
		visit(&steps[i])
		walk(steps[i].Inner, visit)
	}
}

// leaves returns the commands that are not there to hold others, in order.
func leaves(steps []step) []*step {
	var found []*step
	walk(steps, func(s *step) {
		if len(s.Inner) == 0 {
			found = append(found, s)
		}
	})
	return found
}

// find returns the step that a device refers to, nil if it was not sent in this session. A device may leave the message out.
func (st *sessionState) find(msgRef, cmdRef string) *step {
	var found *step
	for _, j := range st.Jobs {
		walk(j.Steps, func(s *step) {
			if s.CmdRef == cmdRef && s.CmdRef != "" && (s.MsgRef == msgRef || msgRef == "") {
				found = s
			}
		})
	}
	return found
}

// credit notes answers at the steps that they are for. The first status of a command counts; those of commands that are not open here change nothing.
func (st *sessionState) credit(m *WindowsMessage) {
	for _, status := range m.Statuses {
		if s := st.find(status.MsgRef, status.CmdRef); s != nil && s.Code == 0 {
			s.Code, s.OriginalError = status.Code, status.OriginalError
		}
	}
	size := 0
	for _, j := range st.Jobs {
		for _, r := range j.read() {
			size += len(r.Data)
		}
	}
	for _, r := range m.Results {
		s := st.find(r.MsgRef, r.CmdRef)
		switch size += len(r.Data); {
		case s == nil:
		case size > maxResults:
			s.Code = statusTooLarge
		default:
			s.Results = append(s.Results, stepResult{LocURI: cmp.Or(r.LocURI, s.Command.LocURI), Format: r.Format, Data: r.Data})
		}
	}
}

// sentIn returns the commands that were sent in reply to the message, in their order.
func (st *sessionState) sentIn(msgID string) []WindowsOrder {
	var orders []WindowsOrder
	for _, j := range st.Jobs {
		for i := range j.Steps {
			if j.Steps[i].MsgRef == msgID {
				orders = append(orders, j.Steps[i].order())
			}
		}
	}
	return orders
}

func (s *step) order() WindowsOrder {
	o := WindowsOrder{ID: s.CmdRef, Command: s.Command}
	for _, inner := range s.Inner {
		o.Inner = append(o.Inner, inner.CmdRef)
		o.Command.Commands = append(o.Command.Commands, inner.Command)
	}
	return o
}

// Bounds of a reply; a single parcel that is larger goes alone.
const (
	maxCommands = 100
	maxData     = 256 << 10
)

// envelope counts what goes into one reply.
type envelope struct{ commands, data int }

func (e envelope) add(parcel []step) envelope {
	walk(parcel, func(s *step) {
		e.commands++
		e.data += len(s.Command.Data) + len(s.Command.LocURI)
	})
	return e
}

func (e envelope) full() bool { return e.commands > maxCommands || e.data > maxData }

// parcels are the commands that are still to be sent, in parts that are not to be divided. The commands of an action go together at first; later
// only those that were turned go again.
func (j *job) parcels() [][]step {
	if j.Kind == jobAct && !slices.ContainsFunc(j.Steps, func(s step) bool { return s.CmdRef != "" }) {
		return [][]step{j.Steps}
	}
	var parcels [][]step
	for i := range j.Steps {
		if j.Steps[i].CmdRef == "" {
			parcels = append(parcels, j.Steps[i:i+1])
		}
	}
	return parcels
}

// waiting returns the size of what is to be sent.
func (st *sessionState) waiting() envelope {
	var e envelope
	for _, j := range st.Jobs {
		for _, parcel := range j.parcels() {
			e = e.add(parcel)
		}
	}
	return e
}

// send takes the next page of commands.
func (st *sessionState) send(msgID string) []WindowsOrder {
	var page envelope
	for _, j := range st.Jobs {
		for _, parcel := range j.parcels() {
			next := page.add(parcel)
			if next.full() && page.commands > 0 {
				return st.sentIn(msgID)
			}
			number := page.commands
			walk(parcel, func(s *step) {
				number++
				s.MsgRef, s.CmdRef = msgID, strconv.Itoa(number)
			})
			page = next
		}
	}
	return st.sentIn(msgID)
}
