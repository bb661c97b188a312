package pushcert

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"slices"
	"time"
)

// authorities is where Apple publishes its intermediate and root certificates.
const authorities = "https://www.apple.com/certificateauthority/"

// oidVendor marks a certificate that Apple issued for signing push certificate requests ("MDM CSR").
var oidVendor = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 4, 12}

// Vendor is an MDM vendor: whom Apple lets sign the requests of its customers.
type Vendor struct {
	Key crypto.Signer
	// Certificates are the vendor's own, Apple's intermediate ones and Apple's root, in any order; those that fit are picked.
	Certificates []*x509.Certificate
}

// Leaf is the vendor's certificate: of those of the key one that is for vendors, and of several the one that ends last. It is nil when there is none.
func (v Vendor) Leaf() *x509.Certificate {
	var leaf *x509.Certificate
	for _, c := range v.Certificates {
		if sameKey(c.PublicKey, v.Key.Public()) && (leaf == nil || better(c, leaf)) {
			leaf = c
		}
	}
	return leaf
}

func better(c, than *x509.Certificate) bool {
	if a, b := isVendorCertificate(c), isVendorCertificate(than); a != b {
		return a
	}
	return c.NotAfter.After(than.NotAfter)
}

// Check says whether the vendor can sign now.
func (v Vendor) Check(now time.Time) *Refusal {
	_, refusal := v.chain(now)
	return refusal
}

// Sign makes a push certificate request of a certificate request. The refusal is for a person to mend; the error is the key's, which may be in a KMS.
// There is a request if there is neither.
func (v Vendor) Sign(csr *x509.CertificateRequest, now time.Time) (*Request, *Refusal, error) {
	chain, refusal := v.chain(now)
	if refusal != nil {
		return nil, refusal, nil
	}
	sum := sha256.Sum256(csr.Raw)
	signature, err := v.Key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return nil, nil, fmt.Errorf("signing with the vendor's key: %w", err)
	}
	request := &Request{CSR: csr, Chain: chain, Signature: signature}
	if refusal := request.Check(now); refusal != nil {
		return nil, refusal, nil
	}
	return request, nil, nil
}

// chain picks the vendor's certificate and those above it.
func (v Vendor) chain(now time.Time) ([]*x509.Certificate, *Refusal) {
	leaf := v.Leaf()
	if leaf == nil {
		return nil, &Refusal{ReasonVendorKeyMismatch, "the vendor's key belongs to none of the certificates that were given: use the key with which the vendor certificate was requested"}
	}
	chain := chainOf(leaf, v.Certificates)
	return chain, checkChain(chain, now)
}

// chainOf puts the certificates above one into order, as far as they are there. Of several that fit it takes the one that ends last.
func chainOf(leaf *x509.Certificate, from []*x509.Certificate) []*x509.Certificate {
	chain := []*x509.Certificate{leaf}
	for range 2 {
		var issuer *x509.Certificate
		for _, c := range from {
			if issued(chain[len(chain)-1], c) && (issuer == nil || c.NotAfter.After(issuer.NotAfter)) {
				issuer = c
			}
		}
		if issuer == nil {
			break
		}
		chain = append(chain, issuer)
	}
	return chain
}

// issued says whether a certificate signed another one, not itself. Apple's intermediates are several, and some had one name with different keys.
func issued(child, parent *x509.Certificate) bool {
	if key, ok := parent.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > maxKeyBits {
		return false
	}
	return !child.Equal(parent) && bytes.Equal(child.RawIssuer, parent.RawSubject) &&
		(len(child.AuthorityKeyId) == 0 || bytes.Equal(child.AuthorityKeyId, parent.SubjectKeyId)) &&
		child.CheckSignatureFrom(parent) == nil
}

// isVendorCertificate looks for Apple's mark, an extension or a key usage.
func isVendorCertificate(c *x509.Certificate) bool {
	for _, e := range c.Extensions {
		if e.Id.Equal(oidVendor) {
			return true
		}
	}
	return slices.ContainsFunc(c.UnknownExtKeyUsage, oidVendor.Equal)
}

// checkChain judges the vendor's certificate, the intermediate one and the root, in this order.
func checkChain(chain []*x509.Certificate, now time.Time) *Refusal {
	if refusal := checkLeaf(chain[0], now); refusal != nil {
		return refusal
	}
	for i, c := range chain[:min(len(chain), 2)] {
		if i+1 == len(chain) || !issued(c, chain[i+1]) {
			return missing(c)
		}
		if above := chain[i+1]; now.After(above.NotAfter) || now.Before(above.NotBefore) {
			return &Refusal{ReasonVendorChainExpired, fmt.Sprintf("Apple's certificate %q is good from %s to %s only: get the current one from %s",
				above.Subject.String(), date(above.NotBefore), date(above.NotAfter), authorities)}
		}
	}
	// The root's signature on itself is Apple's with SHA-1, which proves nothing and is refused by crypto/x509: the names are compared only.
	if root := chain[2]; len(chain) > 3 || !bytes.Equal(root.RawSubject, root.RawIssuer) {
		return &Refusal{ReasonVendorChainUnknown, fmt.Sprintf("the chain has to be the vendor's certificate, an intermediate one and Apple's root, and does not end so with %q: get them from %s",
			root.Subject.String(), authorities)}
	}
	return nil
}

func checkLeaf(leaf *x509.Certificate, now time.Time) *Refusal {
	name := leaf.Subject.CommonName
	if !isVendorCertificate(leaf) {
		return &Refusal{ReasonVendorCertificateWrongType, fmt.Sprintf("%q is no MDM vendor certificate: request one of the type \"MDM CSR\" at developer.apple.com", name)}
	}
	if err := checkKey(leaf.PublicKey); err != nil {
		return &Refusal{ReasonVendorCertificateWrongType, fmt.Sprintf("the vendor certificate %q: %v, and request a certificate of the type \"MDM CSR\" with it", name, err)}
	}
	if now.Before(leaf.NotBefore) {
		return &Refusal{ReasonVendorCertificateNotYetValid, fmt.Sprintf("the vendor certificate %q is valid from %s only: check the clock", name, date(leaf.NotBefore))}
	}
	if now.After(leaf.NotAfter) {
		return &Refusal{ReasonVendorCertificateExpired, fmt.Sprintf("the vendor certificate %q expired at %s, and Apple takes no request that it signed: get a new one at developer.apple.com; push certificates that were issued stay good",
			name, date(leaf.NotAfter))}
	}
	return nil
}

// missing says which certificate is missing above another one.
func missing(child *x509.Certificate) *Refusal {
	issuer := fmt.Sprintf("%q", child.Issuer.String())
	if len(child.AuthorityKeyId) > 0 {
		issuer += " with the key id " + hex.EncodeToString(child.AuthorityKeyId)
	}
	return &Refusal{ReasonVendorChainUnknown, fmt.Sprintf("the certificate that issued %q is missing: %s; get it from %s and add it", child.Subject.CommonName, issuer, authorities)}
}
