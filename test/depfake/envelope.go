package depfake

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
	"slices"
)

var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidEnvelopedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 3}
	oidRSA           = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidAES256CBC     = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
)

// recipientInfo is KeyTransRecipientInfo of RFC 5652, section 6.2.1.
type recipientInfo struct {
	Version int
	Issued  struct {
		Issuer asn1.RawValue
		Serial *big.Int
	}
	Algorithm    pkix.AlgorithmIdentifier
	EncryptedKey []byte
}

// encrypt returns CMS EnvelopedData (RFC 5652, section 6.1) that only the recipient opens. It is BER, not DER: lengths are indefinite and the
// content is in pieces, as of a library that streams.
func encrypt(content []byte, recipient *x509.Certificate) ([]byte, error) {
	public, isRSA := recipient.PublicKey.(*rsa.PublicKey)
	if !isRSA {
		return nil, errors.New("the recipient has no RSA key")
	}
	random := make([]byte, 32+aes.BlockSize)
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	key, iv := random[:32], random[32:]
	sealed, err := rsa.EncryptPKCS1v15(rand.Reader, public, key) //nolint:staticcheck // the portal knows no other padding
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
	algorithm := pkix.AlgorithmIdentifier{Algorithm: oidAES256CBC, Parameters: asn1.RawValue{Tag: asn1.TagOctetString, Bytes: iv}}
	return assemble(info, algorithm, octets)
}

func assemble(info recipientInfo, algorithm pkix.AlgorithmIdentifier, octets []byte) ([]byte, error) {
	var parts [][]byte
	for _, value := range []any{oidEnvelopedData, 0, []recipientInfo{info}, oidData, algorithm} {
		part, err := asn1.MarshalWithParams(value, setOf(value))
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	var pieces [][]byte
	for piece := range slices.Chunk(octets, 200) {
		der, err := asn1.Marshal(piece)
		if err != nil {
			return nil, err
		}
		pieces = append(pieces, der)
	}
	const sequence, explicit0 = 0x30, 0xa0
	contentInfo := indefinite(sequence, parts[3], parts[4], indefinite(explicit0, pieces...))
	enveloped := indefinite(sequence, parts[1], parts[2], contentInfo)
	return indefinite(sequence, parts[0], indefinite(explicit0, enveloped)), nil
}

func setOf(value any) string {
	if _, isSet := value.([]recipientInfo); isSet {
		return "set"
	}
	return ""
}

// indefinite is a constructed value whose end is marked (X.690, 8.1.3.6).
func indefinite(tag byte, parts ...[]byte) []byte {
	return slices.Concat([]byte{tag, 0x80}, bytes.Join(parts, nil), []byte{0, 0})
}
