package fleet_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

func (w *world) detail(id string) *adminapi.DeviceDetail {
	w.t.Helper()
	d, err := w.DeviceDetail(w.ctx, id)
	w.must(err)
	return d
}

func stateName(st adminapi.ArtifactState) string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s %s", st.Channel, st.Artifact, st.Outcome, st.Digest))
}

func wantStates(t *testing.T, got []adminapi.ArtifactState, want ...string) {
	t.Helper()
	var names []string
	for _, st := range got {
		names = append(names, stateName(st))
	}
	if !slices.Equal(names, want) {
		t.Fatalf("the states are\n  %s\nwant\n  %s", strings.Join(names, "\n  "), strings.Join(want, "\n  "))
	}
}

// states reads all pages of an artifact's states.
func (w *world) states(key adminapi.Key, limit int) []adminapi.ArtifactState {
	w.t.Helper()
	var all []adminapi.ArtifactState
	for after, pages := "", 0; ; pages++ {
		page, err := w.ArtifactStates(w.ctx, key, after, limit)
		w.must(err)
		if len(page.Items) > limit || pages > 100 {
			w.t.Fatalf("page %d has %d items", pages, len(page.Items))
		}
		all = append(all, page.Items...)
		if after = page.Next; after == "" {
			return all
		}
	}
}

func TestDeviceDetailTellsHowFarEachArtifactIs(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	u := m.user("ann")
	w.put("ns/done", "v1")
	w.put("ns/gone", "v1")
	w.assign(keys{"ns/done", "ns/gone"}, m)
	m.settle()
	w.put("ns/bad", "v1")
	w.put("ns/later", "v1")
	w.put("ns/sent", "v1")
	w.putArtifact(adminapi.Artifact{Key: "ns/user", Scope: adminapi.ScopeUser, Identifier: "id.user", Digest: "v1"})
	w.assign(keys{"ns/done", "ns/bad", "ns/later", "ns/sent", "ns/user", "ns/unknown"}, m)
	wantStates(t, w.detail("A").Artifacts, "ns/unknown Pending", "A ns/bad Pending v1", "A ns/done Installed v1", "A ns/gone Removing v1",
		"A ns/later Pending v1", "A ns/sent Pending v1", "A:ann ns/user Pending v1")

	d := m.idle()
	w.wantDelivery(d, "remove id.ns/gone")
	d = m.answer(d, fleet.StatusNotNow)
	d = m.answer(d, fleet.StatusError)
	w.wantDelivery(d, "install ns/later v1")
	w.wantDelivery(m.answer(d, fleet.StatusNotNow), "install ns/sent v1")
	w.clock.advance(day)
	m.must(w.Verify(w.ctx, m.id, m.ch))
	got := w.detail("A")
	wantStates(t, got.Artifacts, "ns/unknown Pending", "A ns/bad Failed v1", "A ns/done Installed v1", "A ns/gone Removing v1", "A ns/later NotNow v1", "A ns/sent Sent v1",
		"A:ann ns/user Pending v1")
	bad, sent := got.Artifacts[1], got.Artifacts[5]
	if bad.Message != "said Error" || !bad.Since.Equal(w.clock.Now().Add(-day)) || bad.Identifier != "id.ns/bad" || bad.DeviceID != "A" || !bad.Responding {
		t.Errorf("the failed one is %+v", bad)
	}
	if sent.Attempts != 1 || sent.Message != "" {
		t.Errorf("the one that was sent is %+v", sent)
	}
	if newest := got.History[0]; newest.Type != adminapi.HistorySent || newest.Artifact != "ns/sent" || got.Device.ID != "A" || got.Device.FailingCount != 1 {
		t.Errorf("the newest entry is %+v, the device %+v", newest, got.Device)
	}
	u.settle()
	if last := w.detail("A"); last.Artifacts[6].Outcome != adminapi.ArtifactInstalled {
		t.Errorf("the user's is %+v", last.Artifacts[6])
	}
	_, err := w.DeviceDetail(w.ctx, "B")
	w.wantCode(err, adminapi.CodeNotFound)
}

func TestLastSeenIsThatOfTheLastContact(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.put("ns/p", "v1")
	w.assign(keys{"ns/p"}, m)
	m.settle()
	w.must(w.FlushSeen(w.ctx))
	w.clock.advance(day)
	m.idle()
	for _, st := range []adminapi.ArtifactState{w.detail("A").Artifacts[0], w.states("ns/p", 10)[0]} {
		if !st.LastSeen.Equal(w.clock.Now()) {
			t.Errorf("the state is %+v", st)
		}
	}
	w.must(w.FlushSeen(w.ctx))
	w.clock.advance(fleet.DefaultSilentAfter + day)
	w.must(w.Sweep(w.ctx))
	if st := w.states("ns/p", 10)[0]; st.Responding {
		t.Errorf("the state of a silent device is %+v", st)
	}
}

// The list names every device that ArtifactStatus counts.
func TestArtifactStatesArePaged(t *testing.T) {
	w := newWorld(t)
	w.put("ns/p", "v1")
	w.put("ns/q", "v1")
	var macs []*mac
	for _, id := range []string{"C", "A", "E", "B", "D", "F"} {
		macs = append(macs, w.enroll(id))
	}
	w.assign(keys{"ns/p", "ns/q"}, macs...)
	for _, m := range macs[:4] {
		m.settle()
	}
	w.assign(keys{"ns/q"}, macs[0], macs[2])
	w.putArtifact(adminapi.Artifact{Key: "ns/user", Scope: adminapi.ScopeUser, Identifier: "id.user", Digest: "v1"})
	w.assign(keys{"ns/p", "ns/q", "ns/user"}, macs[3], macs[4])
	macs[3].user("zoe")
	macs[3].user("ann")
	macs[5].intend(adminapi.IntentIgnore)
	for limit := 1; limit <= 6; limit++ {
		wantStates(t, w.states("ns/p", limit), "A ns/p Installed v1", "B ns/p Installed v1", "D ns/p Pending v1", "C ns/p Removing v1", "E ns/p Removing v1")
		wantStates(t, w.states("ns/user", limit), "B:ann ns/user Pending v1", "B:zoe ns/user Pending v1", "ns/user Pending")
	}
	if a := w.artifact("ns/p"); a.Targeted != 3 || a.Installed != 2 || a.Removing != 2 {
		t.Errorf("the counts are %+v", a)
	}
	w.must(w.DeleteArtifact(w.ctx, "ns/p", false))
	wantStates(t, w.states("ns/p", 10), "A ns/p Removing v1", "B ns/p Removing v1", "C ns/p Removing v1", "E ns/p Removing v1")
	_, err := w.ArtifactStates(w.ctx, "ns/never", "", 10)
	w.wantCode(err, adminapi.CodeNotFound)
	for _, after := range []string{"A", "e30=", "bm8", "eyJQYXJ0IjozfQ", "eyJQYXJ0IjotMX0", strings.Repeat("e", 1<<20)} {
		_, err := w.ArtifactStates(w.ctx, "ns/q", after, 10)
		w.wantCode(err, adminapi.CodeInvalid)
	}
}

func TestNodesOfAPCAreOneArtifact(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	w.putProfile("ns/a", "v1", set(nodeA, "int", "1"), set(nodeB, "int", "2"))
	p.assign("ns/a")
	p.sync()
	w.clock.advance(fleet.DefaultVerifyEvery)
	p.open() // reading it back
	if states := w.detail("A").Artifacts; len(states) != 1 || states[0].Outcome != adminapi.ArtifactInstalled || states[0].Attempts != 0 {
		t.Errorf("the states are %+v", states)
	}
	p.refuses["Delete "+nodeA], p.refuses["Delete "+nodeB] = 500, 500
	p.assign()
	p.sync()
	for _, states := range [][]adminapi.ArtifactState{w.detail("A").Artifacts, w.states("ns/a", 10)} {
		wantStates(t, states, "A ns/a Removing v1")
		if states[0].Attempts != 1 || states[0].Identifier != "ns/a" {
			t.Errorf("the state is %+v", states[0])
		}
	}
}
