package fleet_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// installed is an agent on a PC.
type installed struct {
	*world
	key string
}

func (w *world) tryAgent(hash string, claim fleet.AgentClaim) (*installed, error) {
	w.t.Helper()
	key, err := w.EnrollAgent(w.ctx, hash, claim)
	return &installed{w, key}, err
}

func (w *world) newAgent(hash, hardware string) *installed {
	w.t.Helper()
	a, err := w.tryAgent(hash, fleet.AgentClaim{HardwareUUID: hardware})
	w.must(err)
	return a
}

func (a *installed) hash() string { return fingerprint([]byte(a.key)) }

// cred is what Windows brings when the agent makes it enrol.
func (a *installed) cred() fleet.WindowsCredential {
	return fleet.WindowsCredential{NodeKeyHash: a.hash()}
}

func (a *installed) want(want fleet.AgentNotice) {
	a.t.Helper()
	got, err := a.Agent(a.ctx, a.hash())
	a.must(err)
	if got != want {
		a.t.Fatalf("the agent is told %+v, want %+v", got, want)
	}
}

func (a *installed) wantGone() {
	a.t.Helper()
	_, err := a.Agent(a.ctx, a.hash())
	a.wantErr(err, fleet.ErrNotEnrolled)
}

var (
	nothing   = fleet.AgentNotice{}
	askEnroll = fleet.AgentNotice{Enroll: true}
	askSync   = fleet.AgentNotice{Sync: true}
	askLeave  = fleet.AgentNotice{Unenroll: true, Sync: true}
)

func TestAgentFollowsItsPC(t *testing.T) {
	w := newWorld(t)
	cred := w.windowsToken(adminapi.Token{Key: "fleet/pcs", MaxUses: 2})
	a := w.newAgent(cred.TokenHash, "HW")
	if w.uses("fleet/pcs") != 0 {
		t.Error("an agent uses up what Windows needs")
	}
	a.want(askEnroll)
	p := w.pendingPC(a.cred(), "PC")
	if w.uses("fleet/pcs") != 1 || w.device("PC").Token != "fleet/pcs" {
		t.Errorf("the device is %+v, its token was used %d times", w.device("PC"), w.uses("fleet/pcs"))
	}
	a.want(nothing)
	w.must(p.trySync())
	a.want(nothing)
	w.must(w.WakeNow(w.ctx, []string{"PC"}))
	a.want(askSync)
	w.must(p.trySync())
	a.want(nothing)
	p.run("ns/look", adminapi.WindowsCommand{RequestType: adminapi.WindowsRaw, Commands: []adminapi.SyncMLCommand{command(adminapi.VerbGet, serialNode, "")}})
	a.want(askSync)
	p.open()
	a.want(nothing) // it was here just now
	w.clock.advance(time.Hour)
	a.want(askSync)
	w.intend("PC", adminapi.IntentIgnore)
	a.want(nothing)
	w.intend("PC", adminapi.IntentUnenroll)
	a.want(askLeave)
	w.intend("PC", adminapi.IntentRelease)
	a.want(askEnroll)
	w.pendingPC(a.cred(), "PC")
	a.want(nothing)
}

func TestAgentOfAPCThatWasUnenrolledWaitsUntilItIsInstalledAnew(t *testing.T) {
	w := newWorld(t)
	cred := w.windowsToken(adminapi.Token{Key: "fleet/pcs"})
	a := w.newAgent(cred.TokenHash, "HW")
	p := w.pendingPC(a.cred(), "PC")
	w.must(p.trySync())
	w.intend("PC", adminapi.IntentUnenroll)
	m := p.first()
	m.Alerts = []fleet.WindowsAlert{{Code: 1226, Type: "com.microsoft:mdm.unenrollment.userrequest", Data: "1"}}
	_, err := w.Manage(w.ctx, p.id, "PC", p.by, m)
	w.must(err)
	if d := w.device("PC"); d.EndReason != adminapi.EndUnenrolled {
		t.Fatalf("the device is %+v", d)
	}
	a.want(nothing)
	again := w.newAgent(cred.TokenHash, "HW")
	a.wantGone()
	again.want(askEnroll)
	w.must(w.pendingPC(again.cred(), "PC").trySync())
	again.want(nothing)
}

func TestAgentsThatAreRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		token adminapi.Token
		claim fleet.AgentClaim
		want  error
	}{
		"token for Apple devices": {adminapi.Token{Platforms: []adminapi.Platform{adminapi.PlatformApple}}, fleet.AgentClaim{HardwareUUID: "NEW"}, fleet.ErrTokenPlatform},
		"token that has expired":  {adminapi.Token{ExpiresAt: time.Unix(1, 0)}, fleet.AgentClaim{HardwareUUID: "NEW"}, fleet.ErrTokenExpired},
		"token for another PC":    {adminapi.Token{SerialNumber: "SN-ELSE"}, fleet.AgentClaim{HardwareUUID: "NEW", SerialNumber: "SN-X"}, fleet.ErrTokenDevice},
		"hardware of another":     {adminapi.Token{}, fleet.AgentClaim{HardwareUUID: " hw "}, fleet.ErrReenrolmentBlocked},
		"serial number of another": {adminapi.Token{}, fleet.AgentClaim{HardwareUUID: "NEW", SerialNumber: "SN-PC"},
			fleet.ErrReenrolmentBlocked},
		"hardware of another, with a token for a third": {adminapi.Token{SerialNumber: "SN-ELSE"}, fleet.AgentClaim{HardwareUUID: "HW"}, fleet.ErrReenrolmentBlocked},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			old := w.newAgent(w.windowsToken(adminapi.Token{Key: "fleet/pcs"}).TokenHash, "HW")
			p := w.pendingPC(old.cred(), "PC")
			w.must(p.trySync())
			tc.token.Key = "fleet/again"
			_, err := w.tryAgent(w.windowsToken(tc.token).TokenHash, tc.claim)
			w.wantErr(err, tc.want)
			old.want(nothing)
			if errors.Is(tc.want, fleet.ErrReenrolmentBlocked) {
				w.wantLive(p, "fleet/again")
			} else {
				w.wantLive(p, "")
			}
		})
	}
	w := newWorld(t)
	_, err := w.tryAgent("unknown", fleet.AgentClaim{HardwareUUID: "HW"})
	w.wantErr(err, fleet.ErrTokenUnknown)
}

func TestAgentTakesAPCOverByATokenForIt(t *testing.T) {
	w := newWorld(t)
	old := w.newAgent(w.windowsToken(adminapi.Token{Key: "fleet/pcs"}).TokenHash, "HW")
	former := w.pendingPC(old.cred(), "PC")
	w.must(former.trySync())
	bound := w.windowsToken(adminapi.Token{Key: "fleet/bound", SerialNumber: "SN-PC"})
	a, err := w.tryAgent(bound.TokenHash, fleet.AgentClaim{HardwareUUID: "HW", SerialNumber: "SN-PC"})
	w.must(err)
	old.wantGone()
	a.want(askEnroll)
	w.must(former.trySync()) // nothing ends before Windows enrols
	p := w.pendingPC(a.cred(), "NEW")
	p.nodes[serialNode] = "SN-PC"
	w.must(p.trySync())
	w.wantErr(former.trySync(), fleet.ErrNotEnrolled)
	w.wantLive(p, "")
}

func TestAgentStandsForOnePC(t *testing.T) {
	w := newWorld(t)
	cred := w.windowsToken(adminapi.Token{Key: "fleet/pcs"})
	a := w.newAgent(cred.TokenHash, "HW")
	first := w.pendingPC(a.cred(), "FIRST")
	second := w.pendingPC(a.cred(), "SECOND") // Windows gave up and named itself anew
	w.wantErr(first.trySync(), fleet.ErrNotEnrolled)
	w.must(second.trySync())
	_, _, err := w.tryPC(a.cred(), "THIRD", "third key")
	w.wantErr(err, fleet.ErrReenrolmentBlocked)
	w.wantLive(second, "fleet/pcs")
	w.must(second.trySync())
}

func TestHardwareIsOneInBothByteOrders(t *testing.T) {
	w := newWorld(t)
	cred := w.windowsToken(adminapi.Token{Key: "fleet/pcs"})
	a := w.newAgent(cred.TokenHash, "33221100-5544-7766-8899-aabbccddeeff")
	same := w.newAgent(cred.TokenHash, "00112233-4455-6677-8899-AABBCCDDEEFF")
	a.wantGone()
	same.want(askEnroll)
	for _, none := range []string{"", "00000000-0000-0000-0000-000000000000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", "03000200-0400-0500-0006-000700080009"} {
		one, another := w.newAgent(cred.TokenHash, none), w.newAgent(cred.TokenHash, none)
		one.want(askEnroll)
		another.want(askEnroll)
	}
}

func TestAgentsAnswerFromMemoryWhileTheStoreIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a := w.newAgent(w.windowsToken(adminapi.Token{Key: "fleet/pcs"}).TokenHash, "HW")
		stop := w.runAgents()
		w.must(w.store.Close())
		a.want(askEnroll)
		_, err := w.Agent(w.ctx, "unknown")
		w.wantErr(err, fleet.ErrUnavailable)
		stop()
		w.start()
		_, err = w.Agent(w.ctx, "unknown")
		w.wantErr(err, fleet.ErrNotEnrolled)
		canceled, cancel := context.WithCancel(w.ctx)
		cancel()
		_, err = w.Agent(canceled, "unknown")
		w.wantErr(err, fleet.ErrUnavailable)
		_, err = w.Agent(w.ctx, "")
		w.wantErr(err, fleet.ErrNotEnrolled)
		a.want(askEnroll) // after a restart nothing is in memory yet
	})
}

// runAgents keeps agents in memory until stop. It returns when they are.
func (w *world) runAgents() (stop func()) {
	ctx, cancel := context.WithCancel(w.ctx)
	go w.RunAgents(ctx)
	synctest.Wait()
	return func() { cancel(); synctest.Wait() }
}

// gate counts the views of a store and holds them up while it is shut.
type gate struct {
	fleet.Store
	mu    sync.Mutex
	views int
	shut  chan struct{}
}

// taken returns how many views there were since the last call.
func (g *gate) taken() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.views
	g.views = 0
	return n
}

func (g *gate) View(ctx context.Context, fn func(fleet.Tx) error) error {
	g.mu.Lock()
	g.views++
	g.mu.Unlock()
	if g.shut != nil {
		<-g.shut
	}
	return g.Store.View(ctx, fn)
}

func TestAgentsAreReadAgainOnceASecondAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a := w.newAgent(w.windowsToken(adminapi.Token{Key: "fleet/pcs"}).TokenHash, "HW")
		p := w.pendingPC(a.cred(), "PC")
		w.must(p.trySync())
		g := &gate{Store: w.store}
		w.store = g
		w.Fleet = w.startFleet(w.enc)
		defer w.runAgents()()
		g.taken()
		for range 100 {
			w.must(w.WakeNow(w.ctx, []string{"PC"}))
		}
		a.want(nothing)
		tick := func() {
			<-time.After(time.Second)
			synctest.Wait()
		}
		tick()
		a.want(askSync)
		for range 10 {
			tick()
		}
		if n := g.taken(); n != 1 {
			t.Errorf("100 changes were read in %d times", n)
		}
		w.intend("PC", adminapi.IntentRelease)
		tick()
		a.want(askEnroll)
		again := w.newAgent("hash of fleet/pcs", "HW")
		again.want(askEnroll) // looked for in the store, if need be
		tick()
		a.wantGone()
		w.must(w.pendingPC(again.cred(), "PC").trySync())
		tick()
		again.want(nothing)
		w.must(w.WakeNow(w.ctx, []string{"PC"}))
		tick()
		again.want(askSync)
	})
}

func TestManyUnknownAgentsDoNotCrowdTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		g := &gate{Store: w.store, shut: make(chan struct{})}
		w.store = g
		w.Fleet = w.startFleet(w.enc)
		errs := make(chan error, 100)
		for range cap(errs) {
			go func() {
				_, err := w.Agent(w.ctx, "unknown")
				errs <- err
			}()
		}
		synctest.Wait()
		refused := len(errs)
		for range refused {
			w.wantErr(<-errs, fleet.ErrUnavailable)
		}
		waiting := g.taken()
		if waiting == 0 || waiting > 8 || waiting+refused != cap(errs) {
			t.Errorf("%d agents are looked for at once, %d were put off", waiting, refused)
		}
		close(g.shut)
		for range waiting {
			w.wantErr(<-errs, fleet.ErrNotEnrolled)
		}
	})
}

func TestAgentIsNotAskedForSessionAfterSessionForAUserWhoIsAway(t *testing.T) {
	w := newWorld(t)
	a := w.newAgent(w.windowsToken(adminapi.Token{Key: "fleet/pcs"}).TokenHash, "HW")
	p := w.pendingPC(a.cred(), "PC")
	w.must(p.trySync())
	w.putProfile("ns/u", "v1", set("./User/Vendor/MSFT/Policy/Config/Experience/AllowWindowsSpotlight", "int", "0"))
	p.assign("ns/u")
	for range 2 {
		a.want(askSync)
		w.must(p.trySync())
		a.want(nothing)
		w.clock.advance(time.Hour)
	}
	p.login = "user"
	w.must(p.trySync())
	w.clock.advance(time.Hour)
	a.want(nothing)
	w.wantCounts("ns/u", 1, 0)
}
