package pushcert_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"slices"
	"testing"

	"github.com/kubemdm/kubemdm/internal/pushcert"
)

// What only looks like the intermediate that issued the vendor's certificate is passed over, also when it ends later, and does not do alone.
func TestIssuersThatOnlyLookRight(t *testing.T) {
	a := newApple(t)
	like := func(whose string, change func(*x509.Certificate)) *x509.Certificate {
		c := &x509.Certificate{
			Subject: a.g3.Subject, SubjectKeyId: a.g3.SubjectKeyId, NotBefore: now.Add(-day), NotAfter: now.AddDate(20, 0, 0),
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		}
		change(c)
		return certificate(t, c, a.root, key(root), key(whose).Public())
	}
	want := []*x509.Certificate{a.vendor, a.g3, a.root}
	for what, c := range map[string]*x509.Certificate{
		"its name and key id, another key": like(another, same),
		"its name, another key":            like(another, func(c *x509.Certificate) { c.SubjectKeyId = []byte{1} }),
		"its key, another name":            like(g3, func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: "G3"} }),
		"its key and name, another key id": like(g3, func(c *x509.Certificate) { c.SubjectKeyId = []byte{1} }),
		"no authority":                     like(g3, func(c *x509.Certificate) { c.IsCA, c.KeyUsage = false, x509.KeyUsageDigitalSignature }),
	} {
		t.Run(what, func(t *testing.T) {
			r, refusal, err := pushcert.Vendor{Key: key(vendor), Certificates: []*x509.Certificate{c, a.vendor, a.g3, a.root, c}}.Sign(csr(t), now)
			must(t, err)
			expectRefusal(t, refusal, "", "")
			if r != nil && !slices.EqualFunc(r.Chain, want, (*x509.Certificate).Equal) {
				t.Error("it was picked")
			}
			alone := pushcert.Vendor{Key: key(vendor), Certificates: []*x509.Certificate{c, a.vendor, a.root}}
			expectRefusal(t, alone.Check(now), "VendorChainUnknown", "OU=G3")
			r = a.signed(t)
			r.Chain = []*x509.Certificate{a.vendor, c, a.root}
			expectRefusal(t, r.Check(now), "VendorChainUnknown", "OU=G3")
		})
	}
}
