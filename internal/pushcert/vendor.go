package pushcert

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"slices"
	"time"
)

// Reasons why a vendor cannot sign.
const (
	ReasonVendorKeyMismatch            = "VendorKeyMismatch"
	ReasonVendorCertificateExpired     = "VendorCertificateExpired"
	ReasonVendorCertificateNotYetValid = "VendorCertificateNotYetValid"
	ReasonVendorCertificateWrongType   = "VendorCertificateWrongType"
	ReasonVendorChainUnknown           = "VendorChainUnknown"
	ReasonVendorChainExpired           = "VendorChainExpired"
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

// Leaf is the newest certificate of the key, nil when there is none.
func (v Vendor) Leaf() *x509.Certificate {
	var leaf *x509.Certificate
	for _, c := range v.Certificates {
		if SameKey(c.PublicKey, v.Key.Public()) && (leaf == nil || c.NotAfter.After(leaf.NotAfter)) {
			leaf = c
		}
	}
	return leaf
}

// Check says whether the vendor can sign now.
func (v Vendor) Check(now time.Time) *Refusal {
	_, refusal := v.chain(now)
	return refusal
}

// Sign makes a push certificate request of a certificate request. The refusal is for a person to mend; the error is the key's, which may be in a KMS.
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
	return request, request.Check(now), nil
}

// chain picks the vendor's certificate and those above it.
func (v Vendor) chain(now time.Time) ([]*x509.Certificate, *Refusal) {
	leaf := v.Leaf()
	if leaf == nil {
		return nil, &Refusal{ReasonVendorKeyMismatch, "the vendor's key belongs to none of the certificates that were given: use the key with which the vendor certificate was requested"}
	}
	chain := []*x509.Certificate{leaf}
	for range 2 {
		issuer := v.issuer(chain[len(chain)-1])
		if issuer == nil {
			break
		}
		chain = append(chain, issuer)
	}
	return chain, checkChain(chain, now)
}

// issuer finds the certificate that signed another one by its key and name, the one that ends last if there are several.
func (v Vendor) issuer(of *x509.Certificate) *x509.Certificate {
	var found *x509.Certificate
	for _, c := range v.Certificates {
		if issued(of, c) && !c.Equal(of) && (found == nil || c.NotAfter.After(found.NotAfter)) {
			found = c
		}
	}
	return found
}

// issued says whether a certificate names this one as its issuer.
func issued(child, parent *x509.Certificate) bool {
	return bytes.Equal(child.RawIssuer, parent.RawSubject) &&
		(len(child.AuthorityKeyId) == 0 || len(parent.SubjectKeyId) == 0 || bytes.Equal(child.AuthorityKeyId, parent.SubjectKeyId))
}

func isVendorCertificate(c *x509.Certificate) bool {
	has := func(oid asn1.ObjectIdentifier) bool { return oid.Equal(oidVendor) }
	for _, e := range c.Extensions {
		if has(e.Id) {
			return true
		}
	}
	return slices.ContainsFunc(c.UnknownExtKeyUsage, has)
}

// checkChain judges the vendor's certificate, the intermediate one and the root, in this order.
func checkChain(chain []*x509.Certificate, now time.Time) *Refusal {
	leaf := chain[0]
	switch {
	case !isVendorCertificate(leaf):
		return &Refusal{ReasonVendorCertificateWrongType, fmt.Sprintf("%q is no MDM vendor certificate: request one of the type \"MDM CSR\" at developer.apple.com", leaf.Subject.CommonName)}
	case now.Before(leaf.NotBefore):
		return &Refusal{ReasonVendorCertificateNotYetValid, fmt.Sprintf("the vendor certificate %q is valid from %s only: check the clock", leaf.Subject.CommonName, date(leaf.NotBefore))}
	case now.After(leaf.NotAfter):
		return &Refusal{ReasonVendorCertificateExpired, fmt.Sprintf("the vendor certificate %q expired at %s, and Apple takes no request that it signed: get a new one at developer.apple.com; push certificates that were issued stay good",
			leaf.Subject.CommonName, date(leaf.NotAfter))}
	}
	for i, c := range chain[:min(len(chain), 2)] {
		if i+1 == len(chain) || !issued(c, chain[i+1]) {
			return missing(c)
		}
		if now.After(chain[i+1].NotAfter) || now.Before(chain[i+1].NotBefore) {
			return &Refusal{ReasonVendorChainExpired, fmt.Sprintf("Apple's certificate %q is good from %s to %s only: get the current one from %s",
				chain[i+1].Subject.CommonName, date(chain[i+1].NotBefore), date(chain[i+1].NotAfter), authorities)}
		}
		if c.CheckSignatureFrom(chain[i+1]) != nil {
			return missing(c)
		}
	}
	// The root is self-signed, Apple's with SHA-1, which proves nothing and is refused by crypto/x509: it is only compared.
	if root := chain[2]; len(chain) > 3 || !bytes.Equal(root.RawSubject, root.RawIssuer) {
		return &Refusal{ReasonVendorChainUnknown, fmt.Sprintf("the chain has to be the vendor's certificate, an intermediate one and Apple's root, and %q is no root: get it from %s", root.Subject.CommonName, authorities)}
	}
	return nil
}

// missing says which certificate is missing above another one.
func missing(child *x509.Certificate) *Refusal {
	return &Refusal{ReasonVendorChainUnknown, fmt.Sprintf("the certificate that issued %q is missing: %q with the key id %s; get it from %s and add it",
		child.Subject.CommonName, child.Issuer.String(), hex.EncodeToString(child.AuthorityKeyId), authorities)}
}
