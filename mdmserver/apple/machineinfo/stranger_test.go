package machineinfo_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"

	"github.com/kubemdm/kubemdm/test/applepki"
)

// stranger is a certificate with the name, issued by parent, or by itself.
func stranger(name string, isCA bool, parent *x509.Certificate, parentKey *rsa.PrivateKey) (*x509.Certificate, *rsa.PrivateKey) {
	key := must(rsa.GenerateKey(rand.Reader, 2048))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour),
		IsCA: isCA, BasicConstraintsValid: true,
	}
	if parent == nil {
		parent, parentKey = template, key
	}
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)))), key
}

func signedBy(t *testing.T, cert *x509.Certificate, key *rsa.PrivateKey, more ...*x509.Certificate) []byte {
	t.Helper()
	signed := must(pkcs7.NewSignedData([]byte(document)))
	if err := signed.SignWithoutAttr(cert, key, pkcs7.SignerInfoConfig{}); err != nil {
		t.Fatal(err)
	}
	for _, c := range more {
		signed.AddCertificate(c)
	}
	return must(signed.Finish())
}

func signedBySelf(t *testing.T) []byte {
	t.Helper()
	cert, key := stranger("a device", false, nil, nil)
	return signedBy(t, cert, key, factory().ca.Parents()...)
}

// signedByADeveloper is a message of somebody whom Apple has given a certificate for something else.
func signedByADeveloper(t *testing.T) []byte {
	t.Helper()
	parents := factory().ca.Parents()
	developers, developersKey := stranger("Developer ID Certification Authority", true, parents[0], issuerKey(t))
	cert, key := stranger("a developer", false, developers, developersKey)
	return signedBy(t, cert, key, append(parents, developers)...)
}

// signedByAnAuthority is a message of an authority for devices, which is no device.
func signedByAnAuthority(t *testing.T) []byte {
	t.Helper()
	parents := factory().ca.Parents()
	cert, key := stranger("Apple Mac Device CA", true, parents[0], issuerKey(t))
	return signedBy(t, cert, key, parents...)
}

func issuerKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	block, _ := pem.Decode(must(factory().ca.Files())[applepki.DeviceKeyFile])
	key, ok := must(x509.ParsePKCS8PrivateKey(block.Bytes)).(*rsa.PrivateKey)
	if !ok {
		t.Fatal("the issuer's key is no RSA key")
	}
	return key
}

// signedBelowADevice is a message of somebody who has a genuine device and made an authority of it.
func signedBelowADevice(t *testing.T) []byte {
	t.Helper()
	owner := must(factory().ca.Issue("Device CA of mine", applepki.DeviceOptions{}))
	holder, ok := owner.Key.(*rsa.PrivateKey)
	if !ok {
		t.Fatalf("the device has a %T", owner.Key)
	}
	cert, key := stranger("a device", false, owner.Certificate, holder)
	return signedBy(t, cert, key, append(factory().ca.Parents(), owner.Certificate)...)
}

func signedTwice(t *testing.T) []byte {
	t.Helper()
	signed := must(pkcs7.NewSignedData([]byte(document)))
	second := must(factory().ca.Issue("another device", applepki.DeviceOptions{}))
	for _, d := range []*applepki.DeviceIdentity{factory().device, second} {
		if err := signed.SignWithoutAttr(d.Certificate, d.Key, pkcs7.SignerInfoConfig{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, parent := range factory().ca.Parents() {
		signed.AddCertificate(parent)
	}
	return must(signed.Finish())
}
