package fleet_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

type keys = []adminapi.Key

func (m *mac) wantSettle(want ...string) {
	m.t.Helper()
	if got := m.settle(); !slices.Equal(got, want) {
		m.t.Fatalf("the device got %q, want %q", got, want)
	}
}

func TestArtifactReachesTheDeviceAndItsEditToo(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.put("ns/p", "v1")
	w.assign(keys{"ns/p"}, m)
	d := m.idle()
	w.wantDelivery(d, "install ns/p v1")
	if string(d.Install.Template) != "template v1" || d.Install.Identifier != "id.ns/p" || d.Device.SerialNumber != "SN-A" || d.Channel != m.ch {
		t.Errorf("delivery = %+v", d)
	}
	if got := w.artifact("ns/p"); got.Targeted != 1 || got.Pending != 1 || got.Installed != 0 {
		t.Errorf("while it is sent: %+v", got)
	}
	again := m.idle() // the device crashed over it
	w.wantDelivery(again, "install ns/p v1")
	if again.CommandUUID != d.CommandUUID {
		t.Error("a resend has another CommandUUID")
	}
	w.wantDelivery(m.answer(d, fleet.StatusAcknowledged), "nothing")
	if got := w.artifact("ns/p"); got.Installed != 1 || got.Pending != 0 {
		t.Errorf("after the answer: %+v", got)
	}
	w.put("ns/p", "v1")
	w.assign(keys{"ns/p"}, m)
	m.wantSettle()
	for _, digest := range []string{"v2", "v3", "v4"} { // a device that slept gets the last one only
		w.put("ns/p", digest)
	}
	m.wantSettle("install ns/p v4")
}

func TestAnswerIsCreditedToTheDigestThatWasSent(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.put("ns/p", "v1")
	w.assign(keys{"ns/p"}, m)
	d := m.idle()
	w.put("ns/p", "v2")
	d = m.answer(d, fleet.StatusError) // of v1
	w.wantDelivery(d, "install ns/p v2")
	if a := w.artifact("ns/p"); a.Failed != 0 || a.Pending != 1 {
		t.Errorf("the answer to v1 was credited to v2: %+v", a)
	}
	m.answer(d, fleet.StatusAcknowledged)
	if a := w.artifact("ns/p"); a.Installed != 1 {
		t.Errorf("after the answer to v2: %+v", a)
	}
}

func TestErrorIsFinalUntilTheDigestChanges(t *testing.T) {
	for _, status := range []fleet.Status{fleet.StatusError, fleet.StatusCommandFormatError} {
		w := newWorld(t)
		m := w.enroll("A")
		w.put("ns/p", "v1")
		w.put("ns/q", "v1")
		w.assign(keys{"ns/p", "ns/q"}, m)
		w.wantDelivery(m.answer(m.idle(), status), "install ns/q v1")
		m.settle()
		w.clock.advance(30 * day)
		m.wantSettle()
		a := w.artifact("ns/p")
		if a.Failed != 1 || a.Pending != 0 || len(a.Failing) != 1 || a.Failing[0].DeviceID != "A" || a.Failing[0].Message != "said "+string(status) {
			t.Errorf("artifact = %+v", a)
		}
		if d := w.device("A"); d.FailingCount != 1 || len(d.Failing) != 1 || d.Failing[0].Artifact != "ns/p" || d.Failing[0].Digest != "v1" {
			t.Errorf("device = %+v", d)
		}
		w.put("ns/p", "v2")
		m.wantSettle("install ns/p v2")
		if d := w.device("A"); d.FailingCount != 0 {
			t.Errorf("after the repair the device still has %d failing", d.FailingCount)
		}
	}
}

func TestNotNowIsOfferedAgainAfterTheNextIdle(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.put("ns/p", "v1")
	w.put("ns/q", "v1")
	w.assign(keys{"ns/p", "ns/q"}, m)
	for range 3 { // and one that is never ready does not keep the other away
		d := m.idle()
		w.wantDelivery(d, "install ns/p v1")
		d = m.answer(d, fleet.StatusNotNow)
		w.wantDelivery(d, "install ns/q v1")
		w.wantDelivery(m.answer(d, fleet.StatusNotNow), "nothing")
		if a := w.artifact("ns/p"); a.NotNow != 1 || a.Pending != 1 || a.Failed != 0 {
			t.Errorf("artifact = %+v", a)
		}
	}
	m.wantSettle("install ns/p v1", "install ns/q v1")
	if a := w.artifact("ns/p"); a.NotNow != 0 || a.Installed != 1 {
		t.Errorf("artifact = %+v", a)
	}
}

func TestUnknownAndRepeatedAnswersChangeNothing(t *testing.T) {
	w := newWorld(t)
	m, other := w.enroll("A"), w.enroll("B")
	w.put("ns/p", "v1")
	w.put("ns/q", "v1")
	w.assign(keys{"ns/p", "ns/q"}, m)
	first := m.idle()
	other.answer(first, fleet.StatusError) // another device names our command
	second := m.answer(&fleet.Delivery{CommandUUID: "unknown"}, fleet.StatusAcknowledged)
	w.wantDelivery(second, "install ns/q v1")
	m.answer(first, fleet.StatusAcknowledged)
	m.answer(first, fleet.StatusError)
	if a := w.artifact("ns/p"); a.Installed != 1 || a.Failed != 0 {
		t.Errorf("a repeated answer counted: %+v", a)
	}
	m.answer(second, fleet.StatusAcknowledged)
	m.wantSettle()
}

func TestProfileThatCrashesADeviceLetsTheOthersThrough(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.put("ns/crash", "v1")
	w.put("ns/good", "v1")
	w.assign(keys{"ns/crash", "ns/good"}, m)
	for range 5 {
		w.wantDelivery(m.idle(), "install ns/crash v1")
	}
	m.wantSettle("install ns/good v1")
	for _, pause := range []time.Duration{10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440} {
		w.clock.advance(pause*time.Minute - time.Second)
		w.wantDelivery(m.idle(), "nothing")
		w.clock.advance(time.Second)
		w.wantDelivery(m.idle(), "install ns/crash v1")
	}
}

func TestWhatCannotBeEncodedFailsAndTheNextIsTried(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.enc.broken["ns/bad"] = errors.New("unknown variable $(nope)")
	w.enc.broken[adminapi.AppleRaw] = errors.New("no RequestType")
	w.put("ns/bad", "v1")
	w.put("ns/good", "v1")
	w.assign(keys{"ns/bad", "ns/good"}, m)
	w.act("ns/raw", adminapi.AppleCommand{RequestType: adminapi.AppleRaw}, m)
	m.wantSettle("install ns/good v1")
	w.put("ns/bad", "v2")
	m.wantSettle()
	w.clock.advance(48 * time.Hour)
	w.wantWakes() // nothing is left to do for it
	if a := w.artifact("ns/bad"); a.Failed != 1 || a.Failing[0].Message != "unknown variable $(nope)" {
		t.Errorf("artifact = %+v", a)
	}
	w.wantTarget("ns/raw", "A", adminapi.TargetFailed)
	w.assign(nil, m) // what was never sent is not removed either
	m.wantSettle("remove id.ns/good")
}

func TestUnassigningRemoves(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.put("ns/p", "v1")
	w.put("ns/q", "v1")
	w.assign(keys{"ns/p", "ns/q"}, m)
	m.settle()
	w.assign(keys{"ns/q"}, m)
	if a := w.artifact("ns/p"); a.Targeted != 0 || a.Removing != 1 {
		t.Errorf("artifact = %+v", a)
	}
	d := m.idle()
	w.wantDelivery(d, "remove id.ns/p")
	w.wantDelivery(m.answer(d, fleet.StatusNotNow), "nothing")
	m.wantSettle("remove id.ns/p")
	if a := w.artifact("ns/p"); a.Removing != 0 {
		t.Errorf("artifact = %+v", a)
	}
	m.wantSettle()
	w.assign(keys{"ns/p", "ns/q"}, m)
	m.wantSettle("install ns/p v1")
}

func TestChangingOnesMindBeforeTheDeviceHeardOfIt(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.put("ns/p", "v1")
	w.assign(keys{"ns/p"}, m)
	m.settle()
	w.assign(nil, m)
	w.assign(keys{"ns/p"}, m)
	m.wantSettle()
	if a := w.artifact("ns/p"); a.Installed != 1 {
		t.Errorf("artifact = %+v", a)
	}
	w.assign(nil, m)
	removal := m.idle()
	w.assign(keys{"ns/p"}, m)
	w.wantDelivery(m.answer(removal, fleet.StatusAcknowledged), "install ns/p v1")
	m.settle()
	w.assign(nil, m)
	removal = m.idle()
	w.assign(keys{"ns/p"}, m)
	m.wantSettle("install ns/p v1") // it may have removed it without saying so
	m.answer(removal, fleet.StatusAcknowledged)
	w.assign(nil, m)
	m.wantSettle("remove id.ns/p")
}

func TestAssignmentOfAnArtifactThatComesLater(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	reply, err := w.PutAssignments(w.ctx, adminapi.AssignmentBatch{Assignments: []adminapi.Assignment{
		{DeviceID: "A", EnrollmentID: m.id.EnrollmentID, Artifacts: keys{"ns/later"}},
		{DeviceID: "X", EnrollmentID: "unknown", Artifacts: keys{"ns/later"}}}})
	w.must(err)
	if !slices.Equal(reply.Missing, keys{"ns/later"}) || !slices.Equal(reply.Stale, []string{"X"}) {
		t.Errorf("reply = %+v", reply)
	}
	m.wantSettle()
	if st := w.put("ns/later", "v1"); st.Targeted != 1 || st.Pending != 1 {
		t.Errorf("status = %+v", st)
	}
	m.wantSettle("install ns/later v1")
	page, err := w.ListAssignments(w.ctx, "", 10)
	w.must(err)
	if len(page.Items) != 1 || !slices.Equal(page.Items[0].Artifacts, keys{"ns/later"}) {
		t.Errorf("assignments = %+v", page.Items)
	}
}

func TestIgnoredDeviceIsAskedNothingAndCountsNowhere(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.put("ns/p", "v1")
	w.put("ns/q", "v1")
	w.assign(keys{"ns/p", "ns/q"}, m)
	m.settle()
	w.put("ns/p", "v2")
	w.must(w.DeleteArtifact(w.ctx, "ns/q", false))
	m.intend(adminapi.IntentIgnore)
	if a := w.artifact("ns/p"); a.Targeted != 0 || a.Pending != 0 {
		t.Errorf("an ignored device counts: %+v", a)
	}
	m.wantSettle()
	if wakes, err := w.Wakes(w.ctx, 10); err != nil || len(wakes) != 0 {
		t.Errorf("an ignored device is woken: %v, %v", wakes, err)
	}
	if d := w.device("A"); !d.Ignored || d.State != adminapi.DeviceEnrolled {
		t.Errorf("device = %+v", d)
	}
	m.intend(adminapi.IntentManage)
	if a := w.artifact("ns/p"); a.Targeted != 1 || a.Pending != 1 {
		t.Errorf("a device that is managed again: %+v", a)
	}
	m.wantSettle("remove id.ns/q", "install ns/p v2")
}
