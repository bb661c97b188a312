package ade_test

import (
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"testing"

	"github.com/kubemdm/kubemdm/internal/ade"
)

// primes make the key of the fuzz test, which must be the same in all of its processes: an input that one makes is for the key of the others too.
var primes = []string{
	"e41da2065b8ebe3d910dd6888f1e9ba6958683e2c15cf16d7eb5adb60fded139a9f634a90af47b77e4d680c4e9d8451e3e88149c0861e24f938c8d05fcb78755" +
		"aa1a994c4347f887cc215add31937a436173e50bdbf49565b48e0eb766cd9055402dff9e1bb25d81b655e3a9be01454550c46d45f462822b0536fbfde2552839",
	"fe0371bf4a923071386e8e89e77c8a98e1cddc877be2f9566ce9edb64c6b6d02c0023ee3f6912cd8c41acb1ca7702196a4ba11557eb1db9cdc3b92ed91422981" +
		"0c50f8618a88b3ae9b41aa76fd6b54cd6e089d035f4470d71e7260b91e947a46a2bcba558a37074904ae9110ad0f78dd59d19b179bfb82dfca6c2631e9f2e37f",
}

func fixedPair(f *testing.F) pair {
	f.Helper()
	one := big.NewInt(1)
	p, _ := new(big.Int).SetString(primes[0], 16)
	q, _ := new(big.Int).SetString(primes[1], 16)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537}, D: new(big.Int).ModInverse(big.NewInt(65537), phi), Primes: []*big.Int{p, q},
	}
	key.Precompute()
	template := &x509.Certificate{SerialNumber: one, Subject: pkix.Name{CommonName: "fuzz"}, NotBefore: now, NotAfter: now.AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		f.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		f.Fatal(err)
	}
	return pair{pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), cert, key}
}

func FuzzOpenToken(f *testing.F) {
	p := fixedPair(f)
	der := p.encrypt(f, message, "-aes256")
	f.Add(der)
	f.Add(p.encrypt(f, message, "-des3", "-stream"))
	f.Add([]byte(header + lines(der, "\r\n")))
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: der}))
	f.Add(p.encrypt(f, "hello", "-aes128"))
	f.Add(p.certPEM)
	f.Fuzz(func(t *testing.T, file []byte) {
		got, err := ade.OpenToken(file, p.cert, p.key)
		check(t, got, err)
	})
}

func FuzzParseToken(f *testing.F) {
	f.Add([]byte(tokenJSON))
	f.Add([]byte(`{"consumer_key":"a","consumer_secret":"b","access_token":"c","access_secret":"d","access_token_expiry":"2028-01-26"}`))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := ade.ParseToken(text)
		check(t, got, err)
	})
}

// check says that a token is either refused or whole: it can be kept and used.
func check(t *testing.T, got ade.Token, err error) {
	t.Helper()
	if err != nil {
		var refusal *ade.Refusal
		if !errors.As(err, &refusal) || got != (ade.Token{}) {
			t.Fatalf("%v with %#v", err, got)
		}
		return
	}
	text, err := got.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := ade.ParseToken(text); err != nil || again.ConsumerKey != got.ConsumerKey {
		t.Fatalf("what was read cannot be read again: %v", err)
	}
	if _, err := ade.New(got, ade.Options{}); err != nil {
		t.Fatal(err)
	}
}
