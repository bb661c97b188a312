package mdmserver

import (
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/certs"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/owned"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

const (
	// recheck is how often Secrets are looked at again: they are read, never watched, since watching needs the right to list them all.
	recheck = time.Minute
	// firstSealingKey is the id of a new server's key, of sealingKeySize bytes (AES-256).
	firstSealingKey = "key-1"
	sealingKeySize  = 32
)

// credentials looks after the keys that nothing can replace, the certificates of the internal API, and what people need to sign in.
func (r *Reconciler) credentials(ctx context.Context, s *scope, report *loop.Report) error {
	report.Again(recheck)
	if err := r.sealing(ctx, s); err != nil {
		return err
	}
	if err := r.adminPKI(ctx, s); err != nil {
		return err
	}
	if err := r.identities(ctx, s, report); err != nil {
		return err
	}
	if err := r.signIns(ctx, s, report); err != nil {
		return err
	}
	return r.imports(ctx, s, report)
}

// sealing makes the first key once, and from then on only watches over it.
func (r *Reconciler) sealing(ctx context.Context, s *scope) error {
	name := s.server.SealingName()
	secret, err := owned.GetSecret(ctx, r.Client, s.server.Namespace, name)
	if err != nil {
		return err
	}
	if secret == nil {
		if secret, err = r.firstSealing(ctx, s); err != nil {
			return err
		}
	}
	primary := strings.TrimSpace(string(secret.Data[serverconfig.PrimaryFile]))
	for _, id := range append(slices.Clone(s.server.Status.SealingKeys), primary) {
		if len(secret.Data[id]) != sealingKeySize {
			return lost("the key %q in the Secret %s, which sealed what the server stores, is gone", id, name)
		}
	}
	s.server.Status.SealingKeys = slices.Sorted(maps.Keys(secret.Data))
	s.server.Status.SealingKeys = slices.DeleteFunc(s.server.Status.SealingKeys, func(id string) bool { return id == serverconfig.PrimaryFile })
	return nil
}

// firstSealing makes the Secret of a new server. A server that had one, or whose volume is there, is not new.
func (r *Reconciler) firstSealing(ctx context.Context, s *scope) (*corev1.Secret, error) {
	name := s.server.SealingName()
	if len(s.server.Status.SealingKeys) > 0 {
		return nil, lost("the Secret %s, which sealed what the server stores, is gone", name)
	}
	used, err := r.hasVolume(ctx, s)
	if err != nil {
		return nil, err
	}
	if used {
		return nil, lost("the volume claim %s holds the state of an earlier server, but the Secret %s, which sealed it, is gone", s.server.ClaimName(), name)
	}
	key := make([]byte, sealingKeySize)
	_, _ = rand.Read(key) // never fails
	secret := s.server.Secret(name)
	secret.Data[serverconfig.PrimaryFile], secret.Data[firstSealingKey] = []byte(firstSealingKey), key
	return secret, r.Client.Create(ctx, secret)
}

// hasVolume says whether the server, or an earlier one of its name, has stored anything.
func (r *Reconciler) hasVolume(ctx context.Context, s *scope) (bool, error) {
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: s.server.Namespace, Name: s.server.ClaimName()}, &corev1.PersistentVolumeClaim{})
	return err == nil, client.IgnoreNotFound(err)
}

func lost(what string, args ...any) error {
	return loop.Stall(mdmv1alpha1.MDMServerKeyLost, what+"; restore it from a backup: it is never made anew", args...)
}

// adminPKI issues both sides' certificates of the internal API and keeps the connection to it, which nothing that is missing later may cost.
func (r *Reconciler) adminPKI(ctx context.Context, s *scope) error {
	if err := owned.Apply(ctx, r.Client, s.server.MDMServer, append(s.server.AdminPKI(), s.server.SelfSigned())...); err != nil {
		return err
	}
	for _, name := range []string{s.server.AdminName(), s.server.AdminClientName()} {
		secret, err := owned.GetSecret(ctx, r.Client, s.server.Namespace, name)
		if err != nil {
			return err
		}
		if !issued(secret) {
			return issuing(name)
		}
		s.client = secret // the last one
	}
	chain, err := certs.Read(s.client.Data[serverconfig.CertFile])
	if err != nil {
		return err
	}
	s.note("Admin", "", chain[0])
	r.Links.Connect(client.ObjectKeyFromObject(s.server), link.Endpoint{
		URL:  s.server.AdminURL(),
		Cert: s.client.Data[serverconfig.CertFile], Key: s.client.Data[serverconfig.KeyFile], CA: s.client.Data[serverconfig.CAFile],
	})
	return nil
}

// issued says whether cert-manager has filled a Secret.
func issued(secret *corev1.Secret) bool {
	return secret != nil && len(secret.Data[serverconfig.CertFile]) > 0 && len(secret.Data[serverconfig.KeyFile]) > 0
}

// issuing waits for cert-manager, whose Certificate wakes the controller when it is Ready.
func issuing(certificate string) error {
	return loop.Wait(mdmv1alpha1.MDMServerIssuing, 10*time.Second, "cert-manager has not issued the Certificate %s yet", certificate)
}
