package pushcert

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// topicPrefix begins the topic of every push certificate for device management.
	topicPrefix = "com.apple.mgmt."
	// appleOrganization issues them.
	appleOrganization = "Apple Inc."
)

// Offer is what Apple returned, and what it is measured by.
type Offer struct {
	// Given is the file as a person gave it.
	Given []byte
	// Keys are the public keys that it may belong to: that of the request that waits first.
	Keys []crypto.PublicKey
	// Live is the certificate in use, nil before the first one.
	Live *x509.Certificate
	// KnownTopic is the topic that enrolled devices know, "" before the first one; AcceptTopic another one that is allowed.
	KnownTopic, AcceptTopic string
	Now                     time.Time
}

// candidate is what a check looks at.
type candidate struct {
	Offer
	leaf  *x509.Certificate
	topic string
}

// check is one reason why a certificate is not taken.
type check func(c candidate) (reason, message string, failed bool)

// checks are the gate, in order.
var checks = []check{isForDeviceManagement, isApples, belongsToAKey, hasBegun, hasNotEnded, keepsTheTopic, endsLater}

// Judge finds the push certificate in what was given and puts it through the gate. The one that is in use already passes as it is. leaf is nil
// only when there is no certificate at all.
func (o Offer) Judge() (leaf *x509.Certificate, refusal *Refusal) {
	all, err := ReadCertificates(o.Given)
	if err != nil {
		return nil, &Refusal{ReasonMalformed, err.Error()}
	}
	leaf = o.choose(all)
	if o.Live != nil && leaf.Equal(o.Live) {
		return leaf, nil
	}
	for _, check := range checks {
		if reason, message, failed := check(candidate{o, leaf, Topic(leaf)}); failed {
			return leaf, &Refusal{reason, message}
		}
	}
	return leaf, nil
}

// choose picks the certificate of one of the keys, wherever it stands in the file, and of several of one key the one that ends last; else one
// for device management, else the first.
func (o Offer) choose(all []*x509.Certificate) *x509.Certificate {
	for _, key := range o.Keys {
		var found *x509.Certificate
		for _, c := range all {
			if sameKey(c.PublicKey, key) && (found == nil || c.NotAfter.After(found.NotAfter)) {
				found = c
			}
		}
		if found != nil {
			return found
		}
	}
	for _, c := range all {
		if strings.HasPrefix(Topic(c), topicPrefix) {
			return c
		}
	}
	return all[0]
}

func isForDeviceManagement(c candidate) (string, string, bool) {
	what := fmt.Sprintf("the certificate %q is none for device management (its topic is %q and should begin with %s)", c.leaf.Subject.CommonName, c.topic, topicPrefix)
	if isVendorCertificate(c.leaf) {
		what = fmt.Sprintf("the certificate %q is the vendor's, which signs requests", c.leaf.Subject.CommonName)
	}
	allowed := strings.HasPrefix(c.topic, topicPrefix) && slices.Contains(c.leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	return ReasonWrongType, what + ": use the certificate that identity.apple.com returned", !allowed
}

func isApples(c candidate) (string, string, bool) {
	return ReasonIssuerUnknown, fmt.Sprintf("it was issued by %q and not by Apple: use the certificate that identity.apple.com returned", c.leaf.Issuer.String()),
		!slices.Contains(c.leaf.Issuer.Organization, appleOrganization)
}

func belongsToAKey(c candidate) (string, string, bool) {
	return ReasonKeyMismatch, "it belongs to none of the keys that are here: give the certificate that Apple returned for the newest request",
		!slices.ContainsFunc(c.Keys, func(key crypto.PublicKey) bool { return sameKey(c.leaf.PublicKey, key) })
}

func hasBegun(c candidate) (string, string, bool) {
	return ReasonNotYetValid, "it is valid from " + date(c.leaf.NotBefore) + " only; check the clock of the cluster", c.Now.Before(c.leaf.NotBefore)
}

func hasNotEnded(c candidate) (string, string, bool) {
	return ReasonExpired, "it expired at " + date(c.leaf.NotAfter) + ": renew it at identity.apple.com with the same Apple Account; devices stay enrolled",
		c.Now.After(c.leaf.NotAfter)
}

func keepsTheTopic(c candidate) (string, string, bool) {
	return ReasonTopicChanged, fmt.Sprintf("enrolled devices know the topic %q, it has %q: renew the old certificate by Renew at identity.apple.com; if that is lost for good, set spec.acceptTopic and enrol every device again",
		c.KnownTopic, c.topic), c.KnownTopic != "" && c.topic != c.KnownTopic && c.topic != c.AcceptTopic
}

func endsLater(c candidate) (string, string, bool) {
	if c.Live == nil || c.topic != Topic(c.Live) {
		return "", "", false
	}
	return ReasonNotLater, fmt.Sprintf("it ends at %s, not later than the one in use (%s): give the certificate that Apple returned last", date(c.leaf.NotAfter), date(c.Live.NotAfter)),
		!c.leaf.NotAfter.After(c.Live.NotAfter)
}

// Topic is the UID attribute of the subject (RFC 4519, section 2.39), in which Apple writes the push topic, or "".
func Topic(c *x509.Certificate) string {
	for _, name := range c.Subject.Names {
		if name.Type.String() == "0.9.2342.19200300.100.1.1" {
			topic, _ := name.Value.(string)
			return topic
		}
	}
	return ""
}
