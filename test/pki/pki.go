// Package pki makes throw-away certificate authorities and certificates for tests.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"net"
	"testing"
	"time"
)

// CA signs certificates.
type CA struct {
	Cert *x509.Certificate
	Key  crypto.Signer
}

// Leaf says what a certificate is for. Its usage is both server and client authentication.
type Leaf struct {
	CN    string
	Names []string // DNS names and IP addresses
	UID   string   // the push topic
	// NotBefore and NotAfter are an hour ago and in a day unless they are set.
	NotBefore, NotAfter time.Time
}

// NewCA makes a CA with a P-256 key that is valid for ten years.
func NewCA(t testing.TB, cn string) *CA {
	t.Helper()
	return newCA(t, pkix.Name{CommonName: cn})
}

// NewAppleCA makes a CA like NewCA with the name of the one of Apple's that issues push certificates.
func NewAppleCA(t testing.TB) *CA {
	t.Helper()
	return newCA(t, pkix.Name{CommonName: "Apple Application Integration 2 Certification Authority", Organization: []string{"Apple Inc."}, Country: []string{"US"}})
}

func newCA(t testing.TB, subject pkix.Name) *CA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return selfSigned(t, subject, key)
}

// NewIdentityCA makes a CA like NewCA with an RSA key of 2048 bits, as SCEP needs.
func NewIdentityCA(t testing.TB, cn string) *CA {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	return selfSigned(t, pkix.Name{CommonName: cn}, key)
}

func selfSigned(t testing.TB, subject pkix.Name, key crypto.Signer) *CA {
	t.Helper()
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial(t), Subject: subject,
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		IsCA:     true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return &CA{Cert: cert, Key: key}
}

// Issue makes a certificate with a new P-256 key.
func (ca *CA) Issue(t testing.TB, leaf Leaf) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: serial(t), Subject: pkix.Name{CommonName: leaf.CN},
		NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if leaf.NotBefore.IsZero() {
		template.NotBefore = time.Now().Add(-time.Hour)
	}
	if leaf.NotAfter.IsZero() {
		template.NotAfter = time.Now().AddDate(0, 0, 1)
	}
	if leaf.UID != "" {
		uid := pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}, Value: leaf.UID}
		template.Subject.ExtraNames = []pkix.AttributeTypeAndValue{uid}
	}
	for _, name := range leaf.Names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.Cert, key.Public(), ca.Key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: cert}
}

// Pool trusts the CA.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.Cert)
	return pool
}

// CertPEM encodes the CA's certificate.
func (ca *CA) CertPEM() []byte { return certPEM(ca.Cert.Raw) }

// KeyPEM encodes the CA's key.
func (ca *CA) KeyPEM(t testing.TB) []byte {
	t.Helper()
	return keyPEM(t, ca.Key)
}

// PEM encodes a certificate and its key.
func PEM(t testing.TB, pair tls.Certificate) (cert, key []byte) {
	t.Helper()
	return certPEM(pair.Certificate[0]), keyPEM(t, pair.PrivateKey)
}

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func keyPEM(t testing.TB, key crypto.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func serial(t testing.TB) *big.Int {
	t.Helper()
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	must(t, err)
	return n
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
