package link

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// recheckClient is how old an answer of ClientOptions may be: certificates are renewed and leaders change.
const recheckClient = 10 * time.Second

// ClientOptions make Clients.
type ClientOptions struct {
	// Endpoint says how to reach a server.
	Endpoint func(ctx context.Context, server types.NamespacedName) (Endpoint, error)
	// Epoch reads the lease epoch of the manager that leads, which is not this one as a rule.
	Epoch func(ctx context.Context) (int64, error)
	// Dial replaces the usual dialer, for a manager outside of the cluster.
	Dial  DialFunc
	Clock clock.PassiveClock
}

// Clients lets every manager ask a server, whether it leads or not. The connection of a Registry follows all that a server says; these ask a question and
// remember nothing.
type Clients struct {
	opts ClientOptions

	mu      sync.Mutex
	clients map[types.NamespacedName]*knownClient
}

// knownClient is a client and what it was made of.
type knownClient struct {
	endpoint Endpoint
	epoch    int64
	checked  time.Time
	http     *http.Client
	client   *adminapi.Client
}

// NewClients returns Clients without connections.
func NewClients(opts ClientOptions) *Clients {
	opts.Dial = dialer(opts.Dial)
	return &Clients{opts: opts, clients: map[types.NamespacedName]*knownClient{}}
}

// Client returns a client of a server's internal API. Errors are those of ClientOptions.Endpoint.
func (c *Clients) Client(ctx context.Context, server types.NamespacedName) (*adminapi.Client, error) {
	c.mu.Lock()
	known, now := c.clients[server], c.opts.Clock.Now()
	c.mu.Unlock()
	if known != nil && now.Sub(known.checked) < recheckClient {
		return known.client, nil
	}
	endpoint, err := c.opts.Endpoint(ctx, server)
	if err != nil {
		c.Forget(server)
		return nil, err
	}
	// A server answers questions of every manager. It refuses to be changed by one whose epoch is unknown, and says so.
	epoch, err := c.opts.Epoch(ctx)
	if err != nil {
		epoch = 0
	}
	return c.take(server, knownClient{endpoint: endpoint, epoch: epoch, checked: now})
}

// take keeps a client, which is the one that is known if nothing has changed.
func (c *Clients) take(server types.NamespacedName, fresh knownClient) (*adminapi.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.clients[server]
	same := known != nil && known.endpoint.equal(fresh.endpoint)
	if same && known.epoch == fresh.epoch {
		known.checked = fresh.checked
		return known.client, nil
	}
	if same {
		fresh.http = known.http
	} else {
		hc, err := fresh.endpoint.client(c.opts.Dial)
		if err != nil {
			return nil, fmt.Errorf("connecting: %w", err)
		}
		fresh.http = hc
		if known != nil {
			known.http.CloseIdleConnections()
		}
	}
	fresh.client = adminapi.NewClient(fresh.endpoint.URL, fresh.http, fresh.epoch)
	c.clients[server] = &fresh
	return fresh.client, nil
}

// Forget closes the connections to a server, if there are any: it is gone, or a call failed and what is known of it may be wrong. The next call looks anew.
func (c *Clients) Forget(server types.NamespacedName) {
	c.mu.Lock()
	known := c.clients[server]
	delete(c.clients, server)
	c.mu.Unlock()
	if known != nil {
		known.http.CloseIdleConnections()
	}
}

// Close closes all connections.
func (c *Clients) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for server, known := range c.clients {
		known.http.CloseIdleConnections()
		delete(c.clients, server)
	}
}
