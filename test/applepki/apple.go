package applepki

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// Generation names an intermediate of Worldwide Developer Relations.
type Generation string

// The intermediates that there are. G3 issues unless another is asked for.
const (
	G3 Generation = "G3"
	G6 Generation = "G6"
)

const keyBits = 2048

// Apple is a set of authorities, and the portal. It is safe for concurrent use.
type Apple struct {
	now               func() time.Time
	root, integration *authority
	wwdr              map[Generation]*authority
	portal            *Portal
}

// authority is a CA with an RSA key, as all of Apple's that matter here have.
type authority struct {
	cert *x509.Certificate
	key  *rsa.PrivateKey
}

// New makes authorities that are valid at now(), which is also the clock of everything that they issue and of the portal. The root is valid
// for twenty years and the intermediates for ten; all started a year ago.
func New(now func() time.Time) (*Apple, error) {
	a := &Apple{now: now, wwdr: map[Generation]*authority{}}
	var err error
	if a.root, err = a.newRoot(); err != nil {
		return nil, fmt.Errorf("making the root: %w", err)
	}
	name := appleName("Apple Application Integration 2 Certification Authority", "Apple Certification Authority")
	if a.integration, err = a.newIntermediate(name); err != nil {
		return nil, fmt.Errorf("making the issuer of push certificates: %w", err)
	}
	for _, g := range []Generation{G3, G6} {
		name := appleName("Apple Worldwide Developer Relations Certification Authority", string(g))
		if a.wwdr[g], err = a.newIntermediate(name); err != nil {
			return nil, fmt.Errorf("making the intermediate %s: %w", g, err)
		}
	}
	a.portal = &Portal{apple: a, topics: map[string]bool{}}
	return a, nil
}

// newRoot makes a root that is signed with SHA-1 as Apple Root CA is: whoever verifies its signature on itself instead of trusting it fails.
func (a *Apple) newRoot() (*authority, error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, err
	}
	template := a.caTemplate(appleName("Apple Root CA", "Apple Certification Authority"), 20)
	template.SignatureAlgorithm = x509.SHA1WithRSA
	cert, err := create(template, template, key.Public(), key)
	return &authority{cert, key}, err
}

func (a *Apple) newIntermediate(name pkix.Name) (*authority, error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, err
	}
	template := a.caTemplate(name, 10)
	template.MaxPathLenZero = true
	cert, err := create(template, a.root.cert, key.Public(), a.root.key)
	return &authority{cert, key}, err
}

func (a *Apple) caTemplate(name pkix.Name, years int) *x509.Certificate {
	now := a.now()
	return &x509.Certificate{
		Subject: name, NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(years, 0, 0),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, IsCA: true, BasicConstraintsValid: true,
	}
}

func appleName(commonName, unit string) pkix.Name {
	return pkix.Name{CommonName: commonName, OrganizationalUnit: []string{unit}, Organization: []string{"Apple Inc."}, Country: []string{"US"}}
}

func (ca *authority) issue(template *x509.Certificate, public any) (*x509.Certificate, error) {
	return create(template, ca.cert, public, ca.key)
}

// create signs a template that has no serial number yet.
func create(template, parent *x509.Certificate, public any, key *rsa.PrivateKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// Root is the certificate of the root.
func (a *Apple) Root() *x509.Certificate { return a.root.cert }

// WWDR is the certificate of an intermediate, which must be one of the constants.
func (a *Apple) WWDR(g Generation) *x509.Certificate { return a.wwdr[g].cert }

// RootPEM is the certificate of the root.
func (a *Apple) RootPEM() []byte { return encode(a.root.cert) }

// WWDRPEM is the certificate of an intermediate, which must be one of the constants.
func (a *Apple) WWDRPEM(g Generation) []byte { return encode(a.wwdr[g].cert) }

// AuthoritiesPEM is what somebody has who downloaded every certificate that may belong to a vendor's chain: the root and the intermediates,
// in no order that helps.
func (a *Apple) AuthoritiesPEM() []byte {
	return bytes.Join([][]byte{a.RootPEM(), a.WWDRPEM(G6), a.WWDRPEM(G3)}, nil)
}

// PushCAPEM is the certificate of the authority that issues push certificates: what the push service trusts.
func (a *Apple) PushCAPEM() []byte { return encode(a.integration.cert) }

// Pool is what PushCAPEM holds.
func (a *Apple) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.integration.cert)
	return pool
}

// Portal is the portal for push certificates, as the holder of one Apple Account sees it.
func (a *Apple) Portal() *Portal { return a.portal }

// ServerPair makes the push service's certificate for DNS names and IP addresses, which is valid for a year, with the chain to the root.
func (a *Apple) ServerPair(names ...string) (tls.Certificate, error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return tls.Certificate{}, err
	}
	now := a.now()
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "api.push.apple.com", Organization: []string{"Apple Inc."}, Country: []string{"US"}},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	cert, err := a.integration.issue(template, key.Public())
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("issuing the push service's certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{cert.Raw, a.integration.cert.Raw}, PrivateKey: key, Leaf: cert}, nil
}

func encode(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}
