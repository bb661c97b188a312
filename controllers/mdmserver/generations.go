package mdmserver

import (
	"crypto/x509"
	"slices"
	"time"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/certs"
)

// generation is one generation of a family.
type generation struct {
	number  int
	role    mdmv1alpha1.CARole
	cert    []byte // PEM; empty until it is issued
	key     []byte
	leaf    *x509.Certificate
	retired time.Time // when it stopped issuing
	// longest is the longest validity with which it has issued.
	longest time.Duration
}

// rotation is what decides on the generations.
type rotation struct {
	now         time.Time
	validity    time.Duration // of a device's certificate
	renewBefore time.Duration
	requested   bool            // a person asks for another generation
	trusted     map[string]bool // fingerprints of the generations that every replica of the running server has loaded
}

// plan returns the generations as they should be now: first the one that is new, if any. next (trusted) -> active (issues) -> retired
// (trusted until its last certificate has expired) -> gone.
func (r rotation) plan(known []generation) []generation {
	planned := slices.Clone(known)
	if len(planned) == 0 {
		return []generation{{number: 1, role: mdmv1alpha1.CARoleActive, longest: r.validity}}
	}
	r.promote(planned)
	for i := range planned {
		if planned[i].role != mdmv1alpha1.CARoleRetired {
			planned[i].longest = max(planned[i].longest, r.validity)
		}
	}
	planned = slices.DeleteFunc(planned, r.over)
	if r.due(planned) {
		planned = append(planned, generation{number: highest(known) + 1, role: mdmv1alpha1.CARoleNext, longest: r.validity})
	}
	return planned
}

// promote lets the next generation issue once the server trusts it.
func (r rotation) promote(all []generation) {
	next := slices.IndexFunc(all, func(g generation) bool {
		return g.role == mdmv1alpha1.CARoleNext && r.trusted[certs.Fingerprint(g.leaf)]
	})
	if next < 0 {
		return
	}
	for i := range all {
		if all[i].role == mdmv1alpha1.CARoleActive {
			all[i].role, all[i].retired = mdmv1alpha1.CARoleRetired, r.now
		}
	}
	all[next].role = mdmv1alpha1.CARoleActive
}

// over says whether the last certificate of a retired generation has expired.
func (r rotation) over(g generation) bool {
	return g.role == mdmv1alpha1.CARoleRetired && (r.now.After(g.retired.Add(g.longest)) || r.now.After(g.leaf.NotAfter))
}

// due says whether another generation must begin: a certificate issued soon would outlive the active one.
func (r rotation) due(all []generation) bool {
	for _, g := range all {
		if g.role == mdmv1alpha1.CARoleNext {
			return false
		}
	}
	active := slices.IndexFunc(all, func(g generation) bool { return g.role == mdmv1alpha1.CARoleActive })
	return r.requested || all[active].leaf.NotAfter.Sub(r.now) < r.validity+r.renewBefore
}

func highest(all []generation) int {
	n := 0
	for _, g := range all {
		n = max(n, g.number)
	}
	return n
}
