package roster

import (
	"context"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubemdm/kubemdm/controllers/internal/link"
)

// Book keeps the groups of each server until a Device or the server's mirror changes, so that what a rollout asks again and again costs nothing.
// It is safe for concurrent use.
type Book struct {
	// watched says that somebody calls Turn; until then nothing is kept.
	watched atomic.Bool
	devices atomic.Int64

	mu    sync.Mutex
	pages map[types.NamespacedName]page
}

// page is the groups of a server, and what they were made of.
type page struct {
	session           *link.Server
	devices, revision int64
	groups            []Group
}

// Watch promises that Turn is called for each event of a Device before anybody acts on it.
func (b *Book) Watch() { b.watched.Store(true) }

// Turn forgets what was made of Devices so far.
func (b *Book) Turn() { b.devices.Add(1) }

// Groups are those of a server now. They must not be changed.
func (b *Book) Groups(ctx context.Context, reader client.Reader, server types.NamespacedName, s *link.Server) ([]Group, error) {
	now := page{session: s, devices: b.devices.Load(), revision: s.Revision()} // before reading, so that what comes meanwhile is not missed
	b.mu.Lock()
	known := b.pages[server]
	b.mu.Unlock()
	if b.watched.Load() && known.session == s && known.devices == now.devices && known.revision == now.revision {
		return known.groups, nil
	}
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
