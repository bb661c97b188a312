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

// acks gathers the acks of one session. One that is lost costs nothing but a second offer of the row, and so does a row that could not be written:
// its reconciler tries again with back-off, and the server offers it anew when the lease of the delivery is over.
type acks struct {
	client *adminapi.Client
	epoch  string
	some   chan struct{}

	mu      sync.Mutex
	waiting []adminapi.Ack
}

func newAcks(client *adminapi.Client, epoch string) *acks {
	return &acks{client: client, epoch: epoch, some: make(chan struct{}, 1)}
}

func (a *acks) add(ack adminapi.Ack) {
	a.mu.Lock()
	a.waiting = append(a.waiting, ack)
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
	batch := adminapi.Acks{StoreEpoch: a.epoch, Acks: a.waiting}
	a.waiting = nil
	return batch
}
