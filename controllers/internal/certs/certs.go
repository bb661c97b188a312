package certs

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
)

// Errors of ReadPair.
var (
	// ErrMalformed: there is no PEM certificate or key where one should be.
	ErrMalformed = errors.New("malformed")
	// ErrMismatch: the key is not the certificate's.
	ErrMismatch = errors.New("the key is not the one of the certificate")
)

// Pair is a certificate whose key is known.
type Pair struct {
	Leaf  *x509.Certificate
	Chain []*x509.Certificate // what came behind the leaf
	Key   crypto.Signer
}

// ReadPair reads a PEM certificate with its chain, and the PEM key that must be its own. Errors are ErrMalformed and ErrMismatch.
func ReadPair(certPEM, keyPEM []byte) (*Pair, error) {
	chain, err := Read(certPEM)
	if err != nil {
		return nil, err
	}
	key, err := readKey(keyPEM)
	if err != nil {
		return nil, err
	}
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(chain[0].PublicKey) {
		return nil, ErrMismatch
	}
	return &Pair{Leaf: chain[0], Chain: chain[1:], Key: key}, nil
}

// Read reads PEM certificates, at least one.
func Read(certPEM []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for block, rest := pem.Decode(certPEM); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%w certificate: %w", ErrMalformed, err)
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: there is no PEM certificate", ErrMalformed)
	}
	return all, nil
}

func readKey(keyPEM []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(keyPEM)
	if block == nil {
		return nil, fmt.Errorf("%w: there is no PEM key", ErrMalformed)
	}
	key, err := parseKey(block)
	if err != nil {
		return nil, fmt.Errorf("%w key of PEM type %q", ErrMalformed, block.Type) // says nothing of the bytes
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: the key cannot sign", ErrMalformed)
	}
	return signer, nil
}

func parseKey(block *pem.Block) (any, error) {
	switch block.Type {
	case "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		return x509.ParseECPrivateKey(block.Bytes)
	}
	return x509.ParsePKCS8PrivateKey(block.Bytes)
}

// Fingerprint is the lower-case hex SHA-256 of a certificate.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}
