package mdmcert

import (
	"crypto/rsa"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/kubemdm/kubemdm/internal/ber"
	"github.com/kubemdm/kubemdm/internal/cms"
)

// maxReply bounds a reply in bytes; a real one has about twenty-five thousand.
const maxReply = 1 << 20

// sequence is the first byte of every CMS message.
const sequence = 0x30

// The ways in which a reply is refused.
var (
	ErrReplyMalformed     = errors.New("this is not the reply of mdmcert.download: give the attachment of its mail (mdm_signed_request....plist.b64.p7) as it came, not the text of the mail and not a file that was made from the attachment")
	ErrReplyTruncated     = errors.New("the reply of mdmcert.download is not whole: its end is missing; give the attachment of the mail again")
	ErrReplyForAnotherKey = errors.New("the reply of mdmcert.download belongs to another request: give the attachment of the newest mail; if there is none, send the request again")
)

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
	envelope, err := cms.Parse(raw)
	switch {
	case errors.Is(err, ber.ErrTruncated) && (len(raw) == 0 || raw[0] == sequence):
		return nil, ErrReplyTruncated
	case err != nil:
		return nil, fmt.Errorf("%w (%w)", ErrReplyMalformed, err)
	}
	sealed, ours := envelope.SealedTo(pair.Leaf)
	if !ours {
		return nil, ErrReplyForAnotherKey
	}
	upload, err := envelope.Open(pair.PrivateKey.(*rsa.PrivateKey), sealed)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrReplyMalformed, err)
	}
	// Nothing in EnvelopedData tells that it is undamaged (RFC 5652 section 6). With another content key one message in 256 ends like a padded one, and is noise.
	if !utf8.Valid(upload) {
		return nil, fmt.Errorf("%w (what it holds is no text)", ErrReplyMalformed)
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
