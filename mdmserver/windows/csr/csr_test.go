package csr_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"math/big"
	"strings"
	"sync"
	"testing"

	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/identity/identitytest"
	"github.com/kubemdm/kubemdm/mdmserver/windows/csr"
	"github.com/kubemdm/kubemdm/mdmserver/windows/csr/csrtest"
)

var key = sync.OnceValue(func() *rsa.PrivateKey { return identitytest.Key(new(testing.T)) })

// common is a request as others make them.
func common(t testing.TB, key any, algorithm x509.SignatureAlgorithm) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "printable", Organization: []string{"Exämple"}}, SignatureAlgorithm: algorithm,
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestRequestsOfWindowsBuilds(t *testing.T) {
	spki, err := x509.MarshalPKIXPublicKey(key().Public())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(spki)
	for name, der := range map[string][]byte{
		"a PrintableString with ! and NUL, SHA-1": csrtest.Windows10(t, key()),
		"a UTF8String with ! and NUL":             csrtest.Request(t, key(), cbasn1.UTF8String, "0123!4567\x00"),
		"several names, SHA-256":                  common(t, key(), x509.SHA256WithRSA),
	} {
		t.Run(name, func(t *testing.T) {
			before := bytes.Clone(der)
			got, err := csr.Parse(der)
			if err != nil {
				t.Fatal(err)
			}
			if !got.PublicKey.Equal(key().Public()) || got.PublicKeySHA256 != hex.EncodeToString(sum[:]) {
				t.Errorf("it has another key: %s", got.PublicKeySHA256)
			}
			if !bytes.Equal(der, before) {
				t.Error("the caller's request was changed")
			}
		})
	}
}

func TestWhatIsRefused(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	elliptic, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	forged := csrtest.Windows10(t, key())
	forged[len(forged)-1] ^= 1
	renamed := bytes.Replace(csrtest.Windows10(t, key()), []byte("!40B6"), []byte("!50B6"), 1)
	for name, der := range map[string][]byte{
		"nothing":                    {},
		"a number":                   {2, 1, 5},
		"cut off":                    csrtest.Windows10(t, key())[:200],
		"a key of 1024 bits":         common(t, small, x509.SHA256WithRSA),
		"a key that is not RSA":      common(t, elliptic, x509.ECDSAWithSHA256),
		"a signature of another key": forged,
		"another name than signed":   renamed,
		"a name that is not UTF-8":   csrtest.Request(t, key(), cbasn1.PrintableString, "\xff\xfe"),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := csr.Parse(der); err == nil {
				t.Error("it was accepted")
			}
		})
	}
}

// Nobody chooses how long the server computes: such a key is refused before its signature is looked at.
func TestAHugeKey(t *testing.T) {
	huge := new(big.Int).Lsh(big.NewInt(1), 16<<10)
	_, err := csr.Parse(csrtest.Unsigned(t, &rsa.PublicKey{N: huge.Add(huge, big.NewInt(1)), E: 65537}))
	if err == nil || !strings.Contains(err.Error(), "8192 bits") {
		t.Errorf("error %v", err)
	}
}

func TestSigned(t *testing.T) {
	device := identitytest.Issue(t, identitytest.CA(t, 1, serverconfig.RoleActive), "enrollment-1")
	renewal := csrtest.Renewal(t, device, csrtest.Windows10(t, key()))
	open := append(append([]byte{0x30, 0x80}, renewal[4:]...), 0, 0) // for 0x30 0x82 and two octets of length
	for name, c := range map[string]struct {
		message []byte
		want    bool
	}{
		"a renewal":                    {renewal, true},
		"a renewal in indefinite form": {open, true},
		"a bare request":               {csrtest.Windows10(t, key()), false},
		"nothing":                      {nil, false},
		"text":                         {[]byte("-----BEGIN CERTIFICATE REQUEST-----"), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := csr.Signed(c.message); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(csrtest.Windows10(f, key()))
	f.Add(common(f, key(), x509.SHA256WithRSA))
	f.Add([]byte{0x30, 0x80, 0x30, 0x00})
	f.Fuzz(func(t *testing.T, der []byte) {
		csr.Signed(der)
		got, err := csr.Parse(der)
		if err == nil && got.PublicKey.N.BitLen() < 2048 {
			t.Errorf("accepted a key of %d bits", got.PublicKey.N.BitLen())
		}
	})
}
