package mdmserver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/certs"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/owned"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

const (
	// annotationRotatedFor on a family's Secret repeats the value of the annotation that the newest generation was made for.
	annotationRotatedFor = "mdm.kubemdm.io/rotated-for"
	// annotationRetired, with a generation behind it, says since when that generation has not issued any more.
	annotationRetired = "mdm.kubemdm.io/retired-"
	// annotationLongest, with a generation behind it, is the longest validity with which that generation has issued.
	annotationLongest = "mdm.kubemdm.io/longest-validity-"
)

// identities keeps the CAs for devices.
func (r *Reconciler) identities(ctx context.Context, s *scope, report *loop.Report) error {
	var rotating []string
	for _, f := range s.families() {
		next, err := r.generations(ctx, s, f)
		if err != nil {
			return err
		}
		if next != "" {
			rotating = append(rotating, next+" becomes the next generation of the "+f.Title)
		}
	}
	if len(rotating) > 0 {
		report.True(mdmv1alpha1.MDMServerRotating, "%s", strings.Join(rotating, "; "))
	}
	return nil
}

// generations keeps the generations of a family in one Secret, which the server reloads: a rotation restarts nothing. cert-manager issues a
// generation once; what it does to that Certificate later changes nothing here. next names the generation that is to issue next, if there is one.
func (r *Reconciler) generations(ctx context.Context, s *scope, f family) (next string, err error) {
	secret, err := owned.GetSecret(ctx, r.Client, s.server.Namespace, f.SecretName)
	if err != nil {
		return "", err
	}
	known, err := readGenerations(secret)
	if err != nil {
		return "", lost("the Secret %s cannot be used (%v)", f.SecretName, err)
	}
	if known, err = r.recover(ctx, s, f, known); err != nil {
		return "", err
	}
	if len(known) == 0 {
		if known, err = r.rediscover(ctx, s, f); err != nil {
			return "", err
		}
	}
	plan := r.rotation(s, f, secret).plan(known)
	pending, err := r.issue(ctx, s, f, plan)
	if err != nil {
		return "", err
	}
	if pending != "" {
		plan = plan[:len(plan)-1] // the new one is the last
		if len(plan) == 0 {
			return "", issuing(pending)
		}
	}
	if err := r.storeGenerations(ctx, s, f, secret, plan, pending == ""); err != nil {
		return "", err
	}
	return s.list(f, plan, pending), r.retire(ctx, s, f, known, plan)
}

func (r *Reconciler) rotation(s *scope, f family, secret *corev1.Secret) rotation {
	request := s.server.Annotations[f.rotate]
	rot := rotation{
		now: r.Clock.Now(), validity: f.validity, renewBefore: f.renewBefore,
		requested: request != "" && secret != nil && secret.Annotations[annotationRotatedFor] != request,
		trusted:   map[string]bool{},
	}
	if server, err := r.Links.Server(client.ObjectKeyFromObject(s.server)); err == nil {
		for _, ca := range f.loaded(server.Info()) {
			rot.trusted[ca.Fingerprint] = true
		}
	}
	return rot
}

// readGenerations reads the Secret of a family; none at all is no error.
func readGenerations(secret *corev1.Secret) ([]generation, error) {
	if secret == nil {
		return nil, nil
	}
	var roles map[int]mdmv1alpha1.CARole
	if err := json.Unmarshal(secret.Data[serverconfig.RolesFile], &roles); err != nil {
		return nil, fmt.Errorf("%s: %w", serverconfig.RolesFile, err)
	}
	var all []generation
	active := 0
	for _, n := range slices.Sorted(maps.Keys(roles)) {
		g, err := readGeneration(n, secret.Data[fmt.Sprintf("%d.crt", n)], secret.Data[fmt.Sprintf("%d.key", n)])
		if err != nil {
			return nil, fmt.Errorf("generation %d: %w", n, err)
		}
		g.role = roles[n]
		g.retired, _ = time.Parse(time.RFC3339, secret.Annotations[annotationRetired+strconv.Itoa(n)])
		g.longest, _ = time.ParseDuration(secret.Annotations[annotationLongest+strconv.Itoa(n)])
		if g.role == mdmv1alpha1.CARoleActive {
			active++
		}
		all = append(all, g)
	}
	if active != 1 {
		return nil, fmt.Errorf("%s names %d active generations instead of one", serverconfig.RolesFile, active)
	}
	return all, nil
}

func readGeneration(n int, cert, key []byte) (generation, error) {
	pair, err := certs.ReadPair(cert, key)
	if err != nil {
		return generation{}, err
	}
	return generation{number: n, cert: cert, key: key, leaf: pair.Leaf}, nil
}

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
// newest is active. A server that was deployed before it got the family has none.
func (r *Reconciler) rediscover(ctx context.Context, s *scope, f family) ([]generation, error) {
	if s.server.Status.URL != "" {
		return nil, nil
	}
	if used, err := r.hasVolume(ctx, s); err != nil || !used {
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
	if len(found) == 0 {
		return nil, lost("the volume claim %s holds the state of an earlier server, but the Secret %s with its %s is gone",
			s.server.ClaimName(), f.SecretName, f.Title)
	}
	newest := &found[len(found)-1]
	newest.role, newest.retired = mdmv1alpha1.CARoleActive, time.Time{}
	return found, nil
}

// issue asks cert-manager for the generation that is new and fills it in. pending names its Certificate while that is on its way.
func (r *Reconciler) issue(ctx context.Context, s *scope, f family, plan []generation) (pending string, err error) {
	g := &plan[len(plan)-1]
	if g.leaf != nil {
		return "", nil
	}
	certificate := f.Generation(g.number)
	if err := owned.Apply(ctx, r.Client, s.server.MDMServer, certificate); err != nil {
		return "", err
	}
	secret, err := owned.GetSecret(ctx, r.Client, s.server.Namespace, certificate.Name)
	if err != nil {
		return "", err
	}
	if !issued(secret) {
		return certificate.Name, nil
	}
	made, err := readGeneration(g.number, secret.Data[serverconfig.CertFile], secret.Data[serverconfig.KeyFile])
	g.cert, g.key, g.leaf = made.cert, made.key, made.leaf
	return "", err
}

// storeGenerations writes the Secret that the server mounts.
func (r *Reconciler) storeGenerations(ctx context.Context, s *scope, f family, old *corev1.Secret, plan []generation, complete bool) error {
	secret := s.server.Secret(f.SecretName)
	secret.Annotations = map[string]string{}
	if old != nil {
		secret = old.DeepCopy()
		secret.Data = map[string][]byte{}
		maps.DeleteFunc(secret.Annotations, func(key, _ string) bool {
			return strings.HasPrefix(key, annotationRetired) || strings.HasPrefix(key, annotationLongest)
		})
	}
	roles := map[int]mdmv1alpha1.CARole{}
	for _, g := range plan {
		roles[g.number] = g.role
		secret.Data[fmt.Sprintf("%d.crt", g.number)], secret.Data[fmt.Sprintf("%d.key", g.number)] = g.cert, g.key
		metaAnnotation(secret, annotationLongest+strconv.Itoa(g.number), g.longest.String())
		if !g.retired.IsZero() {
			metaAnnotation(secret, annotationRetired+strconv.Itoa(g.number), g.retired.UTC().Format(time.RFC3339))
		}
	}
	if request := s.server.Annotations[f.rotate]; request != "" && complete {
		metaAnnotation(secret, annotationRotatedFor, request)
	}
	var err error
	if secret.Data[serverconfig.RolesFile], err = json.Marshal(roles); err != nil {
		return err
	}
	if old == nil {
		return r.Client.Create(ctx, secret)
	}
	if equality.Semantic.DeepEqual(old, secret) {
		return nil
	}
	return r.Client.Update(ctx, secret)
}

func metaAnnotation(secret *corev1.Secret, key, value string) {
	if secret.Annotations == nil {
		secret.Annotations = map[string]string{}
	}
	secret.Annotations[key] = value
}

// list brings the generations of a family to the status and names the one that is to issue next, if there is one.
func (s *scope) list(f family, plan []generation, pending string) (next string) {
	s.forget(f.listed)
	next = pending
	for _, g := range plan {
		s.note(f.listed+strconv.Itoa(g.number), g.role, g.leaf)
		if g.role == mdmv1alpha1.CARoleNext {
			next = f.GenerationName(g.number)
		}
	}
	return next
}

// retire ends the Certificates of generations that are gone, so that cert-manager never renews them. Their Secrets stay.
func (r *Reconciler) retire(ctx context.Context, s *scope, f family, known, plan []generation) error {
	for _, g := range known {
		kept := slices.ContainsFunc(plan, func(p generation) bool { return p.number == g.number && bytes.Equal(p.cert, g.cert) })
		if kept {
			continue
		}
		if err := owned.Remove(ctx, r.Client, s.server.MDMServer, f.Generation(g.number)); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}
