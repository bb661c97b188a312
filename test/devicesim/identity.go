package devicesim

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/smallstep/pkcs7"
)

// keyBits is the key size that Apple devices use for SCEP identities.
const keyBits = 2048

// Identity is a certificate with its key: who a device is to the server.
type Identity struct {
	Certificate *x509.Certificate
	Key         *rsa.PrivateKey
}

// Sign returns the Mdm-Signature of a message: the base64 of a detached CMS signature that carries the certificate
// (Apple, "SignMessage" of the MDM payload).
func (i *Identity) Sign(message []byte) (string, error) {
	signed, err := pkcs7.NewSignedData(message)
	if err != nil {
		return "", fmt.Errorf("signing message: %w", err)
	}
	if err := signed.AddSigner(i.Certificate, i.Key, pkcs7.SignerInfoConfig{}); err != nil {
		return "", fmt.Errorf("signing message: %w", err)
	}
	signed.Detach()
	der, err := signed.Finish()
	if err != nil {
		return "", fmt.Errorf("signing message: %w", err)
	}
	return base64.StdEncoding.EncodeToString(der), nil
}

// SelfSigned makes an identity that no CA vouches for: the signer of a SCEP request, or a stranger's certificate.
func SelfSigned(key *rsa.PrivateKey, subject pkix.Name) (*Identity, error) {
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      subject,
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("signing own certificate: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("parsing own certificate: %w", err)
	}
	return &Identity{Certificate: certificate, Key: key}, nil
}

// NewKey makes a fresh key. It takes a good part of a second of CPU; a fleet shares a KeyPool instead.
func NewKey() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, keyBits) }

// KeyPool hands out a few keys in turn. Devices that share a key still have certificates of their own.
type KeyPool struct {
	mu   sync.Mutex
	size int
	keys []*rsa.PrivateKey
	next int
}

// NewKeyPool returns a pool of this many keys, each made when it is first needed. Two are the fewest with which a
// renewal comes with a new key.
func NewKeyPool(size int) *KeyPool { return &KeyPool{size: size} }

// Key returns the next key of the pool.
func (p *KeyPool) Key() (*rsa.PrivateKey, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.keys) < p.size {
		key, err := NewKey()
		if err != nil {
			return nil, err
		}
		p.keys = append(p.keys, key)
		return key, nil
	}
	key := p.keys[p.next]
	p.next = (p.next + 1) % len(p.keys)
	return key, nil
}
