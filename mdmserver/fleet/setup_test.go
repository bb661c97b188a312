package fleet_test

import (
	"errors"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// awaiting enrols a device that waits in Setup Assistant.
func (w *world) awaiting(udid string) *mac {
	w.t.Helper()
	w.list(business, "1", "others", "SN-"+udid)
	m := w.setUp(udid, "")
	w.must(w.TokenUpdate(w.ctx, m.id, m.ch, pushInfo(m.ch), nil, true))
	return m
}

func (m *mac) wantAwaiting(want bool) {
	m.t.Helper()
	d := m.device(m.ch.DeviceID)
	if d.AwaitingConfiguration != want || d.ConfiguredAt.IsZero() != want {
		m.t.Fatalf("awaiting configuration: %v, configured at %v; want awaiting: %v", d.AwaitingConfiguration, d.ConfiguredAt, want)
	}
}

func TestADeviceStaysInSetupAssistantUntilItHasEverything(t *testing.T) {
	w := newWorld(t)
	m := w.awaiting("A")
	w.wantWakes("A")
	w.wantDelivery(m.idle(), "nothing") // the manager has said nothing yet
	m.wantAwaiting(true)

	w.put("ns/p", "v1")
	w.putArtifact(adminapi.Artifact{Key: "ns/q", Scope: adminapi.ScopeSystem, Identifier: "q", Digest: "v1"})
	w.putArtifact(adminapi.Artifact{Key: "ns/u", Scope: adminapi.ScopeUser, Identifier: "u", Digest: "v1"}) // there is no user yet
	w.assign(keys{"ns/late", "ns/p", "ns/q", "ns/u"}, m)
	p := m.idle()
	w.wantDelivery(p, "install ns/p v1")
	q := m.answer(p, fleet.StatusAcknowledged)
	w.wantDelivery(q, "install ns/q v1")
	w.wantDelivery(m.answer(q, fleet.StatusNotNow), "nothing")
	q = m.idle()
	w.wantDelivery(q, "install ns/q v1")
	w.wantDelivery(m.answer(q, fleet.StatusError), "nothing") // refused for good, and another one is on its way
	m.wantAwaiting(true)

	w.put("ns/late", "v1")
	late := m.idle()
	w.wantDelivery(late, "install ns/late v1")
	configured := m.answer(late, fleet.StatusAcknowledged)
	w.wantDelivery(configured, "configured")
	m.wantAwaiting(true)
	w.drain()
	w.clock.advance(time.Minute)
	w.wantDelivery(m.answer(configured, fleet.StatusAcknowledged), "nothing")
	w.wantFeed("device A")
	m.wantAwaiting(false)
	if d := w.device("A"); !d.ConfiguredAt.Equal(w.clock.Now()) {
		t.Errorf("configured at %v", d.ConfiguredAt)
	}
	w.put("ns/p", "v2") // nothing holds it any more
	m.wantSettle("install ns/p v2")
}

func TestADeviceForWhichThereIsNothingIsLetGoOnceThatIsKnown(t *testing.T) {
	w := newWorld(t)
	m := w.awaiting("A")
	w.wantDelivery(m.idle(), "nothing")
	w.wantWakes()
	w.assign(nil, m)
	w.wantWakes("A")
	m.wantSettle("configured")
	m.wantAwaiting(false)
	w.assign(nil, m)
	w.wantWakes()
}

// What was assigned before the TokenUpdate was assigned, too.
func TestAssignmentsMayComeFirst(t *testing.T) {
	w := newWorld(t)
	w.list(business, "1", "others", "SN-A")
	m := w.setUp("A", "")
	w.put("ns/p", "v1")
	w.assign(keys{"ns/p"}, m)
	w.must(w.TokenUpdate(w.ctx, m.id, m.ch, pushInfo(m.ch), nil, true))
	w.wantDelivery(m.answer(m.idle(), fleet.StatusNotNow), "nothing") // NotNow is not never
	m.wantAwaiting(true)
	m.wantSettle("install ns/p v1", "configured")
}

func TestWhatIsTakenAwayIsNotWaitedFor(t *testing.T) {
	w := newWorld(t)
	m := w.awaiting("A")
	w.put("ns/p", "v1")
	w.put("ns/q", "v1")
	w.assign(keys{"ns/p", "ns/q"}, m)
	m.answer(m.idle(), fleet.StatusNotNow) // p
	m.answer(m.idle(), fleet.StatusNotNow)
	w.assign(keys{"ns/q"}, m)
	w.must(w.DeleteArtifact(w.ctx, "ns/q", false))
	m.settle()
	m.wantAwaiting(false)
}

func TestDeviceConfiguredIsRepeatedUntilItIsAcknowledged(t *testing.T) {
	w := newWorld(t)
	m := w.awaiting("A")
	w.assign(nil, m)
	first := m.idle()
	w.wantDelivery(first, "configured")
	w.clock.advance(10 * time.Minute) // the device crashed
	w.wantWakes("A")
	again := m.idle()
	w.wantDelivery(again, "configured")
	if again.CommandUUID != first.CommandUUID {
		t.Error("the same command has another UUID")
	}
	w.wantDelivery(m.answer(again, fleet.StatusNotNow), "nothing")
	w.wantDelivery(m.answer(m.idle(), fleet.StatusError), "nothing")
	for range 10 { // pauses grow
		if d := m.idle(); d != nil {
			m.answer(d, fleet.StatusError)
		}
	}
	w.wantDelivery(m.idle(), "nothing")
	m.wantAwaiting(true)
	w.clock.advance(61 * time.Minute)
	w.wantWakes("A")
	w.wantDelivery(m.answer(m.idle(), fleet.StatusAcknowledged), "nothing")
	m.wantAwaiting(false)

	w.drain()
	w.must(w.TokenUpdate(w.ctx, m.id, m.ch, pushInfo(m.ch), nil, true)) // it says so again, so it is so
	w.wantFeed("device A")
	m.wantAwaiting(true)
	m.wantSettle("configured")
}

// The acknowledgement was lost, and a device that does not wait any more refuses the command.
func TestADeviceThatRefusesForHoursHasLeft(t *testing.T) {
	w := newWorld(t)
	m := w.awaiting("A")
	w.assign(nil, m)
	refusals := 0
	for w.device("A").AwaitingConfiguration && refusals < 100 {
		if d := m.idle(); d != nil {
			w.wantDelivery(m.answer(d, fleet.StatusError), "nothing")
			refusals++
		}
		w.clock.advance(time.Minute)
	}
	if refusals != 9 {
		t.Errorf("it was believed after %d refusals", refusals)
	}
	m.wantAwaiting(false)
	m.wantSettle()
}

func TestOnlyTheDeviceItselfIsLetGo(t *testing.T) {
	w := newWorld(t)
	w.list(business, "1", "others", "SN-A")
	m := w.setUp("A", "")
	w.must(w.TokenUpdate(w.ctx, m.id, m.ch, pushInfo(m.ch), nil, false))
	u := m.user("ann")
	w.must(w.TokenUpdate(w.ctx, u.id, u.ch, pushInfo(u.ch), nil, true))
	w.assign(nil, m)
	m.wantSettle()
	u.wantSettle()
	if d := w.device("A"); d.AwaitingConfiguration {
		t.Errorf("a user's wait is taken for the device's: %+v", d)
	}
	w.must(w.TokenUpdate(w.ctx, m.id, m.ch, pushInfo(m.ch), nil, true))
	u.wantSettle()
	m.wantSettle("configured")
}

// A device that waits is let go however it came, and what its Device is to be.
func TestNoWaitingDeviceIsForgotten(t *testing.T) {
	w := newWorld(t)
	byToken := &mac{world: w, id: w.identity(tokenHash), ch: deviceChannel("T")}
	w.must(w.Authenticate(w.ctx, byToken.id, byToken.ch, factsOf("T"), topic))
	w.must(w.TokenUpdate(w.ctx, byToken.id, byToken.ch, pushInfo(byToken.ch), nil, true))
	w.assign(nil, byToken)
	byToken.wantSettle("configured")

	ignored := w.awaiting("A")
	ignored.intend(adminapi.IntentIgnore)
	ignored.wantSettle("configured")
}

func TestAnErasedDeviceWaitsAnew(t *testing.T) {
	w := newWorld(t)
	m := w.awaiting("A")
	w.put("ns/p", "v1")
	w.assign(keys{"ns/p"}, m)
	m.wantSettle("install ns/p v1", "configured")

	again := w.awaiting("A")
	again.wantAwaiting(true)
	again.wantSettle()
	w.assign(keys{"ns/p"}, again)
	again.wantSettle("install ns/p v1", "configured")
	again.intend(adminapi.IntentRelease)
	if d := w.device("A"); d.AwaitingConfiguration || d.ConfiguredAt.IsZero() {
		t.Errorf("after its end: %+v", d)
	}
	w.awaiting("A").intend(adminapi.IntentRelease)
	if d := w.device("A"); d.AwaitingConfiguration || !d.ConfiguredAt.IsZero() {
		t.Errorf("after its end in Setup Assistant: %+v", d)
	}
}

func TestWaitingCostsNothing(t *testing.T) {
	w := newWorld(t)
	disk := w.fillable()
	m := w.awaiting("A")
	m.idle()
	w.must(w.FlushSeen(w.ctx))
	disk.full = true
	for range 3 {
		w.wantDelivery(m.idle(), "nothing")
	}
	disk.full = false
	w.assign(nil, m)
	m.wantSettle("configured")
	w.must(w.FlushSeen(w.ctx))
	disk.full = true
	w.wantDelivery(m.idle(), "nothing")
}

func TestDeviceConfiguredThatCannotBeEncodedHoldsNothingElseUp(t *testing.T) {
	w := newWorld(t)
	m := w.awaiting("A")
	w.assign(nil, m)
	w.enc.broken["configured"] = errors.New("no encoder")
	w.wantDelivery(m.idle(), "nothing")
	w.act("ns/info", info, m)
	w.wantDelivery(m.idle(), info.RequestType)
	delete(w.enc.broken, "configured")
	m.settle()
	m.wantAwaiting(false)
}
