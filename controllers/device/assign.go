package device

import (
	"maps"
	"slices"
	"time"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/convert"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/controllers/internal/roster"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// settle is how long the set of devices that would lose a Profile must stand still before it is taken from them. A relabelling in a thousand small
// steps is judged as the one change that it is.
const settle = 5 * time.Second

// removal is a set of devices that would lose a Profile.
type removal struct {
	token string
	since time.Time
	held  bool
}

// due says whether the removal happens now.
func (r removal) due(now time.Time) bool { return !r.held && now.Sub(r.since) >= settle }

// plan is which devices of a server should have which artifacts.
type plan struct {
	server    *link.Server
	groups    []roster.Group
	decisions map[adminapi.Key]roster.Decision
}

// newPlan decides for every Profile that the server has.
func newPlan(s *link.Server, groups []roster.Group, profiles []mdmv1alpha1.Profile) *plan {
	p := &plan{server: s, groups: groups, decisions: map[adminapi.Key]roster.Decision{}}
	for i := range profiles {
		if key := convert.Key(&profiles[i]); p.published(key) {
			p.decisions[key] = roster.Decide(&profiles[i], groups)
		}
	}
	return p
}

func (p *plan) published(key adminapi.Key) bool {
	a, ok := p.server.Artifact(key)
	return ok && !a.Withdrawn
}

// removals are those that the plan asks for, each with the time since when it has been the same.
func (p *plan) removals(before map[adminapi.Key]removal, now time.Time) map[adminapi.Key]removal {
	after := map[adminapi.Key]removal{}
	for key, d := range p.decisions {
		if d.Token == "" {
			continue
		}
		r := removal{token: d.Token, since: now, held: d.Held}
		if before[key].token == d.Token {
			r.since = before[key].since
		}
		after[key] = r
	}
	return after
}

// changes are the assignments that the server was not told yet. Additions happen at once, removals when they are due.
func (p *plan) changes(removals map[adminapi.Key]removal, now time.Time) []adminapi.Assignment {
	sets := make([][]adminapi.Key, len(p.groups))
	for _, key := range slices.Sorted(maps.Keys(p.decisions)) {
		d, keep := p.decisions[key], !removals[key].due(now)
		for i := range p.groups {
			if d.Wanted[i] || keep && p.groups[i].Has(key) {
				sets[i] = append(sets[i], key)
			}
		}
	}
	var changes []adminapi.Assignment
	for i := range p.groups {
		g, set := &p.groups[i], sets[i]
		if strays := p.strays(g); len(strays) > 0 {
			set = append(set, strays...)
			slices.Sort(set)
		}
		if g.Told && slices.Equal(set, g.Assigned) {
			continue
		}
		for _, m := range g.Members {
			changes = append(changes, adminapi.Assignment{DeviceID: m.ID, EnrollmentID: m.EnrollmentID, Artifacts: set})
		}
	}
	return changes
}

// strays are the artifacts of a group whose Profile is not to be seen. They stay: only the finalizer of a Profile withdraws it, and a Profile that
// is missing may be one that a restored cluster has not got back yet.
func (p *plan) strays(g *roster.Group) []adminapi.Key {
	var strays []adminapi.Key
	for _, key := range g.Assigned {
		if _, decided := p.decisions[key]; !decided && p.published(key) {
			strays = append(strays, key)
		}
	}
	return strays
}

// soonest is how long it takes until the next removal is due; 0: none is waiting.
func soonest(removals map[adminapi.Key]removal, now time.Time) time.Duration {
	var wait time.Duration
	for _, r := range removals {
		if left := r.since.Add(settle).Sub(now); !r.held && left > 0 && (wait == 0 || left < wait) {
			wait = left
		}
	}
	return wait
}
