package fleet_test

import (
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

const day = 24 * time.Hour

// renew takes the renewal that the device is offered and returns the device with its new identity.
func (m *mac) renew(d *fleet.Delivery) *mac {
	m.t.Helper()
	if d == nil || d.Renewal == nil {
		m.t.Fatalf("the device got %s, want a renewal", describe(d))
	}
	if d.Renewal.Params != params {
		m.t.Fatalf("the renewal has %+v, want %+v to the letter", d.Renewal.Params, params)
	}
	return &mac{world: m.world, id: m.redeem(d.Renewal.Challenge), ch: m.ch}
}

func TestRenewalKeepsTheEnrolment(t *testing.T) {
	w := newWorld(t)
	old := w.enroll("A")
	w.must(w.TokenUpdate(w.ctx, old.id, old.ch, pushInfo(old.ch), []byte("unlock"), false))
	w.must(w.SetBootstrapToken(w.ctx, old.id, old.ch, []byte("boot")))
	w.put("ns/p", "v1")
	w.assign([]adminapi.Key{"ns/p"}, old)
	old.settle()
	enrolledAt := w.device("A").EnrolledAt

	w.clock.advance(365*day - fleet.DefaultRenewBefore) // jitter only makes it earlier
	w.act("ns/info", adminapi.AppleCommand{RequestType: adminapi.AppleSecurityInfo}, old)
	renewal := old.idle()
	if w.device("A").RenewingSince.IsZero() {
		t.Error("RenewingSince is not set")
	}
	fresh := old.renew(renewal)
	if fresh.id.EnrollmentID != old.id.EnrollmentID {
		t.Fatal("the renewed certificate names another enrolment")
	}
	w.wantDelivery(old.answer(renewal, fleet.StatusAcknowledged), adminapi.AppleSecurityInfo)
	w.must(w.Authenticate(w.ctx, fresh.id, fresh.ch, factsOf("A"), topic))
	if d := w.device("A"); d.State != adminapi.DeviceEnrolled {
		t.Errorf("a renewal's Authenticate made the device %s", d.State)
	}
	w.must(w.TokenUpdate(w.ctx, fresh.id, fresh.ch, pushInfo(fresh.ch), nil, false))

	d := w.device("A")
	if !d.IdentityNotAfter.Equal(fresh.id.NotAfter) || !d.RenewingSince.IsZero() || !d.EnrolledAt.Equal(enrolledAt) || !d.HasBootstrapToken || !d.HasUnlockToken {
		t.Errorf("after the renewal: %+v", d)
	}
	if a := w.artifact("ns/p"); a.Installed != 1 {
		t.Errorf("after the renewal the artifact is %+v", a)
	}
	if tok, err := w.BootstrapToken(w.ctx, fresh.id, fresh.ch); err != nil || string(tok) != "boot" {
		t.Errorf("bootstrap token = %q, %v", tok, err)
	}
	w.wantDelivery(fresh.idle(), adminapi.AppleSecurityInfo) // delivered before, unanswered: it survived
}

func TestOldCertificateDiesAfterRenewalAndGrace(t *testing.T) {
	w := newWorld(t)
	old := w.enroll("A")
	w.clock.advance(200 * day)
	fresh := old.renew(old.idle())
	w.clock.advance(30 * day)
	w.wantDelivery(old.idle(), "renew") // only the TokenUpdate with the new one ends the old one
	w.must(w.Authenticate(w.ctx, fresh.id, fresh.ch, factsOf("A"), topic))
	w.must(w.TokenUpdate(w.ctx, fresh.id, fresh.ch, pushInfo(fresh.ch), nil, false))

	w.clock.advance(9 * time.Minute)
	w.wantDelivery(old.idle(), "nothing")
	w.must(w.TokenUpdate(w.ctx, old.id, old.ch, pushInfo(old.ch), nil, false))
	if d := w.device("A"); !d.IdentityNotAfter.Equal(fresh.id.NotAfter) {
		t.Error("a late TokenUpdate with the old certificate took it back into use")
	}
	w.clock.advance(time.Minute)
	w.wantErr(w.Verify(w.ctx, old.id, old.ch), fleet.ErrSuperseded)
	w.wantErr(w.Authenticate(w.ctx, old.id, old.ch, factsOf("A"), topic), fleet.ErrSuperseded)
	w.must(w.Verify(w.ctx, fresh.id, fresh.ch))
	w.wantErr(w.Verify(w.ctx, fresh.id, deviceChannel("B")), fleet.ErrWrongIdentity)
}

func TestRenewalIsOfferedAgain(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.clock.advance(200 * day)
	m.idle()
	w.wantDelivery(m.idle(), "nothing") // not at every contact: each mints a challenge
	w.clock.advance(time.Hour)
	d := m.idle()
	m.answer(d, fleet.StatusError)
	w.clock.advance(23 * time.Hour)
	w.wantDelivery(m.idle(), "nothing")
	w.clock.advance(time.Hour)
	d = m.idle()
	w.wantDelivery(d, "renew")
	w.wantDelivery(m.answer(d, fleet.StatusNotNow), "nothing")
	w.wantDelivery(m.idle(), "renew")
}

func TestRenewalsAreSpreadAndWakeTheirDevices(t *testing.T) {
	w := newWorld(t)
	for _, udid := range []string{"A", "B", "C", "D", "E", "F"} {
		w.enroll(udid)
	}
	w.clock.advance(365*day - fleet.DefaultRenewBefore - fleet.DefaultRenewBefore/10 - time.Hour)
	woken := 0
	for range 19 { // days of jitter
		w.must(w.Sweep(w.ctx))
		wakes, err := w.Wakes(w.ctx, 10)
		w.must(err)
		if len(wakes) > 4 {
			t.Errorf("%d of 6 devices are renewed on one day", len(wakes))
		}
		if woken += len(wakes); woken < 6 {
			w.clock.advance(day)
		}
	}
	if woken < 6 {
		t.Errorf("%d of 6 devices were woken by the end of the window", woken)
	}
}

func TestRenewalChallengeOfAnEndedEnrolmentIsWorthless(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.clock.advance(200 * day)
	d := m.idle()
	m.intend(adminapi.IntentRelease)
	_, err := w.RedeemChallenge(w.ctx, d.Renewal.Challenge, "key", nil)
	w.wantErr(err, fleet.ErrChallenge)
}

func TestStoreRestoredFromYesterday(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.clock.advance(200 * day)
	first := m.renew(m.idle())
	w.must(w.TokenUpdate(w.ctx, first.id, first.ch, pushInfo(first.ch), nil, false))
	before := w.StoreEpoch()
	backup := w.backup()

	w.clock.advance(200 * day)
	second := first.renew(first.idle())
	w.must(w.TokenUpdate(w.ctx, second.id, second.ch, pushInfo(second.ch), nil, false))
	newcomer := w.enroll("N")

	w.restore(backup)
	if w.StoreEpoch() == before {
		t.Error("a restored store has the epoch it had before")
	}
	w.must(w.Authenticate(w.ctx, second.id, second.ch, factsOf("A"), topic))
	second.idle()
	w.must(w.TokenUpdate(w.ctx, second.id, second.ch, pushInfo(second.ch), nil, false))
	if d := w.device("A"); !d.IdentityNotAfter.Equal(second.id.NotAfter) {
		t.Errorf("the identity in use ends at %v, want that of the adopted one", d.IdentityNotAfter)
	}
	w.clock.advance(time.Hour)
	w.wantErr(w.Verify(w.ctx, first.id, first.ch), fleet.ErrSuperseded)
	forged := second.id
	forged.Fingerprint, forged.NotBefore = "unknown", second.id.NotBefore.Add(-time.Hour)
	w.wantErr(w.Verify(w.ctx, forged, second.ch), fleet.ErrSuperseded)
	w.wantErr(w.Authenticate(w.ctx, forged, second.ch, factsOf("A"), topic), fleet.ErrSuperseded)

	w.wantErr(w.Verify(w.ctx, newcomer.id, newcomer.ch), fleet.ErrNotEnrolled)
	w.wantErr(w.Authenticate(w.ctx, newcomer.id, newcomer.ch, factsOf("N"), topic), fleet.ErrNotEnrolled)
	w.wantErr(w.CheckOut(w.ctx, newcomer.id, newcomer.ch), fleet.ErrNotEnrolled)

	w.must(w.CheckOut(w.ctx, second.id, second.ch))
	unseen := second.id
	unseen.Fingerprint, unseen.NotBefore = "unseen", w.clock.Now()
	w.wantErr(w.Authenticate(w.ctx, unseen, second.ch, factsOf("A"), topic), fleet.ErrSuperseded)
	w.enroll("A")
	w.wantErr(w.Authenticate(w.ctx, unseen, second.ch, factsOf("A"), topic), fleet.ErrSuperseded)
}
