package windows

import (
	"context"
	"time"

	"github.com/kubemdm/kubemdm/test/devicesim"
)

const day = 24 * time.Hour

// Run has sessions as the poll schedule says and whenever Sync is called, renews the certificate when that is due, and has the agent, if there
// is one, poll. It ends with ctx, or with ErrNotEnrolled once the PC is out of management and has no agent that could bring it back.
func (pc *PC) Run(ctx context.Context) error {
	r := &runner{pc: pc}
	for {
		alarm := r.next()
		if alarm == nil {
			return ErrNotEnrolled
		}
		pause := max(alarm.Sub(pc.opts.Now()), 0)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-pc.woken:
			r.poll = pc.opts.Now()
		case <-pc.opts.After(pause):
		}
		r.work(ctx)
	}
}

// runner is what Run remembers.
type runner struct {
	pc *PC
	// since is when the enrolment began whose sessions polls counts.
	since time.Time
	polls int
	// poll, agent and renewal are when each is next due; zero: never, for renewal: when the certificate says so.
	poll, agent, renewal time.Time
}

// next is when there is something to do, nil when there never will be.
func (r *runner) next() *time.Time {
	r.pc.mu.Lock()
	defer r.pc.mu.Unlock()
	now := r.pc.opts.Now()
	var due []time.Time
	if r.pc.agent != nil {
		if r.agent.IsZero() {
			r.agent = now
		}
		due = append(due, r.agent)
	}
	if r.track(now) {
		due = append(due, r.poll)
	}
	var first *time.Time
	for _, t := range due {
		if first == nil || t.Before(*first) {
			first = &t
		}
	}
	return first
}

// track says whether the PC is enrolled. The first session of an enrolment is due at once. The caller holds the PC's lock.
func (r *runner) track(now time.Time) bool {
	e := r.pc.enrollment
	if e != nil && !r.since.Equal(e.since) {
		r.since, r.polls, r.poll = e.since, 0, now
	}
	return e != nil
}

// work does what is due.
func (r *runner) work(ctx context.Context) {
	pc, now := r.pc, r.pc.opts.Now()
	if !r.agent.IsZero() && !now.Before(r.agent) {
		r.agent = now.Add(pc.opts.AgentInterval)
		_, err := pc.PollAgent(ctx)
		r.failed(ctx, err)
	}
	pc.mu.Lock()
	enrolled := r.track(now)
	pc.mu.Unlock()
	if !enrolled || now.Before(r.poll) {
		return
	}
	if pc.renewalDue() && !now.Before(r.renewal) {
		pc.mu.Lock()
		r.renewal = now.Add(time.Duration(pc.tree.number(renewal+"RetryInterval")) * day)
		pc.mu.Unlock()
		r.failed(ctx, pc.Renew(ctx))
	}
	_, err := pc.Session(ctx, SessionOptions{})
	r.poll = now.Add(r.interval(err))
	r.failed(ctx, err)
}

func (r *runner) failed(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		r.pc.event(devicesim.EventFailed, err.Error())
	}
}

// interval is the time to the next session: that of the set of the poll schedule which is in use (DMClient CSP, Poll).
func (r *runner) interval(failed error) time.Duration {
	if failed != nil {
		return r.pc.opts.RetryInterval
	}
	r.pc.mu.Lock()
	defer r.pc.mu.Unlock()
	e := r.pc.enrollment
	if e == nil || r.pc.opts.PollInterval > 0 {
		return r.pc.opts.PollInterval
	}
	left := r.polls
	r.polls++
	for _, set := range pollSets {
		number, minutes := r.pc.tree.number(e.dmClient("Poll/"+set[0])), r.pc.tree.number(e.dmClient("Poll/"+set[1]))
		if minutes == 0 {
			continue
		}
		if number == 0 || left < number {
			return time.Duration(minutes) * time.Minute
		}
		left -= number
	}
	return day // what remains is the maintenance window
}
