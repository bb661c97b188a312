package link

import (
	"context"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// ackPause is how long acks are gathered into one call.
const ackPause = 100 * time.Millisecond

// acks gathers the acks and nacks of one session. One that is lost costs nothing but a second offer of the row.
type acks struct {
	client *adminapi.Client
	epoch  string
	some   chan struct{}

	mu      sync.Mutex
	waiting []adminapi.Nack // an ack is one without RetryAfterSeconds
}

func newAcks(client *adminapi.Client, epoch string) *acks {
	return &acks{client: client, epoch: epoch, some: make(chan struct{}, 1)}
}

func (a *acks) add(n adminapi.Nack) {
	a.mu.Lock()
	a.waiting = append(a.waiting, n)
	a.mu.Unlock()
	select {
	case a.some <- struct{}{}:
	default:
	}
}

// run sends what was gathered until ctx ends.
func (a *acks) run(ctx context.Context, log logr.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.some:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(ackPause):
		}
		if err := a.client.Ack(ctx, a.take()); err != nil && ctx.Err() == nil {
			log.Info("acks were lost; the server will offer the rows again", "reason", err.Error())
		}
	}
}

func (a *acks) take() adminapi.Acks {
	a.mu.Lock()
	defer a.mu.Unlock()
	batch := adminapi.Acks{StoreEpoch: a.epoch}
	for _, n := range a.waiting {
		if n.RetryAfterSeconds == 0 {
			batch.Acks = append(batch.Acks, n.Ack)
		} else {
			batch.Nacks = append(batch.Nacks, n)
		}
	}
	a.waiting = nil
	return batch
}
