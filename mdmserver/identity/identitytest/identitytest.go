// Package identitytest makes certificate authorities and device identities with real keys for tests.
package identitytest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
)

// Epoch is when the certificates made here begin; they last ten years (CAs) and one year (devices).
var Epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Key makes an RSA-2048 key.
func Key(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// CA makes a self-signed generation.
func CA(t testing.TB, generation int, role serverconfig.Role) identity.CA {
	t.Helper()
	key := Key(t)
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(int64(generation)),
		Subject:               pkix.Name{CommonName: fmt.Sprintf("test device CA %d", generation)},
		NotBefore:             Epoch,
		NotAfter:              Epoch.AddDate(10, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	return identity.CA{Generation: generation, Role: role, Cert: create(t, template, template, key.Public(), key), Key: key}
}

// Device is an identity certificate with its key.
type Device struct {
	Cert *x509.Certificate
	Key  *rsa.PrivateKey
}

// Issue makes the identity of an enrolment.
func Issue(t testing.TB, ca identity.CA, enrollmentID string) Device {
	t.Helper()
	key := Key(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: enrollmentID},
		NotBefore:    Epoch,
		NotAfter:     Epoch.AddDate(1, 0, 0),
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	return Device{Cert: create(t, template, ca.Cert, key.Public(), ca.Key), Key: key}
}

// Sign returns the value of identity.SignatureHeader for a body.
func (d Device) Sign(t testing.TB, body []byte) string {
	t.Helper()
	sd, err := pkcs7.NewSignedData(body)
	if err != nil {
		t.Fatal(err)
	}
	sd.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	if err := sd.SignWithoutAttr(d.Cert, d.Key, pkcs7.SignerInfoConfig{}); err != nil {
		t.Fatal(err)
	}
	sd.Detach()
	cms, err := sd.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(cms)
}

func create(t testing.TB, template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
