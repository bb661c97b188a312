package link

import (
	"context"
	"errors"
	"sync"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// ErrUnknown says that nobody has asked for a connection to the server: its MDMServer does not exist or has no credentials yet.
var ErrUnknown = errors.New("the MDMServer does not exist or is not set up yet")

// ErrConnecting says that the first attempt to connect has not ended yet.
var ErrConnecting = errors.New("connecting")

// Options make a Registry.
type Options struct {
	// Epoch reads the lease epoch that every call carries: Unix microseconds of the leader Lease's acquireTime.
	Epoch func(ctx context.Context) (int64, error)
	// Dial replaces the usual dialer, for a manager outside of the cluster.
	Dial DialFunc
	Log  logr.Logger
}

// Registry owns the connections. It is a manager.Runnable of the leader.
type Registry struct {
	opts Options
	ctx  context.Context
	stop context.CancelFunc
	done sync.WaitGroup

	mu    sync.Mutex
	links map[types.NamespacedName]*connection
	sinks map[adminapi.Kind][]sink
}

// NewRegistry returns a registry without connections.
func NewRegistry(opts Options) *Registry {
	opts.Dial = dialer(opts.Dial)
	ctx, stop := context.WithCancel(context.Background())
	return &Registry{opts: opts, ctx: ctx, stop: stop, links: map[types.NamespacedName]*connection{}, sinks: map[adminapi.Kind][]sink{}}
}

// Start holds the connections until ctx ends, then closes them all.
func (r *Registry) Start(ctx context.Context) error {
	<-ctx.Done()
	r.stop()
	r.done.Wait()
	return nil
}

// NeedLeaderElection makes the manager start the registry with the controllers.
func (r *Registry) NeedLeaderElection() bool { return true }

// Connect keeps a connection to a server from now on. Calling it again changes nothing unless the endpoint differs.
func (r *Registry) Connect(server types.NamespacedName, endpoint Endpoint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if old := r.links[server]; old != nil {
		if old.endpoint.equal(endpoint) {
			return
		}
		old.stop()
	}
	ctx, stop := context.WithCancel(r.ctx)
	c := &connection{registry: r, server: server, endpoint: endpoint, stop: stop, problem: ErrConnecting}
	r.links[server] = c
	r.done.Go(func() { c.run(ctx) })
}

// Disconnect ends the connection to a server that is gone, if there was one, and wakes what waits for it: objects that saw the server in its last moments
// wait for a connection that will never come.
func (r *Registry) Disconnect(server types.NamespacedName) {
	r.mu.Lock()
	c := r.links[server]
	delete(r.links, server)
	r.mu.Unlock()
	if c != nil {
		c.stop()
	}
	r.announce(server)
}

// Server returns a connected server whose mirror is complete, or an error that says why there is none. A *Server outlives its connection: it
// can then still be read, and its calls fail.
func (r *Registry) Server(server types.NamespacedName) (*Server, error) {
	c := r.connection(server)
	if c == nil {
		return nil, ErrUnknown
	}
	return c.state()
}

// connection is that to a server, nil if there is none.
func (r *Registry) connection(server types.NamespacedName) *connection {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.links[server]
}
