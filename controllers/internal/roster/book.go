package roster

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubemdm/kubemdm/controllers/internal/link"
)

// Book keeps the groups of each server until a Device or the server's mirror changes, so that what a rollout asks again and again costs nothing.
// It is safe for concurrent use.
type Book struct {
	Clock clock.PassiveClock

	// watched says that somebody calls Turn; until then nothing is kept.
	watched atomic.Bool
	devices atomic.Int64

	mu    sync.Mutex
	pages map[types.NamespacedName]page
}

// moment is for how long groups are good enough for Recent, least and most. In between it is that many times what it took to make them, so that a large fleet
// in motion takes a tenth of a core and not all of it.
const (
	leastMoment = time.Second
	mostMoment  = time.Minute
	momentCosts = 10
)

// page is the groups of a server, and what they were made of, and when.
type page struct {
	session           *link.Server
	devices, revision int64
	at                time.Time
	moment            time.Duration
	groups            []Group
}

// Watch promises that Turn is called for each event of a Device before anybody acts on it.
func (b *Book) Watch() { b.watched.Store(true) }

// Turn forgets what was made of Devices so far.
func (b *Book) Turn() { b.devices.Add(1) }

// Groups are those of a server now. They must not be changed.
func (b *Book) Groups(ctx context.Context, reader client.Reader, server types.NamespacedName, s *link.Server) ([]Group, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	known := b.pages[server]
	if b.holds(known, s) {
		return known.groups, nil
	}
	return b.write(ctx, reader, server, s)
}

// Recent are the groups as they were a moment ago or later: a second, or longer in a large fleet. While a fleet grows or is relabelled they change all the
// time, and many ask for them. again is 0 unless they have changed since: who decides by them decides again after that time.
func (b *Book) Recent(ctx context.Context, reader client.Reader, server types.NamespacedName, s *link.Server) (groups []Group, again time.Duration, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	known := b.pages[server]
	if b.holds(known, s) {
		return known.groups, 0, nil
	}
	if age := b.Clock.Since(known.at); b.watched.Load() && known.session == s && age < known.moment {
		return known.groups, known.moment - age, nil
	}
	groups, err = b.write(ctx, reader, server, s)
	return groups, 0, err
}

// holds says whether nothing has changed since a page was made.
func (b *Book) holds(known page, s *link.Server) bool {
	return b.watched.Load() && known.session == s && known.devices == b.devices.Load() && known.revision == s.Revision()
}

// write makes the page of a server anew. Who asks meanwhile waits for it.
func (b *Book) write(ctx context.Context, reader client.Reader, server types.NamespacedName, s *link.Server) ([]Group, error) {
	now := page{session: s, devices: b.devices.Load(), revision: s.Revision(), at: b.Clock.Now()} // before reading, so that what comes meanwhile is not missed
	devices, err := Devices(ctx, reader, server)
	if err != nil {
		return nil, err
	}
	now.groups = Groups(s, devices)
	now.moment = min(max(leastMoment, momentCosts*b.Clock.Since(now.at)), mostMoment)
	if b.pages == nil {
		b.pages = map[types.NamespacedName]page{}
	}
	b.pages[server] = now
	return now.groups, nil
}
