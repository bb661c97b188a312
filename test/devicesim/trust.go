package devicesim

import (
	"crypto/x509"
	"fmt"
	"net/http"
)

// clientFor is the client of an enrolment: it trusts the certificates of the enrolment profile too.
func (d *Device) clientFor(profile *EnrollmentProfile) (*http.Client, error) {
	anchors, err := profile.Anchors()
	if err != nil || len(anchors) == 0 {
		return d.opts.Client, err
	}
	pool, err := d.trusted(anchors)
	if err != nil {
		return nil, err
	}
	return trusting(d.opts.Client, pool)
}

// trusted are the device's roots and these.
func (d *Device) trusted(anchors []*x509.Certificate) (*x509.CertPool, error) {
	pool := d.opts.Roots
	if pool == nil {
		system, err := x509.SystemCertPool()
		if err != nil {
			return nil, err
		}
		pool = system
	}
	pool = pool.Clone()
	for _, anchor := range anchors {
		pool.AddCert(anchor)
	}
	return pool, nil
}

func poolOf(anchors []*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, anchor := range anchors {
		pool.AddCert(anchor)
	}
	return pool
}

// trusting is the client with connections that trust these roots and nothing else.
func trusting(client *http.Client, roots *x509.CertPool) (*http.Client, error) {
	transport, err := trustingTransport(client.Transport, roots)
	if err != nil {
		return nil, err
	}
	other := *client
	other.Transport = transport
	return &other, nil
}

func trustingTransport(carrier http.RoundTripper, roots *x509.CertPool) (http.RoundTripper, error) {
	switch carrier := carrier.(type) {
	case nil:
		return NewClient(roots).Transport, nil
	case *http.Transport:
		other := carrier.Clone()
		if other.TLSClientConfig == nil {
			return NewClient(roots).Transport, nil
		}
		other.TLSClientConfig.RootCAs = roots
		return other, nil
	case *Network:
		next, err := trustingTransport(carrier.Next, roots)
		return carrier.Over(next), err
	case overNetwork:
		next, err := trustingTransport(carrier.next, roots)
		return carrier.network.Over(next), err
	}
	return nil, fmt.Errorf("a client with a %T cannot be told to trust anchors", carrier)
}
