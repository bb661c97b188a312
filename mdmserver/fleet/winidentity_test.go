package fleet_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

func TestPCWithoutSerialNumberEnrolsAndOneThatSaysNothingStaysPending(t *testing.T) {
	w := newWorld(t)
	p := w.enrollPC("A")
	delete(p.nodes, "./DevDetail/Ext/Microsoft/SMBIOSSerialNumber")
	for _, q := range askedFirst {
		p.silent[q] = true
	}
	p.wantSync(introduced...)
	if d := w.device("A"); d.State != adminapi.DevicePending {
		t.Fatalf("a device that did not say what it is is %s", d.State)
	}
	p.silent = map[string]bool{}
	p.wantSync(introduced...)
	if d := w.device("A"); d.State != adminapi.DeviceEnrolled || d.SerialNumber != "" {
		t.Errorf("device = %+v", d)
	}
}

func TestSerialNumberOfAnotherEnrolmentBlocks(t *testing.T) {
	w := newWorld(t)
	first := w.newPC("A")
	second := w.enrollPC("B")
	second.nodes["./DevDetail/Ext/Microsoft/SMBIOSSerialNumber"] = "SN-A"
	w.putProfile("ns/p", "v1", set(camera, "int", "0"))
	second.assign("ns/p")
	for range 2 {
		_, err := second.Manage(w.ctx, second.id, "B", second.by, second.answer(second.open()))
		w.wantErr(err, fleet.ErrReenrolmentBlocked)
	}
	if d := w.device("A"); d.Blocked == nil || d.State != adminapi.DeviceEnrolled {
		t.Errorf("the enrolled device does not tell of the attempt: %+v", d)
	}
	if _, got := second.nodes[camera]; got {
		t.Error("the newcomer got a profile")
	}
	reply, err := w.PutIntents(w.ctx, adminapi.IntentBatch{Intents: []adminapi.DeviceIntent{{DeviceID: "A", EnrollmentID: first.id.EnrollmentID, Intent: adminapi.IntentRelease}}})
	if w.must(err); len(reply.Stale) > 0 {
		t.Fatal(reply)
	}
	second.sync()
	second.wantNode(camera, "0")
}

func TestStrangersAndStrongerProofs(t *testing.T) {
	w := newWorld(t)
	a, b := w.newPC("A"), w.newPC("B")
	mac := w.enroll("M")
	_, err := a.Manage(w.ctx, b.id, "A", a.by, a.first())
	w.wantErr(err, fleet.ErrWrongIdentity)
	_, err = a.Manage(w.ctx, mac.id, "M", a.by, a.first())
	w.wantErr(err, fleet.ErrWrongIdentity)
	_, err = a.Manage(w.ctx, a.id, "C", a.by, a.first())
	if err == nil {
		t.Error("an unknown device was managed")
	}
	for _, step := range []struct {
		by, want adminapi.ManagementAuthentication
	}{
		{adminapi.AuthMutualTLS, adminapi.AuthMutualTLS}, {adminapi.AuthDigest, adminapi.AuthMutualTLS},
		{adminapi.AuthForwarded, adminapi.AuthMutualTLS}, {adminapi.AuthSignature, adminapi.AuthSignature},
	} {
		a.by = step.by
		a.wantSync()
		if got := w.device("A").Authentication; got != step.want {
			t.Errorf("after %s the device shows %s, want %s", step.by, got, step.want)
		}
	}
}

func TestSessionOfARenewedIdentityEndsTheOldOne(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	w.clock.advance(24 * time.Hour)
	p.sync()
	old := p.id
	_, err := w.RenewWindows(w.ctx, old, fleet.WindowsClaim{DeviceID: "A", PublicKeySHA256: "another key of A"}, func(g fleet.Grant) ([]byte, error) {
		var der []byte
		der, p.id = w.certificate(g.EnrollmentID)
		return der, nil
	})
	w.must(err)
	p.wantSync()
	if d := w.device("A"); !d.IdentityNotAfter.Equal(p.id.NotAfter) || !d.RenewingSince.IsZero() {
		t.Errorf("device = %+v", d)
	}
	w.clock.advance(11 * time.Minute)
	_, err = p.Manage(w.ctx, old, "A", p.by, p.first())
	w.wantErr(err, fleet.ErrSuperseded)
	p.wantSync()
}

func TestSessionOfAnEarlierEnrolmentIsForgotten(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	w.putProfile("ns/p", "v1", set(camera, "int", "0"))
	p.assign("ns/p")
	old := p.open()
	p.intend(adminapi.IntentRelease)
	next := w.enrollPC("A")
	next.session = p.session - 1 // Windows numbers the sessions of an enrolment from the beginning
	if orders := next.open(); len(orders) != len(introduced) || reflect.DeepEqual(orders, old) {
		t.Errorf("the first session of the enrolment gets %+v", orders)
	}
}
