package identity

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/smallstep/pkcs7"

	"github.com/kubemdm/kubemdm/mdmserver/identity/ber"
)

// SignatureHeader carries a detached CMS signature of the body in base64, since the enrolment profile asks for SignMessage (MDM protocol
// reference, "Pass an Identity Certificate Through a Proxy").
const SignatureHeader = "Mdm-Signature"

// maxSignature bounds the header's value in bytes; a signature with its certificate takes three to four thousand.
const maxSignature = 16 << 10

var errSigner = errors.New("the signature does not have exactly one signer with a certificate")

// signer returns the certificate that signed body. The certificate is held against the CAs before the signature is computed:
// nobody without a certificate of ours chooses the size of the key that we compute with.
func (o Options) signer(header string, body []byte) (*x509.Certificate, error) {
	if len(header) > maxSignature {
		return nil, fmt.Errorf("a signature of %d bytes is too large", len(header))
	}
	cms, err := base64.StdEncoding.DecodeString(header)
	if err != nil {
		return nil, fmt.Errorf("decoding the signature: %w", err)
	}
	der, err := ber.Normalize(cms)
	if err != nil {
		return nil, fmt.Errorf("decoding the signature: %w", err)
	}
	p7, err := pkcs7.Parse(der)
	if err != nil {
		return nil, fmt.Errorf("parsing the signature: %w", err)
	}
	cert := p7.GetOnlySigner()
	if cert == nil {
		return nil, errSigner
	}
	if err := o.trusted(cert); err != nil {
		return nil, fmt.Errorf("verifying the certificate: %w", err)
	}
	p7.Content = body
	if err := p7.Verify(); err != nil {
		return nil, fmt.Errorf("verifying the signature: %w", err)
	}
	return cert, nil
}

func (o Options) trusted(cert *x509.Certificate) error {
	roots := x509.NewCertPool()
	for _, ca := range o.CAs() {
		roots.AddCert(ca.Cert)
	}
	_, err := cert.Verify(x509.VerifyOptions{
		Roots:       roots,
		CurrentTime: o.Now(),
		KeyUsages:   []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err
}
