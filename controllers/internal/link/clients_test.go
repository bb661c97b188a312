package link_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// source is what clients are made of.
type source struct {
	endpoint link.Endpoint
	gone     error
	epoch    int64
	unknown  error
	asked    int
}

func (s *source) clients(clock *clocktesting.FakePassiveClock) *link.Clients {
	return link.NewClients(link.ClientOptions{
		Endpoint: func(context.Context, types.NamespacedName) (link.Endpoint, error) {
			s.asked++
			return s.endpoint, s.gone
		},
		Epoch: func(context.Context) (int64, error) { return s.epoch, s.unknown },
		Clock: clock,
	})
}

func TestClientIsKeptUntilSomethingChanges(t *testing.T) {
	f, other := newFakeServer(t), newFakeServer(t)
	clock := clocktesting.NewFakePassiveClock(time.Now())
	s := &source{endpoint: f.endpoint, epoch: 1}
	clients := s.clients(clock)
	t.Cleanup(clients.Close)
	client := func() *adminapi.Client {
		t.Helper()
		c, err := clients.Client(t.Context(), serverName)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Info(t.Context()); err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := client()
	if client() != first || s.asked != 1 {
		t.Errorf("asked %d times for what had just been told", s.asked)
	}
	clock.SetTime(clock.Now().Add(time.Minute))
	if client() != first || s.asked != 2 {
		t.Errorf("another client, or asked %d times after a minute", s.asked)
	}
	for _, c := range []struct {
		what   string
		change func()
	}{
		{"another leader", func() { s.epoch++ }},
		{"no leader", func() { s.unknown = errors.New("no Lease") }},
		{"another endpoint", func() { s.endpoint = other.endpoint }},
	} {
		c.change()
		if client() != first {
			t.Errorf("%s was seen at once", c.what)
		}
		clock.SetTime(clock.Now().Add(time.Minute))
		was := first
		if first = client(); first == was {
			t.Errorf("%s was not seen after a minute", c.what)
		}
	}
	clients.Forget(serverName)
	if client() == first {
		t.Error("the client was not forgotten")
	}
}

func TestClientOfAServerThatIsGone(t *testing.T) {
	f := newFakeServer(t)
	clock := clocktesting.NewFakePassiveClock(time.Now())
	s := &source{endpoint: f.endpoint}
	clients := s.clients(clock)
	t.Cleanup(clients.Close)
	if _, err := clients.Client(t.Context(), serverName); err != nil {
		t.Fatal(err)
	}
	s.gone = errors.New("gone")
	clock.SetTime(clock.Now().Add(time.Minute))
	if _, err := clients.Client(t.Context(), serverName); !errors.Is(err, s.gone) {
		t.Errorf("error %v", err)
	}
	s.gone, s.endpoint.CA = nil, nil
	if _, err := clients.Client(t.Context(), serverName); err == nil {
		t.Error("a client without a CA")
	}
}
