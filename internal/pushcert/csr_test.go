package pushcert_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"testing"

	"github.com/kubemdm/kubemdm/internal/pushcert"
)

func TestNewCSRWithoutASubject(t *testing.T) {
	b, err := pushcert.NewCSR(key(customer), pushcert.Subject{})
	must(t, err)
	parsed, err := pushcert.ParseCSR(b)
	must(t, err)
	if got := parsed.Subject.String(); got != "CN=KubeMDM push" || !key(customer).PublicKey.Equal(parsed.PublicKey) {
		t.Errorf("the subject is %s, or the key is another one", got)
	}
}

func TestNewCSRRefuses(t *testing.T) {
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	must(t, err)
	for name, tc := range map[string]struct {
		key     crypto.Signer
		subject pushcert.Subject
		want    string
	}{
		"a key of another kind":       {curve, pushcert.Subject{}, "RSA key of 2048 bits"},
		"a small key":                 {small, pushcert.Subject{}, "1024 bits"},
		"a country":                   {key(customer), pushcert.Subject{Country: "Germany"}, "two letters"},
		"a country of two bytes":      {key(customer), pushcert.Subject{Country: "ü"}, "two letters"},
		"an address that is no ASCII": {key(customer), pushcert.Subject{Email: "jürgen@example.com"}, "ASCII"},
		"a name that is no UTF-8":     {key(customer), pushcert.Subject{CommonName: "\xff"}, "signing the certificate request"},
		"a key that does not sign":    {remote{key(customer), func([]byte) ([]byte, error) { return nil, bytes.ErrTooLarge }}, pushcert.Subject{}, "signing the certificate request"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := pushcert.NewCSR(tc.key, tc.subject)
			expectError(t, err, tc.want)
		})
	}
}

func TestParseCSR(t *testing.T) {
	der := csr(t).Raw
	file := block("CERTIFICATE REQUEST", der)
	for name, given := range map[string][]byte{
		"PEM":               file,
		"CRLF":              crlf(file),
		"DER":               der,
		"an old header":     block("NEW CERTIFICATE REQUEST", der),
		"behind others":     join(toPEM(newApple(t).root), file),
		"text around":       join([]byte("Subject: x\n"), file, []byte("regards\n")),
		"a byte order mark": join([]byte("\ufeff"), file),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := pushcert.ParseCSR(given)
			must(t, err)
			if !bytes.Equal(got.Raw, der) {
				t.Error("another request")
			}
		})
	}
}

func TestParseCSRRefuses(t *testing.T) {
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	must(t, err)
	by := func(key crypto.Signer) []byte {
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
		must(t, err)
		return der
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key(customer))
	must(t, err)
	file := openssl(t, map[string][]byte{"key": block("PRIVATE KEY", pkcs8)}, `
openssl req -new -sha1 -key key -subj /CN=x -out sha1
openssl req -new -md5 -key key -subj /CN=x -out md5`)
	der := csr(t).Raw
	changed := bytes.Clone(der)
	changed[len(changed)-1] ^= 1
	var request struct{ Info, Algorithm, Signature asn1.RawValue }
	_, err = asn1.Unmarshal(der, &request)
	must(t, err)
	huge, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 9000, 1), E: 65537})
	must(t, err)
	request.Info = asn1.RawValue{FullBytes: sequence(t, 0, asn1.RawValue{FullBytes: csr(t).RawSubject}, asn1.RawValue{FullBytes: huge}, asn1.RawValue{FullBytes: []byte{0xa0, 0}})}
	for name, tc := range map[string]struct {
		given []byte
		want  string
	}{
		"nothing":               {nil, "empty"},
		"too much":              {bytes.Repeat([]byte("a"), 1<<20), "1048576 bytes"},
		"words":                 {[]byte("a request"), "no certificate request"},
		"a certificate":         {toPEM(newApple(t).root), "no whole CERTIFICATE REQUEST"},
		"cut":                   {block("CERTIFICATE REQUEST", der)[:500], "no whole CERTIFICATE REQUEST"},
		"cut DER":               {der[:500], "no certificate request"},
		"more behind it":        {append(bytes.Clone(der), 0), "no certificate request"},
		"a key of another kind": {by(curve), "no RSA key"},
		"a key of Edwards":      {by(edwards), "no RSA key"},
		"a small key":           {by(small), "1024 bits"},
		"a key that takes long": {sequence(t, request.Info, request.Algorithm, request.Signature), "9001 bits"},
		"SHA-1":                 {file("sha1"), "-sha256"},
		"MD5":                   {file("md5"), "make it again"},
		"changed":               {changed, "not signed by its own key"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := pushcert.ParseCSR(tc.given)
			expectError(t, err, tc.want)
			if got != nil {
				t.Error("there is a request all the same")
			}
		})
	}
}

// sequence is a SEQUENCE of values.
func sequence(t *testing.T, values ...any) []byte {
	t.Helper()
	var content []byte
	for _, v := range values {
		der, err := asn1.Marshal(v)
		must(t, err)
		content = append(content, der...)
	}
	der, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: content})
	must(t, err)
	return der
}
