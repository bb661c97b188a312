package fleet

import (
	"context"
	"slices"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// Pauses between pushes to a channel that connected and is still behind.
const (
	// wakeUnanswered: the device holds a command. If it crashes over it, nothing but a push brings it back.
	wakeUnanswered = 10 * time.Minute
	// wakeLeftOver: what is left was deferred by the device, which connects by itself once it can.
	wakeLeftOver = time.Hour
)

// zeroTime is "none".
var zeroTime time.Time

// session is one request of a channel to the command endpoint.
type session struct {
	f       *Fleet
	tx      *txn
	device  *DeviceRow
	channel *ChannelRow
	// command is the one that is answered, target its own; nil if they are not known here.
	command *CommandRow
	target  *TargetRow
	// found is what waits for the channel, as long as nothing was written since it was read; nil if it is to be read.
	found *WorkRows
}

// work is what waits for a channel, in the order of delivery.
type work struct {
	renew    bool
	unenroll bool
	targets  []OpenTarget
	removals []RecordRow
	installs []StateRow
	// configured: nothing keeps the device in Setup Assistant any more.
	configured bool
	// checks are what is to be read back to find drift (Windows).
	checks []StateRow
}

func (w *work) empty() bool {
	return !w.renew && !w.unenroll && !w.configured && len(w.targets)+len(w.removals)+len(w.installs)+len(w.checks) == 0
}

// Connect takes a report and returns the channel's next command, nil if there is nothing to do, in one transaction. An unknown or
// repeated answer changes nothing. Errors as of Verify.
func (f *Fleet) Connect(ctx context.Context, id Identity, ch Channel, r Report) ([]byte, error) {
	if r.Status == StatusIdle {
		idle, err := f.nothingToDo(ctx, id, ch)
		if err != nil || idle {
			return nil, err
		}
	}
	var command []byte
	q := contacted(id, ch)
	q.CommandUUID, q.Idle = r.CommandUUID, r.Status == StatusIdle
	err := f.asked(ctx, id, ch, q, manages, func(tx *txn, c *claim) error {
		s := f.newSession(tx, c)
		if s == nil {
			return nil
		}
		if err := s.credit(r); err != nil {
			return err
		}
		if s.device.State == adminapi.DeviceEnded {
			return nil
		}
		next, err := s.next(r.Status == StatusIdle)
		command = next
		return err
	})
	return command, err
}

// newSession returns nil for a channel that sent no TokenUpdate yet.
func (f *Fleet) newSession(tx *txn, c *claim) *session {
	if c.stored == nil || !c.stored.Enabled {
		return nil
	}
	return &session{f: f, tx: tx, device: c.device, channel: c.stored, command: c.found.Command, target: c.found.Target, found: c.found.Work}
}

// rows reads what waits for the channel.
func (s *session) rows() (*WorkRows, error) {
	if found := s.found; found != nil {
		s.found = nil
		return found, nil
	}
	return s.tx.Work(s.device.ID, s.channel.ID)
}

// gather lists all that waits for the channel, whether it may be offered now or not. An ignored device is asked nothing, but it is not kept in Setup
// Assistant. Windows renews by itself.
func (s *session) gather() (*work, error) {
	w := &work{}
	if s.device.Intent == adminapi.IntentIgnore {
		w.configured = s.awaits()
		return w, nil
	}
	windows := s.device.Platform == adminapi.PlatformWindows
	rows, err := s.rows()
	if err != nil {
		return nil, err
	}
	if s.channel.IsDevice() {
		w.renew = !windows && !s.device.RenewAt.After(s.tx.now)
		w.unenroll = s.device.Intent == adminapi.IntentUnenroll
		w.targets = s.f.withoutHeld(rows.Targets)
	}
	if s.device.Intent == adminapi.IntentUnenroll { // its profiles go with the enrolment
		return w, nil
	}
	if w.removals, err = s.removals(rows.Strays); err != nil {
		return nil, err
	}
	w.installs = rows.Open
	if !windows {
		w.configured, err = s.isConfigured(w.installs)
		return w, err
	}
	w.checks, err = s.tx.StatesToVerify(s.channel.ID, s.tx.now)
	return w, err
}

// removals lists what is on the channel under an identifier that nothing assigned carries. An artifact whose identifier was edited keeps its
// old profile until the new one is installed; each node of Windows stands alone.
func (s *session) removals(stray []RecordRow) ([]RecordRow, error) {
	if s.device.Platform == adminapi.PlatformWindows {
		return stray, nil
	}
	var err error
	unneeded := slices.DeleteFunc(stray, func(r RecordRow) bool {
		state, stateErr := s.tx.State(s.channel.ID, r.Artifact)
		if stateErr != nil {
			err = stateErr
		}
		return state != nil && state.Outcome != OutcomeInstalled
	})
	return unneeded, err
}

// offered says whether anything was sent before, or deferred.
func (w *work) offered() bool {
	return slices.ContainsFunc(w.targets, func(t OpenTarget) bool { return t.Offer.State != OfferReady }) ||
		slices.ContainsFunc(w.removals, func(r RecordRow) bool { return r.State != OfferReady }) ||
		slices.ContainsFunc(w.installs, func(st StateRow) bool { return st.State != OfferReady })
}

// offerable keeps what may be delivered in this very answer. A renewal and the end of the enrolment open a session or wait for the next one.
func (w *work) offerable(now time.Time, d *DeviceRow, idle bool) *work {
	return &work{
		renew:      w.renew && idle,
		unenroll:   w.unenroll && idle && !d.UnenrollAt.After(now),
		targets:    slices.DeleteFunc(slices.Clone(w.targets), func(t OpenTarget) bool { return !t.offerable(now) }),
		removals:   slices.DeleteFunc(slices.Clone(w.removals), func(r RecordRow) bool { return !r.offerable(now) }),
		installs:   slices.DeleteFunc(slices.Clone(w.installs), func(st StateRow) bool { return !st.offerable(now) }),
		configured: w.configured && d.Setup.offerable(now),
		checks:     slices.DeleteFunc(slices.Clone(w.checks), func(st StateRow) bool { return !st.offerable(now) }),
	}
}

// next delivers the first piece of work that can be encoded and settles when the channel is woken again.
func (s *session) next(idle bool) ([]byte, error) {
	w, err := s.gather()
	if err != nil {
		return nil, err
	}
	if idle && (w.offered() || s.device.Setup.State != OfferReady) {
		if err := s.reoffer(); err != nil {
			return nil, err
		}
		if w, err = s.gather(); err != nil {
			return nil, err
		}
	}
	command, err := s.deliverFirst(w.offerable(s.tx.now, s.device, idle))
	if err != nil {
		return nil, err
	}
	wakeAt := zeroTime
	switch {
	case command != nil:
		wakeAt = s.tx.now.Add(wakeUnanswered)
	case !w.empty():
		if w, err = s.gather(); err != nil { // what could not be encoded is closed by now
			return nil, err
		}
		if !w.empty() {
			wakeAt = s.tx.now.Add(wakeLeftOver)
		}
	}
	return command, s.wakeAt(wakeAt)
}

// wakeAt settles when the channel is woken again.
func (s *session) wakeAt(at time.Time) error {
	if s.channel.WakeAt.Equal(at) {
		return nil
	}
	s.channel.WakeAt, s.channel.Wakes = at, 0
	return s.tx.PutChannel(*s.channel)
}

// due says whether the channel is to be woken by now.
func (s *session) due() bool { return !s.channel.WakeAt.IsZero() && !s.channel.WakeAt.After(s.tx.now) }

// reoffer makes ready again what was sent or deferred: an idle device executes nothing. A restart or shutdown that it did not answer is over,
// nobody knows how.
func (s *session) reoffer() error {
	if s.channel.IsDevice() {
		if err := s.reofferConfigured(); err != nil {
			return err
		}
		open, err := s.tx.OpenTargets(s.device.ID)
		if err != nil {
			return err
		}
		for _, t := range open {
			if t.unanswered() && slices.Contains(neverResent, t.RequestType) {
				if err := finish(s.tx, &t, adminapi.TargetUnconfirmed, unconfirmed); err != nil {
					return err
				}
			}
		}
	}
	return s.tx.Reoffer(s.channel.ID)
}

// neverResent are the requests that a device may have carried out without being able to answer, and must not carry out twice.
var neverResent = []string{adminapi.AppleRestartDevice, adminapi.AppleShutDownDevice, adminapi.WindowsRestart}

const unconfirmed = "the device took the command and did not answer; it is not sent again"

// offerable says whether the work may be delivered in this session and now.
func (o Offer) offerable(now time.Time) bool {
	return o.State == OfferReady && !o.NextAttempt.After(now)
}

// patience is how often something is delivered at each Idle though nobody answers.
const patience = 5

// sent notes a delivery. After patience, pauses grow: a profile that crashes a device must not keep all others from it.
func (o *Offer) sent(uuid string, now time.Time) {
	o.State, o.CommandUUID = OfferSent, uuid
	o.Attempts++
	o.NextAttempt = zeroTime
	if o.Attempts >= patience {
		o.NextAttempt = now.Add(backoff(o.Attempts-patience, 10*time.Minute, 24*time.Hour))
	}
}

// deferred notes a NotNow. It is an answer, so the next attempt is the first again.
func (o *Offer) deferred() {
	o.State, o.Attempts, o.NextAttempt = OfferDeferred, 0, zeroTime
}

// postponed notes an error that may go away. Nobody says when, so pauses go on growing.
func (o *Offer) postponed() { o.State = OfferDeferred }

// unanswered says whether the device still owes an answer to a delivery in this session.
func (o *Offer) unanswered() bool { return o.State == OfferSent }

// backoff doubles first with each attempt from 0 on, up to most.
func backoff(attempt int, first, most time.Duration) time.Duration {
	d := first
	for range attempt {
		if d *= 2; d >= most {
			return most
		}
	}
	return d
}
