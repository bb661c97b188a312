package certs_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"slices"
	"testing"

	"github.com/kubemdm/kubemdm/controllers/internal/certs"
	"github.com/kubemdm/kubemdm/test/pki"
)

func TestReadPair(t *testing.T) {
	ca := pki.NewCA(t, "ca")
	cert, key := pki.PEM(t, ca.Issue(t, pki.Leaf{CN: "leaf"}))
	_, other := pki.PEM(t, ca.Issue(t, pki.Leaf{CN: "other"}))
	for name, c := range map[string]struct {
		cert, key []byte
		want      error
	}{
		"good":           {slices.Concat(cert, ca.CertPEM()), key, nil},
		"key before it":  {slices.Concat(key, cert), key, nil},
		"another key":    {cert, other, certs.ErrMismatch},
		"no certificate": {key, key, certs.ErrMalformed},
		"no key":         {cert, nil, certs.ErrMalformed},
		"key is a cert":  {cert, cert, certs.ErrMalformed},
		"garbage inside": {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), key, certs.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			pair, err := certs.ReadPair(c.cert, c.key)
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if err == nil && pair.Leaf.Subject.CommonName != "leaf" {
				t.Errorf("leaf %s", pair.Leaf.Subject)
			}
		})
	}
}

func TestReadPairTakesEveryKeyEncoding(t *testing.T) {
	ec, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ecDER, _ := x509.MarshalECPrivateKey(ec)
	rsaKey, _ := rsa.GenerateKey(rand.Reader, 2048)
	for kind, c := range map[string]struct {
		der    []byte
		signer any
		public any
	}{
		"EC PRIVATE KEY":  {ecDER, ec, ec.Public()},
		"RSA PRIVATE KEY": {x509.MarshalPKCS1PrivateKey(rsaKey), rsaKey, rsaKey.Public()},
	} {
		template := &x509.Certificate{SerialNumber: big.NewInt(1)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, c.public, c.signer)
		if err != nil {
			t.Fatal(err)
		}
		cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
		if _, err := certs.ReadPair(cert, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: c.der})); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func FuzzReadPair(f *testing.F) {
	ca := pki.NewCA(f, "ca")
	cert, key := pki.PEM(f, ca.Issue(f, pki.Leaf{CN: "leaf"}))
	f.Add(cert, key)
	f.Fuzz(func(t *testing.T, cert, key []byte) {
		pair, err := certs.ReadPair(cert, key)
		if (err == nil) != (pair != nil) || err != nil && !errors.Is(err, certs.ErrMalformed) && !errors.Is(err, certs.ErrMismatch) {
			t.Errorf("pair %v, error %v", pair, err)
		}
	})
}
