package identity

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/smallstep/pkcs7"

	"github.com/kubemdm/kubemdm/internal/ber"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// SignatureHeader carries a detached CMS signature of the body in base64, since the enrolment profile asks for SignMessage (MDM protocol
// reference, "Pass an Identity Certificate Through a Proxy").
const SignatureHeader = "Mdm-Signature"

// maxSignature bounds the header's value in bytes; a signature with its certificate takes three to four thousand.
const maxSignature = 16 << 10

var errSigner = errors.New("the signature does not have exactly one signer with a certificate")

// signer returns the certificate that signed body.
func (o Options) signer(header string, body []byte) (*x509.Certificate, error) {
	p7, cert, err := o.detached(header)
	if err != nil {
		return nil, err
	}
	if err := verify(p7, body); err != nil {
		return nil, err
	}
	return cert, nil
}

// detached reads a header's signature, which is not verified yet.
func (o Options) detached(header string) (*pkcs7.PKCS7, *x509.Certificate, error) {
	if len(header) > maxSignature {
		return nil, nil, fmt.Errorf("a signature of %d bytes is too large", len(header))
	}
	cms, err := base64.StdEncoding.DecodeString(header)
	if err != nil {
		return nil, nil, fmt.Errorf("decoding the signature: %w", err)
	}
	return o.parse(cms)
}

// Signer is an identity with its certificate.
type Signer struct {
	fleet.Identity
	Cert *x509.Certificate
}

// Signed returns the content of a CMS message and who signed it, once the certificate and the signature are verified.
func (o Options) Signed(cms []byte) (content []byte, signer *Signer, err error) {
	p7, cert, err := o.parse(cms)
	if err != nil {
		return nil, nil, err
	}
	if err := verify(p7, p7.Content); err != nil {
		return nil, nil, err
	}
	return p7.Content, &Signer{Identity: o.of(cert), Cert: cert}, nil
}

// parse reads a CMS message and its only signer's certificate. The certificate is held against the CAs before any signature is computed:
// nobody without a certificate of ours chooses the size of the key that we compute with.
func (o Options) parse(cms []byte) (*pkcs7.PKCS7, *x509.Certificate, error) {
	der, err := ber.Normalize(cms)
	if err != nil {
		return nil, nil, fmt.Errorf("decoding the signature: %w", err)
	}
	p7, err := pkcs7.Parse(der)
	if err != nil {
		return nil, nil, fmt.Errorf("parsing the signature: %w", err)
	}
	cert := p7.GetOnlySigner()
	if cert == nil {
		return nil, nil, errSigner
	}
	if _, err := o.vouched(cert); err != nil {
		return nil, nil, fmt.Errorf("verifying the certificate: %w", err)
	}
	return p7, cert, nil
}

func verify(p7 *pkcs7.PKCS7, content []byte) error {
	p7.Content = content
	if err := p7.Verify(); err != nil {
		return fmt.Errorf("verifying the signature: %w", err)
	}
	return nil
}
