package profile

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/smallstep/pkcs7"
)

// ErrNoCertificate means that there is no certificate to sign with.
var ErrNoCertificate = errors.New("no certificate to sign profiles with")

// Sign returns content in a CMS SignedData (RFC 5652, section 5) with SHA-256, signed by the leaf of cert; the whole chain is in it.
func Sign(content []byte, cert *tls.Certificate) ([]byte, error) {
	if cert == nil || len(cert.Certificate) == 0 {
		return nil, ErrNoCertificate
	}
	var chain []*x509.Certificate
	for _, der := range cert.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("signing the profile: %w", err)
		}
		chain = append(chain, c)
	}
	signed, err := pkcs7.NewSignedData(content)
	if err != nil {
		return nil, fmt.Errorf("signing the profile: %w", err)
	}
	signed.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	if err := signed.AddSigner(chain[0], cert.PrivateKey, pkcs7.SignerInfoConfig{}); err != nil {
		return nil, fmt.Errorf("signing the profile: %w", err)
	}
	for _, intermediate := range chain[1:] {
		signed.AddCertificate(intermediate)
	}
	out, err := signed.Finish()
	if err != nil {
		return nil, fmt.Errorf("signing the profile: %w", err)
	}
	return out, nil
}
