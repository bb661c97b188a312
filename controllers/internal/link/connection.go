package link

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// errEpoch ends a session whose store was restored, replaced or restarted: all is listed and PUT again.
var errEpoch = errors.New("the server's store is another one now")

// retry is the pause between attempts: jittered, so that a manager does not meet many servers at once.
var retry = wait.Backoff{Duration: time.Second, Factor: 2, Jitter: 0.3, Steps: 6, Cap: 30 * time.Second}

// connection keeps sessions with one server, one after the other.
type connection struct {
	registry *Registry
	server   types.NamespacedName
	endpoint Endpoint
	stop     context.CancelFunc

	mu      sync.Mutex
	current *Server
	problem error // why there is no current server
}

func (c *connection) state() (*Server, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current, c.problem
}

// set reports whether the connection was lost or won by it.
func (c *connection) set(current *Server, problem error) (changed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed = (c.current == nil) != (current == nil) || errors.Is(c.problem, ErrConnecting)
	c.current, c.problem = current, problem
	return changed
}

func (c *connection) run(ctx context.Context) {
	pause := retry
	for {
		synced, err := c.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if c.set(nil, err) {
			c.registry.opts.Log.Info("connection lost", "server", c.server, "reason", err.Error())
			c.registry.emit(ctx, Event{Server: c.server, Kind: KindServer})
		}
		if synced {
			pause = retry
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause.Step()):
		}
	}
}

// session connects, lists everything, and follows the changes until an error. synced says whether it got as far as following.
func (c *connection) session(ctx context.Context) (synced bool, err error) {
	epoch, err := c.registry.opts.Epoch(ctx)
	if err != nil {
		return false, fmt.Errorf("reading the leader lease: %w", err)
	}
	hc, err := c.endpoint.client(c.registry.opts.Dial)
	if err != nil {
		return false, err
	}
	defer hc.CloseIdleConnections()
	s, err := open(ctx, c.server, adminapi.NewClient(c.endpoint.URL, hc, epoch))
	if err != nil {
		return false, err
	}
	// Reading is open to every manager: the first poll asks whether the server obeys this one.
	changes, err := s.client.Changes(ctx, 0, adminapi.MaxPage)
	if err != nil {
		return false, fmt.Errorf("asking for the server's changes: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	acking := make(chan struct{})
	go func() {
		defer close(acking)
		s.acks.run(ctx, c.registry.opts.Log)
	}()
	defer func() { cancel(); <-acking }()

	s.refreshed = func() { c.registry.emit(ctx, Event{Server: c.server, Kind: KindServer}) }
	c.set(s, nil)
	c.registry.announce(c.server)
	return true, c.follow(ctx, s, changes)
}

// follow folds changes into the mirror, and polls for the next.
func (c *connection) follow(ctx context.Context, s *Server, changes *adminapi.Changes) error {
	for {
		if changes.StoreEpoch != s.epoch {
			return errEpoch
		}
		for _, change := range changes.Changes {
			s.fold(change)
			event := Event{Server: c.server, Kind: change.Kind, Key: change.Key}
			if !s.owns(change) || c.registry.emit(ctx, event) {
				s.Done(change.Kind, change.Key, change.Version)
			}
		}
		var err error
		if changes, err = s.client.Changes(ctx, pollWait, adminapi.MaxPage); err != nil {
			return err
		}
	}
}
