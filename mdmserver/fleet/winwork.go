package fleet

import (
	"slices"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// wakeAwaited is the pause before a device is asked again how far it is with a long job.
const wakeAwaited = 2 * time.Minute

// advance takes the answers of this message: jobs end, or go on with other commands.
func (s *winSession) advance() error {
	jobs := s.state.Jobs
	s.state.Jobs = nil
	for _, j := range jobs {
		again := true
		if len(j.parcels()) == 0 {
			var err error
			if again, err = s.conclude(j); err != nil || s.over() {
				return err
			}
		}
		if again {
			s.state.Jobs = append(s.state.Jobs, j)
		}
	}
	return nil
}

// conclude looks at the answers to all commands of a job. again says whether it has more to send. A job that was not fully answered is left to a later
// session: its offer stays Sent.
func (s *winSession) conclude(j *job) (again bool, err error) {
	if !j.answered() || s.channelOf(j) == nil {
		return false, nil
	}
	switch j.Kind {
	case jobFacts:
		return false, s.concludeFacts(j)
	case jobApply:
		return s.concludeApply(j)
	case jobVerify:
		return false, s.concludeVerify(j)
	case jobCheck:
		return s.concludeCheck(j)
	case jobRemove:
		return false, s.concludeRemove(j)
	case jobAct:
		return s.concludeAct(j)
	case jobAwait:
		return s.concludeAwait(j)
	case jobUnenroll:
		return false, s.concludeUnenroll(j)
	}
	return false, nil
}

// answered says whether the device answered each command. Those inside an Atomic or a Sequence may go without a status of their own.
func (j *job) answered() bool {
	return !slices.ContainsFunc(j.Steps, func(s step) bool { return s.Code == 0 })
}

// channelOf returns the channel that the job is about.
func (s *winSession) channelOf(j *job) *session {
	if j.User {
		return s.user
	}
	return s.session
}

// begin adds a job.
func (s *winSession) begin(j job) { s.state.Jobs = append(s.state.Jobs, &j) }

// full says whether the reply takes no more work: its size is reached, or a command is under way that ends the enrolment, after which the device
// may not speak again.
func (s *winSession) full() bool {
	return s.state.waiting().full() || slices.ContainsFunc(s.state.Jobs, func(j *job) bool { return j.Ends })
}

// start begins what waits for the device, as far as it goes into this reply. A device is asked who it is before it gets anything.
func (s *winSession) start() error {
	if s.factsDue() {
		s.startFacts()
	}
	if s.device.State != adminapi.DeviceEnrolled {
		return nil
	}
	for _, ch := range s.channels() {
		w, err := ch.gather()
		if err != nil {
			return err
		}
		if err := s.startWork(ch, w.offerable(s.tx.now, s.device, true)); err != nil {
			return err
		}
	}
	return nil
}

func (s *winSession) startWork(ch *session, w *work) error {
	var starts []func() error
	if w.unenroll {
		starts = append(starts, s.startUnenroll)
	}
	for _, t := range w.targets {
		starts = append(starts, func() error { return s.startTarget(t) })
	}
	if len(w.removals) > 0 {
		starts = append(starts, func() error { return s.startRemove(ch, w.removals) })
	}
	for _, st := range w.installs {
		starts = append(starts, func() error { return s.startApply(ch, st) })
	}
	for _, st := range w.checks {
		starts = append(starts, func() error { return s.startCheck(ch, st) })
	}
	for _, start := range starts {
		if s.full() {
			return nil
		}
		if err := start(); err != nil {
			return err
		}
	}
	return nil
}

// pauseAfter is when a channel of a Windows device with this work is woken next. An unanswered reply is the device's turn.
func (w *work) pauseAfter(now time.Time, busy bool) time.Time {
	switch {
	case w.empty():
		return zeroTime
	case busy:
		return now.Add(wakeUnanswered)
	case slices.ContainsFunc(w.targets, func(t OpenTarget) bool { return t.Accepted }):
		return now.Add(wakeAwaited)
	}
	return now.Add(wakeLeftOver)
}
