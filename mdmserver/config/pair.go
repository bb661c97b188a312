package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/kubemdm/kubemdm/internal/pushcert"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// servingPair is the certificate that devices see.
type servingPair struct {
	cert  tls.Certificate
	caPEM []byte
}

// adminPair is the internal API's certificate and what its clients must present.
type adminPair struct {
	cert      tls.Certificate
	clientCAs *x509.CertPool
}

// pushPair is the certificate for Apple's push service and the topic that Apple wrote into it.
type pushPair struct {
	cert  tls.Certificate
	topic string
}

func parseServing(f files, now time.Time) (*servingPair, error) {
	pair, err := parsePair(f, now)
	if err != nil {
		return nil, err
	}
	return &servingPair{cert: pair, caPEM: f[serverconfig.CAFile]}, nil
}

func parseAdmin(f files, now time.Time) (*adminPair, error) {
	pair, err := parsePair(f, now)
	if err != nil {
		return nil, err
	}
	ca, err := f.need(serverconfig.CAFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("%s holds no PEM certificate: it must be the CA of the internal API's clients", serverconfig.CAFile)
	}
	return &adminPair{cert: pair, clientCAs: pool}, nil
}

// parsePush takes a key in a KMS too. pin is that of a PKCS#11 token for a folder that has none.
func parsePush(f files, now time.Time, pin string) (*pushPair, error) {
	read := parsePair
	if _, inKMS := f[serverconfig.KeyURIFile]; inKMS {
		read = func(f files, now time.Time) (tls.Certificate, error) { return parseKMSPair(f, now, f.pin(pin)) }
	}
	pair, err := read(f, now)
	if err != nil {
		return nil, err
	}
	topic := pushcert.Topic(pair.Leaf)
	if topic == "" {
		return nil, fmt.Errorf("%s has no topic (UID attribute of its subject): it is not an MDM push certificate from identity.apple.com", serverconfig.CertFile)
	}
	return &pushPair{cert: pair, topic: topic}, nil
}

// parsePair reads a certificate and its key and refuses what a TLS peer would refuse.
func parsePair(f files, now time.Time) (tls.Certificate, error) {
	certPEM, certErr := f.need(serverconfig.CertFile)
	keyPEM, keyErr := f.need(serverconfig.KeyFile)
	if err := errors.Join(certErr, keyErr); err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%s and %s are no pair, put the key that the certificate was made for: %w", serverconfig.CertFile, serverconfig.KeyFile, err)
	}
	return pair, checkDates(pair.Leaf, now)
}

func checkDates(leaf *x509.Certificate, now time.Time) error {
	if now.After(leaf.NotAfter) {
		return fmt.Errorf("%s expired at %s: renew it", serverconfig.CertFile, leaf.NotAfter.Format(time.RFC3339))
	}
	if now.Before(leaf.NotBefore) {
		return fmt.Errorf("%s is valid from %s only: check the clock", serverconfig.CertFile, leaf.NotBefore.Format(time.RFC3339))
	}
	return nil
}
