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
	"github.com/kubemdm/kubemdm/controllers/internal/keyring"
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
	opened, taken, err := r.openKeyring(ctx, s.object)
	if err != nil {
		return err
	}
	if taken {
		return loop.Stall(mdmv1alpha1.APNSCertificateSecretTaken, "the Secret %s exists and belongs to something else: delete it, or choose another name for the APNSCertificate", opened.Name)
	}
	s.store = opened
	restored, err := r.restore(ctx, s)
	if err != nil {
		return err
	}
	s.live = s.store.certificate()
	s.csr, _ = pushcert.ParseCSR(s.store.Data[fileCSR]) // what is wrong with it is for the step that makes it
	s.object.Status.SecretRef = &mdmv1alpha1.LocalReference{Name: s.store.Name}
	if err := r.access(ctx, s); err != nil {
		return s.keyTrouble(report, err)
	}
	if s.renewalAsked() {
		s.store.dropRequest()
		s.csr = nil
	} else if s.keyless = s.missing(); s.keyless != nil {
		report.False(s.keyless.reason, "%s", s.keyless.message)
		return nil //nolint:nilerr // the condition tells it
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
		pair := store{&keyring.Keyring{Secret: copied}}
		if leaf := pair.certificate(); leaf == nil || certs.Fingerprint(leaf) != fingerprint || !pair.has("") {
			continue
		}
		s.store.put(pair.certificate(), pair.key("")) // a request that waits waits on
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
	case status.Fingerprint != "" && (s.live == nil || !s.store.has("")) && !s.store.has(requestPrefix): // or another one is on its way
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

// renewalAsked says whether a person asked for another request since the last one. The Secret and the status both remember it, for one of them may be
// lost.
func (s *scope) renewalAsked() bool {
	asked := s.object.Annotations[mdmv1alpha1.AnnotationRenew]
	return asked != "" && asked != string(s.store.Data[fileRenewed]) && asked != s.object.Status.LastHandledRenew && s.object.Requests()
}

// due says whether another request is to be made now.
func (r *Reconciler) due(s *scope) bool {
	switch {
	case !s.object.Requests() || s.store.has(requestPrefix):
		return false
	case s.renewalAsked():
		return true
	case s.live == nil:
		return s.object.Spec.SecretRef == nil // or the pair in there comes first
	}
	return s.live.NotAfter.Sub(r.Clock.Now()) <= s.object.Spec.RenewBefore.Duration
}

// makeKey makes the key of a new request and keeps it before it is used.
func (r *Reconciler) makeKey(ctx context.Context, s *scope) error {
	files, err := r.newKey(ctx, s)
	if err != nil {
		return err
	}
	for name, content := range files {
		s.store.Data[requestPrefix+name] = content
	}
	if asked := s.object.Annotations[mdmv1alpha1.AnnotationRenew]; asked != "" {
		s.store.Data[fileRenewed] = []byte(asked)
	}
	return r.save(ctx, s.store)
}

// newKey makes a key where the spec wants it, and returns the files that hold it.
func (r *Reconciler) newKey(ctx context.Context, s *scope) (map[string][]byte, error) {
	if kms := s.object.Spec.KeyStorage.KMS; kms != nil {
		files, err := r.way(ctx, s)
		if err == nil {
			_, _, err = keys.Ensure(ctx, kms.URI, keys.Options{PIN: strings.TrimSpace(string(files[serverconfig.KeyPINFile]))})
		}
		return files, err
	}
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, err
	}
	encoded, err := privateKeyPEM(key)
	return map[string][]byte{serverconfig.KeyFile: encoded}, err
}

// way returns the files that lead to the key in a KMS that the spec names: its URI, its PIN and its role.
func (r *Reconciler) way(ctx context.Context, s *scope) (map[string][]byte, error) {
	kms := s.object.Spec.KeyStorage.KMS
	files := map[string][]byte{serverconfig.KeyURIFile: []byte(kms.URI)}
	if kms.AWS != nil {
		files[fileAWSRole] = []byte(kms.AWS.RoleARN)
	}
	if kms.PINSecretRef == nil {
		return files, nil
	}
	var err error
	files[serverconfig.KeyPINFile], err = r.secretValue(ctx, s, *kms.PINSecretRef)
	return files, err
}

// access keeps up to date how the keys that the spec names are reached: a PIN or a role may change while a key stays.
func (r *Reconciler) access(ctx context.Context, s *scope) error {
	kms := s.object.Spec.KeyStorage.KMS
	if kms == nil {
		return nil
	}
	for _, prefix := range []string{"", requestPrefix} {
		if string(s.store.Data[prefix+serverconfig.KeyURIFile]) != kms.URI {
			continue
		}
		files, err := r.way(ctx, s)
		if err != nil {
			return err
		}
		for name, content := range files {
			s.store.Data[prefix+name] = content
		}
	}
	return r.save(ctx, s.store)
}

// secretValue reads a key of a Secret. What is missing is a problem.
func (r *Reconciler) secretValue(ctx context.Context, s *scope, ref mdmv1alpha1.KeyReference) ([]byte, error) {
	found, err := r.values(ctx, s, content.References{Secrets: []mdmv1alpha1.KeyReference{ref}})
	return found.Secrets[ref], err
}

// values reads keys of Secrets and ConfigMaps. What is missing is a problem.
func (r *Reconciler) values(ctx context.Context, s *scope, refs content.References) (content.Sources, error) {
	found, err := source.Read(ctx, r.Client, s.object.Namespace, refs)
	if reason, message, missing := loop.Halted(err); missing {
		err = &problem{reason, message}
	}
	return found, err
}

// keyTrouble turns what a KMS says into the step's condition. The pair in use and a certificate that was given do not depend on it.
func (s *scope) keyTrouble(report *loop.Report, err error) error {
	s.keyless = problemOf(keyError(err))
	if s.keyless == nil {
		return err
	}
	report.False(s.keyless.reason, "%s", s.keyless.message)
	return nil
}

// keyError makes a problem of what a KMS says; other errors stay as they are.
func keyError(err error) error {
	switch {
	case errors.Is(err, keys.ErrUnsupported):
		return &problem{mdmv1alpha1.APNSCertificateKeyUnsupported, err.Error()}
	case errors.Is(err, keys.ErrNoKey), errors.Is(err, keys.ErrRefused):
		return &problem{mdmv1alpha1.APNSCertificateKeyRefused, err.Error()}
	case errors.Is(err, keys.ErrUnavailable):
		return &problem{mdmv1alpha1.APNSCertificateKeyUnavailable, err.Error()}
	}
	return err
}
