package pushcert

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
)

const (
	// minKeyBits and maxKeyBits bound RSA keys; Apple takes 2048 bits and refuses other kinds of keys.
	minKeyBits, maxKeyBits = 2048, 8192
	// maxInput bounds each file that is read, in bytes.
	maxInput = 1 << 20
	// defaultCommonName is that of a request whose subject has none.
	defaultCommonName = "KubeMDM push"
)

// oidEmail is emailAddress of PKCS #9 (RFC 2985, section 5.2.1), an IA5String.
var oidEmail = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}

// Subject of a certificate request. Apple writes one of its own into the certificate. Empty fields are left out.
type Subject struct{ CommonName, Organization, Email, Country string }

// NewCSR makes a certificate request (PEM) that the key signs with SHA-256. The key must be RSA of 2048 bits or more.
func NewCSR(key crypto.Signer, s Subject) ([]byte, error) {
	if err := checkPublicKey(key.Public()); err != nil {
		return nil, err
	}
	if s.CommonName == "" {
		s.CommonName = defaultCommonName
	}
	name := pkix.Name{CommonName: s.CommonName}
	if s.Organization != "" {
		name.Organization = []string{s.Organization}
	}
	if s.Country != "" {
		name.Country = []string{s.Country}
	}
	if s.Email != "" {
		email, err := asn1.MarshalWithParams(s.Email, "ia5")
		if err != nil {
			return nil, fmt.Errorf("the e-mail address of the subject: %w", err)
		}
		name.ExtraNames = []pkix.AttributeTypeAndValue{{Type: oidEmail, Value: asn1.RawValue{FullBytes: email}}}
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: name, SignatureAlgorithm: x509.SHA256WithRSA}, key)
	if err != nil {
		return nil, fmt.Errorf("signing the certificate request: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// ParseCSR reads a certificate request, PEM or DER, and checks its signature and its key.
func ParseCSR(b []byte) (*x509.CertificateRequest, error) {
	if err := checkSize(b); err != nil {
		return nil, err
	}
	der := b
	if looksPEM(b) {
		der = nil
		for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
			if block.Type == "CERTIFICATE REQUEST" || block.Type == "NEW CERTIFICATE REQUEST" {
				der = block.Bytes
				break
			}
		}
		if der == nil {
			return nil, errors.New("there is no CERTIFICATE REQUEST in the PEM file")
		}
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, errors.New("it is no certificate request (PKCS #10), PEM or DER")
	}
	if err := checkPublicKey(csr.PublicKey); err != nil {
		return nil, err
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, errors.New("the certificate request is not signed by its own key")
	}
	return csr, nil
}

func checkPublicKey(public crypto.PublicKey) error {
	key, ok := public.(*rsa.PublicKey)
	if !ok {
		return fmt.Errorf("the key is %T, and Apple takes RSA only: make an RSA key of 2048 bits", public)
	}
	if bits := key.N.BitLen(); bits < minKeyBits || bits > maxKeyBits {
		return fmt.Errorf("the RSA key has %d bits: make one of 2048 bits", bits)
	}
	return nil
}
