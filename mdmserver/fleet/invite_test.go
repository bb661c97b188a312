package fleet_test

import (
	"testing"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// A look at a token, by its holder or by somebody who signs in, says what an enrolment would, and uses nothing up.
func TestALookAtATokenSaysWhetherItIsGood(t *testing.T) {
	w := newWorld(t)
	for key, tok := range map[adminapi.Key]adminapi.Token{
		"good":    {Hash: "h1", MaxUses: 1},
		"expired": {Hash: "h2", ExpiresAt: w.clock.Now()},
		"pcs":     {Hash: "h3", Platforms: []adminapi.Platform{adminapi.PlatformWindows}},
	} {
		tok.Key = key
		_, err := w.PutToken(w.ctx, tok)
		w.must(err)
	}
	for _, c := range []struct {
		key      adminapi.Key
		hash     string
		platform adminapi.Platform
		want     error
	}{
		{"good", "h1", adminapi.PlatformApple, nil},
		{"good", "h1", adminapi.PlatformApple, nil},
		{"good", "h1", adminapi.PlatformWindows, fleet.ErrTokenPlatform},
		{"pcs", "h3", adminapi.PlatformWindows, nil},
		{"pcs", "h3", adminapi.PlatformApple, fleet.ErrTokenPlatform},
		{"expired", "h2", adminapi.PlatformApple, fleet.ErrTokenExpired},
		{"unknown", "h9", adminapi.PlatformApple, fleet.ErrTokenUnknown},
	} {
		for _, err := range []error{w.CheckToken(w.ctx, c.hash, c.platform), w.CheckSignIn(w.ctx, c.key, c.platform)} {
			if c.want == nil {
				w.must(err)
			} else {
				w.wantErr(err, c.want)
			}
		}
	}
}

// Whoever signs in enrols by the token that is named, under its limits.
func TestASignInEnrolsByItsToken(t *testing.T) {
	w := newWorld(t)
	_, err := w.PutToken(w.ctx, adminapi.Token{Key: "staff", Hash: "h1", MaxUses: 1})
	w.must(err)
	challenge, err := w.IssueSignedIn(w.ctx, "staff", "ada@example.com", params)
	w.must(err)
	w.redeem(challenge.Secret)
	_, err = w.IssueSignedIn(w.ctx, "staff", "bob@example.com", params)
	w.wantErr(err, fleet.ErrTokenExhausted)
	_, err = w.IssueSignedIn(w.ctx, "nobody", "bob@example.com", params)
	w.wantErr(err, fleet.ErrTokenUnknown)
}
