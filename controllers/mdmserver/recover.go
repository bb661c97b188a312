package mdmserver

import (
	"context"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/certs"
	"github.com/kubemdm/kubemdm/controllers/internal/owned"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// recover takes generations that the status knows and the family's Secret lacks from the Secrets that cert-manager filled. A generation
// that is nowhere, or has another certificate now, is lost.
func (r *Reconciler) recover(ctx context.Context, s *scope, f family, known []generation) ([]generation, error) {
	for _, c := range s.server.Status.Certificates {
		number, isCA := strings.CutPrefix(c.Name, f.listed)
		n, err := strconv.Atoi(number)
		if !isCA || err != nil || slices.ContainsFunc(known, func(g generation) bool { return g.number == n }) {
			continue
		}
		name := f.GenerationName(n)
		secret, err := owned.GetSecret(ctx, r.Client, s.server.Namespace, name)
		if err != nil {
			return nil, err
		}
		g := generation{}
		if issued(secret) {
			g, err = readGeneration(n, secret.Data[serverconfig.CertFile], secret.Data[serverconfig.KeyFile])
		}
		if err != nil || g.leaf == nil || certs.Fingerprint(g.leaf) != c.Fingerprint {
			return nil, lost("generation %d of the %s is neither in the Secret %s nor in %s", n, f.Title, f.SecretName, name)
		}
		known = append(known, r.recovered(g, c.Role))
	}
	slices.SortFunc(known, func(a, b generation) int { return a.number - b.number })
	return known, nil
}

// recovered is a generation whose annotations are gone: it is trusted for longer than need be, which harms nothing.
func (r *Reconciler) recovered(g generation, role mdmv1alpha1.CARole) generation {
	g.role, g.longest = role, time.Duration(math.MaxInt64)
	if role == mdmv1alpha1.CARoleRetired {
		g.retired = r.Clock.Now()
	}
	return g
}

// rediscover finds the generations of an earlier server of this name, whose volume is there, in the Secrets that cert-manager filled: the
// newest is active. A server that was deployed before it got the family has none. Whether a database has been used before, nobody can tell here: there only
// what is found counts.
func (r *Reconciler) rediscover(ctx context.Context, s *scope, f family) ([]generation, error) {
	if s.server.Status.URL != "" {
		return nil, nil
	}
	used, err := r.hasVolume(ctx, s)
	if err != nil || !used && !s.server.Shared() {
		return nil, err
	}
	var found []generation
	for n := 1; ; n++ {
		secret, err := owned.GetSecret(ctx, r.Client, s.server.Namespace, f.GenerationName(n))
		if err != nil {
			return nil, err
		}
		if !issued(secret) {
			break
		}
		g, err := readGeneration(n, secret.Data[serverconfig.CertFile], secret.Data[serverconfig.KeyFile])
		if err != nil {
			return nil, err
		}
		found = append(found, r.recovered(g, mdmv1alpha1.CARoleRetired))
	}
	switch {
	case len(found) == 0 && !used:
		return nil, nil
	case len(found) == 0:
		return nil, lost("the volume claim %s holds the state of an earlier server, but the Secret %s with its %s is gone",
			s.server.ClaimName(), f.SecretName, f.Title)
	}
	newest := &found[len(found)-1]
	newest.role, newest.retired = mdmv1alpha1.CARoleActive, time.Time{}
	return found, nil
}
