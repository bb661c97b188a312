package mdmserver

import (
	"context"
	"errors"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/metrics"
)

// countingStore counts the transactions that the store could not do.
type countingStore struct {
	fleet.Store
	metrics *metrics.Metrics
}

func (s countingStore) View(ctx context.Context, fn func(fleet.Tx) error) error {
	return s.count(s.Store.View(ctx, fn))
}

func (s countingStore) Update(ctx context.Context, fn func(fleet.Tx) error) error {
	return s.count(s.Store.Update(ctx, fn))
}

func (s countingStore) count(err error) error {
	if errors.Is(err, fleet.ErrUnavailable) {
		s.metrics.StoreError()
	}
	return err
}
