package store_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/store"
	"github.com/kubemdm/kubemdm/mdmserver/store/storetest"
	"github.com/kubemdm/kubemdm/test/postgres"
)

// BenchmarkPostgresUpdates is about the limit of one writer: updates as of a device that answers, which wait for the disk, from one process and from three
// (docs/adr/0011).
func BenchmarkPostgresUpdates(b *testing.B) {
	for _, durable := range []bool{true, false} {
		cluster := postgres.Start(b, postgres.Options{Durable: durable})
		for _, processes := range []int{1, 3} {
			b.Run(fmt.Sprintf("durable=%v/processes=%d", durable, processes), func(b *testing.B) {
				opts := storetest.PostgresOptions(cluster, cluster.Database(b, ""))
				stores := make([]*store.Store, processes)
				for i := range stores {
					stores[i] = storetest.OpenPostgres(b, opts)
				}
				var n atomic.Int64
				b.SetParallelism(6)
				b.RunParallel(func(pb *testing.PB) {
					s := stores[int(n.Add(1))%processes]
					for pb.Next() {
						if err := s.Update(b.Context(), answer(n.Add(1)%1000)); err != nil {
							b.Error(err)
						}
					}
				})
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
			})
		}
	}
}

// answer does what the answer of a device does: four rows are read and four written.
func answer(device int64) func(fleet.Tx) error {
	return func(tx fleet.Tx) error {
		id := fmt.Sprint("device-", device)
		d, err := tx.Device(id)
		if err != nil {
			return err
		}
		if d == nil {
			d = &fleet.DeviceRow{ID: id, State: adminapi.DeviceEnrolled}
		}
		d.LastSeen = time.Now()
		if err := tx.PutDevice(*d); err != nil {
			return err
		}
		if _, err := tx.Channel(id); err != nil {
			return err
		}
		if err := tx.PutChannel(fleet.ChannelRow{Channel: fleet.Channel{ID: id, DeviceID: id}, Enabled: true}); err != nil {
			return err
		}
		if _, err := tx.OpenStates(id); err != nil {
			return err
		}
		version, err := tx.NextVersion()
		if err != nil {
			return err
		}
		return tx.PutDirty(fleet.DirtyRow{Kind: adminapi.KindDevice, Key: id, Version: version})
	}
}
