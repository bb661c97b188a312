package identity

import (
	"crypto/sha256"
	"crypto/x509"
	"slices"
	"sync"
	"time"
)

// maxChains bounds the certificates that Chains remembers, about 150 bytes each. Past it any one is forgotten for a new one.
const maxChains = 1 << 17

// Chains remembers the certificates that the CAs vouch for, so that the chain of a device is verified once and not with each of its requests. The zero
// value is empty and ready; it is for the CAs of one server.
type Chains struct {
	mu            sync.Mutex
	own, imported []*x509.Certificate // the CAs that vouched for what is known
	known         map[[sha256.Size]byte]chain
}

// chain is what vouches for a certificate: an own CA or one of an import, and while all certificates up to it are valid.
type chain struct {
	own                 bool
	notBefore, notAfter time.Time
}

// find returns what is known of a certificate. Once the CAs are others nothing is.
func (c *Chains) find(key [sha256.Size]byte, own, imported []*x509.Certificate, now time.Time) (chain, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Equal(c.own, own) || !slices.Equal(c.imported, imported) {
		c.own, c.imported, c.known = own, imported, map[[sha256.Size]byte]chain{}
	}
	found, ok := c.known[key]
	return found, ok && !now.Before(found.notBefore) && !now.After(found.notAfter)
}

// remember notes what vouches for a certificate, unless the CAs have changed since they were asked.
func (c *Chains) remember(key [sha256.Size]byte, own, imported []*x509.Certificate, found chain) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Equal(c.own, own) || !slices.Equal(c.imported, imported) {
		return
	}
	for other := range c.known {
		if len(c.known) < maxChains {
			break
		}
		delete(c.known, other)
	}
	c.known[key] = found
}

// vouched returns what vouches for the certificate now, from memory if it can.
func (o Options) vouched(cert *x509.Certificate) (chain, error) {
	own, imported, now := o.own(), o.imported(), o.Now()
	if o.Chains == nil {
		return vouch(cert, own, imported, now)
	}
	key := sha256.Sum256(cert.Raw)
	if found, ok := o.Chains.find(key, own, imported, now); ok {
		return found, nil
	}
	found, err := vouch(cert, own, imported, now)
	if err == nil {
		o.Chains.remember(key, own, imported, found)
	}
	return found, err
}

// issued says whether an own CA vouches for a trusted certificate.
func (o Options) issued(cert *x509.Certificate) bool {
	if o.Imported == nil {
		return true
	}
	by, err := o.vouched(cert)
	return err == nil && by.own
}

// vouch verifies the chain to an own CA, or else to one of an import.
func vouch(cert *x509.Certificate, own, imported []*x509.Certificate, now time.Time) (chain, error) {
	chains, err := verifyChain(cert, own, now)
	if err == nil {
		return validity(chains, true), nil
	}
	if len(imported) > 0 {
		if chains, err = verifyChain(cert, imported, now); err == nil {
			return validity(chains, false), nil
		}
	}
	return chain{}, err
}

// Vouched says why none of the CAs vouches for a device's certificate now, or nil. Any of them may be an intermediate one.
func Vouched(cert *x509.Certificate, cas []*x509.Certificate, now time.Time) error {
	_, err := verifyChain(cert, cas, now)
	return err
}

func verifyChain(cert *x509.Certificate, cas []*x509.Certificate, now time.Time) ([][]*x509.Certificate, error) {
	roots := x509.NewCertPool()
	for _, ca := range cas {
		roots.AddCert(ca)
	}
	return cert.Verify(x509.VerifyOptions{
		Roots:       roots,
		CurrentTime: now,
		KeyUsages:   []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

// validity is while the first of the chains holds.
func validity(chains [][]*x509.Certificate, own bool) chain {
	v := chain{own: own, notBefore: chains[0][0].NotBefore, notAfter: chains[0][0].NotAfter}
	for _, cert := range chains[0][1:] {
		v.notBefore, v.notAfter = latest(v.notBefore, cert.NotBefore), earliest(v.notAfter, cert.NotAfter)
	}
	return v
}

// own returns the certificates of the server's own CAs.
func (o Options) own() []*x509.Certificate {
	cas := o.CAs()
	certs := make([]*x509.Certificate, len(cas))
	for i, ca := range cas {
		certs[i] = ca.Cert
	}
	return certs
}

func (o Options) imported() []*x509.Certificate {
	if o.Imported == nil {
		return nil
	}
	return o.Imported()
}
