package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// askTimeout bounds the question to one replica.
const askTimeout = 10 * time.Second

// Replicas are the pods of a server whose store is shared. None: there is one at most, to which the Service leads.
type Replicas struct {
	// Addresses of the internal API of those that have one.
	Addresses []string
	// Pods is how many there are, with those that have no address yet.
	Pods int
}

// Add adds the internal API at a pod's address.
func (r *Replicas) Add(ip, port string) {
	r.Addresses = append(r.Addresses, net.JoinHostPort(ip, port))
}

// Answers are what the replicas say of themselves.
type Answers struct {
	// Info is what the least advanced of those says that answered. Its counts are known if Usable is not 0.
	Info adminapi.Info
	// Answered is how many did, Usable is how many of those can use the store, and Failed is why the others did not answer.
	Answered, Usable int
	Failed           []error
	// complete is true if no replica is left that did not answer.
	complete bool
}

// Ask asks each replica for its state. What is in the store, which they share, any of them answers (Server). Errors: ErrConnecting and ErrUnknown as of
// Server, and why nobody answers, or why a server whose store is in order has no session.
func (r *Registry) Ask(ctx context.Context, server types.NamespacedName, replicas Replicas) (*Answers, error) {
	c := r.connection(server)
	if c == nil {
		return nil, ErrUnknown
	}
	session, problem := c.state()
	if errors.Is(problem, ErrConnecting) {
		return nil, problem
	}
	answers, err := c.ask(ctx, replicas)
	switch {
	case err != nil:
		return nil, err
	case session != nil:
		session.heard(answers)
	case answers.Info.Store.Reason == "":
		return nil, problem
	}
	return answers, nil
}

func (c *connection) ask(ctx context.Context, replicas Replicas) (*Answers, error) {
	dial := c.registry.opts.Dial
	dials := []DialFunc{dial}
	if replicas.Pods > 0 || len(replicas.Addresses) > 0 {
		dials = nil
		for _, address := range replicas.Addresses {
			dials = append(dials, dial.to(address))
		}
	}
	infos, errs := make([]*adminapi.Info, len(dials)), make([]error, len(dials))
	var asking sync.WaitGroup
	for i, dial := range dials {
		asking.Go(func() { infos[i], errs[i] = c.askOne(ctx, dial) })
	}
	asking.Wait()
	return sum(infos, errs, replicas.Pods)
}

func sum(infos []*adminapi.Info, errs []error, pods int) (*Answers, error) {
	a := &Answers{}
	for i, info := range infos {
		switch {
		case info == nil:
			a.Failed = append(a.Failed, errs[i])
			continue
		case a.Answered == 0:
			a.Info = *info
		default:
			a.Info = leastAdvanced(a.Info, *info)
		}
		a.Answered++
		if info.Store.Reason == "" {
			a.Usable++
		}
	}
	if a.Answered == 0 {
		return nil, append(a.Failed, errNoAddress)[0]
	}
	a.complete = len(a.Failed) == 0 && a.Answered >= pods
	return a, nil
}

// errNoAddress says that there is nobody to ask.
var errNoAddress = errors.New("no pod has an address yet")

func (c *connection) askOne(ctx context.Context, dial DialFunc) (*adminapi.Info, error) {
	hc, err := c.endpoint.client(dial)
	if err != nil {
		return nil, err
	}
	defer hc.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	info, err := adminapi.NewClient(c.endpoint.URL, hc, 0).Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the server's state: %w", err)
	}
	return info, nil
}
