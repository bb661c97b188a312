package fleet_test

import (
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

func TestNodeKeysOfATokenThatLeakedEnrolNothing(t *testing.T) {
	for name, replace := range map[string]func(w *world, token adminapi.Token){
		"another secret": func(w *world, token adminapi.Token) { w.putToken(token, "new") },
		"a new token, of the name": func(w *world, token adminapi.Token) {
			w.must(w.DeleteToken(w.ctx, token.Key))
			w.putToken(token, "new")
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			token := adminapi.Token{Key: "fleet/pcs", Platforms: []adminapi.Platform{adminapi.PlatformWindows}}
			w.putToken(token, "leaked")
			stranger, mine, other := w.newAgent("leaked", "HW"), w.newAgent("leaked", "HW-2"), w.newAgent(w.windowsToken(adminapi.Token{Key: "fleet/other"}).TokenHash, "HW-3")
			p := w.pendingPC(mine.cred(), "PC")
			w.putToken(token, "leaked") // as a manager does that starts again
			stranger.want(askEnroll)
			replace(w, token)
			stranger.wantGone()
			_, _, err := w.tryPC(stranger.cred(), "ELSE", "key")
			w.wantErr(err, fleet.ErrTokenUnknown)
			mine.want(nothing)
			w.must(p.trySync())
			other.want(askEnroll)
		})
	}
}

// putToken stores a token with a hash of its secret.
func (w *world) putToken(token adminapi.Token, hash string) {
	w.t.Helper()
	token.Hash = hash
	_, err := w.PutToken(w.ctx, token)
	w.must(err)
}

func TestAgentsThatCanEnrolNothingEnrolAnew(t *testing.T) {
	for name, tc := range map[string]struct {
		token adminapi.Token
		spoil func(*world)
	}{
		"expired": {adminapi.Token{ExpiresAt: time.Date(2027, 1, 2, 4, 0, 0, 0, time.UTC)}, func(w *world) { w.clock.advance(time.Hour) }},
		"used up": {adminapi.Token{MaxUses: 1}, func(w *world) { w.pendingPC(fleet.WindowsCredential{TokenHash: "hash of fleet/pcs"}, "ELSE") }},
		"deleted": {adminapi.Token{}, func(w *world) { w.must(w.DeleteToken(w.ctx, "fleet/pcs")) }},
		"old":     {adminapi.Token{}, func(w *world) { w.clock.advance(31 * 24 * time.Hour) }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tc.token.Key = "fleet/pcs"
			a := w.newAgent(w.windowsToken(tc.token).TokenHash, "HW")
			kept := w.newAgent(w.windowsToken(adminapi.Token{Key: "fleet/other"}).TokenHash, "HW-2")
			w.fullPC(kept.cred(), "PC")
			w.must(w.Sweep(w.ctx))
			a.want(askEnroll)
			tc.spoil(w)
			w.must(w.Sweep(w.ctx))
			a.wantGone()
			w.newAgent(w.windowsToken(adminapi.Token{Key: "fleet/again"}).TokenHash, "HW").want(askEnroll)
			if _, err := w.Agent(w.ctx, kept.hash()); err != nil {
				t.Errorf("the agent of an enrolled PC: %v", err)
			}
		})
	}
}
