package apnscertificate

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/owned"
	"github.com/kubemdm/kubemdm/internal/pushcert"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// issue takes what Apple returned through the gate and into use. Until then, and whatever comes, the pair in use stays.
func (r *Reconciler) issue(ctx context.Context, s *scope, report *loop.Report) error {
	for _, take := range []func(context.Context, *scope) error{r.importPair, r.importCertificate} {
		err := take(ctx, s)
		if p := problemOf(err); p != nil {
			s.refused = p
		} else if err != nil {
			return err
		}
	}
	switch {
	case s.refused != nil:
		report.False(s.refused.reason, "%s%s", s.refused.message, s.stays(r))
	case s.live == nil:
		report.False(mdmv1alpha1.APNSCertificateAwaitingCertificate, "the certificate from Apple is awaited in spec.certificate; see status.nextStep")
	case r.Clock.Now().After(s.live.NotAfter):
		s.refused = &problem{mdmv1alpha1.APNSCertificateExpired, "the certificate in use expired at " + date(s.live.NotAfter) +
			": renew it at identity.apple.com with the same Apple Account; devices stay enrolled"}
		report.False(s.refused.reason, "%s", s.refused.message)
	default:
		report.True(mdmv1alpha1.ReasonReady, "issued by %q, in use until %s", s.live.Issuer.CommonName, date(s.live.NotAfter))
	}
	return nil
}

// stays says what serves while something newer is refused.
func (s *scope) stays(r *Reconciler) string {
	if s.live == nil || r.Clock.Now().After(s.live.NotAfter) {
		return ""
	}
	return "; the certificate before it stays in use until " + date(s.live.NotAfter)
}

// importPair takes a pair that somebody brought. Once the operator has renewed it, the one that was brought is the older one and no longer looked at.
func (r *Reconciler) importPair(ctx context.Context, s *scope) error {
	secret, err := r.brought(ctx, s)
	if err != nil || secret == nil {
		return err
	}
	name := secret.Name
	key, err := pushcert.ReadKey(secret.Data[serverconfig.KeyFile])
	if err != nil {
		return &problem{mdmv1alpha1.APNSCertificateMalformed, fmt.Sprintf("%s in the Secret %s: %v", serverconfig.KeyFile, name, err)}
	}
	leaf, refusal := r.judge(s, secret.Data[serverconfig.CertFile], key.Public())
	switch {
	case refusal != nil && refusal.Reason == mdmv1alpha1.APNSCertificateNotLater && s.object.Requests():
		return nil
	case refusal != nil:
		return because(fmt.Sprintf("%s in the Secret %s: ", serverconfig.CertFile, name), refusal)
	case s.live != nil && s.live.Equal(leaf):
		return nil
	}
	encoded, err := privateKeyPEM(key)
	if err != nil {
		return err
	}
	return r.take(ctx, s, leaf, map[string][]byte{serverconfig.KeyFile: encoded})
}

// brought reads the Secret with a pair that somebody brought, nil if there is none or it is not needed any more.
func (r *Reconciler) brought(ctx context.Context, s *scope) (*corev1.Secret, error) {
	ref := s.object.Spec.SecretRef
	if ref == nil {
		return nil, nil
	}
	secret, err := owned.GetSecret(ctx, r.Client, s.object.Namespace, ref.Name)
	if err == nil && secret == nil && (s.live == nil || !s.object.Requests()) {
		err = &problem{mdmv1alpha1.ReasonSecretNotFound, fmt.Sprintf("create the Secret %s with the certificate in %s and its key in %s", ref.Name, serverconfig.CertFile, serverconfig.KeyFile)}
	}
	return secret, err
}

// importCertificate takes the certificate that answers the request that waits, or renews the one in use with its own key.
func (r *Reconciler) importCertificate(ctx context.Context, s *scope) error {
	given, where, err := r.given(ctx, s)
	if err != nil || len(given) == 0 {
		return err
	}
	leaf, refusal := r.judge(s, given, s.publicKeys()...)
	switch {
	case refusal != nil && s.live == nil && leaf != nil && fingerprint(leaf) == s.object.Status.Fingerprint:
		return nil // it was in use until its key was lost
	case refusal != nil:
		return because(where+": ", refusal)
	case s.live != nil && s.live.Equal(leaf):
		s.refused = nil // what was brought before counts no more
		return nil
	case s.answers(leaf):
		return r.take(ctx, s, leaf, requestKey(s.store))
	}
	return r.take(ctx, s, leaf, s.store.key(""))
}

// given is what a person gave as Apple's answer, and where it stands. A Secret that is made at the renewal only is not missing before.
func (r *Reconciler) given(ctx context.Context, s *scope) (content []byte, where string, err error) {
	ref := s.object.Spec.CertificateSecretRef
	if ref == nil {
		return []byte(s.object.Spec.Certificate), "spec.certificate", nil
	}
	content, err = r.secretValue(ctx, s, *ref)
	if problemOf(err) != nil && s.live != nil {
		err = nil
	}
	return content, fmt.Sprintf("%s in the Secret %s", ref.Key, ref.Name), err
}

// publicKeys are those that a certificate may belong to.
func (s *scope) publicKeys() []crypto.PublicKey {
	var public []crypto.PublicKey
	if s.csr != nil {
		public = append(public, s.csr.PublicKey)
	}
	if s.live != nil && s.store.has("") {
		public = append(public, s.live.PublicKey)
	}
	return public
}

func (r *Reconciler) judge(s *scope, given []byte, public ...crypto.PublicKey) (*x509.Certificate, *pushcert.Refusal) {
	known := s.object.Status.Topic
	if s.live != nil {
		known = pushcert.Topic(s.live)
	}
	return pushcert.Offer{Given: given, Keys: public, Live: s.live, KnownTopic: known, AcceptTopic: s.object.Spec.AcceptTopic, Now: r.Clock.Now()}.Judge()
}

// take puts a certificate and its key into use, in one write.
func (r *Reconciler) take(ctx context.Context, s *scope, leaf *x509.Certificate, key map[string][]byte) error {
	s.store.use(leaf, key)
	if err := r.save(ctx, s.store); err != nil {
		return err
	}
	s.live, s.refused, s.keyless, s.unsigned = leaf, nil, nil, nil
	s.forgetRequest()
	s.object.Status.AppleAccount = s.object.Spec.AppleAccount
	r.Events.Eventf(s.object, nil, corev1.EventTypeNormal, mdmv1alpha1.APNSCertificateEventIssued, "Reconcile", "the certificate that ends at %s is taken into use; servers take it up without a restart", date(leaf.NotAfter))
	return nil
}

// uploaded says what nobody can know, and when it is over.
func (r *Reconciler) uploaded(_ context.Context, s *scope, report *loop.Report) error {
	switch {
	case s.csr == nil && s.live != nil:
		report.True(mdmv1alpha1.APNSCertificateNotNeeded, "Apple has answered; no request waits")
	case s.object.Status.PushCertificateRequest == "":
		report.Unknown(mdmv1alpha1.ReasonPending, "there is nothing to upload yet")
	default:
		report.Unknown(mdmv1alpha1.APNSCertificateAwaitingUpload, "nobody but Apple and the person who uploads status.pushCertificateRequest can tell; the certificate in spec.certificate ends the wait")
	}
	return nil
}
