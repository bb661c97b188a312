package mdmcert

import (
	"bytes"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/smallstep/pkcs7"

	"github.com/kubemdm/kubemdm/internal/ber"
)

// maxReply bounds a reply in bytes; a real one has about twenty-five thousand.
const maxReply = 1 << 20

// minContent is fewer bytes than any request to Apple has. Longer content can not make the CMS library slice before the content's beginning,
// wherever it finds its padding.
const minContent = 256

// sequence is the first byte of every CMS message.
const sequence = 0x30

// The ways in which a reply is refused.
var (
	ErrReplyMalformed     = errors.New("this is not the reply of mdmcert.download: give the attachment of its mail (mdm_signed_request....plist.b64.p7) as it came, not the text of the mail and not a file that was made from the attachment")
	ErrReplyTruncated     = errors.New("the reply of mdmcert.download is not whole: its end is missing; give the attachment of the mail again")
	ErrReplyForAnotherKey = errors.New("the reply of mdmcert.download belongs to another request: give the attachment of the newest mail; if there is none, send the request again")
)

// envelope is CMS EnvelopedData (RFC 5652, section 6.1), as far as it must be judged before the CMS library decrypts it: the library panics on
// content that is not whole blocks.
type envelope struct {
	Version    int
	Recipients []recipientInfo `asn1:"set"`
	Content    struct {
		Type      asn1.ObjectIdentifier
		Algorithm pkix.AlgorithmIdentifier
		Octets    asn1.RawValue `asn1:"tag:0"`
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

// blockSizes are those, in bytes, of the ciphers in CBC mode that a reply may use, by their identifiers.
var blockSizes = map[string]int{
	pkcs7.OIDEncryptionAlgorithmAES128CBC.String():  16,
	pkcs7.OIDEncryptionAlgorithmAES256CBC.String():  16,
	pkcs7.OIDEncryptionAlgorithmDESEDE3CBC.String(): 8,
}

// Open decrypts a mailed reply with the pair of NewRecipient that its request named, and returns the file to upload to Apple. The reply is CMS
// EnvelopedData in hexadecimal as the service sends it, in base64, or in DER; white space in the text is of no matter. An error about the reply
// is one of ErrReplyMalformed, ErrReplyTruncated and ErrReplyForAnotherKey.
func Open(reply, certPEM, keyPEM []byte) ([]byte, error) {
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("reading the pair that the reply is encrypted for: %w", err)
	}
	raw, err := decode(reply)
	if err != nil {
		return nil, err
	}
	der, err := ber.Normalize(raw)
	switch {
	case errors.Is(err, ber.ErrTruncated) && (len(raw) == 0 || raw[0] == sequence):
		return nil, ErrReplyTruncated
	case err != nil:
		return nil, fmt.Errorf("%w (%w)", ErrReplyMalformed, err)
	}
	if err := examine(der, pair.Leaf); err != nil {
		return nil, err
	}
	message, err := pkcs7.Parse(der)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrReplyMalformed, err)
	}
	upload, err := message.Decrypt(pair.Leaf, pair.PrivateKey)
	switch {
	case errors.Is(err, rsa.ErrDecryption):
		return nil, ErrReplyForAnotherKey
	case err != nil:
		return nil, fmt.Errorf("%w (%w)", ErrReplyMalformed, err)
	}
	return upload, nil
}

// decode returns the bytes that a reply is the text of.
func decode(reply []byte) ([]byte, error) {
	if len(reply) > maxReply {
		return nil, fmt.Errorf("%w (it has %d bytes)", ErrReplyMalformed, len(reply))
	}
	// A sequence of this size has a length in the long form. No text has such a byte in the second place.
	if len(reply) > 1 && reply[0] == sequence && reply[1] >= 0x80 {
		return reply, nil
	}
	text := strings.Join(strings.Fields(string(reply)), "")
	if text == "" {
		return nil, fmt.Errorf("%w (it is empty)", ErrReplyMalformed)
	}
	if raw, err := hex.DecodeString(text); err == nil {
		return raw, nil
	} else if errors.Is(err, hex.ErrLength) {
		return nil, ErrReplyTruncated
	}
	text = strings.TrimRight(text, "=")
	if len(text)%4 == 1 { // no bytes have such a text: it was cut off, as what is left of it will show
		text = text[:len(text)-1]
	}
	raw, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%w (it is neither hexadecimal nor base64)", ErrReplyMalformed)
	}
	return raw, nil
}

// examine looks for everything that would keep the message from being decrypted by the certificate's key.
func examine(der []byte, cert *x509.Certificate) error {
	var info struct {
		Type     asn1.ObjectIdentifier
		Envelope envelope `asn1:"explicit,tag:0"`
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return fmt.Errorf("%w (%w)", ErrReplyMalformed, err)
	}
	if !info.Type.Equal(pkcs7.OIDEnvelopedData) {
		return fmt.Errorf("%w (it is a CMS message of another kind)", ErrReplyMalformed)
	}
	content := info.Envelope.Content
	size, known := blockSizes[content.Algorithm.Algorithm.String()]
	if !known {
		return fmt.Errorf("%w (it is encrypted with the algorithm %s, which is not supported)", ErrReplyMalformed, content.Algorithm.Algorithm)
	}
	if n := octets(content.Octets); n < minContent || n%size != 0 {
		return fmt.Errorf("%w (its encrypted content has %d bytes)", ErrReplyMalformed, n)
	}
	for _, r := range info.Envelope.Recipients {
		if r.Issued.Serial.Cmp(cert.SerialNumber) == 0 && bytes.Equal(r.Issued.Issuer.FullBytes, cert.RawIssuer) {
			return nil
		}
	}
	return ErrReplyForAnotherKey
}

// octets counts the bytes of content, which may come in one octet string or in several.
func octets(raw asn1.RawValue) int {
	if !raw.IsCompound {
		return len(raw.Bytes)
	}
	n := 0
	for rest := raw.Bytes; len(rest) > 0; {
		var part []byte
		var err error
		if rest, err = asn1.Unmarshal(rest, &part); err != nil {
			return 0
		}
		n += len(part)
	}
	return n
}
