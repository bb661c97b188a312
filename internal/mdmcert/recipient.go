package mdmcert

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

// recipientDays is how long the certificate for the reply is valid.
const recipientDays = 365

// NewRecipient makes what the service encrypts its reply for: an RSA key of 2048 bits in PKCS#8, and a certificate signed by itself.
func NewRecipient(now time.Time) (certPEM, keyPEM []byte, err error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, nil, fmt.Errorf("making the key for the reply: %w", err)
	}
	// The serial number tells the replies to several requests apart.
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, fmt.Errorf("making a serial number: %w", err)
	}
	// It is valid an hour ago already, for the service's clock need not be ours.
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "mdmcert.download"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 0, recipientDays), KeyUsage: x509.KeyUsageKeyEncipherment,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, fmt.Errorf("signing the certificate for the reply: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding the key for the reply: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
