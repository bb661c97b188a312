package identity

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"time"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// Organization is the organisation in every device identity's subject.
const Organization = "KubeMDM device identity"

// clockSkew is how far a device's clock may be behind ours without its fresh certificate being from the future.
const clockSkew = 10 * time.Minute

// ErrNoCA is the answer of a server that cannot issue certificates now.
var ErrNoCA = errors.New("no active generation of the device-identity CA is loaded")

// Active returns the generation that issues, or ErrNoCA.
func Active(cas []CA) (CA, error) {
	for _, ca := range cas {
		if ca.Role == serverconfig.RoleActive {
			return ca, nil
		}
	}
	return CA{}, ErrNoCA
}

// Issue makes the identity of an enrolment, in DER. Nothing but the key comes from the request: the subject is ours, there are no alternative names,
// the serial number is random, and the certificate does not outlive the CA's own.
func (ca CA) Issue(key *rsa.PublicKey, enrollmentID string, now time.Time, validity time.Duration) ([]byte, error) {
	if !now.Before(ca.Cert.NotAfter) {
		return nil, fmt.Errorf("generation %d of the device-identity CA has expired", ca.Generation)
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: enrollmentID, Organization: []string{Organization}},
		NotBefore:   latest(now.Add(-clockSkew), ca.Cert.NotBefore),
		NotAfter:    earliest(now.Add(validity), ca.Cert.NotAfter),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.Cert, key, ca.Key)
	if err != nil {
		return nil, fmt.Errorf("signing a device identity: %w", err)
	}
	return der, nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
