package machineinfo

import (
	"crypto"
	_ "crypto/sha1"   // of device certificates
	_ "crypto/sha256" // likewise
	"crypto/subtle"
	"crypto/x509"
	"encoding/asn1"
	"fmt"

	"github.com/smallstep/pkcs7"

	"github.com/kubemdm/kubemdm/internal/ber"
)

// verified returns the content of a CMS SignedData (RFC 5652, section 5) that a device signed. The library's way of verifying is not used, for it holds the
// signing time against the dates of the certificate.
func verified(body []byte, anchors []*x509.Certificate) ([]byte, error) {
	if len(body) > MaxBody {
		return nil, fmt.Errorf("%w: the message has more than %d bytes", ErrUnsigned, MaxBody)
	}
	der, err := ber.Normalize(body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsigned, err)
	}
	p7, err := pkcs7.Parse(der)
	if err != nil {
		return nil, fmt.Errorf("%w: it is no CMS message", ErrUnsigned)
	}
	if len(p7.Certificates) > maxCertificates {
		return nil, fmt.Errorf("%w: the message has more than %d certificates", ErrUnsigned, maxCertificates)
	}
	signer := p7.GetOnlySigner()
	if signer == nil {
		return nil, fmt.Errorf("%w: the message does not have exactly one signer with a certificate", ErrUnsigned)
	}
	if !(chain{anchors: anchors, sent: p7.Certificates}).device(signer) {
		return nil, ErrSigner
	}
	return p7.Content, checkSignature(p7, signer)
}

// hashes by the OID of the digest algorithm.
var hashes = []struct {
	oid  asn1.ObjectIdentifier
	hash crypto.Hash
	// rsa and ecdsa are what a key of the kind signs with.
	rsa, ecdsa x509.SignatureAlgorithm
}{
	{pkcs7.OIDDigestAlgorithmSHA1, crypto.SHA1, x509.SHA1WithRSA, x509.ECDSAWithSHA1},
	{pkcs7.OIDDigestAlgorithmSHA256, crypto.SHA256, x509.SHA256WithRSA, x509.ECDSAWithSHA256},
}

// checkSignature verifies the only signature of a message. Error: ErrUnsigned.
func checkSignature(p7 *pkcs7.PKCS7, signer *x509.Certificate) error {
	info := p7.Signers[0]
	for _, h := range hashes {
		if !h.oid.Equal(info.DigestAlgorithm.Algorithm) {
			continue
		}
		signed := p7.Content
		if len(info.AuthenticatedAttributes) > 0 {
			attributes, err := signedAttributes(p7, h.hash)
			if err != nil {
				return err
			}
			signed = attributes
		}
		algorithm := h.rsa
		if signer.PublicKeyAlgorithm == x509.ECDSA {
			algorithm = h.ecdsa
		}
		if signer.CheckSignature(algorithm, signed, info.EncryptedDigest) != nil {
			return fmt.Errorf("%w: the signature is wrong", ErrUnsigned)
		}
		return nil
	}
	return fmt.Errorf("%w: the digest algorithm is neither SHA-1 nor SHA-256", ErrUnsigned)
}

type attribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue `asn1:"set"`
}

// signedAttributes returns what is signed in place of the content once it is known to be about the content (RFC 5652, section 5.4). Error: ErrUnsigned.
func signedAttributes(p7 *pkcs7.PKCS7, hash crypto.Hash) ([]byte, error) {
	var digest []byte
	var set struct {
		Attributes []attribute `asn1:"set"`
	}
	for _, a := range p7.Signers[0].AuthenticatedAttributes {
		set.Attributes = append(set.Attributes, attribute{a.Type, a.Value})
		if !a.Type.Equal(pkcs7.OIDAttributeMessageDigest) {
			continue
		}
		if _, err := asn1.Unmarshal(a.Value.Bytes, &digest); err != nil {
			return nil, fmt.Errorf("%w: the digest of the content cannot be read", ErrUnsigned)
		}
	}
	h := hash.New()
	h.Write(p7.Content)
	if subtle.ConstantTimeCompare(digest, h.Sum(nil)) != 1 {
		return nil, fmt.Errorf("%w: the digest is that of another content", ErrUnsigned)
	}
	encoded, err := asn1.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("%w: the signed attributes cannot be encoded", ErrUnsigned)
	}
	var sequence asn1.RawValue
	if _, err := asn1.Unmarshal(encoded, &sequence); err != nil {
		return nil, fmt.Errorf("%w: the signed attributes cannot be encoded", ErrUnsigned)
	}
	return sequence.Bytes, nil
}
