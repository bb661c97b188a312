package pushcert_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/pushcert"
)

// live is the certificate in use in most cases: of the key before, and it ends in 30 days.
func (a *apple) live(t testing.TB) *x509.Certificate {
	c := pushTemplate()
	c.NotBefore, c.NotAfter = now.Add(-335*day), now.Add(30*day)
	return certificate(t, c, a.integration, key(integration), key(before).Public())
}

// renewal is an offer while the certificate in use is renewed.
func renewal(live *x509.Certificate, given []byte) pushcert.Offer {
	return pushcert.Offer{Given: given, Keys: []crypto.PublicKey{key(customer).Public(), key(before).Public()}, Live: live, KnownTopic: topic, Now: now}
}

func TestTheGateLetsApplesCertificatesIn(t *testing.T) {
	a := newApple(t)
	live, good := a.live(t), a.push(t, same)
	moved := a.push(t, func(c *x509.Certificate) { c.Subject = name(topic + "2") })
	sooner := a.push(t, func(c *x509.Certificate) { c.Subject, c.NotAfter = name(topic+"2"), now.Add(day) })
	sameKey := certificate(t, pushTemplate(), a.integration, key(integration), key(before).Public())
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key(customer))
	must(t, err)
	with := func(o pushcert.Offer, change func(*pushcert.Offer)) pushcert.Offer {
		change(&o)
		return o
	}
	for name, tc := range map[string]struct {
		offer pushcert.Offer
		want  *x509.Certificate
	}{
		"the first one":                  {with(renewal(nil, toPEM(good)), func(o *pushcert.Offer) { o.KnownTopic = "" }), good},
		"a renewal with a new key":       {renewal(live, toPEM(good)), good},
		"a renewal with the same key":    {renewal(live, toPEM(sameKey)), sameKey},
		"DER":                            {renewal(live, good.Raw), good},
		"CRLF":                           {renewal(live, crlf(toPEM(good))), good},
		"a byte order mark":              {renewal(live, join([]byte("\ufeff"), toPEM(good))), good},
		"behind a key and its chain":     {renewal(live, join(block("PRIVATE KEY", pkcs8), toPEM(a.root, a.integration, good))), good},
		"behind the one in use":          {renewal(live, toPEM(live, good)), good},
		"the newer one of one key":       {renewal(live, toPEM(live, sameKey)), sameKey},
		"the one in use":                 {renewal(live, toPEM(live)), live},
		"the one in use, which ended":    {with(renewal(live, toPEM(live)), func(o *pushcert.Offer) { o.Now = now.Add(900 * day) }), live},
		"another topic that is accepted": {with(renewal(live, toPEM(moved)), func(o *pushcert.Offer) { o.AcceptTopic = topic + "2" }), moved},
		"such a one that ends sooner":    {with(renewal(live, toPEM(sooner)), func(o *pushcert.Offer) { o.AcceptTopic = topic + "2" }), sooner},
		"in its first moment":            {with(renewal(live, toPEM(good)), func(o *pushcert.Offer) { o.Now = good.NotBefore }), good},
		"in its last moment":             {with(renewal(live, toPEM(good)), func(o *pushcert.Offer) { o.Now = good.NotAfter }), good},
	} {
		t.Run(name, func(t *testing.T) {
			leaf, refusal := tc.offer.Judge()
			expectRefusal(t, refusal, "", "")
			if !leaf.Equal(tc.want) {
				t.Errorf("it took %s", leaf.Subject)
			}
		})
	}
}

func TestTheGateRefuses(t *testing.T) {
	a := newApple(t)
	live := a.live(t)
	give := func(change func(c *x509.Certificate)) []byte { return toPEM(a.push(t, change)) }
	others := certificate(t, pushTemplate(), a.integration, key(integration), key(another).Public())
	stranger := &x509.Certificate{Subject: name("")}
	cut := toPEM(a.push(t, same))[:600]
	request, err := pushcert.NewCSR(key(customer), pushcert.Subject{})
	must(t, err)
	for what, tc := range map[string]struct {
		given       []byte
		reason, say string
	}{
		"nothing":            {[]byte(" \n"), "Malformed", "empty"},
		"a request":          {request, "Malformed", `a "CERTIFICATE REQUEST"`},
		"a page":             {[]byte("<html>Sign in</html>"), "Malformed", "no certificate"},
		"too much":           {bytes.Repeat(toPEM(live), 300), "Malformed", "bytes"},
		"cut off":            {cut, "Malformed", "whole file"},
		"cut off, and a CA":  {join(cut, []byte("\n"), toPEM(a.integration)), "Malformed", "whole file"},
		"the vendor's":       {toPEM(a.vendor), "WrongType", "the vendor's, which signs requests"},
		"an intermediate":    {toPEM(a.g3), "WrongType", "identity.apple.com"},
		"one for apps":       {give(func(c *x509.Certificate) { c.Subject = name("com.example.app") }), "WrongType", `"com.example.app"`},
		"one for servers":    {give(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), "WrongType", "identity.apple.com"},
		"one without topic":  {give(func(c *x509.Certificate) { c.Subject = name("") }), "WrongType", `its topic is ""`},
		"a stranger's":       {toPEM(certificate(t, pushTemplate(), stranger, key(another), key(customer).Public())), "IssuerUnknown", "not by Apple"},
		"another key's":      {toPEM(others), "KeyMismatch", "newest request"},
		"the same, last":     {toPEM(a.root, a.integration, others), "KeyMismatch", "newest request"},
		"not yet valid":      {give(func(c *x509.Certificate) { c.NotBefore = now.Add(time.Second) }), "NotYetValid", "from 2026-06-01T12:00:01Z"},
		"expired":            {give(func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) }), "Expired", "at 2026-06-01T11:59:59Z"},
		"another topic":      {give(func(c *x509.Certificate) { c.Subject = name(topic + "2") }), "TopicChanged", topic + "2"},
		"ends earlier":       {give(func(c *x509.Certificate) { c.NotAfter = live.NotAfter.Add(-time.Second) }), "NotLater", "2026-07-01T12:00:00Z"},
		"ends then, too":     {give(func(c *x509.Certificate) { c.NotAfter = live.NotAfter }), "NotLater", "returned last"},
		"a key, not yet":     {give(func(c *x509.Certificate) { c.NotBefore, c.Subject = now.Add(day), name(topic+"2") }), "NotYetValid", ""},
		"an old other topic": {give(func(c *x509.Certificate) { c.NotAfter, c.Subject = now.Add(-day+time.Hour), name(topic+"2") }), "Expired", ""},
	} {
		t.Run(what, func(t *testing.T) {
			o := renewal(live, tc.given)
			o.AcceptTopic = topic + "3"
			leaf, refusal := o.Judge()
			expectRefusal(t, refusal, tc.reason, tc.say)
			if (leaf == nil) != (tc.reason == "Malformed") {
				t.Errorf("the certificate is %v", leaf)
			}
		})
	}
}

func TestTopic(t *testing.T) {
	a := newApple(t)
	if got := pushcert.Topic(a.push(t, same)); got != topic {
		t.Errorf("the topic is %q", got)
	}
	if got := pushcert.Topic(a.vendor); got != "" {
		t.Errorf("the vendor's certificate has the topic %q", got)
	}
}
