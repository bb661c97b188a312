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
	"regexp"
)

// minKeyBits and maxKeyBits bound RSA keys. Apple takes 2048 bits; to verify with a key without a bound can take minutes.
const minKeyBits, maxKeyBits = 2048, 8192

// defaultCommonName is that of a request whose subject has none.
const defaultCommonName = "KubeMDM push"

// oidEmail is emailAddress of PKCS #9 (RFC 2985, section 5.2.1), an IA5String.
var oidEmail = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}

// country is the form of a countryName (X.520, section 6.3.1).
var country = regexp.MustCompile(`^[A-Za-z]{2}$`)

// Subject of a certificate request. Apple writes one of its own into the certificate. Empty fields are left out; Country is a code of two letters.
type Subject struct{ CommonName, Organization, Email, Country string }

// NewCSR makes a certificate request (PEM) that the key signs with SHA-256. The key must be RSA of 2048 bits or more; it may be in a KMS, whose
// errors are wrapped.
func NewCSR(key crypto.Signer, s Subject) ([]byte, error) {
	if err := checkKey(key.Public()); err != nil {
		return nil, err
	}
	name, err := s.name()
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: name, SignatureAlgorithm: x509.SHA256WithRSA}, key)
	if err != nil {
		return nil, fmt.Errorf("signing the certificate request: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

func (s Subject) name() (pkix.Name, error) {
	name := pkix.Name{CommonName: s.CommonName}
	if s.CommonName == "" {
		name.CommonName = defaultCommonName
	}
	if s.Organization != "" {
		name.Organization = []string{s.Organization}
	}
	if s.Country != "" {
		if !country.MatchString(s.Country) {
			return name, fmt.Errorf("the country of the subject is %q: give its code of two letters, such as DE", s.Country)
		}
		name.Country = []string{s.Country}
	}
	if s.Email != "" {
		email, err := asn1.MarshalWithParams(s.Email, "ia5")
		if err != nil {
			return name, fmt.Errorf("the e-mail address of the subject has letters that it cannot have there (ASCII only): %w", err)
		}
		name.ExtraNames = []pkix.AttributeTypeAndValue{{Type: oidEmail, Value: asn1.RawValue{FullBytes: email}}}
	}
	return name, nil
}

// ParseCSR reads a certificate request, PEM or DER, and checks its signature and its key.
func ParseCSR(b []byte) (*x509.CertificateRequest, error) {
	b, err := checkSize(b)
	if err != nil {
		return nil, err
	}
	if !looksPEM(b) {
		return parseCSR(b)
	}
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE REQUEST" || block.Type == "NEW CERTIFICATE REQUEST" { // RFC 7468, section 7
			return parseCSR(block.Bytes)
		}
	}
	return nil, errors.New("there is no whole CERTIFICATE REQUEST in the PEM file: give the file as it was made, with its BEGIN and END lines")
}

func parseCSR(der []byte) (*x509.CertificateRequest, error) {
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, errors.New("it is no certificate request (PKCS #10), PEM or DER")
	}
	if err := checkKey(csr.PublicKey); err != nil {
		return nil, err
	}
	if csr.SignatureAlgorithm == x509.SHA1WithRSA {
		return nil, errors.New("the certificate request is signed with SHA-1, which Apple no longer takes: make it again with SHA-256 (openssl req -new -sha256)")
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, errors.New("the certificate request is not signed by its own key: it was changed, or is broken; make it again")
	}
	return csr, nil
}

// checkKey says what is wrong with a key that requests or signs.
func checkKey(public crypto.PublicKey) error {
	key, ok := public.(*rsa.PublicKey)
	if !ok {
		return errors.New("its key is no RSA key, and Apple takes no other: make an RSA key of 2048 bits")
	}
	if bits := key.N.BitLen(); bits < minKeyBits || bits > maxKeyBits {
		return fmt.Errorf("its RSA key has %d bits: make one of 2048 bits", bits)
	}
	return nil
}

// sameKey says whether two public keys are one.
func sameKey(a, b crypto.PublicKey) bool {
	key, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && key.Equal(b)
}
