package mdmserver

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/certs"
)

const day = 24 * time.Hour

// known is a generation whose certificate ends in so many days; retired says how many days ago it was. It issued for 500 days at most.
func known(now time.Time, number int, role mdmv1alpha1.CARole, left, retired int) generation {
	g := generation{number: number, role: role, longest: 500 * day, leaf: &x509.Certificate{Raw: []byte{byte(number)}, NotAfter: now.Add(time.Duration(left) * day)}}
	if role == mdmv1alpha1.CARoleRetired {
		g.retired = now.Add(-time.Duration(retired) * day)
	}
	return g
}

func TestPlan(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	active, next, retired := mdmv1alpha1.CARoleActive, mdmv1alpha1.CARoleNext, mdmv1alpha1.CARoleRetired
	second := certs.Fingerprint(known(now, 2, next, 0, 0).leaf)
	for name, c := range map[string]struct {
		known     []generation
		requested bool
		trusted   []string
		want      string
	}{
		"a new server":                          {nil, false, nil, "1 Active new"},
		"nothing to do":                         {[]generation{known(now, 1, active, 3650, 0)}, false, nil, "1 Active"},
		"a leaf would outlive it":               {[]generation{known(now, 1, active, 365+179, 0)}, false, nil, "1 Active, 2 Next new"},
		"not yet":                               {[]generation{known(now, 1, active, 365+181, 0)}, false, nil, "1 Active"},
		"requested":                             {[]generation{known(now, 1, active, 3650, 0)}, true, nil, "1 Active, 2 Next new"},
		"requested while one is on its way":     {[]generation{known(now, 1, active, 3650, 0), known(now, 2, next, 3650, 0)}, true, nil, "1 Active, 2 Next"},
		"not trusted yet":                       {[]generation{known(now, 1, active, 100, 0), known(now, 2, next, 3650, 0)}, false, nil, "1 Active, 2 Next"},
		"trusted":                               {[]generation{known(now, 1, active, 100, 0), known(now, 2, next, 3650, 0)}, false, []string{second}, "1 Retired, 2 Active"},
		"its leaves may be valid":               {[]generation{known(now, 1, retired, 3000, 499), known(now, 2, active, 3650, 0)}, false, nil, "1 Retired, 2 Active"},
		"its last leaf has expired":             {[]generation{known(now, 1, retired, 3000, 501), known(now, 2, active, 3650, 0)}, false, nil, "2 Active"},
		"it has expired itself":                 {[]generation{known(now, 1, retired, -1, 100), known(now, 2, active, 3650, 0)}, false, nil, "2 Active"},
		"numbers are never used again":          {[]generation{known(now, 1, active, 3650, 0), known(now, 2, retired, -1, 400)}, true, nil, "1 Active, 3 Next new"},
		"an expired active one keeps its place": {[]generation{known(now, 1, active, -1, 0)}, false, nil, "1 Active, 2 Next new"},
	} {
		t.Run(name, func(t *testing.T) {
			r := rotation{now: now, validity: 365 * day, renewBefore: 180 * day, requested: c.requested, trusted: map[string]bool{}}
			for _, f := range c.trusted {
				r.trusted[f] = true
			}
			before := slices.Clone(c.known)
			var got []string
			for _, g := range r.plan(c.known) {
				line := fmt.Sprintf("%d %s", g.number, g.role)
				if g.leaf == nil {
					line += " new"
				}
				got = append(got, line)
			}
			if text := strings.Join(got, ", "); text != c.want {
				t.Errorf("got %s, want %s", text, c.want)
			}
			for i := range before {
				if before[i].role != c.known[i].role {
					t.Error("the known generations were changed in place")
				}
			}
		})
	}
}

// A validity that was shortened does not cut off devices whose certificates are older and longer.
func TestPlanRemembersTheLongestValidity(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	g := known(now, 1, mdmv1alpha1.CARoleActive, 3650, 0)
	for _, c := range []struct{ validity, want time.Duration }{{30 * day, 500 * day}, {600 * day, 600 * day}} {
		r := rotation{now: now, validity: c.validity}
		if got := r.plan([]generation{g})[0].longest; got != c.want {
			t.Errorf("after a validity of %s: %s, want %s", c.validity, got, c.want)
		}
	}
}
