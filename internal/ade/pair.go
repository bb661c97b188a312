package ade

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

const (
	keyBits = 2048
	// pairYears is long: nobody checks it, and each token gets a new pair.
	pairYears = 10
	// maxCommonName is the upper bound of X.520 in characters.
	maxCommonName = 64
	// backdate is for a clock of Apple's that is behind ours.
	backdate = 10 * time.Minute
)

// NewPair makes the pair for one token: the certificate, self-signed and valid for ten years, is to be uploaded to Apple; the key (PKCS #8) opens the
// token that Apple encrypts for it. Serial numbers are random, unlike those of nanodep's tokenpki, which are all 1: by them a token is told from that
// of another pair.
func NewPair(commonName string, now time.Time) (certPEM, keyPEM []byte, err error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, nil, fmt.Errorf("making the token's key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, fmt.Errorf("making the token certificate's serial number: %w", err)
	}
	if name := []rune(commonName); len(name) > maxCommonName {
		commonName = string(name[:maxCommonName])
	}
	template := &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)), Subject: pkix.Name{CommonName: commonName},
		NotBefore: now.Add(-backdate), NotAfter: now.AddDate(pairYears, 0, 0),
		KeyUsage: x509.KeyUsageKeyEncipherment | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, fmt.Errorf("making the token's certificate: %w", err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding the token's key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), nil
}
