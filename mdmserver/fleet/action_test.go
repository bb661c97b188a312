package fleet_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/seal"
)

var info = adminapi.AppleCommand{RequestType: adminapi.AppleDeviceInformation, Queries: []string{"OSVersion"}}

func TestActionRunsOnceAndReportsBack(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	if st := w.act("ns/info", info, m); st.Total != 1 || st.Counts[adminapi.TargetQueued] != 1 || !st.FinishedAt.IsZero() {
		t.Errorf("status = %+v", st)
	}
	d := m.idle()
	w.wantDelivery(d, adminapi.AppleDeviceInformation)
	if d.Action.Command.Queries[0] != "OSVersion" {
		t.Errorf("delivery = %+v", d.Action)
	}
	w.wantTarget("ns/info", "A", adminapi.TargetDelivered)
	if again := m.idle(); again.CommandUUID != d.CommandUUID {
		t.Error("the resend after a crash has another CommandUUID")
	}
	m.send(fleet.Report{Status: fleet.StatusAcknowledged, CommandUUID: d.CommandUUID, Body: []byte("<result/>"), Facts: &fleet.DeviceFacts{OSVersion: "16.0"}})
	m.send(fleet.Report{Status: fleet.StatusError, CommandUUID: d.CommandUUID, Body: []byte("late"), Facts: &fleet.DeviceFacts{OSVersion: "1.0"}})
	r, err := w.ActionResult(w.ctx, "ns/info", "A")
	w.must(err)
	if r.State != adminapi.TargetSucceeded || string(r.Body) != "<result/>" || r.EnrollmentID != m.id.EnrollmentID || !r.FinishedAt.Equal(w.clock.Now()) {
		t.Errorf("result = %+v", r)
	}
	if d := w.device("A"); d.OSVersion != "16.0" || d.SerialNumber != "SN-A" {
		t.Errorf("the answer's facts are not known: %+v", d)
	}
	st, err := w.Action(w.ctx, "ns/info")
	w.must(err)
	if st.Counts[adminapi.TargetSucceeded] != 1 || !st.FinishedAt.Equal(w.clock.Now()) || len(st.Results) != 1 || st.Results[0].Body != nil {
		t.Errorf("status = %+v", st)
	}
	_, err = w.ActionResult(w.ctx, "ns/info", "B")
	w.wantCode(err, adminapi.CodeNotFound)
	_, err = w.ActionResult(w.ctx, "ns/unknown", "A")
	w.wantCode(err, adminapi.CodeNotFound)
}

func TestActionsComeInOrderAndBeforeProfiles(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.put("ns/a", "v1")
	w.put("ns/b", "v1")
	w.assign(keys{"ns/a"}, m)
	m.settle()
	w.assign(keys{"ns/b"}, m)
	w.act("ns/z", adminapi.AppleCommand{RequestType: adminapi.AppleSecurityInfo}, m)
	w.act("ns/a", adminapi.AppleCommand{RequestType: adminapi.AppleProfileList}, m)
	m.wantSettle(adminapi.AppleSecurityInfo, adminapi.AppleProfileList, "remove id.ns/a", "install ns/b v1")
}

func TestActionNotNowAndError(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.act("ns/info", info, m)
	w.wantDelivery(m.answer(m.idle(), fleet.StatusNotNow), "nothing")
	w.wantTarget("ns/info", "A", adminapi.TargetNotNow)
	m.answer(m.idle(), fleet.StatusError)
	w.wantTarget("ns/info", "A", adminapi.TargetFailed)
	m.wantSettle()
	r, err := w.ActionResult(w.ctx, "ns/info", "A")
	w.must(err)
	if r.Message != "said Error" || string(r.Body) != "<answer/>" {
		t.Errorf("result = %+v", r)
	}
}

func TestUnansweredRestartIsUnconfirmedAndNeverSentAgain(t *testing.T) {
	for _, request := range []string{adminapi.AppleRestartDevice, adminapi.AppleShutDownDevice} {
		w := newWorld(t)
		byIdle, bySweep, answering := w.enroll("A"), w.enroll("B"), w.enroll("C")
		w.act("ns/r", adminapi.AppleCommand{RequestType: request}, byIdle, bySweep, answering)
		late := byIdle.idle()
		bySweep.idle()
		answering.answer(answering.idle(), fleet.StatusAcknowledged)
		w.wantDelivery(byIdle.idle(), "nothing")
		w.wantTarget("ns/r", "A", adminapi.TargetUnconfirmed)
		byIdle.answer(late, fleet.StatusAcknowledged)
		w.wantTarget("ns/r", "A", adminapi.TargetUnconfirmed)

		w.clock.advance(5 * time.Minute)
		w.must(w.Sweep(w.ctx))
		w.wantTarget("ns/r", "B", adminapi.TargetDelivered)
		w.clock.advance(time.Second)
		w.must(w.Sweep(w.ctx))
		w.wantTarget("ns/r", "B", adminapi.TargetUnconfirmed)
		w.wantDelivery(bySweep.idle(), "nothing")
		w.wantTarget("ns/r", "C", adminapi.TargetSucceeded)
		st, err := w.Action(w.ctx, "ns/r")
		w.must(err)
		if st.FinishedAt.IsZero() {
			t.Error("the action never finishes")
		}
	}
}

func TestDeadline(t *testing.T) {
	w := newWorld(t)
	silent, delivered, atContact := w.enroll("A"), w.enroll("B"), w.enroll("C")
	a := adminapi.Action{Key: "ns/a", SpecHash: "h", Apple: &info, Deadline: w.clock.Now().Add(time.Hour)}
	for _, m := range []*mac{silent, delivered, atContact} {
		a.Targets = append(a.Targets, adminapi.ActionTarget{DeviceID: m.ch.ID, EnrollmentID: m.id.EnrollmentID})
	}
	_, err := w.PutAction(w.ctx, a)
	w.must(err)
	command := delivered.idle()
	w.clock.advance(time.Hour)
	w.wantDelivery(atContact.idle(), "nothing")
	w.wantTarget("ns/a", "C", adminapi.TargetExpired)
	w.must(w.Sweep(w.ctx))
	w.wantTarget("ns/a", "A", adminapi.TargetExpired)
	w.wantTarget("ns/a", "B", adminapi.TargetExpired)
	delivered.answer(command, fleet.StatusAcknowledged)
	w.wantTarget("ns/a", "B", adminapi.TargetExpired)
	silent.wantSettle()
}

func TestCancelClosesWhatNoDeviceHolds(t *testing.T) {
	w := newWorld(t)
	queued, delivered := w.enroll("A"), w.enroll("B")
	w.act("ns/info", info, queued, delivered)
	d := delivered.idle()
	w.must(w.CancelAction(w.ctx, "ns/info"))
	w.must(w.CancelAction(w.ctx, "ns/unknown"))
	w.wantTarget("ns/info", "A", adminapi.TargetCanceled)
	w.wantTarget("ns/info", "B", adminapi.TargetDelivered)
	queued.wantSettle()
	delivered.answer(d, fleet.StatusAcknowledged)
	w.wantTarget("ns/info", "B", adminapi.TargetSucceeded)
}

func TestActionNeverRunsInAnotherEnrolment(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.act("ns/wipe", adminapi.AppleCommand{RequestType: adminapi.AppleEraseDevice}, m)
	w.must(w.CheckOut(w.ctx, m.id, m.ch))
	w.wantTarget("ns/wipe", "A", adminapi.TargetEnrolmentEnded)
	again := w.enroll("A")
	again.wantSettle()
	w.act("ns/stale", adminapi.AppleCommand{RequestType: adminapi.AppleEraseDevice}, m)
	w.wantTarget("ns/stale", "A", adminapi.TargetEnrolmentEnded)
	again.wantSettle()
	st, err := w.PutAction(w.ctx, adminapi.Action{Key: "ns/nobody", SpecHash: "h", Apple: &info, Targets: []adminapi.ActionTarget{{DeviceID: "X"}}})
	w.must(err)
	if st.Counts[adminapi.TargetEnrolmentEnded] != 1 || st.FinishedAt.IsZero() {
		t.Errorf("status = %+v", st)
	}
}

func TestAnswersOfManyActionsAreForgotten(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	const kept, all = 100, 103
	for i := range all {
		w.act(adminapi.Key(fmt.Sprintf("ns/a%d", i)), info, m)
		m.settle()
		w.clock.advance(time.Second)
	}
	w.must(w.Sweep(w.ctx))
	for i := range all {
		r, err := w.ActionResult(w.ctx, adminapi.Key(fmt.Sprintf("ns/a%d", i)), "A")
		w.must(err)
		if r.State != adminapi.TargetSucceeded || (len(r.Body) > 0) != (i >= all-kept) {
			t.Errorf("result %d = %+v", i, r)
		}
	}
}

func TestRepeatedActionAnswersWithTheOldResult(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	put := func(hash string) (*adminapi.ActionStatus, error) {
		return w.PutAction(w.ctx, adminapi.Action{Key: "ns/a", SpecHash: hash, Apple: &info,
			Targets: []adminapi.ActionTarget{{DeviceID: "A", EnrollmentID: m.id.EnrollmentID}}})
	}
	_, err := put("one")
	w.must(err)
	_, err = put("two")
	w.wantCode(err, adminapi.CodeSpecConflict)
	_, err = put("one")
	w.must(err)
	m.wantSettle(adminapi.AppleDeviceInformation)
	_, err = put("two") // the first is finished: a new spec is a new action
	w.must(err)
	m.wantSettle(adminapi.AppleDeviceInformation)

	w.clock.advance(89 * day)
	w.must(w.Sweep(w.ctx))
	st, err := put("one")
	w.must(err)
	if st.SpecHash != "one" || st.Counts[adminapi.TargetSucceeded] != 1 {
		t.Errorf("status = %+v", st)
	}
	if st, err = w.Action(w.ctx, "ns/a"); err != nil || st.SpecHash != "one" {
		t.Errorf("the key speaks of %+v, %v", st, err)
	}
	m.wantSettle()
	w.clock.advance(2 * day)
	w.must(w.Sweep(w.ctx))
	_, err = w.Action(w.ctx, "ns/a")
	w.wantCode(err, adminapi.CodeNotFound)
	_, err = put("one")
	w.must(err)
	m.wantSettle(adminapi.AppleDeviceInformation)
}

func TestPINIsMadeOnceSealedAndReadBack(t *testing.T) {
	w := newWorld(t)
	m, n := w.enroll("A"), w.enroll("B")
	w.act("ns/lock", adminapi.AppleCommand{RequestType: adminapi.AppleDeviceLock, GeneratePIN: true}, m, n)
	first := m.idle()
	r, err := w.ActionResult(w.ctx, "ns/lock", "A")
	w.must(err)
	if len(r.PIN) != 6 || r.PIN != first.Action.PIN || !r.HasPIN {
		t.Errorf("result = %+v, the device got the PIN %q", r, first.Action.PIN)
	}
	if again := m.idle(); again.Action.PIN != r.PIN || again.CommandUUID != first.CommandUUID {
		t.Error("a lock that was sent again has another PIN or CommandUUID")
	}
	if other := n.idle(); other.Action.PIN == r.PIN {
		t.Error("two devices have the same PIN")
	}
	page, err := w.ActionResults(w.ctx, "ns/lock", "", 1)
	w.must(err)
	if len(page.Items) != 1 || page.Items[0].PIN != "" || !page.Items[0].HasPIN || page.Next != "A" {
		t.Errorf("page = %+v", page)
	}
	page, err = w.ActionResults(w.ctx, "ns/lock", page.Next, 1)
	w.must(err)
	if len(page.Items) != 1 || page.Items[0].DeviceID != "B" || page.Next != "" {
		t.Errorf("second page = %+v", page)
	}
}

func TestClearPasscodeTakesTheUnlockToken(t *testing.T) {
	w := newWorld(t)
	m, without := w.enroll("A"), w.enroll("B")
	w.must(w.TokenUpdate(w.ctx, m.id, m.ch, pushInfo(m.ch), []byte("unlock"), false))
	w.must(w.TokenUpdate(w.ctx, m.id, m.ch, pushInfo(m.ch), nil, false)) // later ones do not repeat it
	w.act("ns/clear", adminapi.AppleCommand{RequestType: adminapi.AppleClearPasscode}, m, without)
	if d := m.idle(); string(d.Action.UnlockToken) != "unlock" {
		t.Errorf("delivery = %+v", d.Action)
	}
	without.wantSettle()
	w.wantTarget("ns/clear", "B", adminapi.TargetFailed)
}

func TestNewestResultsAreInline(t *testing.T) {
	w := newWorld(t)
	var macs []*mac
	for i := range adminapi.MaxInlineResults + 5 {
		macs = append(macs, w.enroll(fmt.Sprintf("M%02d", i)))
	}
	w.act("ns/info", info, macs...)
	for _, m := range macs[3:10] {
		w.clock.advance(time.Second)
		m.settle()
	}
	st, err := w.Action(w.ctx, "ns/info")
	w.must(err)
	if len(st.Results) != adminapi.MaxInlineResults || st.Results[0].DeviceID != "M09" || st.Total != len(macs) || st.Counts[adminapi.TargetSucceeded] != 7 {
		t.Errorf("status = %+v", st)
	}
	page, err := w.ListActions(w.ctx, "", 10)
	w.must(err)
	if len(page.Items) != 1 || page.Items[0].Key != "ns/info" {
		t.Errorf("actions = %+v", page.Items)
	}
}

func TestActionThatAnEarlierVersionStored(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.act("ns/info", info, m)
	plain, err := json.Marshal(info)
	w.must(err)
	w.must(w.store.Update(w.ctx, func(tx fleet.Tx) error {
		row, err := tx.Action("ns/info", "")
		if err != nil {
			return err
		}
		ring := seal.Keyring{Primary: "k1", Keys: map[string][]byte{"k1": make([]byte, 32)}}
		row.Command, err = seal.New(func() seal.Keyring { return ring }).Seal(plain, []byte("7:command36:"+row.ID))
		if err != nil {
			return err
		}
		return tx.PutAction(*row)
	}))
	if d := m.idle(); d.Action == nil || d.Action.Command.Queries[0] != "OSVersion" {
		t.Errorf("delivery = %+v", d)
	}
}
