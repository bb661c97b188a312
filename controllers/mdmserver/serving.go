package mdmserver

import (
	"context"
	"crypto/x509"
	"strings"
	"time"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/certs"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/owned"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// certificates looks after the certificate that devices see. One that has expired or is for other names does not hold up the rest: the
// server goes on with it, and devices that still take it are served.
func (r *Reconciler) certificates(ctx context.Context, s *scope, report *loop.Report) error {
	if err := owned.Apply(ctx, r.Client, s.server.MDMServer, s.server.ServingPKI()...); err != nil {
		return err
	}
	name := s.server.ServingSecret()
	given := s.server.Spec.TLS.Type == mdmv1alpha1.TLSSecret
	secret, err := owned.GetSecret(ctx, r.Client, s.server.Namespace, name)
	if err != nil {
		return err
	}
	if !issued(secret) {
		if !given {
			return issuing(name)
		}
		report.Again(recheck)
		return loop.Stall(mdmv1alpha1.ReasonSecretNotFound, "create the Secret %s with %s and %s", name, serverconfig.CertFile, serverconfig.KeyFile)
	}
	if s.serving, err = certs.ReadPair(secret.Data[serverconfig.CertFile], secret.Data[serverconfig.KeyFile]); err != nil {
		return loop.Stall(mdmv1alpha1.MDMServerCertificateInvalid, "the Secret %s cannot be served: %v", name, err)
	}
	s.note("Serving", "", s.serving.Leaf)
	if reason, message := judgeServing(s.serving.Leaf, s.server.Hostnames(), r.Clock.Now()); reason != "" {
		report.False(reason, "the Secret %s: %s", name, message)
	}
	return nil
}

// judgeServing says what is wrong with a serving certificate, or nothing.
func judgeServing(leaf *x509.Certificate, hosts []string, now time.Time) (reason, message string) {
	switch {
	case now.After(leaf.NotAfter):
		return mdmv1alpha1.MDMServerCertificateExpired, "the certificate expired at " + leaf.NotAfter.UTC().Format(time.RFC3339) + "; renew it"
	case now.Before(leaf.NotBefore):
		return mdmv1alpha1.MDMServerCertificateInvalid, "the certificate is valid from " + leaf.NotBefore.UTC().Format(time.RFC3339) + " only; check the clock"
	}
	for _, host := range hosts {
		if leaf.VerifyHostname(host) != nil {
			return mdmv1alpha1.MDMServerHostMismatch, "the certificate is not for " + host + "; replace it by one for " + strings.Join(hosts, " and ")
		}
	}
	return "", ""
}

// trust says whether devices trust the serving certificate by themselves.
func (r *Reconciler) trust(_ context.Context, s *scope, report *loop.Report) error {
	if s.server.Spec.TLS.Type == mdmv1alpha1.TLSSelfSigned {
		report.False(mdmv1alpha1.MDMServerSelfSigned, "Apple devices trust the server by the enrolment profile only, and real PCs will refuse it; use spec.tls.type Issuer or Secret for more than a demo")
		return nil
	}
	intermediates := x509.NewCertPool()
	for _, c := range s.serving.Chain {
		intermediates.AddCert(c)
	}
	_, err := s.serving.Leaf.Verify(x509.VerifyOptions{Roots: r.Roots, Intermediates: intermediates, CurrentTime: r.Clock.Now()})
	if err != nil {
		report.False(mdmv1alpha1.MDMServerPrivateCA, "the serving certificate leads to no public CA (%v), so real PCs will refuse it; see that devices trust its CA, or use a public one", err)
		return nil
	}
	report.True(mdmv1alpha1.MDMServerPublicCA, "devices trust the server by themselves")
	return nil
}
