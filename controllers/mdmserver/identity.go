package mdmserver

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/owned"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
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
		for _, ca := range f.loaded(server.Everywhere()) {
			rot.trusted[ca.Fingerprint] = true
		}
	}
	return rot
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
