package upgrade

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kubemdm/kubemdm/test/devicesim"
)

const (
	// pause is how long a Mac waits between two connections, which is far less than a real one does.
	pause = 100 * time.Millisecond
	// again is how long it waits after one that failed.
	again = 250 * time.Millisecond
)

// traffic is what Macs experience that connect one time after the other.
type traffic struct {
	mu sync.Mutex
	// connections that went well, and those that failed.
	connections, failures int
	// first is the first failure; outage is the longest time from a failure of a Mac to its next connection that went well.
	first  error
	outage time.Duration
	// open are Macs whose last connection failed.
	open int
}

func (t *traffic) String() string {
	return fmt.Sprintf("%d connections, %d of them failed, no Mac without the server for longer than %.1f s", t.connections+t.failures, t.failures, t.outage.Seconds())
}

// during lets every Mac connect without end while do runs, and a last time after it.
func during(ctx context.Context, macs []*devicesim.Device, do func(context.Context) error) (*traffic, error) {
	t := &traffic{}
	done := make(chan struct{})
	var group sync.WaitGroup
	for _, mac := range macs {
		group.Go(func() { t.run(ctx, mac, done) })
	}
	err := do(ctx)
	close(done)
	group.Wait()
	if t.open > 0 {
		err = errors.Join(err, fmt.Errorf("%d Macs could not connect again: %w", t.open, t.first))
	}
	return t, err
}

// run lets one Mac connect until done is closed and the last connection went well, or ctx ends.
func (t *traffic) run(ctx context.Context, mac *devicesim.Device, done <-chan struct{}) {
	var since time.Time
	for last := false; ; {
		select {
		case <-done:
			last = true
		default:
		}
		err := mac.Idle(ctx)
		wait := pause
		if err != nil {
			wait = again
		}
		since = t.count(err, since)
		if ctx.Err() != nil || last && err == nil {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// count takes a connection down. since is when the Mac's connections began to fail, if they do.
func (t *traffic) count(err error, since time.Time) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.connections++
		if !since.IsZero() {
			t.open--
			t.outage = max(t.outage, time.Since(since))
		}
		return time.Time{}
	}
	t.failures++
	if t.first == nil {
		t.first = err
	}
	if since.IsZero() {
		t.open++
		return time.Now()
	}
	return since
}
