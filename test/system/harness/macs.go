package harness

import (
	"context"
	"strings"
	"time"

	"github.com/kubemdm/kubemdm/test/devicesim"
)

const (
	// workers is how many Macs do something at the same time.
	workers = 16
	// requestTimeout is how long a Mac waits for a server that has vanished without a word.
	requestTimeout = 10 * time.Second
	// dialTimeout is how long it takes to reach one: a pod that is gone says nothing at all.
	dialTimeout = time.Second
)

// Macs are simulated Macs in this process, which a test can script, unlike those in pods. They are enrolled.
type Macs struct {
	*devicesim.Fleet
}

// EnrolMacs makes a token whose Macs get the label team, and enrols as many over the server's Service. It works on the cluster's node only.
func (w *Walk) EnrolMacs(ctx context.Context, team string, count int) (*Macs, error) {
	n, secret, err := w.trust(ctx, team)
	if err != nil {
		return nil, err
	}
	keys := devicesim.NewKeyPool(workers)
	fleet, err := devicesim.NewFleet(count, func(i int) devicesim.Options {
		return devicesim.Options{
			Hardware: devicesim.Mac(strings.ToUpper(team), i+1), Roots: n.roots, Client: n.client(), Key: keys.Key, RetryInterval: interval,
		}
	})
	if err != nil {
		return nil, err
	}
	err = w.Wait(ctx, "the Macs to enrol", func(ctx context.Context) (bool, string, error) {
		return true, "", fleet.Enroll(ctx, workers, string(secret.Data["url"])) // kube-proxy learns a moment after us that the server is ready
	})
	return &Macs{fleet}, err
}

// Connect lets every Mac connect once.
func (m *Macs) Connect(ctx context.Context) error { return m.Idle(ctx, workers) }
