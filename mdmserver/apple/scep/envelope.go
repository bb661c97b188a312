package scep

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"github.com/smallstep/pkcs7"

	"github.com/kubemdm/kubemdm/internal/ber"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
)

var (
	errEnvelope  = errors.New("the message does not hold enveloped data")
	errAlgorithm = errors.New("the content is encrypted with an algorithm that is not supported")
	errDecrypt   = errors.New("the content does not decrypt")
)

// envelope is CMS EnvelopedData (RFC 5652, section 6.1). It is opened here and not by the CMS library, which tells an attacker whether
// the padding of the content key was right (with that, the CA's key can be made to sign) and panics on content of an odd length.
type envelope struct {
	Version    int
	Recipients []recipient `asn1:"set"`
	Content    encryptedContent
}

type recipient struct {
	Version int
	Issued  struct {
		Issuer asn1.RawValue
		Serial *big.Int
	}
	Algorithm    pkix.AlgorithmIdentifier
	EncryptedKey []byte
}

type encryptedContent struct {
	Type      asn1.ObjectIdentifier
	Algorithm pkix.AlgorithmIdentifier
	Content   asn1.RawValue `asn1:"tag:0"`
}

type blockCipher struct {
	oid     asn1.ObjectIdentifier
	keySize int
	block   func(key []byte) (cipher.Block, error)
}

// ciphers in CBC mode that requests may use. Triple DES is for devices that do not ask for our capabilities.
var ciphers = []blockCipher{
	{pkcs7.OIDEncryptionAlgorithmAES128CBC, 16, aes.NewCipher},
	{pkcs7.OIDEncryptionAlgorithmAES256CBC, 32, aes.NewCipher},
	{pkcs7.OIDEncryptionAlgorithmDESEDE3CBC, 24, des.NewTripleDESCipher},
}

func parseEnvelope(content []byte) (*envelope, error) {
	der, err := ber.Normalize(content)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errEnvelope, err)
	}
	var info struct {
		Type     asn1.ObjectIdentifier
		Envelope envelope `asn1:"explicit,tag:0"`
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return nil, fmt.Errorf("%w: %w", errEnvelope, err)
	}
	if !info.Type.Equal(pkcs7.OIDEnvelopedData) {
		return nil, errEnvelope
	}
	return &info.Envelope, nil
}

// sealedTo returns the content key that is encrypted to the certificate.
func (e *envelope) sealedTo(cert *x509.Certificate) (sealed []byte, ok bool) {
	for _, r := range e.Recipients {
		issued := r.Issued.Serial.Cmp(cert.SerialNumber) == 0 && bytes.Equal(r.Issued.Issuer.FullBytes, cert.RawIssuer)
		if issued && r.Algorithm.Algorithm.Equal(pkcs7.OIDEncryptionAlgorithmRSA) {
			return r.EncryptedKey, true
		}
	}
	return nil, false
}

// open decrypts the content with the key that sealed is for.
func (e *envelope) open(key identity.Key, sealed []byte) ([]byte, error) {
	algorithm, err := e.cipher()
	if err != nil {
		return nil, err
	}
	// With the length given, a wrong padding yields a random key instead of an error: both ways end in content that does not decrypt.
	options := &rsa.PKCS1v15DecryptOptions{SessionKeyLen: algorithm.keySize} //nolint:staticcheck // SCEP clients know no other padding
	contentKey, err := key.Decrypt(rand.Reader, sealed, options)
	if err != nil {
		return nil, fmt.Errorf("decrypting the content key: %w", err)
	}
	block, err := algorithm.block(contentKey)
	if err != nil {
		return nil, fmt.Errorf("decrypting the content: %w", err)
	}
	content, err := e.octets()
	iv := e.Content.Algorithm.Parameters.Bytes
	if err != nil || len(iv) != block.BlockSize() || len(content) == 0 || len(content)%block.BlockSize() != 0 {
		return nil, errDecrypt
	}
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(content, content)
	return unpad(content, block.BlockSize())
}

func (e *envelope) cipher() (blockCipher, error) {
	for _, c := range ciphers {
		if c.oid.Equal(e.Content.Algorithm.Algorithm) {
			return c, nil
		}
	}
	return blockCipher{}, errAlgorithm
}

// octets returns a copy of the encrypted content, which may come in one octet string or in several.
func (e *envelope) octets() ([]byte, error) {
	raw := e.Content.Content
	if !raw.IsCompound {
		return bytes.Clone(raw.Bytes), nil
	}
	var out []byte
	for rest := raw.Bytes; len(rest) > 0; {
		var part []byte
		var err error
		if rest, err = asn1.Unmarshal(rest, &part); err != nil {
			return nil, err
		}
		out = append(out, part...)
	}
	return out, nil
}

// unpad takes the padding of RFC 5652, section 6.3, off.
func unpad(content []byte, blockSize int) ([]byte, error) {
	n := int(content[len(content)-1])
	if n == 0 || n > blockSize {
		return nil, errDecrypt
	}
	content, padding := content[:len(content)-n], content[len(content)-n:]
	if !bytes.Equal(padding, bytes.Repeat([]byte{byte(n)}, n)) {
		return nil, errDecrypt
	}
	return content, nil
}
