package owned

import (
	"net/netip"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	day  = 24 * time.Hour
	year = 365 * day
	// servingValidity of a self-signed serving certificate: devices refuse one of more than 825 days, whoever issued it
	// (Apple, "Requirements for trusted certificates in iOS 13 and macOS 10.15").
	servingValidity = 820 * day
)

// SelfSigned is the issuer of the roots that only this server and its manager must trust.
func (s Server) SelfSigned() *cmapi.Issuer {
	return &cmapi.Issuer{ObjectMeta: s.meta(s.sub("selfsigned")), Spec: cmapi.IssuerSpec{
		IssuerConfig: cmapi.IssuerConfig{SelfSigned: &cmapi.SelfSignedIssuer{}},
	}}
}

// AdminPKI is the CA of the internal API with the certificates of both of its sides.
func (s Server) AdminPKI() []client.Object {
	ca := s.sub("admin-ca")
	server := s.certificate(s.AdminName(), issuer(ca), year)
	server.Spec.DNSNames = []string{s.AdminName() + "." + s.Namespace + ".svc", s.AdminName()}
	server.Spec.Usages = []cmapi.KeyUsage{cmapi.UsageDigitalSignature, cmapi.UsageServerAuth}
	manager := s.certificate(s.AdminClientName(), issuer(ca), year)
	manager.Spec.CommonName = AdminClientName
	manager.Spec.Usages = []cmapi.KeyUsage{cmapi.UsageDigitalSignature, cmapi.UsageClientAuth}
	return append(s.privateCA(ca, "internal API"), server, manager)
}

// ServingPKI is the certificate that devices see, with a CA of its own when it is self-signed: the CA is the anchor that devices are
// given, and stays the same when the certificate is renewed. It is empty when the certificate comes from a Secret.
func (s Server) ServingPKI() []client.Object {
	switch {
	case s.Spec.TLS.SecretRef != nil:
		return nil
	case s.Spec.TLS.IssuerRef != nil:
		return []client.Object{s.serving(*s.Spec.TLS.IssuerRef, 0)}
	}
	ca := s.sub("serving-ca")
	return append(s.privateCA(ca, "serving"), s.serving(issuer(ca), servingValidity))
}

func (s Server) serving(from cmmeta.IssuerReference, validity time.Duration) *cmapi.Certificate {
	c := s.certificate(s.ServingName(), from, validity)
	c.Spec.Usages = []cmapi.KeyUsage{cmapi.UsageDigitalSignature, cmapi.UsageServerAuth}
	c.Spec.PrivateKey.Algorithm, c.Spec.PrivateKey.Size = cmapi.RSAKeyAlgorithm, 2048 // it signs profiles too, and every device reads RSA
	for _, name := range s.Hostnames() {
		if _, err := netip.ParseAddr(name); err == nil {
			c.Spec.IPAddresses = append(c.Spec.IPAddresses, name)
		} else {
			c.Spec.DNSNames = append(c.Spec.DNSNames, name)
		}
	}
	return c
}

// privateCA is a self-signed CA and the issuer that issues from it, both named alike.
func (s Server) privateCA(name, purpose string) []client.Object {
	ca := s.certificate(name, issuer(s.sub("selfsigned")), 10*year)
	ca.Spec.CommonName = commonName(purpose, s.Name, 1)
	ca.Spec.IsCA = true
	ca.Spec.Usages = signing()
	ca.Spec.PrivateKey.RotationPolicy = cmapi.RotationPolicyNever
	return []client.Object{ca, &cmapi.Issuer{ObjectMeta: s.meta(name), Spec: cmapi.IssuerSpec{
		IssuerConfig: cmapi.IssuerConfig{CA: &cmapi.CAIssuer{SecretName: name}},
	}}}
}

// certificate is the common part. Its Secret is named after it; a validity of 0 leaves it to the issuer.
func (s Server) certificate(name string, from cmmeta.IssuerReference, validity time.Duration) *cmapi.Certificate {
	c := &cmapi.Certificate{ObjectMeta: s.meta(name), Spec: cmapi.CertificateSpec{
		SecretName:     name,
		IssuerRef:      from,
		PrivateKey:     &cmapi.CertificatePrivateKey{Algorithm: cmapi.ECDSAKeyAlgorithm, Size: 256, RotationPolicy: cmapi.RotationPolicyAlways},
		SecretTemplate: &cmapi.CertificateSecretTemplate{Labels: s.Labels()},
	}}
	if validity > 0 {
		c.Spec.Duration = &metav1.Duration{Duration: validity}
	}
	return c
}

func issuer(name string) cmmeta.IssuerReference {
	return cmmeta.IssuerReference{Name: name, Kind: cmapi.IssuerKind, Group: "cert-manager.io"}
}
