package mdmcertfake

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
)

var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidEnvelopedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 3}
	oidRSA           = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidAES128CBC     = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}
)

// envelopedData is RFC 5652, section 6.1.
type envelopedData struct {
	Version    int
	Recipients []recipientInfo `asn1:"set"`
	Content    struct {
		Type      asn1.ObjectIdentifier
		Algorithm pkix.AlgorithmIdentifier
		Octets    []byte `asn1:"tag:0"`
	}
}

type recipientInfo struct {
	Version int
	Issued  struct {
		Issuer asn1.RawValue
		Serial *big.Int
	}
	Algorithm    pkix.AlgorithmIdentifier
	EncryptedKey []byte
}

// encrypt returns CMS EnvelopedData in DER that only the recipient opens.
func encrypt(content []byte, recipient *x509.Certificate) ([]byte, error) {
	public, ok := recipient.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("the recipient has no RSA key")
	}
	random := make([]byte, 2*aes.BlockSize)
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	key, iv := random[:aes.BlockSize], random[aes.BlockSize:]
	sealed, err := rsa.EncryptPKCS1v15(rand.Reader, public, key) //nolint:staticcheck // mail clients know no other padding
	if err != nil {
		return nil, fmt.Errorf("encrypting the content key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	padding := aes.BlockSize - len(content)%aes.BlockSize
	octets := append(bytes.Clone(content), bytes.Repeat([]byte{byte(padding)}, padding)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(octets, octets)

	info := recipientInfo{Algorithm: pkix.AlgorithmIdentifier{Algorithm: oidRSA, Parameters: asn1.NullRawValue}, EncryptedKey: sealed}
	info.Issued.Issuer, info.Issued.Serial = asn1.RawValue{FullBytes: recipient.RawIssuer}, recipient.SerialNumber
	envelope := envelopedData{Recipients: []recipientInfo{info}}
	envelope.Content.Type, envelope.Content.Octets = oidData, octets
	envelope.Content.Algorithm = pkix.AlgorithmIdentifier{Algorithm: oidAES128CBC, Parameters: asn1.RawValue{Tag: asn1.TagOctetString, Bytes: iv}}
	return asn1.Marshal(struct {
		Type     asn1.ObjectIdentifier
		Envelope envelopedData `asn1:"explicit,tag:0"`
	}{oidEnvelopedData, envelope})
}
