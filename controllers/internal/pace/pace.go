// Package pace spaces writes of progress, so that a rollout over a large fleet costs a handful of them.
package pace

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
)

// The gaps between two writes grow fourfold from first to steady, and then with the rollout, of which each is a quarter, up to longest: five writes show a
// rollout that takes a minute, nineteen one that takes an hour.
const (
	first   = time.Second
	growth  = 4
	steady  = time.Minute
	share   = 4
	longest = 15 * time.Minute
)

// Pace remembers when the progress of each object was written last. It is safe for concurrent use.
type Pace struct {
	clock clock.PassiveClock

	mu   sync.Mutex
	last map[types.NamespacedName]write
}

// write is the last write about one object, the first one of its rollout, and the gap that must follow it.
type write struct {
	at, begun time.Time
	gap       time.Duration
}

// New returns a Pace that knows of no writes.
func New(c clock.PassiveClock) *Pace { return &Pace{clock: c, last: map[types.NamespacedName]write{}} }

// Due returns how long the next write about an object has to wait. 0 means that it may happen now, and counts as that write.
func (p *Pace) Due(object types.NamespacedName) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, last := p.clock.Now(), p.last[object]
	since := now.Sub(last.at)
	if since < last.gap {
		return last.gap - since
	}
	next := write{at: now, begun: last.begun}
	next.gap = min(growth*last.gap, max(steady, now.Sub(last.begun)/share), longest)
	if last.gap == 0 || since > 2*max(last.gap, steady) { // nothing happened for so long that it is another rollout
		next.begun, next.gap = now, first
	}
	p.last[object] = next
	return 0
}

// Restart begins a rollout: its first write may happen at once and the gaps are short again. It is also how an object is forgotten.
func (p *Pace) Restart(object types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.last, object)
}
