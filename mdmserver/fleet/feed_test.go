package fleet_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

const epoch = 1000

// feed reads what is dirty now.
func (w *world) feed(epoch int64) []adminapi.Change {
	w.t.Helper()
	c, err := w.Changes(w.ctx, epoch, 0, 0)
	w.must(err)
	if c.StoreEpoch != w.StoreEpoch() {
		w.t.Errorf("store epoch = %q, want %q", c.StoreEpoch, w.StoreEpoch())
	}
	return c.Changes
}

// drain acks everything that is dirty.
func (w *world) drain() {
	w.t.Helper()
	w.ack(w.feed(epoch)...)
}

func (w *world) ack(changes ...adminapi.Change) {
	w.t.Helper()
	acks := adminapi.Acks{StoreEpoch: w.StoreEpoch()}
	for _, c := range changes {
		acks.Acks = append(acks.Acks, adminapi.Ack{Kind: c.Kind, Key: c.Key, Version: c.Version})
	}
	w.must(w.Ack(w.ctx, acks))
}

// wantFeed checks what is dirty, in any order, and acks it.
func (w *world) wantFeed(want ...string) {
	w.t.Helper()
	changes := w.feed(epoch)
	var got []string
	for _, c := range changes {
		got = append(got, fmt.Sprintf("%s %s", c.Kind, c.Key))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.t.Fatalf("dirty are %q, want %q", got, want)
	}
	w.ack(changes...)
}

func TestOnlyWhatShowsIsTold(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.wantFeed("device A", "token fleet/token")
	w.put("ns/p", "v1")
	w.assign(keys{"ns/p"}, m)
	w.wantFeed("artifact ns/p")
	m.settle()
	w.wantFeed("artifact ns/p") // a rolled-out profile writes no Device
	m.idle()
	w.put("ns/p", "v1")
	w.assign(keys{"ns/p"}, m)
	w.must(w.TokenUpdate(w.ctx, m.id, m.ch, pushInfo(m.ch), nil, false))
	w.must(w.FlushSeen(w.ctx))
	w.must(w.Sweep(w.ctx))
	w.wantFeed()
	w.put("ns/p", "v2")
	w.drain()
	m.answer(m.idle(), fleet.StatusError)
	w.wantFeed("artifact ns/p", "device A")
	w.put("ns/p", "v3")
	w.wantFeed("artifact ns/p", "device A")
	w.act("ns/info", info, m)
	w.wantFeed("action ns/info")
	d := m.idle()
	w.wantFeed("action ns/info")
	m.answer(d, fleet.StatusAcknowledged)
	w.wantFeed("action ns/info")
	m.user("ann")
	w.wantFeed("device A", "artifact ns/p")
	w.must(w.SetBootstrapToken(w.ctx, m.id, m.ch, []byte("b")))
	w.wantFeed("device A")
	w.must(w.SetBootstrapToken(w.ctx, m.id, m.ch, []byte("another")))
	w.wantFeed()
	m.answer(m.idle(), fleet.StatusError)
	w.wantFeed("artifact ns/p", "device A")
	w.assign(nil, m)
	w.wantFeed("artifact ns/p", "device A") // it fails no longer
	w.assign(keys{"ns/p"}, m)
	w.wantFeed("artifact ns/p")
	w.wantErr(w.Authenticate(w.ctx, w.identity(tokenHash), m.ch, factsOf("A"), topic), fleet.ErrReenrolmentBlocked)
	w.wantFeed("device A", "token fleet/token")
	m.intend(adminapi.IntentRelease)
	w.wantFeed("device A", "artifact ns/p")
}

func TestChangeCarriesTheCurrentState(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.put("ns/p", "v1")
	w.assign(keys{"ns/p"}, m)
	m.settle()
	w.act("ns/info", info, m)
	for _, c := range w.feed(epoch) {
		ok := false
		switch c.Kind {
		case adminapi.KindDevice:
			ok = c.Device != nil && c.Device.State == adminapi.DeviceEnrolled
		case adminapi.KindArtifact:
			ok = c.Artifact != nil && c.Artifact.Installed == 1
		case adminapi.KindAction:
			ok = c.Action != nil && c.Action.Total == 1
		case adminapi.KindToken:
			ok = c.Token != nil && c.Token.Uses == 1
		}
		if !ok || c.Deleted || c.Version == 0 {
			t.Errorf("change = %+v", c)
		}
	}
	w.must(w.DeleteArtifact(w.ctx, "ns/p", true))
	w.drain()
	w.must(w.DeleteArtifact(w.ctx, "ns/p", true))
	w.wantFeed()
	w.put("ns/q", "v1")
	w.must(w.DeleteArtifact(w.ctx, "ns/q", false))
	if c := w.feed(epoch); len(c) != 1 || !c[0].Deleted || c[0].Artifact != nil {
		t.Errorf("a deleted artifact is told as %+v", c)
	}
}

func TestDeliveryIsALeaseAndAckIsExact(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.drain()
	w.must(w.SetBootstrapToken(w.ctx, m.id, m.ch, []byte("b")))
	first := w.feed(epoch)
	if len(first) != 1 {
		t.Fatalf("changes = %+v", first)
	}
	if again := w.feed(epoch); len(again) != 0 {
		t.Errorf("delivered twice within the lease: %+v", again)
	}
	w.clock.advance(time.Minute)
	if again := w.feed(epoch); len(again) != 1 {
		t.Error("a lease that ran out is not delivered again")
	}
	w.must(w.SetBootstrapToken(w.ctx, m.id, m.ch, nil)) // changes while the manager writes
	w.ack(first...)
	second := w.feed(epoch)
	if len(second) != 1 || second[0].Version == first[0].Version || second[0].Device.HasBootstrapToken {
		t.Fatalf("after the ack of an old version: %+v", second)
	}
	w.ack(second...)
	w.clock.advance(time.Hour)
	w.wantFeed()
}

func TestNackPutsOffOneRowOnly(t *testing.T) {
	w := newWorld(t)
	a, b := w.enroll("A"), w.enroll("B")
	w.drain()
	w.must(w.SetBootstrapToken(w.ctx, a.id, a.ch, []byte("b")))
	w.must(w.SetBootstrapToken(w.ctx, b.id, b.ch, []byte("b")))
	nack := adminapi.Acks{StoreEpoch: w.StoreEpoch()}
	for _, c := range w.feed(epoch) {
		if c.Key == "A" {
			nack.Nacks = append(nack.Nacks, adminapi.Nack{Ack: adminapi.Ack{Kind: c.Kind, Key: c.Key, Version: c.Version}, RetryAfterSeconds: 300})
		} else {
			nack.Acks = append(nack.Acks, adminapi.Ack{Kind: c.Kind, Key: c.Key, Version: c.Version})
		}
	}
	w.must(w.Ack(w.ctx, nack))
	w.clock.advance(299 * time.Second)
	if c := w.feed(epoch); len(c) != 0 {
		t.Errorf("a nacked row came back early: %+v", c)
	}
	w.clock.advance(time.Second)
	changes := w.feed(epoch)
	if len(changes) != 1 || changes[0].Key != "A" {
		t.Fatalf("changes = %+v", changes)
	}
	nack.Acks, nack.Nacks[0].Version = nil, changes[0].Version
	w.must(w.Ack(w.ctx, nack))
	w.must(w.SetBootstrapToken(w.ctx, a.id, a.ch, nil))
	w.wantFeed("device A") // a newer change does not wait
}

func TestAnotherManager(t *testing.T) {
	w := newWorld(t)
	w.enroll("A")
	if len(w.feed(epoch)) == 0 {
		t.Fatal("nothing is dirty")
	}
	if len(w.feed(epoch+1)) == 0 {
		t.Error("a manager that took over waits for the leases of the other one")
	}
	_, err := w.Changes(w.ctx, epoch, 0, 0)
	w.wantCode(err, adminapi.CodeAnotherManager)
	w.wantCode(w.CheckLease(w.ctx, epoch), adminapi.CodeAnotherManager)
	w.must(w.CheckLease(w.ctx, epoch+1))
	w.restore(w.backup())
	w.wantCode(w.CheckLease(w.ctx, epoch), adminapi.CodeAnotherManager)
	if stored, err := w.LeaseEpoch(w.ctx); err != nil || stored != epoch+1 {
		t.Errorf("lease epoch = %d, %v", stored, err)
	}
}

func TestAckOfAnotherStoreIsIgnored(t *testing.T) {
	w := newWorld(t)
	w.enroll("A")
	changes := w.feed(epoch)
	stale := w.StoreEpoch()
	w.restore(w.backup())
	acks := adminapi.Acks{StoreEpoch: stale}
	for _, c := range changes {
		acks.Acks = append(acks.Acks, adminapi.Ack{Kind: c.Kind, Key: c.Key, Version: c.Version})
	}
	w.must(w.Ack(w.ctx, acks))
	w.clock.advance(time.Minute)
	w.wantFeed("device A", "token fleet/token")
}

func TestLongPollEndsWithTheChange(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.drain()
	got := make(chan *adminapi.Changes)
	go func() {
		c, err := w.Changes(w.ctx, epoch, time.Minute, 0)
		if err != nil {
			t.Error(err)
		}
		got <- c
	}()
	w.must(w.SetBootstrapToken(w.ctx, m.id, m.ch, []byte("b")))
	if c := <-got; c == nil || len(c.Changes) != 1 {
		t.Errorf("changes = %+v", c)
	}
	ctx, cancel := context.WithCancel(w.ctx)
	cancel()
	_, err := w.Changes(ctx, epoch, time.Minute, 0)
	w.wantErr(err, context.Canceled)
}

func TestLongPollEndsWhenARowFallsDue(t *testing.T) {
	w := newWorld(t)
	w.enroll("A")
	nack := adminapi.Acks{StoreEpoch: w.StoreEpoch()}
	for _, c := range w.feed(epoch) {
		nack.Nacks = append(nack.Nacks, adminapi.Nack{Ack: adminapi.Ack{Kind: c.Kind, Key: c.Key, Version: c.Version}, RetryAfterSeconds: 1})
	}
	w.must(w.Ack(w.ctx, nack))
	got := make(chan *adminapi.Changes)
	go func() {
		c, err := w.Changes(w.ctx, epoch, 10*time.Second, 0)
		if err != nil {
			t.Error(err)
		}
		got <- c
	}()
	w.clock.advance(time.Second)
	if c := <-got; c == nil || len(c.Changes) != 2 {
		t.Errorf("changes = %+v", c)
	}
}

func TestLimitBoundsAPoll(t *testing.T) {
	w := newWorld(t)
	for i := range 5 {
		w.enroll(fmt.Sprintf("M%d", i))
	}
	seen := 0
	for range 3 {
		c, err := w.Changes(w.ctx, epoch, 0, 2)
		w.must(err)
		if len(c.Changes) > 2 {
			t.Errorf("%d changes, want at most 2", len(c.Changes))
		}
		seen += len(c.Changes)
	}
	if seen != 6 { // five devices and their token
		t.Errorf("%d changes in all, want 6", seen)
	}
}
