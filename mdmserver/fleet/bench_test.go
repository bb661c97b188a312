package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// BenchmarkIdleConnect is what nearly all requests of a quiet fleet are: a device with twenty installed profiles that has nothing to do.
func BenchmarkIdleConnect(b *testing.B) {
	w := newWorld(b)
	m := w.enroll("A")
	var assigned keys
	for i := range 20 {
		key := adminapi.Key(fmt.Sprintf("ns/p%02d", i))
		w.put(key, "v1")
		assigned = append(assigned, key)
	}
	w.assign(assigned, m)
	m.settle()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if command, err := w.Connect(w.ctx, m.id, m.ch, fleet.Report{Status: fleet.StatusIdle}); err != nil || command != nil {
				b.Fatalf("%s, %v", command, err)
			}
		}
	})
}

// BenchmarkCommandRoundTrip is an action from the PUT to the stored answer: three durable transactions.
func BenchmarkCommandRoundTrip(b *testing.B) {
	w := newWorld(b)
	m := w.enroll("A")
	for i := 0; b.Loop(); i++ {
		w.act(adminapi.Key(fmt.Sprintf("ns/%d", i)), info, m)
		m.answer(m.idle(), fleet.StatusAcknowledged)
	}
}

// BenchmarkAgent is the poll of one of 30,000 agents, BenchmarkAgentsAreReadAgain what follows a change of the store, once a second at most.
func BenchmarkAgent(b *testing.B) {
	w, hashes := manyAgents(b)
	for i := 0; b.Loop(); i++ {
		if _, err := w.Agent(w.ctx, hashes[i%len(hashes)]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "polls/s")
}

func BenchmarkAgentsAreReadAgain(b *testing.B) {
	w, _ := manyAgents(b)
	for b.Loop() {
		err := w.store.View(w.ctx, func(tx fleet.Tx) error {
			views, err := tx.AgentViews("")
			if err == nil && len(views) != agentFleetSize {
				err = fmt.Errorf("%d agents", len(views))
			}
			return err
		})
		w.must(err)
	}
}

const agentFleetSize = 30_000

// manyAgents are agents of enrolled PCs, in memory.
func manyAgents(b *testing.B) (*world, []string) {
	b.Helper()
	w := newWorld(b)
	var hashes []string
	err := w.store.Update(w.ctx, func(tx fleet.Tx) error {
		for i := range agentFleetSize {
			id := fmt.Sprintf("PC%05d", i)
			hashes = append(hashes, fingerprint([]byte(id)))
			device := fleet.DeviceRow{ID: id, Platform: adminapi.PlatformWindows, State: adminapi.DeviceEnrolled, EnrollmentID: id, Intent: adminapi.IntentManage}
			channel := fleet.ChannelRow{Channel: fleet.Channel{ID: id, DeviceID: id, Kind: fleet.ChannelWindows}, Enabled: true, WakeAt: w.clock.Now()}
			if err := errors.Join(tx.PutDevice(device), tx.PutChannel(channel), tx.PutAgent(fleet.AgentRow{NodeKeyHash: hashes[i], DeviceID: id})); err != nil {
				return err
			}
		}
		return nil
	})
	w.must(err)
	g := &gate{Store: w.store}
	w.store = g
	w.Fleet = w.startFleet(w.enc)
	ctx, cancel := context.WithCancel(w.ctx)
	b.Cleanup(cancel)
	go w.RunAgents(ctx)
	for inMemory := false; !inMemory; inMemory = g.taken() == 0 {
		g.taken()
		_, err := w.Agent(w.ctx, hashes[0])
		w.must(err)
	}
	return w, hashes
}

// BenchmarkEditOfAProfile is an edit of a profile that 10,000 devices have, and BenchmarkArtifactCounts the counters that it is followed by.
func BenchmarkEditOfAProfile(b *testing.B) {
	w := bigFleet(b)
	for i := 0; b.Loop(); i++ {
		w.put("ns/p", fmt.Sprint("edit ", i))
	}
}

func BenchmarkArtifactCounts(b *testing.B) {
	w := bigFleet(b)
	for b.Loop() {
		if a := w.artifact("ns/p"); a.Targeted != bigFleetSize {
			b.Fatalf("%+v", a)
		}
	}
}

const bigFleetSize = 10_000

func bigFleet(b *testing.B) *world {
	b.Helper()
	w := newWorld(b)
	w.put("ns/p", "v1")
	err := w.store.Update(w.ctx, func(tx fleet.Tx) error {
		for i := range bigFleetSize {
			id := fmt.Sprintf("D%05d", i)
			if err := tx.PutDevice(fleet.DeviceRow{ID: id, State: adminapi.DeviceEnrolled, EnrollmentID: id, Intent: adminapi.IntentManage}); err != nil {
				return err
			}
			if err := tx.PutChannel(fleet.ChannelRow{Channel: deviceChannel(id), Scope: adminapi.ScopeSystem, Enabled: true}); err != nil {
				return err
			}
			if err := tx.PutAssignment(id, "ns/p"); err != nil {
				return err
			}
		}
		return tx.SeedArtifact("ns/p", w.clock.Now())
	})
	w.must(err)
	return w
}

// BenchmarkArtifactStates reads the states of a profile on 10,000 devices, in pages.
func BenchmarkArtifactStates(b *testing.B) {
	w := bigFleet(b)
	for b.Loop() {
		found := 0
		for after, more := "", true; more; more = after != "" {
			page, err := w.ArtifactStates(w.ctx, "ns/p", after, adminapi.MaxPage)
			w.must(err)
			found += len(page.Items)
			after = page.Next
		}
		if found != bigFleetSize {
			b.Fatalf("%d states", found)
		}
	}
}
