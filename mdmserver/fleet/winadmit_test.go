package fleet_test

import (
	"errors"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// fullPC is an enrolled device.
func (w *world) fullPC(cred fleet.WindowsCredential, name string) *pc {
	w.t.Helper()
	p := w.pendingPC(cred, name)
	w.must(p.trySync())
	return p
}

// wantLive checks that a device is in the enrolment of p, and whether an attempt to take it over was noted.
func (w *world) wantLive(p *pc, blockedBy adminapi.Key) {
	w.t.Helper()
	d := w.device(p.name)
	if d.EnrollmentID != p.id.EnrollmentID || d.State == adminapi.DeviceEnded {
		w.t.Fatalf("the device is %+v, want it in the enrolment %s", d, p.id.EnrollmentID)
	}
	if got := d.Blocked; (got == nil) != (blockedBy == "") || got != nil && got.Token != blockedBy {
		w.t.Fatalf("blocked = %+v, want by %q", got, blockedBy)
	}
}

func TestEnrolledPCIsTakenOverOnlyByATokenForIt(t *testing.T) {
	for name, tc := range map[string]struct {
		token adminapi.Token
		want  error
	}{
		"any token":                         {adminapi.Token{}, fleet.ErrReenrolmentBlocked},
		"a token for another device":        {adminapi.Token{UDID: "ELSE"}, fleet.ErrTokenDevice},
		"a token for another serial number": {adminapi.Token{SerialNumber: "SN-ELSE"}, fleet.ErrReenrolmentBlocked},
		"a token for this device":           {adminapi.Token{UDID: "PC"}, nil},
		"a token for this serial number":    {adminapi.Token{SerialNumber: "SN-PC"}, nil},
		"a token for both":                  {adminapi.Token{UDID: "PC", SerialNumber: "SN-PC"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			p := w.fullPC(w.windowsToken(adminapi.Token{Key: "fleet/pcs"}), "PC")
			w.drain()
			tc.token.Key = "fleet/again"
			cred := w.windowsToken(tc.token)
			again, _, err := w.tryPC(cred, "PC", "another key")
			w.wantErr(err, tc.want)
			if tc.want == nil {
				w.wantErr(p.trySync(), fleet.ErrSuperseded)
				w.must(again.trySync())
				w.wantLive(again, "")
				return
			}
			w.must(p.trySync())
			if errors.Is(tc.want, fleet.ErrTokenDevice) {
				w.wantLive(p, "")
				return
			}
			w.wantLive(p, "fleet/again")
			w.wantFeed("device PC")
			if w.uses("fleet/again") != 0 {
				t.Error("a refused enrolment counts as a use")
			}
			_, _, err = w.tryPC(cred, "PC", "another key")
			w.wantErr(err, tc.want)
			w.wantFeed() // once a day is enough
			w.intend("PC", adminapi.IntentRelease)
			w.wantLive(w.pendingPC(w.windowsToken(adminapi.Token{Key: "fleet/pcs"}), "PC"), "")
		})
	}
}

func TestPendingPCHoldsItsPlaceOnlyIfItsTokenWasForIt(t *testing.T) {
	w := newWorld(t)
	anyone := w.windowsToken(adminapi.Token{Key: "fleet/pcs"})
	bound := w.windowsToken(adminapi.Token{Key: "fleet/bound", UDID: "PC"})
	first := w.pendingPC(anyone, "PC")
	second, _, err := w.tryPC(anyone, "PC", "second key")
	w.must(err)
	w.wantErr(first.trySync(), fleet.ErrSuperseded)
	third, _, err := w.tryPC(bound, "PC", "third key")
	w.must(err)
	w.wantErr(second.trySync(), fleet.ErrSuperseded)
	_, _, err = w.tryPC(anyone, "PC", "fourth key")
	w.wantErr(err, fleet.ErrReenrolmentBlocked)
	w.must(third.trySync())
	w.wantLive(third, "fleet/pcs")
}

func TestSerialNumberOfAnEnrolledPCIsTakenOverOnlyByATokenForIt(t *testing.T) {
	for name, tc := range map[string]struct {
		token adminapi.Token
		want  error
	}{
		"any token":                      {adminapi.Token{}, fleet.ErrReenrolmentBlocked},
		"a token for the new device":     {adminapi.Token{UDID: "NEW"}, fleet.ErrReenrolmentBlocked},
		"a token for another number":     {adminapi.Token{SerialNumber: "SN-ELSE"}, fleet.ErrWrongIdentity},
		"a token for this serial number": {adminapi.Token{SerialNumber: "SN-OLD"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			old := w.fullPC(w.windowsToken(adminapi.Token{Key: "fleet/pcs"}), "OLD")
			tc.token.Key = "fleet/again"
			p := w.pendingPC(w.windowsToken(tc.token), "NEW")
			p.nodes[serialNode] = " SN-OLD "
			w.wantErr(p.trySync(), tc.want)
			switch {
			case tc.want == nil:
				w.wantErr(old.trySync(), fleet.ErrNotEnrolled)
				w.wantLive(p, "")
				if d := w.device("NEW"); d.SerialNumber != "SN-OLD" || d.State != adminapi.DeviceEnrolled {
					t.Errorf("the device is %+v", d)
				}
			case errors.Is(tc.want, fleet.ErrWrongIdentity):
				w.must(old.trySync())
				w.wantLive(old, "")
				w.wantErr(p.trySync(), fleet.ErrNotEnrolled)
			default:
				w.must(old.trySync())
				w.wantLive(old, "fleet/again")
				if d := w.device("NEW"); d.State != adminapi.DevicePending || d.SerialNumber != "" {
					t.Errorf("the newcomer is %+v, want it pending and without the other's serial number", d)
				}
				w.wantErr(p.trySync(), tc.want)
				w.intend("OLD", adminapi.IntentRelease)
				w.must(p.trySync())
				w.wantLive(p, "")
			}
		})
	}
}

func TestPlaceholdersAreNoSerialNumbers(t *testing.T) {
	w := newWorld(t)
	cred := w.windowsToken(adminapi.Token{Key: "fleet/pcs"})
	for _, said := range []string{"To be filled by O.E.M.", "System Serial Number", "Default string", "None", "0", "", "  ", "00000000", "TO BE FILLED BY O.E.M."} {
		p := w.pendingPC(cred, "PC "+said)
		p.nodes[serialNode] = said
		w.must(p.trySync())
		if d := w.device(p.name); d.State != adminapi.DeviceEnrolled || d.SerialNumber != "" {
			t.Errorf("the device that says %q is %+v", said, d)
		}
		w.must(p.trySync())
	}
}

func TestPlatformsKeepOutOfEachOther(t *testing.T) {
	w := newWorld(t)
	cred := w.windowsToken(adminapi.Token{Key: "fleet/pcs"})
	mac, p := w.enroll("MAC"), w.fullPC(cred, "PC")
	_, _, err := w.tryPC(cred, "MAC", "another key")
	w.wantErr(err, fleet.ErrWrongIdentity)
	w.wantErr(w.Authenticate(w.ctx, w.identity(tokenHash), deviceChannel("PC"), factsOf("PC"), topic), fleet.ErrWrongIdentity)
	w.wantErr(w.Verify(w.ctx, p.id, deviceChannel("PC")), fleet.ErrWrongIdentity)
	_, err = w.Manage(w.ctx, mac.id, "MAC", adminapi.AuthMutualTLS, p.first())
	w.wantErr(err, fleet.ErrWrongIdentity)
	_, err = w.DigestCredentials(w.ctx, "MAC")
	w.wantErr(err, fleet.ErrNotEnrolled)
	w.must(w.CheckOut(w.ctx, mac.id, mac.ch))
	_, _, err = w.tryPC(cred, "MAC", "another key")
	w.wantErr(err, fleet.ErrWrongIdentity) // its tombstone is a Mac's
}

func TestSweepAndPushesKnowPCs(t *testing.T) {
	w := newWorld(t)
	cred := w.windowsToken(adminapi.Token{Key: "fleet/pcs"})
	p, lost := w.fullPC(cred, "PC"), w.pendingPC(cred, "LOST")
	w.must(w.FlushSeen(w.ctx))
	wantWakes := func() {
		t.Helper()
		wakes, err := w.Wakes(w.ctx, 10)
		w.must(err)
		if len(wakes) != 0 {
			t.Errorf("PCs are pushed to: %+v", wakes)
		}
	}
	w.must(w.WakeNow(w.ctx, []string{"PC"}))
	wantWakes()
	w.clock.advance(fleet.DefaultSilentAfter + time.Second)
	w.must(w.Sweep(w.ctx))
	if d := w.device("PC"); d.Responding {
		t.Error("a PC is never silent")
	}
	w.must(p.trySync())
	w.must(w.FlushSeen(w.ctx))
	if d := w.device("PC"); !d.Responding {
		t.Error("a PC that returned does not respond")
	}
	w.clock.advance(22 * day)
	w.must(w.Sweep(w.ctx))
	w.wantLive(lost, "")
	w.clock.advance(2 * day)
	w.must(w.Sweep(w.ctx))
	if d := w.device("LOST"); d.State != adminapi.DeviceEnded || d.EndReason != adminapi.EndReleased {
		t.Errorf("after a month without a session the device is %+v", d)
	}
	w.wantErr(lost.trySync(), fleet.ErrNotEnrolled)
	w.must(p.trySync())
	w.clock.advance(300 * day)
	w.must(w.Sweep(w.ctx))
	wantWakes()
	if d := w.device("PC"); !d.RenewingSince.IsZero() {
		t.Error("the server renews a PC")
	}
}

func TestEnrolmentThatIsToEndHoldsNoPlace(t *testing.T) {
	w := newWorld(t)
	cred := w.windowsToken(adminapi.Token{Key: "fleet/pcs"})
	old := w.fullPC(w.newAgent(cred.TokenHash, "HW").cred(), "PC")
	w.intend("PC", adminapi.IntentUnenroll)
	a := w.newAgent(cred.TokenHash, "HW") // Windows was installed anew
	p := w.pendingPC(a.cred(), "NEW")
	p.nodes[serialNode] = "SN-PC"
	w.must(p.trySync())
	w.wantLive(p, "")
	w.wantErr(old.trySync(), fleet.ErrNotEnrolled)
}
