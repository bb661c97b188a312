package scep

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"time"

	"github.com/kubemdm/kubemdm/mdmserver/apple/profile"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
)

// clockSkew is how far a device's clock may be behind ours without its fresh certificate being from the future.
const clockSkew = 10 * time.Minute

// sign makes the identity of an enrolment. Nothing but the key comes from the request: the subject is ours, and there are no
// alternative names.
func sign(ca identity.CA, key *rsa.PublicKey, enrollmentID string, now time.Time, validity time.Duration) ([]byte, error) {
	if !now.Before(ca.Cert.NotAfter) {
		return nil, fmt.Errorf("generation %d of the device-identity CA has expired", ca.Generation)
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: enrollmentID, Organization: []string{profile.Organization}},
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
