package fleet_test

import (
	"crypto/x509"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

const serialNode = "./DevDetail/Ext/Microsoft/SMBIOSSerialNumber"

// windowsToken stores a token for Windows devices, unless it names other platforms, and returns what a person would type.
func (w *world) windowsToken(t adminapi.Token) fleet.WindowsCredential {
	w.t.Helper()
	t.Hash = "hash of " + string(t.Key)
	if t.Platforms == nil {
		t.Platforms = []adminapi.Platform{adminapi.PlatformWindows}
	}
	_, err := w.PutToken(w.ctx, t)
	w.must(err)
	return fleet.WindowsCredential{TokenHash: t.Hash}
}

// issueTo issues what a grant allows.
func (w *world) issueTo(g fleet.Grant) ([]byte, error) {
	der, _ := w.certificate(g.EnrollmentID)
	return der, nil
}

// tryPC enrols a Windows device up to the point where its first session would begin.
func (w *world) tryPC(cred fleet.WindowsCredential, name, key string) (*pc, *fleet.WindowsEnrollment, error) {
	w.t.Helper()
	claim := fleet.WindowsClaim{DeviceID: name, PublicKeySHA256: key, Facts: fleet.DeviceFacts{DeviceName: "DESKTOP-" + name, SerialNumber: "claimed"}}
	e, err := w.EnrollWindows(w.ctx, cred, claim, w.issueTo)
	if err != nil {
		return nil, nil, err
	}
	return &pc{world: w, name: name, id: w.identityOf(e.Certificate), by: adminapi.AuthDigest, nodes: map[string]string{serialNode: "SN-" + name}}, e, nil
}

func (w *world) pendingPC(cred fleet.WindowsCredential, name string) *pc {
	w.t.Helper()
	p, _, err := w.tryPC(cred, name, "key of "+name)
	w.must(err)
	return p
}

// identityOf is what a certificate proves.
func (w *world) identityOf(der []byte) fleet.Identity {
	w.t.Helper()
	cert, err := x509.ParseCertificate(der)
	w.must(err)
	return fleet.Identity{Fingerprint: fingerprint(der), EnrollmentID: cert.Subject.CommonName, NotBefore: cert.NotBefore, NotAfter: cert.NotAfter}
}

// trySync runs a session to its end or an error.
func (p *pc) trySync() error {
	p.t.Helper()
	orders, err := p.Manage(p.ctx, p.id, p.name, p.by, p.first())
	for err == nil && len(orders) > 0 {
		orders, err = p.Manage(p.ctx, p.id, p.name, p.by, p.answer(orders))
	}
	return err
}

// uses is how often a token was used.
func (w *world) uses(key adminapi.Key) int {
	w.t.Helper()
	p, err := w.ListTokens(w.ctx, "", 0)
	w.must(err)
	for _, t := range p.Items {
		if t.Key == key {
			return t.Uses
		}
	}
	return 0
}

// intend sets what is wanted of a device.
func (w *world) intend(name string, intent adminapi.Intent) {
	w.t.Helper()
	reply, err := w.PutIntents(w.ctx, adminapi.IntentBatch{Intents: []adminapi.DeviceIntent{{DeviceID: name, EnrollmentID: w.device(name).EnrollmentID, Intent: intent}}})
	w.must(err)
	if len(reply.Stale) > 0 {
		w.t.Fatalf("a stale intent for %s", name)
	}
}

func TestPCEnrolsWithATokenAndItsFirstSessionCompletesIt(t *testing.T) {
	w := newWorld(t)
	cred := w.windowsToken(adminapi.Token{Key: "fleet/pcs", Labels: map[string]string{"group": "pcs"}})
	w.must(w.CheckWindows(w.ctx, cred))
	if w.uses("fleet/pcs") != 0 {
		t.Error("a use counts before a certificate is issued")
	}
	p, e, err := w.tryPC(cred, "PC", "key")
	w.must(err)
	d := w.device("PC")
	if d.Platform != adminapi.PlatformWindows || d.State != adminapi.DevicePending || d.EnrollmentID != e.EnrollmentID || e.EnrollmentID != p.id.EnrollmentID ||
		d.UDID != "PC" || d.DeviceName != "DESKTOP-PC" || d.SerialNumber != "" || d.Token != "fleet/pcs" || d.TokenLabels["group"] != "pcs" {
		t.Errorf("the pending device is %+v", d)
	}
	if w.uses("fleet/pcs") != 1 {
		t.Errorf("the token was used %d times", w.uses("fleet/pcs"))
	}
	creds, err := w.DigestCredentials(w.ctx, "PC")
	w.must(err)
	if creds.Secret != e.DigestSecret || len(e.DigestSecret) < 40 || creds.Identity != p.id {
		t.Errorf("digests are held against %+v; the device got %+v", creds, e)
	}

	w.clock.advance(time.Minute)
	w.must(p.trySync())
	d = w.device("PC")
	if d.State != adminapi.DeviceEnrolled || d.SerialNumber != "SN-PC" || !d.EnrolledAt.Equal(w.clock.Now()) || d.Users != 0 {
		t.Errorf("the enrolled device is %+v", d)
	}
	w.intend("PC", adminapi.IntentRelease)
	_, err = w.DigestCredentials(w.ctx, "PC")
	w.wantErr(err, fleet.ErrNotEnrolled)
	w.wantErr(p.trySync(), fleet.ErrNotEnrolled)
}

func TestWindowsCredentialsThatCannotBeUsed(t *testing.T) {
	ticket := func(w *world) fleet.WindowsCredential {
		w.windowsToken(adminapi.Token{Key: "fleet/sign-in"})
		ticket, err := w.IssueTicket(w.ctx, "fleet/sign-in", "ann@example.org")
		w.must(err)
		return fleet.WindowsCredential{Ticket: ticket.Secret}
	}
	agent := func(w *world, token adminapi.Token) fleet.WindowsCredential {
		return w.newAgent(w.windowsToken(token).TokenHash, "HW").cred()
	}
	for name, tc := range map[string]struct {
		cred func(*world) fleet.WindowsCredential
		want error
	}{
		"nothing":       {func(*world) fleet.WindowsCredential { return fleet.WindowsCredential{} }, fleet.ErrTokenUnknown},
		"unknown token": {func(*world) fleet.WindowsCredential { return fleet.WindowsCredential{TokenHash: "x"} }, fleet.ErrTokenUnknown},
		"token that names no platform": {func(w *world) fleet.WindowsCredential {
			return fleet.WindowsCredential{TokenHash: tokenHash}
		}, fleet.ErrTokenPlatform},
		"token for Apple devices": {func(w *world) fleet.WindowsCredential {
			return w.windowsToken(adminapi.Token{Key: "fleet/t", Platforms: []adminapi.Platform{adminapi.PlatformApple}})
		}, fleet.ErrTokenPlatform},
		"expired token": {func(w *world) fleet.WindowsCredential {
			return w.windowsToken(adminapi.Token{Key: "fleet/t", ExpiresAt: w.clock.Now()})
		}, fleet.ErrTokenExpired},
		"exhausted token": {func(w *world) fleet.WindowsCredential {
			cred := w.windowsToken(adminapi.Token{Key: "fleet/t", MaxUses: 1})
			w.pendingPC(cred, "before")
			return cred
		}, fleet.ErrTokenExhausted},
		"unknown agent": {func(*world) fleet.WindowsCredential { return fleet.WindowsCredential{NodeKeyHash: "x"} }, fleet.ErrTokenUnknown},
		"agent whose token was deleted": {func(w *world) fleet.WindowsCredential {
			cred := agent(w, adminapi.Token{Key: "fleet/t"})
			w.must(w.DeleteToken(w.ctx, "fleet/t"))
			return cred
		}, fleet.ErrTokenUnknown},
		"agent whose token has expired": {func(w *world) fleet.WindowsCredential {
			cred := agent(w, adminapi.Token{Key: "fleet/t", ExpiresAt: w.clock.Now().Add(time.Minute)})
			w.clock.advance(time.Minute)
			return cred
		}, fleet.ErrTokenExpired},
		"agent whose token others used up": {func(w *world) fleet.WindowsCredential {
			cred := agent(w, adminapi.Token{Key: "fleet/t", MaxUses: 1})
			w.pendingPC(fleet.WindowsCredential{TokenHash: "hash of fleet/t"}, "before")
			return cred
		}, fleet.ErrTokenExhausted},
		"unknown ticket": {func(*world) fleet.WindowsCredential { return fleet.WindowsCredential{Ticket: "x"} }, fleet.ErrChallenge},
		"expired ticket": {func(w *world) fleet.WindowsCredential {
			cred := ticket(w)
			w.clock.advance(10 * time.Minute)
			return cred
		}, fleet.ErrChallenge},
		"used ticket": {func(w *world) fleet.WindowsCredential {
			cred := ticket(w)
			w.pendingPC(cred, "before")
			return cred
		}, fleet.ErrChallenge},
		"ticket whose token was deleted": {func(w *world) fleet.WindowsCredential {
			cred := ticket(w)
			w.must(w.DeleteToken(w.ctx, "fleet/sign-in"))
			return cred
		}, fleet.ErrTokenUnknown},
		"challenge of an Apple device": {func(w *world) fleet.WindowsCredential {
			ch, err := w.IssueChallenge(w.ctx, tokenHash, params)
			w.must(err)
			return fleet.WindowsCredential{Ticket: ch.Secret}
		}, fleet.ErrChallenge},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			cred := tc.cred(w)
			w.wantErr(w.CheckWindows(w.ctx, cred), tc.want)
			_, _, err := w.tryPC(cred, "PC", "another key")
			w.wantErr(err, tc.want)
			if errors.Is(tc.want, fleet.ErrTokenUnusable) == errors.Is(err, fleet.ErrChallenge) {
				t.Errorf("%v is of no kind or of both", err)
			}
		})
	}
}

func TestTicketsNeedAUsableToken(t *testing.T) {
	w := newWorld(t)
	w.windowsToken(adminapi.Token{Key: "fleet/expired", ExpiresAt: w.clock.Now()})
	for token, want := range map[adminapi.Key]error{
		"fleet/unknown": fleet.ErrTokenUnknown, "fleet/token": fleet.ErrTokenPlatform, "fleet/expired": fleet.ErrTokenExpired,
	} {
		_, err := w.IssueTicket(w.ctx, token, "ann@example.org")
		w.wantErr(err, want)
	}
}

func TestAppleDevicesNeedATokenForThem(t *testing.T) {
	w := newWorld(t)
	cred := w.windowsToken(adminapi.Token{Key: "fleet/pcs"})
	_, err := w.IssueChallenge(w.ctx, cred.TokenHash, params)
	w.wantErr(err, fleet.ErrTokenPlatform)
	w.wantErr(err, fleet.ErrTokenUnusable)

	ch, err := w.IssueChallenge(w.ctx, tokenHash, params)
	w.must(err)
	_, err = w.PutToken(w.ctx, adminapi.Token{Key: "fleet/token", Hash: tokenHash, Platforms: []adminapi.Platform{adminapi.PlatformWindows}})
	w.must(err)
	_, err = w.RedeemChallenge(w.ctx, ch.Secret, "key", w.issueTo)
	w.wantErr(err, fleet.ErrTokenPlatform)

	both := w.windowsToken(adminapi.Token{Key: "fleet/both", Platforms: []adminapi.Platform{adminapi.PlatformWindows, adminapi.PlatformApple}})
	w.enrollWith("MAC", both.TokenHash)
	w.must(w.pendingPC(both, "PC").trySync())
	ticket, err := w.IssueTicket(w.ctx, "fleet/both", "ann@example.org")
	w.must(err)
	_, err = w.RedeemChallenge(w.ctx, ticket.Secret, "key", w.issueTo)
	w.wantErr(err, fleet.ErrChallenge)
}

func TestLostReplyIsGivenAgainToTheSameKey(t *testing.T) {
	w := newWorld(t)
	w.windowsToken(adminapi.Token{Key: "fleet/sign-in", MaxUses: 1})
	ticket, err := w.IssueTicket(w.ctx, "fleet/sign-in", "ann@example.org")
	w.must(err)
	cred := fleet.WindowsCredential{Ticket: ticket.Secret}
	_, first, err := w.tryPC(cred, "PC", "key")
	w.must(err)
	w.must(w.store.Close())
	w.start()
	w.clock.advance(9 * time.Minute)
	_, again, err := w.tryPC(cred, "PC", "key")
	w.must(err)
	if again.EnrollmentID != first.EnrollmentID || string(again.Certificate) != string(first.Certificate) || again.DigestSecret != first.DigestSecret {
		t.Errorf("the answers are %+v and %+v", first, again)
	}
	if w.uses("fleet/sign-in") != 1 {
		t.Errorf("the token was used %d times", w.uses("fleet/sign-in"))
	}
	if d := w.device("PC"); d.UserPrincipalName != "ann@example.org" {
		t.Errorf("the device is of %q", d.UserPrincipalName)
	}
	_, _, err = w.tryPC(cred, "PC", "another key")
	w.wantErr(err, fleet.ErrChallenge)
	w.intend("PC", adminapi.IntentRelease)
	_, _, err = w.tryPC(cred, "PC", "key")
	w.wantErr(err, fleet.ErrChallenge)
	w.clock.advance(time.Minute)
	_, _, err = w.tryPC(cred, "PC", "key")
	w.wantErr(err, fleet.ErrChallenge)
}

func TestErrorOfTheIssuerUsesNothingUp(t *testing.T) {
	w := newWorld(t)
	w.windowsToken(adminapi.Token{Key: "fleet/sign-in", MaxUses: 1})
	ticket, err := w.IssueTicket(w.ctx, "fleet/sign-in", "ann@example.org")
	w.must(err)
	cred := fleet.WindowsCredential{Ticket: ticket.Secret}
	broken := errors.New("no CA")
	_, err = w.EnrollWindows(w.ctx, cred, fleet.WindowsClaim{DeviceID: "PC", PublicKeySHA256: "key"}, func(fleet.Grant) ([]byte, error) { return nil, broken })
	w.wantErr(err, broken)
	_, err = w.DigestCredentials(w.ctx, "PC")
	w.wantErr(err, fleet.ErrNotEnrolled)
	w.pendingPC(cred, "PC")
}

func TestOneOfTwoEnrolmentsGetsTheLastUse(t *testing.T) {
	w := newWorld(t)
	cred := w.windowsToken(adminapi.Token{Key: "fleet/once", MaxUses: 1})
	issued, errs := make([][]byte, 2), make([]error, 2)
	for i, name := range []string{"A", "B"} {
		issued[i], _ = w.certificate(name)
	}
	var wg sync.WaitGroup
	for i, name := range []string{"A", "B"} {
		wg.Go(func() {
			_, errs[i] = w.EnrollWindows(w.ctx, cred, fleet.WindowsClaim{DeviceID: name, PublicKeySHA256: name},
				func(fleet.Grant) ([]byte, error) { return issued[i], nil })
		})
	}
	wg.Wait()
	if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), fleet.ErrTokenExhausted) {
		t.Errorf("the enrolments ended with %v", errs)
	}
	if w.uses("fleet/once") != 1 {
		t.Errorf("the token was used %d times", w.uses("fleet/once"))
	}
}
