package apnscertificate

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"strings"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/certs"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/owned"
	"github.com/kubemdm/kubemdm/controllers/internal/source"
	"github.com/kubemdm/kubemdm/internal/keys"
	"github.com/kubemdm/kubemdm/internal/payload/content"
	"github.com/kubemdm/kubemdm/internal/pushcert"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// keyBits is what Apple takes: RSA of 2048 bits.
const keyBits = 2048

// keys watches over the keys, and makes one when a request is due.
func (r *Reconciler) keys(ctx context.Context, s *scope, report *loop.Report) error {
	report.Again(recheck)
	store, taken, err := r.openKeyring(ctx, s.object)
	if err != nil {
		return err
	}
	if taken {
		return loop.Stall(mdmv1alpha1.APNSCertificateSecretTaken, "the Secret %s exists and belongs to something else: delete it, or choose another name for the APNSCertificate", store.Name)
	}
	s.store = store
	restored, err := r.restore(ctx, s)
	if err != nil {
		return err
	}
	s.live = s.store.certificate()
	s.csr, _ = pushcert.ParseCSR(s.store.Data[fileCSR]) // what is wrong with it is for the step that makes it
	s.object.Status.SecretRef = &mdmv1alpha1.LocalReference{Name: s.store.Name}
	if renew := s.object.Annotations[mdmv1alpha1.AnnotationRenew]; renew != s.object.Status.LastHandledRenew && s.object.Requests() {
		s.store.dropRequest()
		s.csr = nil
	} else if s.keyless = s.missing(); s.keyless != nil {
		report.False(s.keyless.reason, "%s", s.keyless.message)
		return nil
	}
	if r.due(s) {
		if err := r.makeKey(ctx, s); err != nil {
			return s.keyTrouble(report, err)
		}
	}
	if restored {
		report.True(mdmv1alpha1.APNSCertificateRestored, "the Secret %s was gone and is made again from a server's copy", s.store.Name)
	}
	return nil
}

// restore makes the Secret of the pair in use again from the copy of a server that has it, if it is gone.
func (r *Reconciler) restore(ctx context.Context, s *scope) (bool, error) {
	fingerprint := s.object.Status.Fingerprint
	if fingerprint == "" || s.store.certificate() != nil && s.store.has("") {
		return false, nil
	}
	servers, err := r.users(ctx, s)
	if err != nil {
		return false, err
	}
	for i := range servers {
		copied, err := owned.GetSecret(ctx, r.Client, s.object.Namespace, owned.Server{MDMServer: &servers[i]}.PushName())
		if err != nil {
			return false, err
		}
		if copied == nil {
			continue
		}
		pair := keyring{Secret: copied}
		if leaf := pair.certificate(); leaf == nil || certs.Fingerprint(leaf) != fingerprint || !pair.has("") {
			continue
		}
		s.store.use(pair.certificate(), pair.key(""))
		return true, r.save(ctx, s.store)
	}
	return false, nil
}

// missing says which key is gone that cannot be made again.
func (s *scope) missing() *problem {
	status := s.object.Status
	lost := func(what string) *problem {
		return &problem{mdmv1alpha1.APNSCertificateKeyLost, what + " in the Secret " + s.store.Name + " is gone: restore the Secret from a backup, or set the annotation " +
			mdmv1alpha1.AnnotationRenew + " to a new value to request a certificate for another key; servers go on with their copies"}
	}
	switch {
	case status.Fingerprint != "" && (s.live == nil || !s.store.has("")):
		return lost("the pair in use")
	// A certificate that was taken into use ended its request, even if the status could not say so any more.
	case status.CertificateSigningRequest != "" && len(s.store.Data[fileCSR]) == 0 && fingerprint(s.live) == status.Fingerprint:
		return lost("the key of the request that waits")
	}
	return nil
}

// fingerprint of a certificate, "" of none.
func fingerprint(c *x509.Certificate) string {
	if c == nil {
		return ""
	}
	return certs.Fingerprint(c)
}

// due says whether another request is to be made now.
func (r *Reconciler) due(s *scope) bool {
	switch {
	case !s.object.Requests() || s.store.has(requestPrefix):
		return false
	case s.object.Annotations[mdmv1alpha1.AnnotationRenew] != s.object.Status.LastHandledRenew:
		return true
	case s.live == nil:
		return s.object.Spec.SecretRef == nil // or the pair in there comes first
	}
	return s.live.NotAfter.Sub(r.Clock.Now()) <= s.object.Spec.RenewBefore.Duration
}

// makeKey makes the key of a new request and keeps it before it is used.
func (r *Reconciler) makeKey(ctx context.Context, s *scope) error {
	if kms := s.object.Spec.KeyStorage.KMS; kms != nil {
		pin, err := r.pin(ctx, s)
		if err != nil {
			return err
		}
		if _, _, err := keys.Ensure(ctx, kms.URI, keys.Options{PIN: strings.TrimSpace(string(pin))}); err != nil {
			return err
		}
		s.store.Data[requestPrefix+serverconfig.KeyURIFile] = []byte(kms.URI)
		if pin != nil {
			s.store.Data[requestPrefix+serverconfig.KeyPINFile] = pin
		}
		return r.save(ctx, s.store)
	}
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return err
	}
	if s.store.Data[requestPrefix+serverconfig.KeyFile], err = privateKeyPEM(key); err != nil {
		return err
	}
	return r.save(ctx, s.store)
}

// pin reads the PIN of a PKCS#11 token, nil if none is named.
func (r *Reconciler) pin(ctx context.Context, s *scope) ([]byte, error) {
	ref := s.object.Spec.KeyStorage.KMS.PINSecretRef
	if ref == nil {
		return nil, nil
	}
	return r.secretValue(ctx, s, *ref)
}

// secretValue reads a key of a Secret. It waits for what is missing.
func (r *Reconciler) secretValue(ctx context.Context, s *scope, ref mdmv1alpha1.KeyReference) ([]byte, error) {
	found, err := source.Read(ctx, r.Client, s.object.Namespace, content.References{Secrets: []mdmv1alpha1.KeyReference{ref}})
	return found.Secrets[ref], err
}

// keyTrouble turns what a KMS says into the step's condition. The pair in use and a certificate that was given do not depend on it.
func (s *scope) keyTrouble(report *loop.Report, err error) error {
	p := troubleOf(err)
	if p == nil {
		return err
	}
	s.keyless = p
	report.False(p.reason, "%s", p.message)
	return nil
}

// troubleOf returns what keeps a key from signing, nil if it is something else, such as the API server.
func troubleOf(err error) *problem {
	if reason, message, halted := loop.Halted(err); halted {
		return &problem{reason, message}
	}
	switch {
	case errors.Is(err, keys.ErrUnsupported):
		return &problem{mdmv1alpha1.APNSCertificateKeyUnsupported, err.Error()}
	case errors.Is(err, keys.ErrNoKey), errors.Is(err, keys.ErrRefused):
		return &problem{mdmv1alpha1.APNSCertificateKeyRefused, err.Error()}
	case errors.Is(err, keys.ErrUnavailable):
		return &problem{mdmv1alpha1.APNSCertificateKeyUnavailable, err.Error()}
	}
	return nil
}
