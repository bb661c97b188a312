package pushcert_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/pushcert"
)

const (
	day   = 24 * time.Hour
	topic = "com.apple.mgmt.External.5f3c2b1a-0000-4000-8000-000000000001"
)

var (
	now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

	oidUID    = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}
	oidVendor = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 4, 12}
	// mark is Apple's on vendor certificates.
	mark = []pkix.Extension{{Id: oidVendor, Value: asn1.NullBytes}}
)

// Whose keys there are.
const customer, before, vendor, another, root, g3, g6, integration = "customer", "before", "vendor", "another", "root", "g3", "g6", "integration"

var (
	keysMu sync.Mutex
	keys   = map[string]*rsa.PrivateKey{}
)

// key is somebody's. All tests share it, since to make RSA keys is what takes time here.
func key(whose string) *rsa.PrivateKey {
	keysMu.Lock()
	defer keysMu.Unlock()
	if keys[whose] == nil {
		made, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys[whose] = made
	}
	return keys[whose]
}

// apple are Apple's certificates, good from a year ago to in ten years, and what they issued: a vendor's that ends in 300 days.
type apple struct{ root, g3, g6, integration, vendor *x509.Certificate }

// newApple makes Apple's certificates. The root is signed with SHA-1, as Apple's is.
func newApple(t testing.TB) *apple {
	t.Helper()
	authority := func(commonName, unit string) *x509.Certificate {
		return &x509.Certificate{
			Subject:   pkix.Name{CommonName: commonName, OrganizationalUnit: []string{unit}, Organization: []string{"Apple Inc."}, Country: []string{"US"}},
			NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(10, 0, 0),
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		}
	}
	a := &apple{}
	top := authority("Apple Root CA", "Apple Certification Authority")
	top.SignatureAlgorithm = x509.SHA1WithRSA
	a.root = certificate(t, top, top, key(root), key(root).Public())
	below := func(commonName, unit, whose string) *x509.Certificate {
		return certificate(t, authority(commonName, unit), a.root, key(root), key(whose).Public())
	}
	a.g3 = below("Apple Worldwide Developer Relations Certification Authority", "G3", g3)
	a.g6 = below("Apple Worldwide Developer Relations Certification Authority", "G6", g6)
	a.integration = below("Apple Application Integration 2 Certification Authority", "G2", integration)
	a.vendor = a.vendors(t, same)
	return a
}

// same changes nothing.
func same(*x509.Certificate) {}

// vendors issues a certificate of the vendor's key by G3.
func (a *apple) vendors(t testing.TB, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	c := &x509.Certificate{
		Subject: pkix.Name{CommonName: "MDM Vendor: Example Inc."}, NotBefore: now.Add(-day), NotAfter: now.Add(300 * day),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtraExtensions: mark,
	}
	change(c)
	return certificate(t, c, a.g3, key(g3), key(vendor).Public())
}

// push issues a push certificate of the customer's key that ends in a year.
func (a *apple) push(t testing.TB, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	c := pushTemplate()
	change(c)
	return certificate(t, c, a.integration, key(integration), key(customer).Public())
}

func pushTemplate() *x509.Certificate {
	return &x509.Certificate{
		Subject: name(topic), NotBefore: now.Add(-day), NotAfter: now.Add(365 * day),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
}

// name is the subject of a push certificate.
func name(topic string) pkix.Name {
	n := pkix.Name{CommonName: "APSP:1"}
	if topic != "" {
		n.ExtraNames = []pkix.AttributeTypeAndValue{{Type: oidUID, Value: topic}}
	}
	return n
}

// all is what somebody has who downloaded every certificate, in no order that helps.
func (a *apple) all(more ...*x509.Certificate) []*x509.Certificate {
	return append([]*x509.Certificate{a.root, a.g6, a.g3}, more...)
}

// signed is a request that Apple would take.
func (a *apple) signed(t testing.TB) *pushcert.Request {
	t.Helper()
	r, refusal, err := pushcert.Vendor{Key: key(vendor), Certificates: a.all(a.vendor)}.Sign(csr(t), now)
	must(t, err)
	expectRefusal(t, refusal, "", "")
	return r
}

func certificate(t testing.TB, template, parent *x509.Certificate, signer *rsa.PrivateKey, public crypto.PublicKey) *x509.Certificate {
	t.Helper()
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	must(t, err)
	c, err := x509.ParseCertificate(der)
	must(t, err)
	return c
}

var (
	csrOnce sync.Once
	csrFile []byte
)

// csr is the customer's request.
func csr(t testing.TB) *x509.CertificateRequest {
	t.Helper()
	csrOnce.Do(func() {
		var err error
		csrFile, err = pushcert.NewCSR(key(customer), pushcert.Subject{Email: "it@example.com", Country: "DE"})
		must(t, err)
	})
	request, err := pushcert.ParseCSR(csrFile)
	must(t, err)
	return request
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func toPEM(certificates ...*x509.Certificate) []byte {
	var b []byte
	for _, c := range certificates {
		b = append(b, block("CERTIFICATE", c.Raw)...)
	}
	return b
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func crlf(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// expectError wants an error that says something, and none if want is "".
func expectError(t testing.TB, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Fatalf("failed: %v", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("got the error %v, want one that says %q", err, want)
	}
}

// expectRefusal wants a refusal whose message says something, and none if reason is "".
func expectRefusal(t testing.TB, r *pushcert.Refusal, reason, say string) {
	t.Helper()
	switch {
	case reason == "" && r != nil:
		t.Fatalf("refused: %s: %s", r.Reason, r.Message)
	case reason != "" && (r == nil || r.Reason != reason || !strings.Contains(r.Error(), say)):
		t.Errorf("got %+v, want %s that says %q", r, reason, say)
	}
}

// openssl runs a script in a folder with files, and returns a function that reads what it left there.
func openssl(t testing.TB, files map[string][]byte, script string) func(string) []byte {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		must(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	command := exec.Command("bash", "-eu", "-o", "pipefail", "-c", script)
	command.Dir = dir
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return func(name string) []byte {
		t.Helper()
		content, err := os.ReadFile(filepath.Join(dir, name))
		must(t, err)
		return content
	}
}
