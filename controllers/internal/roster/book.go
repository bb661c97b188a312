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

// Moment is how old the groups are at most that Recent returns.
const Moment = time.Second

// page is the groups of a server, and what they were made of, and when.
type page struct {
	session           *link.Server
	devices, revision int64
	at                time.Time
	groups            []Group
}

// Watch promises that Turn is called for each event of a Device before anybody acts on it.
func (b *Book) Watch() { b.watched.Store(true) }

// Turn forgets what was made of Devices so far.
func (b *Book) Turn() { b.devices.Add(1) }

// Groups are those of a server now. They must not be changed.
func (b *Book) Groups(ctx context.Context, reader client.Reader, server types.NamespacedName, s *link.Server) ([]Group, error) {
	known, current := b.open(server, s)
	if current {
		return known.groups, nil
	}
	return b.write(ctx, reader, server, s)
}

// Recent are the groups as they were a Moment ago or later. While a fleet grows or is relabelled they change all the time, and many ask for them. current is
// false if they have changed since: who decides by them decides again later.
func (b *Book) Recent(ctx context.Context, reader client.Reader, server types.NamespacedName, s *link.Server) (groups []Group, current bool, err error) {
	known, current := b.open(server, s)
	if current || b.watched.Load() && known.session == s && b.Clock.Since(known.at) < Moment {
		return known.groups, current, nil
	}
	groups, err = b.write(ctx, reader, server, s)
	return groups, true, err
}

// open returns the page of a server and whether it still holds.
func (b *Book) open(server types.NamespacedName, s *link.Server) (known page, current bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	known = b.pages[server]
	return known, b.watched.Load() && known.session == s && known.devices == b.devices.Load() && known.revision == s.Revision()
}

// write makes the page of a server anew.
func (b *Book) write(ctx context.Context, reader client.Reader, server types.NamespacedName, s *link.Server) ([]Group, error) {
	now := page{session: s, devices: b.devices.Load(), revision: s.Revision(), at: b.Clock.Now()} // before reading, so that what comes meanwhile is not missed
	devices, err := Devices(ctx, reader, server)
	if err != nil {
		return nil, err
	}
	now.groups = Groups(s, devices)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pages == nil {
		b.pages = map[types.NamespacedName]page{}
	}
	b.pages[server] = now
	return now.groups, nil
}
