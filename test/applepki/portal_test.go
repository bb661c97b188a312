package applepki_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/test/applepki"
)

// start is far from today: whoever asks the wall clock is found out.
var start = time.Date(2031, 3, 1, 12, 0, 0, 0, time.UTC)

func newApple(t *testing.T) (*applepki.Apple, time.Time) {
	t.Helper()
	apple, err := applepki.New(func() time.Time { return start })
	if err != nil {
		t.Fatal(err)
	}
	return apple, start
}

func newKey(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newCSR(t *testing.T, key crypto.Signer, algorithm x509.SignatureAlgorithm) []byte {
	t.Helper()
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "KubeMDM push"}, SignatureAlgorithm: algorithm}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func sign(t *testing.T, key crypto.Signer, hash crypto.Hash, content []byte) string {
	t.Helper()
	digest := sha256.Sum256(content)
	sum := digest[:]
	if hash == crypto.SHA1 {
		old := sha1.Sum(content)
		sum = old[:]
	}
	signature, err := key.Sign(rand.Reader, sum, hash)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(signature)
}

// parts are what a property list to upload is made of.
type parts struct {
	csr, chain, signature string
	format                string // of the property list; the default has the three strings in the order of the fields
}

const plistFormat = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>PushCertRequestCSR</key>
	<string>@csr</string>
	<key>PushCertCertificateChain</key>
	<string>@chain</string>
	<key>PushCertSignature</key>
	<string>@signature</string>
</dict>
</plist>`

func (p parts) plist() string {
	return strings.NewReplacer("@csr", p.csr, "@chain", p.chain, "@signature", p.signature).Replace(p.format)
}

func (p parts) upload() []byte { return []byte(base64.StdEncoding.EncodeToString([]byte(p.plist()))) }

func certPEM(certs ...*x509.Certificate) string {
	var out bytes.Buffer
	for _, c := range certs {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return out.String()
}

// bench is a vendor and the parts of its good request.
type bench struct {
	apple *applepki.Apple
	leaf  *x509.Certificate
	key   crypto.Signer
	csr   []byte
}

func newBench(t *testing.T) *bench {
	t.Helper()
	apple, _ := newApple(t)
	leaf, key, err := apple.Vendor(applepki.VendorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return &bench{apple, leaf, key, newCSR(t, newKey(t, 2048), x509.SHA256WithRSA)}
}

// request is good for the bench's vendor, or for another certificate of the same key and its intermediate.
func (b *bench) request(t *testing.T, csr []byte, leaf *x509.Certificate, g applepki.Generation) parts {
	t.Helper()
	return parts{
		csr:       base64.StdEncoding.EncodeToString(csr),
		chain:     certPEM(leaf, b.apple.WWDR(g), b.apple.Root()),
		signature: sign(t, b.key, crypto.SHA256, csr), format: plistFormat,
	}
}

// other is another certificate of the bench's vendor key.
func (b *bench) other(t *testing.T, apple *applepki.Apple, o applepki.VendorOptions) *x509.Certificate {
	t.Helper()
	o.Key = b.key
	leaf, _, err := apple.Vendor(o)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

// pushSubject is UID, CN and C, in this order.
var pushSubject = regexp.MustCompile(`^0\.9\.2342\.19200300\.100\.1\.1=com\.apple\.mgmt\.External\.[0-9a-f-]{36} 2\.5\.4\.3=APSP:[0-9a-f-]{36} 2\.5\.4\.6=US $`)

// checkPushCertificate wants what Apple returns and returns the topic.
func checkPushCertificate(t *testing.T, apple *applepki.Apple, returned []byte, now time.Time) string {
	t.Helper()
	if bytes.Count(returned, []byte("\n")) != bytes.Count(returned, []byte("\r\n")) {
		t.Error("the PEM has no CRLF")
	}
	block, rest := pem.Decode(returned)
	if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
		t.Fatalf("not one certificate in PEM:\n%s", returned)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	var subject strings.Builder
	for _, name := range cert.Subject.Names {
		fmt.Fprintf(&subject, "%s=%s ", name.Type, name.Value)
	}
	if !pushSubject.MatchString(subject.String()) {
		t.Errorf("subject %s", &subject)
	}
	if got := cert.Issuer.Organization; len(got) != 1 || got[0] != "Apple Inc." {
		t.Errorf("issuer %s", cert.Issuer)
	}
	if !cert.NotBefore.Equal(now) || cert.NotAfter.Sub(now) != 365*24*time.Hour {
		t.Errorf("valid from %s to %s", cert.NotBefore, cert.NotAfter)
	}
	if _, err := cert.Verify(x509.VerifyOptions{Roots: apple.Pool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	topic, _ := cert.Subject.Names[0].Value.(string)
	return topic
}

func TestTopicsAreKeptByRenewOnly(t *testing.T) {
	b := newBench(t)
	portal := b.apple.Portal()
	upload := b.request(t, b.csr, b.leaf, applepki.G3).upload()
	create := func() string {
		returned, err := portal.Create(upload)
		if err != nil {
			t.Fatal(err)
		}
		return checkPushCertificate(t, b.apple, returned, start)
	}
	first, second := create(), create()
	if first == second {
		t.Errorf("two certificates were created with the topic %s", first)
	}
	returned, err := portal.Renew(first, upload)
	if err != nil {
		t.Fatal(err)
	}
	if topic := checkPushCertificate(t, b.apple, returned, start); topic != first {
		t.Errorf("renewed %s, got %s", first, topic)
	}
	_, err = portal.Renew("com.apple.mgmt.External.another", upload)
	wantRefusal(t, err, `no certificate with the topic "com.apple.mgmt.External.another"`)
	_, err = portal.Renew(first, upload[4:])
	wantRefusal(t, err, "the property list")
}

func wantRefusal(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want one with %q", err, want)
	}
}

func TestUploadsThatAreAccepted(t *testing.T) {
	b := newBench(t)
	good := b.request(t, b.csr, b.leaf, applepki.G3)
	signed, err := b.apple.SignRequest(b.leaf, b.key, b.csr)
	if err != nil {
		t.Fatal(err)
	}
	sixth := b.request(t, b.csr, b.other(t, b.apple, applepki.VendorOptions{Generation: applepki.G6}), applepki.G6)
	for name, upload := range map[string][]byte{
		"one line":                  good.upload(),
		"lines with CRLF":           []byte(wrap(string(good.upload()), 76, "\r\n")),
		"another order of the keys": parts{good.csr, good.chain, good.signature, swapped()}.upload(),
		"the other intermediate":    sixth.upload(),
		"signed here":               signed,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := b.apple.Portal().Create(upload); err != nil {
				t.Error(err)
			}
		})
	}
}

// swapped has the signature before the CSR.
func swapped() string {
	entry := "\t<key>PushCertSignature</key>\n\t<string>@signature</string>\n"
	return strings.Replace(strings.Replace(plistFormat, entry, "", 1), "<dict>\n", "<dict>\n"+entry, 1)
}

func wrap(text string, columns int, lineBreak string) string {
	var out strings.Builder
	for len(text) > columns {
		out.WriteString(text[:columns] + lineBreak)
		text = text[columns:]
	}
	return out.String() + text + lineBreak
}

func TestKeysThatAreNoVendors(t *testing.T) {
	apple, _ := newApple(t)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = apple.Vendor(applepki.VendorOptions{Key: curve})
	wantRefusal(t, err, "not an RSA key")
	_, err = apple.VendorFromCSR(newCSR(t, newKey(t, 1024), x509.SHA256WithRSA))
	wantRefusal(t, err, "1024 bits")
	_, err = apple.VendorFromCSR([]byte("-----BEGIN CERTIFICATE REQUEST-----"))
	wantRefusal(t, err, "not a PKCS#10 request in DER")
}
