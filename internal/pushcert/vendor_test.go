package pushcert_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/pushcert"
	"github.com/kubemdm/kubemdm/test/applepki"
)

func TestVendorPicksWhatFits(t *testing.T) {
	a := newApple(t)
	byG6 := certificate(t, &x509.Certificate{NotBefore: now.Add(-day), NotAfter: now.Add(day), ExtraExtensions: mark}, a.g6, key(g6), key(vendor).Public())
	byUsage := a.vendors(t, func(c *x509.Certificate) {
		c.ExtraExtensions, c.UnknownExtKeyUsage = nil, append(c.UnknownExtKeyUsage, oidVendor)
	})
	ending := a.vendors(t, func(c *x509.Certificate) { c.NotAfter = now.Add(day) })
	ordinary := a.vendors(t, func(c *x509.Certificate) { c.NotAfter, c.ExtraExtensions = now.Add(900*day), nil })
	others := certificate(t, &x509.Certificate{NotBefore: now.Add(-day), NotAfter: now.Add(900 * day), ExtraExtensions: mark}, a.g3, key(g3), key(another).Public())
	// The same intermediate was issued again, and the one before has ended.
	g3Before := *a.g3
	g3Before.NotAfter = now.Add(-day)
	ended := certificate(t, &g3Before, a.root, key(root), key(g3).Public())
	usual := []*x509.Certificate{a.vendor, a.g3, a.root}
	for name, tc := range map[string]struct{ given, want []*x509.Certificate }{
		"in order":                        {usual, usual},
		"all of Apple's first":            {a.all(byG6), []*x509.Certificate{byG6, a.g6, a.root}},
		"marked by a key usage":           {a.all(byUsage), []*x509.Certificate{byUsage, a.g3, a.root}},
		"with one that ends sooner":       {a.all(ending, a.vendor), usual},
		"before one that ends sooner":     {a.all(a.vendor, ending), usual},
		"between ordinary ones":           {a.all(ordinary, a.vendor, ordinary), usual},
		"with another vendor's":           {a.all(others, a.vendor, others), usual},
		"with an intermediate that ended": {append([]*x509.Certificate{ended}, a.all(a.vendor)...), usual},
		"everything twice":                {append(a.all(a.vendor), a.all(a.vendor)...), usual},
	} {
		t.Run(name, func(t *testing.T) {
			v := pushcert.Vendor{Key: key(vendor), Certificates: tc.given}
			expectRefusal(t, v.Check(now), "", "")
			r, refusal, err := v.Sign(csr(t), now)
			must(t, err)
			expectRefusal(t, refusal, "", "")
			if !slices.EqualFunc(r.Chain, tc.want, (*x509.Certificate).Equal) || !v.Leaf().Equal(tc.want[0]) {
				t.Error("another chain was picked")
			}
		})
	}
}

func TestVendorsThatCannotSign(t *testing.T) {
	a := newApple(t)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	onCurve := certificate(t, &x509.Certificate{NotBefore: now.Add(-day), NotAfter: now.Add(day), ExtraExtensions: mark}, a.g3, key(g3), curve.Public())
	issue := func(change func(*x509.Certificate)) []*x509.Certificate { return a.all(a.vendors(t, change)) }
	lasting := issue(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.AddDate(-20, 0, 0), now.AddDate(20, 0, 0) })
	// A root of SHA-256, whose signature on itself crypto/x509 would take.
	own := &x509.Certificate{
		Subject: name(""), NotBefore: now.Add(-day), NotAfter: now.Add(day), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	own = certificate(t, own, own, key(another), key(another).Public())
	direct := certificate(t, &x509.Certificate{NotBefore: now.Add(-day), NotAfter: now.Add(day), ExtraExtensions: mark}, own, key(another), key(vendor).Public())
	authority := func(unit string, parent *x509.Certificate, signer, whose string) *x509.Certificate {
		c := *a.g3
		c.Subject.OrganizationalUnit, c.RawSubject = []string{unit}, nil
		return certificate(t, &c, parent, key(signer), key(whose).Public())
	}
	renamed := authority("G4", a.root, root, g3)
	between := authority("G9", a.g3, g3, another)
	deep := certificate(t, &x509.Certificate{NotBefore: now.Add(-day), NotAfter: now.Add(day), ExtraExtensions: mark}, between, key(another), key(vendor).Public())
	for name, tc := range map[string]struct {
		key          crypto.Signer
		certificates []*x509.Certificate
		at           time.Time
		reason, say  string
	}{
		"another key":                {key(another), a.all(a.vendor), now, "VendorKeyMismatch", "with which the vendor certificate was requested"},
		"no certificate":             {key(vendor), nil, now, "VendorKeyMismatch", ""},
		"a key of another kind":      {curve, a.all(a.vendor), now, "VendorKeyMismatch", ""},
		"a certificate of that kind": {curve, a.all(onCurve), now, "VendorCertificateWrongType", "RSA key of 2048 bits"},
		"an ordinary certificate":    {key(vendor), issue(func(c *x509.Certificate) { c.ExtraExtensions = nil }), now, "VendorCertificateWrongType", `"MDM CSR"`},
		"expired":                    {key(vendor), issue(func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) }), now, "VendorCertificateExpired", "2026-06-01T11:59:59Z"},
		"too early":                  {key(vendor), issue(func(c *x509.Certificate) { c.NotBefore = now.Add(time.Second) }), now, "VendorCertificateNotYetValid", "2026-06-01T12:00:01Z"},
		"no intermediate":            {key(vendor), []*x509.Certificate{a.root, a.vendor}, now, "VendorChainUnknown", hex.EncodeToString(a.g3.SubjectKeyId)},
		"another intermediate":       {key(vendor), []*x509.Certificate{a.root, a.g6, a.vendor}, now, "VendorChainUnknown", "OU=G3"},
		"one of another name":        {key(vendor), []*x509.Certificate{a.root, renamed, a.vendor}, now, "VendorChainUnknown", "OU=G3"},
		"two intermediates":          {key(vendor), a.all(between, deep), now, "VendorChainUnknown", "does not end so"},
		"no root":                    {key(vendor), []*x509.Certificate{a.g3, a.vendor}, now, "VendorChainUnknown", "Apple Root CA"},
		"the root issued it":         {key(vendor), []*x509.Certificate{own, direct}, now, "VendorChainUnknown", `"CN=APSP:1"`},
		"the intermediate ended":     {key(vendor), lasting, now.AddDate(11, 0, 0), "VendorChainExpired", "https://www.apple.com/certificateauthority/"},
		"the intermediate is early":  {key(vendor), lasting, now.AddDate(-2, 0, 0), "VendorChainExpired", "OU=G3"},
	} {
		t.Run(name, func(t *testing.T) {
			v := pushcert.Vendor{Key: tc.key, Certificates: tc.certificates}
			expectRefusal(t, v.Check(tc.at), tc.reason, tc.say)
			r, refusal, err := v.Sign(csr(t), tc.at)
			must(t, err)
			expectRefusal(t, refusal, tc.reason, tc.say)
			if r != nil {
				t.Error("it signed")
			}
		})
	}
}

// The root alone may have ended.
func TestVendorBelowARootThatEnded(t *testing.T) {
	a := newApple(t)
	ending := *a.root
	ending.NotAfter, ending.SignatureAlgorithm = now.Add(-day), x509.SHA256WithRSA
	ended := certificate(t, &ending, &ending, key(root), key(root).Public())
	expectRefusal(t, pushcert.Vendor{Key: key(vendor), Certificates: []*x509.Certificate{a.vendor, a.g3, ended}}.Check(now), "VendorChainExpired", "Apple Root CA")
}

// remote is a key in a KMS.
type remote struct {
	crypto.Signer
	sign func(digest []byte) ([]byte, error)
}

func (r remote) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	return r.sign(digest)
}

func TestKeysThatDoNotSign(t *testing.T) {
	a := newApple(t)
	v := pushcert.Vendor{Certificates: a.all(a.vendor)}
	errGone := errors.New("the KMS is gone")
	v.Key = remote{key(vendor), func([]byte) ([]byte, error) { return nil, errGone }}
	if r, refusal, err := v.Sign(csr(t), now); r != nil || refusal != nil || !errors.Is(err, errGone) {
		t.Errorf("a key that fails: %v, %v", refusal, err)
	}
	v.Key = remote{key(vendor), func(digest []byte) ([]byte, error) { return key(another).Sign(rand.Reader, digest, crypto.SHA256) }}
	_, refusal, err := v.Sign(csr(t), now)
	must(t, err)
	expectRefusal(t, refusal, "RequestSignatureInvalid", "SHA-256")
}

// The stand-in for Apple's portal shares no code with this package.
func TestThePortalTakesIt(t *testing.T) {
	portal, err := applepki.New(func() time.Time { return now })
	must(t, err)
	for _, generation := range []applepki.Generation{applepki.G3, applepki.G6} {
		leaf, _, err := portal.Vendor(applepki.VendorOptions{Generation: generation, Key: key(vendor)})
		must(t, err)
		authorities, err := pushcert.ReadCertificates(portal.AuthoritiesPEM())
		must(t, err)
		r, refusal, err := pushcert.Vendor{Key: key(vendor), Certificates: append(authorities, leaf)}.Sign(csr(t), now)
		must(t, err)
		expectRefusal(t, refusal, "", "")
		returned, err := portal.Portal().Create(r.Encode())
		must(t, err)
		got, refusal := pushcert.Offer{Given: returned, Keys: []crypto.PublicKey{key(customer).Public()}, Now: now}.Judge()
		expectRefusal(t, refusal, "", "")
		renewed, err := portal.Portal().Renew(pushcert.Topic(got), r.Encode())
		must(t, err)
		o := pushcert.Offer{Given: renewed, Keys: []crypto.PublicKey{key(customer).Public()}, KnownTopic: pushcert.Topic(got), Now: now}
		_, refusal = o.Judge()
		expectRefusal(t, refusal, "", "")
	}
}
