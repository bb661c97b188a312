package push

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

const (
	// sweepEvery is how often due channels are looked for when nothing signals new work.
	sweepEvery = 30 * time.Second
	// probeEvery is how often one push is tried while pushing is paused.
	probeEvery = 5 * time.Minute
	// keyProbeEvery is probeEvery when it is a KMS that is in the way: an outage ends by itself, and Apple is not asked.
	keyProbeEvery = time.Minute
	// batch is how many channels are taken at once, workers how many pushes are under way at once.
	batch   = 500
	workers = 20
)

// Fleet is where due channels come from.
type Fleet interface {
	// Wakes returns at most limit channels that are due and marks them as being pushed.
	Wakes(ctx context.Context, limit int) ([]fleet.Wake, error)
	WakeDone(ctx context.Context, results []fleet.WakeResult) error
	// WorkSignal is signalled when new work was stored.
	WorkSignal() <-chan struct{}
}

// Service is a vendor's push service.
type Service interface {
	// Ready returns nil when pushing can be tried, or what prevents it.
	Ready() *Problem
	// Push wakes one channel.
	Push(ctx context.Context, w fleet.Wake) Answer
	// Changed returns a channel that is closed when the service's credentials change.
	Changed() <-chan struct{}
}

// Answer is what became of one push.
type Answer struct {
	Outcome fleet.WakeOutcome
	// Timestamp goes with fleet.WakeUnregistered.
	Timestamp time.Time
	// Problem is set when the push failed for a reason that is not the device's.
	Problem *Problem
}

// Problem is why the server as a whole, and not one device, cannot push.
type Problem struct {
	// Reason is one word, Message says what is wrong and what to do.
	Reason, Message string
	// Pauses is true when no push can succeed before somebody acts.
	Pauses bool
}

// Options of a Pusher.
type Options struct {
	Fleet   Fleet
	Service Service
	Log     *slog.Logger
	Now     func() time.Time
	// Observe is told the outcome of each push, for metrics.
	Observe func(fleet.WakeOutcome)
}

// Pusher pushes to due channels. A problem that is the server's own pauses it: then one push is tried from time to time, and at once when
// the credentials change. No device is changed by such a problem.
type Pusher struct {
	Options

	mu           sync.Mutex
	problem      *Problem
	unready      bool // the problem is what Service.Ready says
	since        time.Time
	nextProbe    time.Time
	lastAccepted time.Time
}

// New returns a Pusher that Run starts.
func New(o Options) *Pusher { return &Pusher{Options: o} }

// Status returns what is known of the push service; the certificate and topic are left to the caller.
func (p *Pusher) Status() adminapi.PushInfo {
	p.mu.Lock()
	defer p.mu.Unlock()
	info := adminapi.PushInfo{LastAccepted: p.lastAccepted}
	if p.problem != nil {
		info.Paused, info.Reason, info.Message, info.Since = p.problem.Pauses, p.problem.Reason, p.problem.Message, p.since
	}
	return info
}

// Run pushes until ctx ends.
func (p *Pusher) Run(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	changed := p.Service.Changed()
	for {
		p.Sweep(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-p.Fleet.WorkSignal():
		case <-changed:
			changed = p.Service.Changed()
			p.reset()
		}
	}
}

// Sweep pushes to every channel that is due now, or to one of them when pushing is paused.
func (p *Pusher) Sweep(ctx context.Context) {
	limit := p.allowance()
	for limit > 0 && ctx.Err() == nil {
		wakes, err := p.Fleet.Wakes(ctx, limit)
		if err != nil {
			p.Log.Error("reading the channels that are due for a push failed", "error", err)
			return
		}
		if len(wakes) == 0 {
			return
		}
		results := p.pushAll(ctx, wakes)
		// What was pushed is reported even while the server stops.
		if err := p.Fleet.WakeDone(context.WithoutCancel(ctx), results); err != nil {
			p.Log.Error("storing the outcome of pushes failed", "error", err)
			return
		}
		if len(wakes) < limit {
			return
		}
		limit = p.allowance()
	}
}

// allowance says how many channels may be taken now.
func (p *Pusher) allowance() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if problem := p.Service.Ready(); problem != nil {
		p.unready = true
		p.report(*problem)
		return 0
	}
	if p.unready { // what was missing is there now; no push is needed to show it
		p.unready, p.problem = false, nil
	}
	switch {
	case p.problem == nil || !p.problem.Pauses:
		return batch
	case p.Now().Before(p.nextProbe):
		return 0
	}
	return 1
}

// reset forgets what was learnt with the old credentials; a pause lasts until the next sweep has probed the new ones.
func (p *Pusher) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nextProbe, p.lastAccepted = time.Time{}, time.Time{}
	if p.problem != nil && !p.problem.Pauses {
		p.problem = nil
	}
}

// pushAll pushes to all wakes, a few at a time. Once one answer pauses the server, those left are not tried.
func (p *Pusher) pushAll(ctx context.Context, wakes []fleet.Wake) []fleet.WakeResult {
	answers := make([]Answer, len(wakes))
	next := make(chan int, len(wakes))
	for i := range wakes {
		next <- i
	}
	close(next)
	var paused sync.Once
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range min(workers, len(wakes)) {
		wg.Go(func() {
			for i := range next {
				answers[i] = p.push(ctx, stop, wakes[i])
				if problem := answers[i].Problem; problem != nil && problem.Pauses {
					paused.Do(func() { close(stop) })
				}
			}
		})
	}
	wg.Wait()
	p.judge(answers)
	results := make([]fleet.WakeResult, len(wakes))
	for i, a := range answers {
		results[i] = fleet.WakeResult{ChannelID: wakes[i].ChannelID, Outcome: a.Outcome, Token: wakes[i].Token, Timestamp: a.Timestamp}
	}
	return results
}

func (p *Pusher) push(ctx context.Context, stop <-chan struct{}, w fleet.Wake) Answer {
	select {
	case <-stop:
		return Answer{Outcome: fleet.WakeRetry}
	default:
	}
	a := p.Service.Push(ctx, w)
	p.Observe(a.Outcome)
	return a
}

// judge learns from the answers to a batch. A problem that pauses stands until a push shows that it is over, any other one until the
// credentials change.
func (p *Pusher) judge(answers []Answer) {
	found, reached, accepted := summarize(answers)
	p.mu.Lock()
	defer p.mu.Unlock()
	if accepted {
		p.lastAccepted = p.Now()
	}
	paused := p.problem != nil && p.problem.Pauses
	switch {
	case found != nil && found.Pauses:
		p.nextProbe = p.Now().Add(pauseFor(found))
		p.report(*found)
	case paused && reached:
		p.Log.Info("the push service accepts this server again")
		p.problem = nil
	case found != nil && !paused:
		p.report(*found)
	}
}

func pauseFor(found *Problem) time.Duration {
	if found.Reason == ReasonKeyUnavailable {
		return keyProbeEvery
	}
	return probeEvery
}

// summarize returns the gravest problem of a batch, and whether the service took or refused any push for the device's sake.
func summarize(answers []Answer) (found *Problem, reached, accepted bool) {
	for _, a := range answers {
		switch {
		case a.Problem != nil && (found == nil || a.Problem.Pauses):
			found = a.Problem
		case a.Outcome == fleet.WakeAccepted:
			reached, accepted = true, true
		case a.Problem == nil && a.Outcome != fleet.WakeRetry:
			reached = true
		}
	}
	return found, reached, accepted
}

// report keeps a problem, and logs it once.
func (p *Pusher) report(found Problem) {
	if p.problem != nil && *p.problem == found {
		return
	}
	p.Log.Warn("pushing is hindered", "reason", found.Reason, "message", found.Message, "paused", found.Pauses)
	p.problem, p.since = &found, p.Now()
}
