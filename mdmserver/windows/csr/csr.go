// Package csr reads the certificate requests of Windows devices, which Go's parser refuses as they are.
package csr

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/kubemdm/kubemdm/internal/ber"
)

// Sizes of RSA keys, in bits. Larger ones would let a stranger choose how long we compute.
const (
	minKey = 2048
	maxKey = 8192
)

var errKey = fmt.Errorf("the key is not an RSA key of %d to %d bits", minKey, maxKey)

// Request is all that is taken from a certificate request.
type Request struct {
	PublicKey *rsa.PublicKey
	// PublicKeySHA256 is the lower-case hex SHA-256 of the SubjectPublicKeyInfo.
	PublicKeySHA256 string
}

// Signed says whether what a device sends as its request is a CMS message (RFC 5652, section 3), in BER, with the request in it: that is how it asks for
// another certificate.
func Signed(message []byte) bool {
	der, err := ber.Normalize(message)
	if err != nil {
		return false
	}
	var content cryptobyte.String
	input := cryptobyte.String(der)
	return input.ReadASN1(&content, asn1.SEQUENCE) && content.PeekASN1Tag(asn1.OBJECT_IDENTIFIER)
}

// Parse reads a PKCS#10 request (RFC 2986) and checks that it is signed with its own key. SHA-1 is good enough for that proof.
func Parse(der []byte) (*Request, error) {
	fixed, signed, err := retag(der)
	if err != nil {
		return nil, fmt.Errorf("parsing the certificate request: %w", err)
	}
	parsed, err := x509.ParseCertificateRequest(fixed)
	if err != nil {
		return nil, fmt.Errorf("parsing the certificate request: %w", err)
	}
	key, ok := parsed.PublicKey.(*rsa.PublicKey)
	if !ok || key.N.BitLen() < minKey || key.N.BitLen() > maxKey {
		return nil, errKey
	}
	parsed.RawTBSCertificateRequest = signed
	if err := parsed.CheckSignature(); err != nil {
		return nil, fmt.Errorf("verifying the certificate request: %w", err)
	}
	sum := sha256.Sum256(parsed.RawSubjectPublicKeyInfo)
	return &Request{PublicKey: key, PublicKeySHA256: hex.EncodeToString(sum[:])}, nil
}

var errShape = errors.New("it is not a PKCS#10 request in DER")

// retag returns a copy of the request in which every PrintableString of the subject is a UTF8String, and the part of the original that was signed.
// Windows writes "!" and a NUL into the common name, which a PrintableString cannot hold (X.680, section 41.4).
func retag(der []byte) (fixed, signed []byte, err error) {
	fixed = bytes.Clone(der)
	var request, info, fields, subject cryptobyte.String
	input := cryptobyte.String(fixed)
	if !input.ReadASN1(&request, asn1.SEQUENCE) || !request.ReadASN1Element(&info, asn1.SEQUENCE) {
		return nil, nil, errShape
	}
	signed = bytes.Clone(info)
	if !info.ReadASN1(&fields, asn1.SEQUENCE) || !fields.SkipASN1(asn1.INTEGER) || !fields.ReadASN1(&subject, asn1.SEQUENCE) {
		return nil, nil, errShape
	}
	for !subject.Empty() {
		var names cryptobyte.String
		if !subject.ReadASN1(&names, asn1.SET) || !retagNames(names) {
			return nil, nil, errShape
		}
	}
	return fixed, signed, nil
}

// retagNames changes tags in place and says whether names has the shape of a RelativeDistinguishedName.
func retagNames(names cryptobyte.String) bool {
	for !names.Empty() {
		var attribute cryptobyte.String
		if !names.ReadASN1(&attribute, asn1.SEQUENCE) || !attribute.SkipASN1(asn1.OBJECT_IDENTIFIER) {
			return false
		}
		if attribute.PeekASN1Tag(asn1.PrintableString) {
			attribute[0] = byte(asn1.UTF8String)
		}
	}
	return true
}
