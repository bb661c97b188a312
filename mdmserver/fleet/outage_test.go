package fleet_test

import (
	"context"
	"testing"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// fullStore fails every commit while full is set, as a full disk does.
type fullStore struct {
	fleet.Store
	full bool
}

func (s *fullStore) Update(ctx context.Context, fn func(fleet.Tx) error) error {
	return s.Store.Update(ctx, func(tx fleet.Tx) error {
		if err := fn(tx); err != nil || !s.full {
			return err
		}
		return fleet.ErrUnavailable
	})
}

func TestOutageOfTheStoreLosesNothing(t *testing.T) {
	w := newWorld(t)
	disk := &fullStore{Store: w.store}
	w.store = disk
	w.Fleet = w.startFleet(w.enc)
	m := w.enroll("A")
	w.put("ns/p", "v1")
	w.assign(keys{"ns/p"}, m)
	w.act("ns/info", info, m)
	first := m.idle()
	w.drain()

	disk.full = true
	answer := fleet.Report{Status: fleet.StatusAcknowledged, CommandUUID: first.CommandUUID, Body: []byte("<answer/>")}
	_, err := w.Connect(w.ctx, m.id, m.ch, answer)
	w.wantErr(err, fleet.ErrUnavailable)
	_, err = w.Connect(w.ctx, m.id, m.ch, fleet.Report{Status: fleet.StatusIdle})
	w.wantErr(err, fleet.ErrUnavailable)
	_, err = w.PutArtifact(w.ctx, adminapi.Artifact{Key: "ns/q", Identifier: "q"})
	w.wantErr(err, fleet.ErrUnavailable)
	_, err = w.RedeemChallenge(w.ctx, "secret", "key", nil)
	w.wantErr(err, fleet.ErrChallenge) // a refusal needs no room on the disk
	w.wantErr(w.CheckLease(w.ctx, epoch+1), fleet.ErrUnavailable)
	w.wantErr(w.FlushSeen(w.ctx), fleet.ErrUnavailable)
	w.wantErr(w.Sweep(w.ctx), fleet.ErrUnavailable)
	w.wantTarget("ns/info", "A", adminapi.TargetDelivered)
	if c := w.feed(epoch); len(c) != 0 {
		t.Errorf("what was not stored is told: %+v", c)
	}

	disk.full = false
	w.must(w.CheckLease(w.ctx, epoch)) // the one that was not stored does not count
	w.wantDelivery(m.send(answer), "install ns/p v1")
	w.wantTarget("ns/info", "A", adminapi.TargetSucceeded)
	w.wantFeed("action ns/info")
	m.wantSettle("install ns/p v1")
	w.must(w.FlushSeen(w.ctx))

	disk.full = true
	w.wantDelivery(m.idle(), "nothing") // an idle device writes nothing
	w.must(w.Verify(w.ctx, m.id, m.ch))
	wakes, err := w.Wakes(w.ctx, 10)
	w.must(err)
	if len(wakes) != 0 {
		t.Errorf("wakes = %+v", wakes)
	}
}
