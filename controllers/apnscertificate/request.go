package apnscertificate

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/internal/pushcert"
)

// request makes the certificate request once there is a key for it.
func (r *Reconciler) request(ctx context.Context, s *scope, report *loop.Report) error {
	switch {
	case s.keyless != nil:
		report.False(s.keyless.reason, "there is no key to request a certificate with")
		return nil //nolint:nilerr // the condition tells it
	case !s.store.has(requestPrefix) && !s.object.Requests():
		s.forgetRequest()
		report.True(mdmv1alpha1.APNSCertificateNotRequested, "somebody else looks after the pair in the Secret %s; set spec.vendor to have it renewed here", s.object.Spec.SecretRef.Name)
		return nil
	case !s.store.has(requestPrefix):
		s.forgetRequest()
		report.True(mdmv1alpha1.APNSCertificateNotNeeded, "no request waits")
		return nil
	}
	if len(s.store.Data[fileCSR]) == 0 {
		if err := r.makeRequest(ctx, s); err != nil {
			return s.keyTrouble(report, err)
		}
	}
	var err error
	if s.csr, err = pushcert.ParseCSR(s.store.Data[fileCSR]); err != nil {
		return loop.Stall(mdmv1alpha1.APNSCertificateKeyLost, "the request in the Secret %s cannot be read (%v): restore the Secret from a backup, or set the annotation %s to a new value", s.store.Name, err, mdmv1alpha1.AnnotationRenew)
	}
	s.showRequest(r.Clock.Now)
	s.echo()
	return nil
}

// makeRequest signs the request with its key.
func (r *Reconciler) makeRequest(ctx context.Context, s *scope) error {
	key, err := signer(ctx, requestKey(s.store))
	if err != nil {
		return err
	}
	var subject pushcert.Subject
	if given := s.object.Spec.Subject; given != nil {
		subject = pushcert.Subject{CommonName: given.CommonName, Organization: given.Organization, Email: given.Email, Country: given.Country}
	}
	if s.store.Data[fileCSR], err = pushcert.NewCSR(key, subject); err != nil {
		delete(s.store.Data, fileCSR)
		return fmt.Errorf("making the certificate request: %w", err)
	}
	return r.save(ctx, s.store)
}

// requestKey returns the files of the key of the request that waits.
func requestKey(k store) map[string][]byte { return k.key(requestPrefix) }

// showRequest puts the request that waits into the status.
func (s *scope) showRequest(now func() time.Time) {
	status := &s.object.Status
	if text := string(s.store.Data[fileCSR]); status.CertificateSigningRequest != text {
		at := metav1.NewTime(now())
		status.CertificateSigningRequest, status.RequestedAt = text, &at
		status.PushCertificateRequest, status.MDMCert = "", nil
	}
}

// echo says which request of a person is handled.
func (s *scope) echo() {
	if renewed := s.store.Data[fileRenewed]; len(renewed) > 0 {
		s.object.Status.LastHandledRenew = string(renewed)
	}
}

// forgetRequest takes the request out of the status.
func (s *scope) forgetRequest() {
	status := &s.object.Status
	s.csr = nil
	s.echo()
	status.CertificateSigningRequest, status.PushCertificateRequest, status.RequestedAt, status.MDMCert = "", "", nil, nil
}

// answers says whether a certificate belongs to the request that waits.
func (s *scope) answers(leaf *x509.Certificate) bool {
	return s.csr != nil && samePublicKey(leaf.PublicKey, s.csr.PublicKey)
}

func samePublicKey(a, b crypto.PublicKey) bool {
	key, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && key.Equal(b)
}
