// Package cms opens encrypted messages of strangers (EnvelopedData of the Cryptographic Message Syntax, RFC 5652, section 6).
package cms

import (
	"bytes"
	"crypto"
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
)

// Why a message cannot be opened. What a stranger is told of it must not tell where the decryption failed.
var (
	// ErrEnvelope: it is no EnvelopedData, or is cut off (then ber.ErrTruncated is wrapped too).
	ErrEnvelope = errors.New("the message does not hold enveloped data")
	// ErrAlgorithm: its content is not encrypted with AES-128, AES-256 or triple DES in CBC mode.
	ErrAlgorithm = errors.New("the content is encrypted with an algorithm that is not supported")
	// ErrDecrypt: the content is broken, or the key is another one.
	ErrDecrypt = errors.New("the content does not decrypt")
)

// Envelope is EnvelopedData (RFC 5652, section 6.1). It is opened here and not by the CMS library, which tells an attacker whether
// the padding of the content key was right (with that, the CA's key can be made to sign) and panics on content of an odd length.
type Envelope struct {
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

// ciphers in CBC mode that messages may use. Triple DES is for devices that do not ask for our capabilities, and for old services.
var ciphers = []blockCipher{
	{pkcs7.OIDEncryptionAlgorithmAES128CBC, 16, aes.NewCipher},
	{pkcs7.OIDEncryptionAlgorithmAES256CBC, 32, aes.NewCipher},
	{pkcs7.OIDEncryptionAlgorithmDESEDE3CBC, 24, des.NewTripleDESCipher},
}

// Parse reads a ContentInfo with EnvelopedData, in BER within bounds. The error is ErrEnvelope.
func Parse(content []byte) (*Envelope, error) {
	der, err := ber.Normalize(content)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEnvelope, err)
	}
	var info struct {
		Type     asn1.ObjectIdentifier
		Envelope Envelope `asn1:"explicit,tag:0"`
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEnvelope, err)
	}
	if !info.Type.Equal(pkcs7.OIDEnvelopedData) {
		return nil, ErrEnvelope
	}
	return &info.Envelope, nil
}

// SealedTo returns the content key that is encrypted to the certificate.
func (e *Envelope) SealedTo(cert *x509.Certificate) (sealed []byte, ok bool) {
	for _, r := range e.Recipients {
		issued := r.Issued.Serial.Cmp(cert.SerialNumber) == 0 && bytes.Equal(r.Issued.Issuer.FullBytes, cert.RawIssuer)
		if issued && r.Algorithm.Algorithm.Equal(pkcs7.OIDEncryptionAlgorithmRSA) {
			return r.EncryptedKey, true
		}
	}
	return nil, false
}

// Open decrypts the content with the RSA key that sealed is for. The error is ErrAlgorithm, ErrDecrypt, or that of the key.
func (e *Envelope) Open(key crypto.Decrypter, sealed []byte) ([]byte, error) {
	algorithm, err := e.cipher()
	if err != nil {
		return nil, err
	}
	// With the length given, a wrong padding yields a random key instead of an error: both ways end in content that does not decrypt.
	options := &rsa.PKCS1v15DecryptOptions{SessionKeyLen: algorithm.keySize} //nolint:staticcheck // senders know no other padding
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
		return nil, ErrDecrypt
	}
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(content, content)
	return unpad(content, block.BlockSize())
}

func (e *Envelope) cipher() (blockCipher, error) {
	for _, c := range ciphers {
		if c.oid.Equal(e.Content.Algorithm.Algorithm) {
			return c, nil
		}
	}
	return blockCipher{}, ErrAlgorithm
}

// octets returns a copy of the encrypted content, which may come in one octet string or in several.
func (e *Envelope) octets() ([]byte, error) {
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
		return nil, ErrDecrypt
	}
	content, padding := content[:len(content)-n], content[len(content)-n:]
	if !bytes.Equal(padding, bytes.Repeat([]byte{byte(n)}, n)) {
		return nil, ErrDecrypt
	}
	return content, nil
}
