package fleet_test

import (
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// wantWakes checks which channels are pushed to now.
func (w *world) wantWakes(want ...string) []fleet.Wake {
	w.t.Helper()
	wakes, err := w.Wakes(w.ctx, 100)
	w.must(err)
	if len(wakes) != len(want) {
		w.t.Fatalf("wakes = %+v, want %q", wakes, want)
	}
	for i, id := range want {
		if wakes[i].ChannelID != id || wakes[i].Magic != "magic of "+id || string(wakes[i].Token) != "token of "+id || wakes[i].Topic != topic {
			w.t.Fatalf("wake = %+v, want %s", wakes[i], id)
		}
	}
	return wakes
}

func TestWakesBackOffUntilTheDeviceConnects(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.wantWakes()
	w.act("ns/info", info, m)
	select {
	case <-w.WorkSignal():
	default:
		t.Error("new work gave no signal")
	}
	for _, pause := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60, 24 * 60, 24 * 60} {
		w.wantWakes("A")
		w.clock.advance(pause*time.Minute - time.Second)
		w.wantWakes()
		w.clock.advance(time.Second)
	}
	w.wantWakes("A")
	w.act("ns/more", info, m) // new work does not wait for the day to pass
	w.wantWakes("A")
	m.idle() // it holds a command now; only if it crashes it is woken again
	w.clock.advance(9 * time.Minute)
	w.wantWakes()
	w.clock.advance(time.Minute)
	w.wantWakes("A")
	m.settle()
	w.clock.advance(48 * time.Hour)
	w.wantWakes()
}

func TestDeferredWorkDoesNotPushEveryMinute(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.put("ns/p", "v1")
	w.assign(keys{"ns/p"}, m)
	m.answer(m.idle(), fleet.StatusNotNow)
	if _, behind, _, err := w.Counts(w.ctx); err != nil || behind != 1 {
		t.Errorf("behind = %d, %v", behind, err)
	}
	w.clock.advance(59 * time.Minute)
	w.wantWakes()
	w.clock.advance(time.Minute)
	w.wantWakes("A")
}

func TestEditWakesExactlyTheDevicesThatAreBehind(t *testing.T) {
	w := newWorld(t)
	a, b := w.enroll("A"), w.enroll("B")
	w.enroll("C")
	w.put("ns/p", "v1")
	w.assign(keys{"ns/p"}, a, b)
	w.wantWakes("A", "B")
	a.settle()
	b.settle()
	w.wantWakes()
	w.put("ns/p", "v2")
	w.wantWakes("A", "B")
	a.settle()
	b.settle()
	w.must(w.DeleteArtifact(w.ctx, "ns/p", false))
	w.wantWakes("A", "B")
	if enrolled, behind, responding, err := w.Counts(w.ctx); err != nil || enrolled != 3 || behind != 2 || responding != 3 {
		t.Errorf("counts = %d, %d, %d, %v", enrolled, behind, responding, err)
	}
}

func TestUnregisteredEndsPushesOfThatTokenOnly(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.clock.advance(time.Hour)
	w.act("ns/info", info, m)
	token := w.wantWakes("A")[0].Token
	done := func(r fleet.WakeResult) {
		t.Helper()
		r.ChannelID = "A"
		w.must(w.WakeDone(w.ctx, []fleet.WakeResult{r}))
	}
	done(fleet.WakeResult{Outcome: fleet.WakeRetry, Token: token})
	done(fleet.WakeResult{Outcome: fleet.WakeAccepted, Token: token})
	done(fleet.WakeResult{Outcome: fleet.WakeUnregistered, Token: []byte("an older one"), Timestamp: w.clock.Now()})
	done(fleet.WakeResult{Outcome: fleet.WakeUnregistered, Token: token, Timestamp: w.clock.Now().Add(-2 * time.Hour)})
	if w.device("A").PushUnregistered {
		t.Fatal("an answer that is not about the token in use ended its pushes")
	}
	done(fleet.WakeResult{Outcome: fleet.WakeUnregistered, Token: token, Timestamp: w.clock.Now()})
	if d := w.device("A"); !d.PushUnregistered || d.State != adminapi.DeviceEnrolled {
		t.Errorf("device = %+v", d)
	}
	w.clock.advance(48 * time.Hour)
	w.wantWakes()
	w.must(w.TokenUpdate(w.ctx, m.id, m.ch, pushInfo(m.ch), nil, false))
	if w.device("A").PushUnregistered {
		t.Error("a TokenUpdate does not bring the pushes back")
	}
	w.wantWakes("A")
	done(fleet.WakeResult{Outcome: fleet.WakeUnregistered, Token: token, Timestamp: w.clock.Now().Add(-time.Hour)})
	if w.device("A").PushUnregistered {
		t.Error("an answer from before the device sent the same token again ended its pushes")
	}
}

func TestRejectedTokenIsTriedOnceADay(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.act("ns/info", info, m)
	token := w.wantWakes("A")[0].Token
	w.must(w.WakeDone(w.ctx, []fleet.WakeResult{{ChannelID: "A", Outcome: fleet.WakeRejected, Token: token}, {ChannelID: "unknown", Outcome: fleet.WakeRejected}}))
	w.clock.advance(23 * time.Hour)
	w.wantWakes()
	w.clock.advance(time.Hour)
	w.wantWakes("A")
}

func TestWorkForAPendingDeviceWakesItOnceItIsEnrolled(t *testing.T) {
	w := newWorld(t)
	m := &mac{world: w, id: w.identity(tokenHash), ch: deviceChannel("A")}
	w.must(w.Authenticate(w.ctx, m.id, m.ch, factsOf("A"), topic))
	w.act("ns/info", info, m)
	w.wantWakes()
	w.must(w.TokenUpdate(w.ctx, m.id, m.ch, pushInfo(m.ch), nil, false))
	w.wantWakes("A")
	waiting := &mac{world: w, id: w.identity(tokenHash), ch: deviceChannel("B")}
	w.must(w.Authenticate(w.ctx, waiting.id, waiting.ch, factsOf("B"), topic))
	w.must(w.TokenUpdate(w.ctx, waiting.id, waiting.ch, pushInfo(waiting.ch), nil, true))
	w.wantWakes("B") // it stands in Setup Assistant
}

func TestWakeNow(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	ann := m.user("ann")
	w.must(w.WakeNow(w.ctx, []string{"A", "unknown"}))
	w.wantWakes("A", "A:ann")
	m.idle()
	ann.idle()
	w.clock.advance(48 * time.Hour)
	w.wantWakes()
}

func TestSilenceFlipsOnce(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.must(w.FlushSeen(w.ctx))
	w.drain()
	w.clock.advance(fleet.DefaultSilentAfter)
	w.must(w.Sweep(w.ctx))
	w.wantFeed()
	w.clock.advance(time.Second)
	w.must(w.Sweep(w.ctx))
	w.must(w.Sweep(w.ctx))
	if d := w.device("A"); d.Responding {
		t.Error("a silent device responds")
	}
	w.wantFeed("device A")
	w.must(w.Sweep(w.ctx))
	w.wantFeed()
	m.idle()
	w.must(w.FlushSeen(w.ctx))
	w.must(w.FlushSeen(w.ctx))
	if d := w.device("A"); !d.Responding || !d.LastSeen.Equal(w.clock.Now()) {
		t.Errorf("device = %+v", d)
	}
	w.wantFeed("device A")
	w.clock.advance(fleet.DefaultSilentAfter + time.Hour)
	m.idle() // not flushed yet, and no less alive
	w.must(w.Sweep(w.ctx))
	w.wantFeed()
}

func TestAnIdleDeviceIsAskedForASignOfLifeBeforeItCountsAsSilent(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.must(w.FlushSeen(w.ctx))
	w.clock.advance(fleet.DefaultSilentAfter / 2)
	w.must(w.Sweep(w.ctx))
	w.wantWakes()
	w.clock.advance(time.Second)
	w.must(w.Sweep(w.ctx))
	w.wantWakes("A")
	w.must(w.Sweep(w.ctx))
	w.wantWakes() // its pauses are those of any other push
	m.idle()
	w.must(w.FlushSeen(w.ctx))
	w.clock.advance(fleet.DefaultSilentAfter / 2)
	w.must(w.Sweep(w.ctx))
	w.wantWakes()
	if d := w.device("A"); !d.Responding {
		t.Error("a device that answered counts as silent")
	}
}
