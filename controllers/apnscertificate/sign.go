package apnscertificate

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"slices"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/owned"
	"github.com/kubemdm/kubemdm/internal/pushcert"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// sign gets the vendor's signature over the request that waits.
func (r *Reconciler) sign(ctx context.Context, s *scope, report *loop.Report) error {
	if s.csr == nil {
		if s.keyless != nil {
			report.Unknown(mdmv1alpha1.ReasonPending, "there is no request to sign yet")
		} else {
			report.True(mdmv1alpha1.APNSCertificateNotNeeded, "no request waits")
		}
		return nil
	}
	signed, err := r.signed(ctx, s, report)
	if s.unsigned = problemOf(err); s.unsigned != nil {
		s.object.Status.PushCertificateRequest = ""
		report.False(s.unsigned.reason, "%s", s.unsigned.message)
		return nil //nolint:nilerr // the condition tells it
	}
	if err != nil {
		return err
	}
	s.object.Status.PushCertificateRequest = string(signed.Encode())
	vendor := signed.Chain[0]
	report.True(mdmv1alpha1.ReasonReady, "signed by %q, whose certificate ends at %s", vendor.Subject.CommonName, date(vendor.NotAfter))
	return nil
}

// signed returns the request with the vendor's signature. A problem is why there is none.
func (r *Reconciler) signed(ctx context.Context, s *scope, report *loop.Report) (*pushcert.Request, error) {
	vendor := s.object.Spec.Vendor
	switch {
	case vendor != nil && vendor.Secret != nil:
		return r.signOurselves(ctx, s, vendor.Secret.Name)
	case vendor != nil && vendor.MDMCert != nil:
		return r.mdmcert(ctx, s, vendor.MDMCert, report)
	case vendor != nil && vendor.Manual != nil:
		return r.signedByHand(ctx, s, vendor.Manual)
	}
	return nil, awaitingVendor
}

var awaitingVendor = &problem{mdmv1alpha1.APNSCertificateAwaitingVendor, "an MDM vendor has to sign status.certificateSigningRequest; put what it returns into spec.vendor.manual"}

// signedByHand takes what a person brought from the vendor.
func (r *Reconciler) signedByHand(ctx context.Context, s *scope, manual *mdmv1alpha1.ManualVendor) (*pushcert.Request, error) {
	given := []byte(manual.SignedRequest)
	if ref := manual.SignedRequestSecretRef; ref != nil {
		var err error
		if given, err = r.secretValue(ctx, s, *ref); err != nil {
			return nil, err
		}
	}
	if len(given) == 0 {
		return nil, awaitingVendor
	}
	return r.examine(s, given)
}

// examine checks a request that somebody else signed before a person is sent to Apple with it.
func (r *Reconciler) examine(s *scope, given []byte) (*pushcert.Request, error) {
	request, err := pushcert.ParseRequest(given)
	switch {
	case err != nil:
		return nil, &problem{mdmv1alpha1.APNSCertificateRequestMalformed, err.Error()}
	case s.live != nil && samePublicKey(request.CSR.PublicKey, s.live.PublicKey):
		return nil, awaitingVendor // the one of the last time lies there still
	case !bytes.Equal(request.CSR.Raw, s.csr.Raw):
		return nil, &problem{mdmv1alpha1.APNSCertificateRequestForAnotherKey, "the signed request is not for the request that waits: have the vendor sign status.certificateSigningRequest"}
	}
	if refusal := request.Check(r.Clock.Now()); refusal != nil {
		return nil, because("", refusal)
	}
	return request, nil
}

// signOurselves signs with our own vendor certificate. What was signed already is kept while it is good: the vendor's key may be in a KMS, which
// need not be asked each minute.
func (r *Reconciler) signOurselves(ctx context.Context, s *scope, name string) (*pushcert.Request, error) {
	secret, err := owned.GetSecret(ctx, r.Client, s.object.Namespace, name)
	if err != nil {
		return nil, err
	}
	if secret == nil {
		return nil, &problem{mdmv1alpha1.ReasonSecretNotFound, fmt.Sprintf("create the Secret %s with your MDM vendor certificate in %s, its key in %s, and Apple's intermediate and root certificates in %s",
			name, serverconfig.CertFile, serverconfig.KeyFile, serverconfig.CAFile)}
	}
	certificates, err := vendorCertificates(secret.Data)
	if err != nil {
		return nil, &problem{mdmv1alpha1.APNSCertificateMalformed, fmt.Sprintf("the Secret %s: %v", name, err)}
	}
	if earlier := s.signedBefore(certificates); earlier != nil && earlier.Check(r.Clock.Now()) == nil {
		return earlier, nil
	}
	key, err := signer(ctx, secret.Data)
	if err != nil {
		if p := problemOf(keyError(err)); p != nil {
			return nil, p
		}
		return nil, &problem{mdmv1alpha1.APNSCertificateMalformed, fmt.Sprintf("%s in the Secret %s: %v", serverconfig.KeyFile, name, err)}
	}
	request, refusal, err := pushcert.Vendor{Key: key, Certificates: certificates}.Sign(s.csr, r.Clock.Now())
	switch {
	case err != nil:
		return nil, &problem{mdmv1alpha1.APNSCertificateKeyUnavailable, "the vendor's key does not sign: " + err.Error()}
	case refusal != nil:
		return nil, because("the Secret "+name+": ", refusal)
	}
	return request, nil
}

// vendorCertificates reads what a vendor's Secret has, each file as PEM or as Apple's DER.
func vendorCertificates(files map[string][]byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for _, name := range []string{serverconfig.CertFile, serverconfig.CAFile} {
		if name == serverconfig.CAFile && len(files[name]) == 0 {
			continue // tls.crt may hold everything
		}
		found, err := pushcert.ReadCertificates(files[name])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, found...)
	}
	return all, nil
}

// signedBefore returns the request in the status if it is the one that waits, signed with one of these certificates.
func (s *scope) signedBefore(vendor []*x509.Certificate) *pushcert.Request {
	earlier, err := pushcert.ParseRequest([]byte(s.object.Status.PushCertificateRequest))
	if err != nil || !bytes.Equal(earlier.CSR.Raw, s.csr.Raw) || !slices.ContainsFunc(vendor, earlier.Chain[0].Equal) {
		return nil
	}
	return earlier
}
