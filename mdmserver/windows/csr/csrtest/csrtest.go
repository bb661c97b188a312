// Package csrtest makes certificate requests in the forms of Windows builds, for tests.
package csrtest

import (
	"crypto"
	"crypto/rsa"
	_ "crypto/sha1" // Windows 10 signs requests with it
	"crypto/x509"
	"encoding/asn1"
	"testing"

	"github.com/smallstep/pkcs7"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/kubemdm/kubemdm/mdmserver/identity/identitytest"
)

var (
	oidCommonName = asn1.ObjectIdentifier{2, 5, 4, 3}
	// oidSHA1WithRSA is the one of OIW, which Windows uses.
	oidSHA1WithRSA = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 29}
)

// Windows10 is the request of a Windows 10 19043: a PrintableString with "!" and a NUL in it, and SHA-1.
func Windows10(t testing.TB, key *rsa.PrivateKey) []byte {
	return Request(t, key, cbasn1.PrintableString, "B1C43CD0-1624-5FBB-8E54-34CF17!40B6C5F16D3A1E4D\x00")
}

// Request makes a request whose only name, the common name, is value in a string of this type.
func Request(t testing.TB, key *rsa.PrivateKey, stringType cbasn1.Tag, value string) []byte {
	t.Helper()
	info := information(t, &key.PublicKey, stringType, value)
	digest := crypto.SHA1.New()
	digest.Write(info)
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA1, digest.Sum(nil))
	if err != nil {
		t.Fatal(err)
	}
	return withSignature(t, info, signature)
}

// Unsigned makes a request of a key that nobody needs to have.
func Unsigned(t testing.TB, key *rsa.PublicKey) []byte {
	t.Helper()
	return withSignature(t, information(t, key, cbasn1.UTF8String, "nobody"), make([]byte, key.Size()))
}

// information is a CertificationRequestInfo (RFC 2986, section 4.1).
func information(t testing.TB, key *rsa.PublicKey, stringType cbasn1.Tag, value string) []byte {
	t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return build(t, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(oidCommonName)
					b.AddASN1(stringType, func(b *cryptobyte.Builder) { b.AddBytes([]byte(value)) })
				})
			})
		})
		b.AddBytes(spki)
		b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(*cryptobyte.Builder) {})
	})
}

func withSignature(t testing.TB, info, signature []byte) []byte {
	t.Helper()
	return build(t, func(b *cryptobyte.Builder) {
		b.AddBytes(info)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidSHA1WithRSA)
			b.AddASN1NULL()
		})
		b.AddASN1BitString(signature)
	})
}

// build returns a sequence.
func build(t testing.TB, content func(*cryptobyte.Builder)) []byte {
	t.Helper()
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, content)
	der, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// Renewal wraps a request as a device does that renews: signed with the certificate that it has.
func Renewal(t testing.TB, device identitytest.Device, request []byte) []byte {
	t.Helper()
	sd, err := pkcs7.NewSignedData(request)
	if err != nil {
		t.Fatal(err)
	}
	sd.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	if err := sd.AddSigner(device.Cert, device.Key, pkcs7.SignerInfoConfig{}); err != nil {
		t.Fatal(err)
	}
	cms, err := sd.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return cms
}
