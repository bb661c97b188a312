package fleet_test

import (
	"crypto/sha1"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// renewTo asks for a certificate of another key and returns the device with it.
func (p *pc) renewTo(key string) (*pc, error) {
	p.t.Helper()
	e, err := p.RenewWindows(p.ctx, p.id, fleet.WindowsClaim{DeviceID: p.name, PublicKeySHA256: key}, p.issueRenewal)
	if err != nil {
		return nil, err
	}
	renewed := *p
	renewed.id = p.identityOf(e.Certificate)
	return &renewed, nil
}

func (p *pc) issueRenewal(g fleet.Grant) ([]byte, error) {
	if !g.Renewal || g.EnrollmentID != p.id.EnrollmentID {
		p.t.Errorf("a renewal is granted %+v", g)
	}
	return p.issueTo(g)
}

func TestRenewedPCKeepsItsEnrolment(t *testing.T) {
	w := newWorld(t)
	p := w.fullPC(w.windowsToken(adminapi.Token{Key: "fleet/pcs", MaxUses: 1}), "PC")
	secret, err := w.DigestCredentials(w.ctx, "PC")
	w.must(err)
	w.clock.advance(300 * day)
	renewed, err := p.renewTo("second key")
	w.must(err)
	if d := w.device("PC"); !d.RenewingSince.Equal(w.clock.Now()) || !d.IdentityNotAfter.Equal(p.id.NotAfter) {
		t.Errorf("the device that renews is %+v", d)
	}
	w.clock.advance(day)
	w.must(p.trySync()) // it did not get the reply, or did not switch yet
	w.must(renewed.trySync())
	d := w.device("PC")
	if d.EnrollmentID != p.id.EnrollmentID || d.State != adminapi.DeviceEnrolled || !d.RenewingSince.IsZero() || !d.IdentityNotAfter.Equal(renewed.id.NotAfter) {
		t.Errorf("the renewed device is %+v", d)
	}
	creds, err := w.DigestCredentials(w.ctx, "PC")
	w.must(err)
	if creds.Secret != secret.Secret || creds.Identity != renewed.id {
		t.Errorf("digests are held against %+v, want the same secret and the new identity", creds)
	}
	w.must(p.trySync())
	w.clock.advance(10 * time.Minute)
	w.wantErr(p.trySync(), fleet.ErrSuperseded)
	w.must(renewed.trySync())
	if w.uses("fleet/pcs") != 1 {
		t.Errorf("a renewal counts as a use")
	}
}

func TestRenewalsThatAreRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(w *world, p *pc) *pc
		key     string
		want    error
	}{
		"in the name of an unknown device": {func(_ *world, p *pc) *pc {
			other := *p
			other.name = "NOBODY"
			return &other
		}, "new", fleet.ErrWrongIdentity},
		"in the name of another device": {func(w *world, p *pc) *pc {
			other := *w.fullPC(fleet.WindowsCredential{TokenHash: "hash of fleet/pcs"}, "OTHER")
			other.id = p.id
			return &other
		}, "new", fleet.ErrWrongIdentity},
		"of a pending device": {func(w *world, p *pc) *pc {
			return w.pendingPC(fleet.WindowsCredential{TokenHash: "hash of fleet/pcs"}, "PENDING")
		}, "new", fleet.ErrNotEnrolled},
		"of a device that has left": {func(w *world, p *pc) *pc {
			w.intend("PC", adminapi.IntentRelease)
			return p
		}, "new", fleet.ErrNotEnrolled},
		"by a certificate of an earlier enrolment": {func(w *world, p *pc) *pc {
			w.intend("PC", adminapi.IntentRelease)
			_, _, err := w.tryPC(fleet.WindowsCredential{TokenHash: "hash of fleet/pcs"}, "PC", "another")
			w.must(err)
			return p
		}, "new", fleet.ErrSuperseded},
		"by a certificate in its grace": {func(w *world, p *pc) *pc {
			renewed, err := p.renewTo("second")
			w.must(err)
			w.must(renewed.trySync())
			w.must(p.trySync())
			return p
		}, "new", fleet.ErrSuperseded},
		"to the key that it has": {func(_ *world, p *pc) *pc { return p }, "key of PC", fleet.ErrKeyReused},
		"to a key that another device has": {func(w *world, p *pc) *pc {
			w.pendingPC(fleet.WindowsCredential{TokenHash: "hash of fleet/pcs"}, "OTHER")
			return p
		}, "key of OTHER", fleet.ErrKeyReused},
		"replayed after ten minutes": {func(w *world, p *pc) *pc {
			_, err := p.renewTo("second")
			w.must(err)
			w.clock.advance(10 * time.Minute)
			return p
		}, "second", fleet.ErrKeyReused},
		"replayed with another signer": {func(w *world, p *pc) *pc {
			renewed, err := p.renewTo("second")
			w.must(err)
			return renewed
		}, "second", fleet.ErrKeyReused},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			p := w.fullPC(w.windowsToken(adminapi.Token{Key: "fleet/pcs"}), "PC")
			w.clock.advance(time.Hour)
			before := tc.prepare(w, p)
			_, err := before.renewTo(tc.key)
			w.wantErr(err, tc.want)
		})
	}
}

func TestRenewalThatNamesNoDevice(t *testing.T) {
	w := newWorld(t)
	p := w.fullPC(w.windowsToken(adminapi.Token{Key: "fleet/pcs"}), "PC")
	w.clock.advance(300 * day)
	e, err := w.RenewWindows(w.ctx, p.id, fleet.WindowsClaim{PublicKeySHA256: "second key"}, p.issueRenewal)
	w.must(err)
	if e.EnrollmentID != p.id.EnrollmentID {
		t.Errorf("enrolment %s was renewed", e.EnrollmentID)
	}
	stranger := fleet.Identity{Fingerprint: "another", EnrollmentID: "another", NotAfter: w.clock.Now().Add(day)}
	_, err = w.RenewWindows(w.ctx, stranger, fleet.WindowsClaim{PublicKeySHA256: "third key"}, p.issueRenewal)
	w.wantErr(err, fleet.ErrNotEnrolled)
}

func TestLostRenewalIsGivenAgain(t *testing.T) {
	w := newWorld(t)
	p := w.fullPC(w.windowsToken(adminapi.Token{Key: "fleet/pcs"}), "PC")
	first, err := p.renewTo("second")
	w.must(err)
	w.must(w.store.Close())
	w.start()
	w.clock.advance(9 * time.Minute)
	again, err := p.renewTo("second")
	w.must(err)
	if again.id != first.id {
		t.Errorf("the same request was answered with %+v and %+v", first.id, again.id)
	}
	nameless := *p
	nameless.name = "" // some builds leave out who they are
	if same, err := nameless.renewTo("second"); err != nil || same.id != first.id {
		t.Errorf("the same request without a name: %v", err)
	}
	another, err := p.renewTo("third")
	w.must(err)
	w.must(another.trySync())
	w.must(first.trySync()) // both are of this enrolment, until the grace is over
	if creds, err := w.DigestCredentials(w.ctx, "PC"); err != nil || creds.Identity != another.id {
		t.Errorf("the identity in use is %+v, %v", creds, err)
	}
	w.clock.advance(10 * time.Minute)
	w.wantErr(first.trySync(), fleet.ErrSuperseded)
}

func TestRenewalThatTheIssuerPutsOff(t *testing.T) {
	w := newWorld(t)
	p := w.fullPC(w.windowsToken(adminapi.Token{Key: "fleet/pcs"}), "PC")
	claim := fleet.WindowsClaim{DeviceID: "PC", PublicKeySHA256: "second"}
	_, err := w.RenewWindows(w.ctx, p.id, claim, func(fleet.Grant) ([]byte, error) { return nil, fleet.ErrNotDue })
	w.wantErr(err, fleet.ErrNotDue)
	if d := w.device("PC"); !d.RenewingSince.IsZero() {
		t.Error("a renewal that was put off is under way")
	}
	_, err = p.renewTo("second")
	w.must(err)
}

// A device whose sessions prove themselves by digest shows its certificate in none of them.
func TestRenewalOfAPCThatShowsNoCertificateEndsByWhatItSays(t *testing.T) {
	w := newWorld(t)
	p := w.fullPC(w.windowsToken(adminapi.Token{Key: "fleet/pcs"}), "PC")
	const node = "./Vendor/MSFT/CertificateStore/My/WSTEP/CertThumbprint"
	thumbprint := func(e *fleet.WindowsEnrollment) string { return fmt.Sprintf("%x", sha1.Sum(e.Certificate)) }
	w.clock.advance(300 * day)
	e, err := w.RenewWindows(w.ctx, p.id, fleet.WindowsClaim{DeviceID: "PC", PublicKeySHA256: "second"}, w.issueTo)
	w.must(err)
	for _, said := range []string{"", "of another", thumbprint(e)} {
		p.nodes[node] = said
		w.clock.advance(day)
		w.must(p.trySync())
		d, renewed := w.device("PC"), said == thumbprint(e)
		if d.RenewingSince.IsZero() != renewed || d.IdentityNotAfter.Equal(w.identityOf(e.Certificate).NotAfter) != renewed {
			t.Errorf("a device that says %q is %+v", said, d)
		}
	}
	w.must(p.trySync())
	w.clock.advance(10 * time.Minute)
	w.wantErr(p.trySync(), fleet.ErrSuperseded)
	p.id = w.identityOf(e.Certificate)
	if slices.Contains(p.sync(), "Get "+node) {
		t.Error("it is asked again")
	}
}

// The signature of a renewal shows it too.
func TestSignatureOfARenewalShowsTheCertificateInUse(t *testing.T) {
	w := newWorld(t)
	p := w.fullPC(w.windowsToken(adminapi.Token{Key: "fleet/pcs"}), "PC")
	w.clock.advance(300 * day)
	second, err := p.renewTo("second")
	w.must(err)
	w.must(p.trySync())
	w.clock.advance(300 * day)
	third, err := second.renewTo("third")
	w.must(err)
	if d := w.device("PC"); !d.IdentityNotAfter.Equal(second.id.NotAfter) {
		t.Errorf("the identity in use ends at %v, want that of the signer", d.IdentityNotAfter)
	}
	w.clock.advance(10 * time.Minute)
	w.wantErr(p.trySync(), fleet.ErrSuperseded)
	w.must(third.trySync())
}

func TestStoreOfPCsRestoredFromYesterday(t *testing.T) {
	w := newWorld(t)
	cred := w.windowsToken(adminapi.Token{Key: "fleet/pcs"})
	p := w.fullPC(cred, "PC")
	backup := w.backup()
	w.clock.advance(day)
	renewed, err := p.renewTo("second")
	w.must(err)
	w.must(renewed.trySync())
	newcomer := w.fullPC(cred, "NEW")

	w.restore(backup)
	w.clock.advance(day)
	third, err := renewed.renewTo("third")
	w.must(err)
	w.must(third.trySync())
	w.must(renewed.trySync()) // the grace is for it, too
	w.clock.advance(time.Hour)
	w.wantErr(p.trySync(), fleet.ErrSuperseded)
	w.wantErr(renewed.trySync(), fleet.ErrSuperseded)
	_, err = newcomer.renewTo("another")
	w.wantErr(err, fleet.ErrNotEnrolled)
	w.wantErr(newcomer.trySync(), fleet.ErrNotEnrolled)
}
