package owned

import (
	"fmt"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

// neverRenew is the shortest time before its end at which cert-manager may be told to renew a certificate.
const neverRenew = 5 * time.Minute

// CA issues the certificates of devices. It goes in generations, each a Certificate of its own that is never renewed: another generation follows it.
type CA struct {
	// Title is what messages call it.
	Title string
	// SecretName names the Secret with all generations, which the server mounts.
	SecretName string

	server   Server
	identity mdmv1alpha1.DeviceIdentity
	prefix   string // of the names of generations, behind the server's
	purpose  string // in the common names
	usages   []cmapi.KeyUsage
}

// AppleCA is the device-identity CA. SCEP encrypts for it.
func (s Server) AppleCA() CA {
	return CA{
		Title: "device-identity CA", SecretName: s.sub("identity"),
		server: s, identity: s.Spec.Apple.Identity.DeviceIdentity, prefix: "device-identity-ca", purpose: "device identity",
		usages: append(signing(), cmapi.UsageKeyEncipherment),
	}
}

// WindowsCA is the WSTEP CA.
func (s Server) WindowsCA() CA {
	return CA{
		Title: "WSTEP CA", SecretName: s.sub("wstep"),
		server: s, identity: s.Spec.Windows.Identity.DeviceIdentity, prefix: "wstep-ca", purpose: "Windows identity",
		usages: signing(),
	}
}

// GenerationName names the Certificate and the Secret of one generation.
func (ca CA) GenerationName(n int) string { return ca.server.sub(fmt.Sprintf("%s-%d", ca.prefix, n)) }

// Generation is one generation. Its key is RSA, which SCEP needs and every version of Windows knows.
func (ca CA) Generation(n int) *cmapi.Certificate {
	from := issuer(ca.server.sub("selfsigned"))
	if ref := ca.identity.IssuerRef; ref != nil {
		from = *ref
	}
	c := ca.server.certificate(ca.GenerationName(n), from, ca.identity.CAValidity.Duration)
	c.Spec.CommonName = commonName(ca.purpose, ca.server.Name, n)
	c.Spec.IsCA = true
	c.Spec.Usages = ca.usages
	c.Spec.PrivateKey = &cmapi.CertificatePrivateKey{Algorithm: cmapi.RSAKeyAlgorithm, Size: 3072, RotationPolicy: cmapi.RotationPolicyNever}
	c.Spec.RenewBefore = &metav1.Duration{Duration: neverRenew}
	return c
}

// signing are the usages of a CA.
func signing() []cmapi.KeyUsage {
	return []cmapi.KeyUsage{cmapi.UsageCertSign, cmapi.UsageCRLSign, cmapi.UsageDigitalSignature}
}

// commonName keeps within the 64 characters that X.509 allows (RFC 5280, ub-common-name).
func commonName(purpose, server string, generation int) string {
	return fmt.Sprintf("%s %s %d", server, purpose, generation)
}
