package identity

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// CA is one loaded generation of the device-identity CA. Every generation is trusted, the active one issues, active and retired ones
// decrypt SCEP requests.
type CA struct {
	Generation int
	Role       serverconfig.Role
	Cert       *x509.Certificate
	// Key is an RSA key: SCEP encrypts to the CA (RFC 8894, section 2.3).
	Key Key
}

// Key signs certificates and opens SCEP envelopes.
type Key interface {
	crypto.Signer
	crypto.Decrypter
}

// ParseCertificates reads all certificates of a PEM file; empty input has none.
func ParseCertificates(in []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for block, rest := pem.Decode(in); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		out = append(out, cert)
	}
	return out, nil
}
