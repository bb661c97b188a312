package fleet_test

import (
	"errors"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

func TestTokensThatCannotBeUsed(t *testing.T) {
	w := newWorld(t)
	for key, tok := range map[adminapi.Key]adminapi.Token{
		"expired": {Hash: "h1", ExpiresAt: w.clock.Now()},
		"once":    {Hash: "h2", MaxUses: 1},
	} {
		tok.Key = key
		_, err := w.PutToken(w.ctx, tok)
		w.must(err)
	}
	_, err := w.IssueChallenge(w.ctx, "unknown", params)
	w.wantErr(err, fleet.ErrTokenUnknown)
	_, err = w.IssueChallenge(w.ctx, "h1", params)
	w.wantErr(err, fleet.ErrTokenExpired)
	w.wantErr(err, fleet.ErrTokenUnusable)

	for range 3 { // looking at the profile uses nothing up
		_, err = w.IssueChallenge(w.ctx, "h2", params)
		w.must(err)
	}
	early, err := w.IssueChallenge(w.ctx, "h2", params)
	w.must(err)
	w.identity("h2")
	_, err = w.IssueChallenge(w.ctx, "h2", params)
	w.wantErr(err, fleet.ErrTokenExhausted)
	_, err = w.RedeemChallenge(w.ctx, early.Secret, "key", nil)
	w.wantErr(err, fleet.ErrTokenExhausted)
	st, err := w.PutToken(w.ctx, adminapi.Token{Key: "once", Hash: "h2", MaxUses: 2})
	w.must(err)
	if st.Uses != 1 {
		t.Errorf("uses = %d after one certificate, want 1", st.Uses)
	}
	w.must(w.DeleteToken(w.ctx, "once"))
	_, err = w.RedeemChallenge(w.ctx, early.Secret, "key", nil)
	w.wantErr(err, fleet.ErrTokenUnknown)
}

func TestChallengeIsOneTimeAndBoundToItsKey(t *testing.T) {
	w := newWorld(t)
	issued := 0
	issue := func(g fleet.Grant) ([]byte, error) {
		issued++
		der, _ := w.certificate(g.EnrollmentID)
		return der, nil
	}
	ch, err := w.IssueChallenge(w.ctx, tokenHash, params)
	w.must(err)
	if _, err := w.RedeemChallenge(w.ctx, ch.Secret, "key", func(fleet.Grant) ([]byte, error) { return nil, errors.New("no CA") }); err == nil {
		t.Fatal("an error of the issuer is lost")
	}
	first, err := w.RedeemChallenge(w.ctx, ch.Secret, "key", issue)
	w.must(err)
	w.clock.advance(9 * time.Minute)
	again, err := w.RedeemChallenge(w.ctx, ch.Secret, "key", issue)
	w.must(err)
	if string(first) != string(again) || issued != 1 {
		t.Errorf("a retry with the same key got another certificate (%d issued)", issued)
	}
	_, err = w.RedeemChallenge(w.ctx, ch.Secret, "another key", issue)
	w.wantErr(err, fleet.ErrChallenge)
	w.clock.advance(2 * time.Minute)
	_, err = w.RedeemChallenge(w.ctx, ch.Secret, "key", issue)
	w.wantErr(err, fleet.ErrChallenge)
	_, err = w.RedeemChallenge(w.ctx, "made up", "key", issue)
	w.wantErr(err, fleet.ErrChallenge)
	p, err := w.ListTokens(w.ctx, "", 0)
	w.must(err)
	if p.Items[0].Uses != 1 {
		t.Errorf("token uses = %d, want 1", p.Items[0].Uses)
	}
}

func TestEnrolmentIsPendingUntilTheFirstTokenUpdate(t *testing.T) {
	w := newWorld(t)
	m := &mac{world: w, id: w.identity(tokenHash), ch: deviceChannel("A")}
	w.must(w.Authenticate(w.ctx, m.id, m.ch, factsOf("A"), topic))
	if d := w.device("A"); d.State != adminapi.DevicePending || d.EnrollmentID != m.id.EnrollmentID || d.SerialNumber != "SN-A" || d.Token != "fleet/token" || d.TokenLabels["group"] != "a" {
		t.Errorf("after Authenticate: %+v", d)
	}
	_, err := w.Connect(w.ctx, m.id, m.ch, fleet.Report{Status: fleet.StatusIdle})
	w.wantErr(err, fleet.ErrNotEnrolled)
	w.must(w.Authenticate(w.ctx, m.id, m.ch, factsOf("A"), topic)) // the device lost the answer
	w.must(w.TokenUpdate(w.ctx, m.id, m.ch, pushInfo(m.ch), []byte("unlock"), false))
	if d := w.device("A"); d.State != adminapi.DeviceEnrolled || !d.EnrolledAt.Equal(w.clock.Now()) || !d.HasUnlockToken || !d.IdentityNotAfter.Equal(m.id.NotAfter) {
		t.Errorf("after TokenUpdate: %+v", d)
	}
	w.wantDelivery(m.idle(), "nothing")
}

func TestAnUnseenCertificateCannotTakeADeviceOver(t *testing.T) {
	w := newWorld(t)
	victim := w.enroll("A")
	w.must(w.SetBootstrapToken(w.ctx, victim.id, victim.ch, []byte("boot")))
	w.act("ns/info", adminapi.AppleCommand{RequestType: adminapi.AppleSecurityInfo}, victim)

	thief := w.identity(tokenHash)
	w.wantErr(w.Authenticate(w.ctx, thief, victim.ch, factsOf("A"), topic), fleet.ErrReenrolmentBlocked)
	w.wantErr(w.TokenUpdate(w.ctx, thief, victim.ch, fleet.PushInfo{Token: []byte("thief")}, nil, false), fleet.ErrWrongIdentity)
	_, err := w.Connect(w.ctx, thief, victim.ch, fleet.Report{Status: fleet.StatusIdle})
	w.wantErr(err, fleet.ErrWrongIdentity)
	_, err = w.BootstrapToken(w.ctx, thief, victim.ch)
	w.wantErr(err, fleet.ErrWrongIdentity)
	w.wantErr(w.CheckOut(w.ctx, thief, victim.ch), fleet.ErrWrongIdentity)

	d := w.device("A")
	if d.EnrollmentID != victim.id.EnrollmentID || d.Blocked == nil || d.Blocked.Token != "fleet/token" || !d.Blocked.Since.Equal(w.clock.Now()) {
		t.Errorf("the device is %+v, want it untouched and Blocked", d)
	}
	w.wantDelivery(victim.idle(), adminapi.AppleSecurityInfo)

	other := w.enroll("B") // an enrolled device cannot speak for another one either
	_, err = w.Connect(w.ctx, other.id, victim.ch, fleet.Report{Status: fleet.StatusIdle})
	w.wantErr(err, fleet.ErrWrongIdentity)
	w.wantErr(w.Authenticate(w.ctx, other.id, victim.ch, factsOf("A"), topic), fleet.ErrWrongIdentity)
	w.wantErr(w.Authenticate(w.ctx, other.id, deviceChannel("C"), factsOf("C"), topic), fleet.ErrWrongIdentity)
}

func TestTokenForTheDeviceReplacesItsEnrolment(t *testing.T) {
	for name, token := range map[string]adminapi.Token{
		"by serial number": {SerialNumber: "SN-A"},
		"by UDID":          {UDID: "A"},
		"by both":          {SerialNumber: "SN-A", UDID: "A"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			old := w.enroll("A")
			w.must(w.SetBootstrapToken(w.ctx, old.id, old.ch, []byte("boot")))
			w.put("ns/p", "v1")
			w.assign([]adminapi.Key{"ns/p"}, old)
			old.settle()
			w.act("ns/lock", adminapi.AppleCommand{RequestType: adminapi.AppleDeviceLock, GeneratePIN: true}, old)
			token.Key, token.Hash = "ns/bound", "bound"
			_, err := w.PutToken(w.ctx, token)
			w.must(err)

			w.wantErr(w.Authenticate(w.ctx, w.identity("bound"), deviceChannel("B"), factsOf("B"), topic), fleet.ErrWrongIdentity)
			other := token
			other.Key, other.Hash, other.SerialNumber, other.UDID = "ns/other", "other", "SN-A", "B"
			_, err = w.PutToken(w.ctx, other)
			w.must(err)
			w.wantErr(w.Authenticate(w.ctx, w.identity("other"), deviceChannel("A"), factsOf("A"), topic), fleet.ErrWrongIdentity)
			fresh := w.enrollWith("A", "bound")
			if d := w.device("A"); d.State != adminapi.DeviceEnrolled || d.EnrollmentID == old.id.EnrollmentID || d.HasBootstrapToken {
				t.Errorf("after re-enrolment: %+v", d)
			}
			w.wantTarget("ns/lock", "A", adminapi.TargetEnrolmentEnded)
			w.wantDelivery(fresh.idle(), "nothing")
			if a := w.artifact("ns/p"); a.Targeted != 0 || a.Installed != 0 {
				t.Errorf("a wiped device still counts: %+v", a)
			}
			_, err = w.Connect(w.ctx, old.id, old.ch, fleet.Report{Status: fleet.StatusIdle})
			w.wantErr(err, fleet.ErrSuperseded)
			w.wantErr(w.Authenticate(w.ctx, old.id, old.ch, factsOf("A"), topic), fleet.ErrSuperseded)
			reply, err := w.PutAssignments(w.ctx, adminapi.AssignmentBatch{Assignments: []adminapi.Assignment{
				{DeviceID: "A", EnrollmentID: old.id.EnrollmentID, Artifacts: []adminapi.Key{"ns/p"}}}})
			w.must(err)
			if len(reply.Stale) != 1 {
				t.Errorf("an assignment for the old enrolment was taken: %+v", reply)
			}
		})
	}
}

func TestASerialNumberIsTakenOverOnlyByATokenForIt(t *testing.T) {
	w := newWorld(t)
	victim := w.enroll("A")
	claims := fleet.DeviceFacts{UDID: "NEW", SerialNumber: "SN-A"}
	w.wantErr(w.Authenticate(w.ctx, w.identity(tokenHash), deviceChannel("NEW"), claims, topic), fleet.ErrReenrolmentBlocked)
	if d := w.device("A"); d.State != adminapi.DeviceEnrolled || d.Blocked == nil {
		t.Errorf("the device is %+v, want it untouched and Blocked", d)
	}
	w.wantDelivery(victim.idle(), "nothing")

	thief := w.enroll("B") // enrolled under its own name, it says later that it is another
	thief.send(fleet.Report{Status: fleet.StatusIdle, Facts: &claims})
	w.must(w.Authenticate(w.ctx, thief.id, thief.ch, claims, topic))
	if d := w.device("B"); d.SerialNumber != "SN-B" || d.UDID != "B" {
		t.Errorf("a device took another's name: %+v", d)
	}

	_, err := w.PutToken(w.ctx, adminapi.Token{Key: "ns/bound", Hash: "bound", SerialNumber: "SN-A"})
	w.must(err)
	w.must(w.Authenticate(w.ctx, w.identity("bound"), deviceChannel("NEW"), claims, topic)) // the Mac has another logic board
	if d := w.device("A"); d.State != adminapi.DeviceEnded || d.EndReason != adminapi.EndReleased {
		t.Errorf("two devices have one serial number: %+v", d)
	}
	_, err = w.Connect(w.ctx, victim.id, victim.ch, fleet.Report{Status: fleet.StatusIdle})
	w.wantErr(err, fleet.ErrNotEnrolled)
}

func TestPendingEnrolmentHoldsNoPlaceUnlessBound(t *testing.T) {
	w := newWorld(t)
	w.must(w.Authenticate(w.ctx, w.identity(tokenHash), deviceChannel("A"), factsOf("A"), topic))
	w.enroll("A") // somebody who authenticated and never finished keeps nobody out
	_, err := w.PutToken(w.ctx, adminapi.Token{Key: "ns/bound", Hash: "bound", SerialNumber: "SN-B"})
	w.must(err)
	w.must(w.Authenticate(w.ctx, w.identity("bound"), deviceChannel("B"), factsOf("B"), topic))
	w.wantErr(w.Authenticate(w.ctx, w.identity(tokenHash), deviceChannel("B"), factsOf("B"), topic), fleet.ErrReenrolmentBlocked)
}

func TestEndedEnrolmentMakesRoomAndItsIdentityIsOver(t *testing.T) {
	ends := map[string]struct {
		end    func(*mac)
		reason string
	}{
		"check-out": {func(m *mac) { m.must(m.CheckOut(m.ctx, m.id, m.ch)) }, adminapi.EndCheckedOut},
		"release":   {func(m *mac) { m.intend(adminapi.IntentRelease) }, adminapi.EndReleased},
		"unenrol": {func(m *mac) {
			m.intend(adminapi.IntentUnenroll)
			m.wantDelivery(m.answer(m.idle(), fleet.StatusNotNow), "nothing")
			d := m.idle()
			m.wantDelivery(d, "remove "+params.PayloadIdentifier)
			m.wantDelivery(m.answer(d, fleet.StatusAcknowledged), "nothing")
		}, adminapi.EndUnenrolled},
		"unenrol, answered by check-out only": {func(m *mac) {
			m.intend(adminapi.IntentUnenroll)
			m.idle()
			m.must(m.CheckOut(m.ctx, m.id, m.ch))
		}, adminapi.EndUnenrolled},
		"wipe": {func(m *mac) {
			m.act("ns/wipe", adminapi.AppleCommand{RequestType: adminapi.AppleEraseDevice}, m)
			m.wantDelivery(m.answer(m.idle(), fleet.StatusAcknowledged), "nothing")
			m.wantTarget("ns/wipe", m.ch.DeviceID, adminapi.TargetSucceeded)
		}, adminapi.EndWiped},
	}
	for name, tc := range ends {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			m := w.enroll("A")
			u := m.user("ann")
			w.must(w.TokenUpdate(w.ctx, m.id, m.ch, pushInfo(m.ch), []byte("unlock"), false))
			w.put("ns/p", "v1")
			w.assign([]adminapi.Key{"ns/p"}, m)
			m.settle()
			w.put("ns/p", "v2")
			tc.end(m)
			d := w.device("A")
			if d.State != adminapi.DeviceEnded || d.EndReason != tc.reason || d.HasUnlockToken || d.Users != 0 || d.Responding {
				t.Errorf("device = %+v", d)
			}
			if wakes, err := w.Wakes(w.ctx, 10); err != nil || len(wakes) != 0 {
				t.Errorf("a push goes to an ended enrolment: %v, %v", wakes, err)
			}
			for _, ch := range []fleet.Channel{m.ch, u.ch} {
				_, err := w.Connect(w.ctx, m.id, ch, fleet.Report{Status: fleet.StatusIdle})
				w.wantErr(err, fleet.ErrNotEnrolled)
			}
			w.wantErr(w.Authenticate(w.ctx, m.id, m.ch, factsOf("A"), topic), fleet.ErrSuperseded)
			m.intend(adminapi.IntentIgnore)
			if d := w.device("A"); d.Ignored || d.EndReason != tc.reason {
				t.Errorf("something is wanted of an enrolment that is over: %+v", d)
			}
			w.enroll("A")
			if d := w.device("A"); d.State != adminapi.DeviceEnrolled || d.EndReason != "" || !d.Responding {
				t.Errorf("re-enrolled device = %+v", d)
			}
		})
	}
}

// intend wants something of the device's enrolment.
func (m *mac) intend(i adminapi.Intent) {
	m.t.Helper()
	reply, err := m.PutIntents(m.ctx, adminapi.IntentBatch{Intents: []adminapi.DeviceIntent{{DeviceID: m.ch.DeviceID, EnrollmentID: m.id.EnrollmentID, Intent: i}}})
	m.must(err)
	if len(reply.Stale) > 0 {
		m.t.Fatal("the intent is stale")
	}
}
