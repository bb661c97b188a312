package pushcert_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/internal/pushcert"
)

// what openssl makes of a key and certificates, as people have them.
const conversions = `
openssl pkcs8 -topk8 -in key -out locked8 -passout pass:geheim
openssl pkcs8 -topk8 -in key -out locked8.der -outform DER -passout pass:geheim
openssl rsa -in key -aes128 -traditional -out locked1 -passout pass:geheim
openssl rsa -in key -traditional -out pkcs1
openssl rsa -in key -traditional -out pkcs1.der -outform DER
openssl pkey -in key -pubout -out public
openssl ecparam -name prime256v1 -genkey -out curve
openssl pkcs12 -export -inkey key -in certs -out p12 -passout pass:geheim
openssl crl2pkcs7 -nocrl -certfile certs -out p7b
openssl crl2pkcs7 -nocrl -certfile certs -out p7b.der -outform DER`

func converted(t testing.TB, a *apple) (file func(string) []byte, pkcs8 []byte) {
	t.Helper()
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key(customer))
	must(t, err)
	files := map[string][]byte{"key": block("PRIVATE KEY", pkcs8), "certs": toPEM(a.push(t, same), a.integration)}
	return openssl(t, files, conversions), pkcs8
}

func TestReadCertificates(t *testing.T) {
	a := newApple(t)
	file, pkcs8 := converted(t, a)
	two := toPEM(a.g3, a.root)
	// An indefinite length, as BER has it, in place of the one of DER.
	ber := append([]byte{0x30, 0x80}, file("p7b.der")[4:]...)
	for name, tc := range map[string]struct {
		given []byte
		want  []*x509.Certificate
		fails string
	}{
		"PEM":                {two, []*x509.Certificate{a.g3, a.root}, ""},
		"CRLF":               {crlf(two), []*x509.Certificate{a.g3, a.root}, ""},
		"DER":                {a.g3.Raw, []*x509.Certificate{a.g3}, ""},
		"among others":       {join([]byte("subject=/CN=x\n"), file("pkcs1"), toPEM(a.root), []byte("\n\n"), block("CERTIFICATE REQUEST", csr(t).Raw), toPEM(a.g3)), []*x509.Certificate{a.root, a.g3}, ""},
		"nothing":            {nil, nil, "empty"},
		"words":              {[]byte("see attachment"), nil, "neither PEM nor DER"},
		"cut":                {toPEM(a.g3)[:400], nil, "whole file"},
		"broken":             {block("CERTIFICATE", a.g3.Raw[:300]), nil, "as it was downloaded"},
		"one of two broken":  {join(toPEM(a.root), block("CERTIFICATE", a.g3.Raw[:300])), nil, "as it was downloaded"},
		"a request":          {block("CERTIFICATE REQUEST", csr(t).Raw), nil, `"CERTIFICATE REQUEST"`},
		"a key":              {block("PRIVATE KEY", pkcs8), nil, `"PRIVATE KEY"`},
		".p12":               {file("p12"), nil, "openssl pkcs12"},
		".p7b":               {file("p7b"), nil, "openssl pkcs7 -in"},
		".p7b, DER":          {file("p7b.der"), nil, "openssl pkcs7 -inform DER"},
		".p7b, BER":          {ber, nil, "openssl pkcs7 -inform DER"},
		"two in DER":         {join(a.g3.Raw, a.root.Raw), nil, "neither PEM nor DER"},
		"too much":           {bytes.Repeat(two, 200), nil, "bytes"},
		"a very long header": {[]byte("-----BEGIN " + strings.Repeat("X", 1000) + "-----\nAAAA\n-----END " + strings.Repeat("X", 1000) + "-----\n"), nil, `a "` + strings.Repeat("X", 40) + `"`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := pushcert.ReadCertificates(tc.given)
			expectError(t, err, tc.fails)
			if len(got) != len(tc.want) {
				t.Fatalf("%d certificates", len(got))
			}
			for i := range got {
				if !got[i].Equal(tc.want[i]) {
					t.Errorf("%d: %s", i, got[i].Subject)
				}
			}
		})
	}
}

func TestReadKey(t *testing.T) {
	a := newApple(t)
	file, pkcs8 := converted(t, a)
	good := block("PRIVATE KEY", pkcs8)
	for name, tc := range map[string]struct {
		given []byte
		fails string
	}{
		"PKCS #8":              {good, ""},
		"PKCS #8, DER":         {pkcs8, ""},
		"PKCS #1":              {file("pkcs1"), ""},
		"PKCS #1, DER":         {file("pkcs1.der"), ""},
		"CRLF":                 {crlf(good), ""},
		"behind a certificate": {join(toPEM(a.vendor), good), ""},
		"nothing":              {nil, "empty"},
		"words":                {[]byte("see attachment"), "neither PEM nor DER"},
		"encrypted":            {file("locked8"), "encrypted with a password: take that off with 'openssl pkey"},
		"encrypted, DER":       {file("locked8.der"), "encrypted"},
		"encrypted, PKCS #1":   {file("locked1"), "encrypted"},
		".p12":                 {file("p12"), "openssl pkcs12"},
		"a public key":         {file("public"), "no private key"},
		"a certificate":        {toPEM(a.vendor), "no private key"},
		"a certificate, DER":   {a.vendor.Raw, "neither PEM nor DER"},
		"cut":                  {good[:500], "whole file"},
		"broken":               {block("PRIVATE KEY", pkcs8[:500]), "broken"},
		"too much":             {join(good, make([]byte, 40<<10)), "bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := pushcert.ReadKey(tc.given)
			expectError(t, err, tc.fails)
			if err == nil && !key(customer).PublicKey.Equal(got.Public()) {
				t.Error("another key")
			}
			if err != nil && got != nil {
				t.Error("a key and an error")
			}
		})
	}
	var curve crypto.Signer
	curve, err := pushcert.ReadKey(file("curve")) // with EC PARAMETERS before it
	if _, ok := curve.(*ecdsa.PrivateKey); !ok {
		t.Errorf("%T, %v", curve, err)
	}
}

// Nothing that stands in a file with a key may come out in an error, which ends in a log.
func TestErrorsOfKeysSayNothingOfThem(t *testing.T) {
	const secret = "hunter2"
	for _, given := range []string{
		secret,
		"-----BEGIN " + secret + " PRIVATE KEY-----\nAAAA\n-----END " + secret + " PRIVATE KEY-----\n",
		"-----BEGIN " + secret + "-----\nAAAA\n-----END " + secret + "-----\n",
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Headers: map[string]string{"Password": secret}, Bytes: []byte(secret)})),
	} {
		if _, err := pushcert.ReadKey([]byte(given)); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v", given, err)
		}
	}
}
