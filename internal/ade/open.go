package ade

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"

	"github.com/micromdm/nanodep/tokenpki"

	"github.com/kubemdm/kubemdm/internal/ber"
	"github.com/kubemdm/kubemdm/internal/cms"
)

const (
	// maxP7M bounds a .p7m in bytes; a real one has about two thousand.
	maxP7M = 256 << 10
	// sequence is the first byte of every CMS message.
	sequence = 0x30
)

var (
	// byteOrderMark is what some editors begin text files with.
	byteOrderMark = []byte("\ufeff")
	// headerLine is the first line of a field in the header of a MIME message (RFC 2045, section 3).
	headerLine = regexp.MustCompile(`^[A-Za-z0-9-]+[ \t]*:`)
)

const downloadAgain = "download the server token again and give the .p7m file as it is"

func unreadable(format string, args ...any) error {
	return &Refusal{ReasonTokenUnreadable, fmt.Sprintf(format, args...) + ": " + downloadAgain}
}

// OpenToken decrypts the .p7m that Apple gives for an uploaded certificate: an S/MIME message with its header, or its content alone in base64, PEM or
// DER. The error is a *Refusal. That the token has expired is none.
func OpenToken(p7m []byte, cert *x509.Certificate, key *rsa.PrivateKey) (Token, error) {
	if !key.PublicKey.Equal(cert.PublicKey) {
		return Token{}, &Refusal{ReasonTokenForAnotherKey, "the key that is kept for the token does not belong to the certificate that is kept with it: " +
			"restore the Secret with the pair from a backup, or make a new pair and upload its certificate to Apple"}
	}
	der, err := unwrap(p7m)
	if err != nil {
		return Token{}, err
	}
	envelope, err := cms.Parse(der)
	switch {
	case errors.Is(err, ber.ErrTruncated) && len(der) > 0 && der[0] == sequence:
		return Token{}, unreadable("the .p7m file is not whole, its end is missing")
	case err != nil:
		return Token{}, unreadable("the file is not the encrypted message that Apple gives as a server token")
	}
	sealed, ours := envelope.SealedTo(cert)
	if !ours {
		return Token{}, &Refusal{ReasonTokenForAnotherKey, "the token is encrypted for another certificate than the one at hand: upload the certificate " +
			"that the status has to this MDM server at Apple, and then download the token"}
	}
	message, err := envelope.Open(key, sealed)
	if err != nil {
		return Token{}, unreadable("the .p7m file does not decrypt (%v)", err)
	}
	return ParseToken(content(message))
}

// content is the JSON in the decrypted message: Apple sets a header before it and lines around it.
func content(message []byte) []byte {
	if !headerLine.Match(message) {
		message = append([]byte("\r\n"), message...) // the end of an empty header
	}
	text, err := tokenpki.UnwrapTokenJSON(message)
	if err != nil {
		return nil
	}
	return text
}

// unwrap returns the CMS message in DER or BER.
func unwrap(file []byte) ([]byte, error) {
	if len(file) > maxP7M {
		return nil, unreadable("the file has %d bytes, more than a server token ever has", len(file))
	}
	if binary(file) {
		return file, nil
	}
	text := bytes.TrimLeft(bytes.TrimPrefix(file, byteOrderMark), " \t\r\n")
	if bytes.HasPrefix(text, []byte("-----BEGIN ")) {
		return unarmour(text)
	}
	text = afterHeader(text)
	if binary(text) {
		return text, nil
	}
	text = bytes.TrimRight(bytes.Join(bytes.Fields(text), nil), "=")
	switch {
	case len(text) == 0:
		return nil, unreadable("there is nothing in the file")
	case text[0] == '<':
		return nil, unreadable("the file is a web page")
	case text[0] == '{':
		return nil, unreadable("the file is JSON, perhaps a token that another program decrypted")
	case len(text)%4 == 1: // no bytes have such a text: it was cut off, as what is left of it will show
		text = text[:len(text)-1]
	}
	der := make([]byte, base64.RawStdEncoding.DecodedLen(len(text)))
	if _, err := base64.RawStdEncoding.Decode(der, text); err != nil {
		return nil, unreadable("the file is neither an S/MIME message nor base64")
	}
	return der, nil
}

// binary says whether a message is not in text. A sequence of this size has a length in the long form; no text has such a byte in the second place.
func binary(b []byte) bool { return len(b) > 1 && b[0] == sequence && b[1] >= 0x80 }

// unarmour reads PEM.
func unarmour(text []byte) ([]byte, error) {
	block, _ := pem.Decode(text)
	switch {
	case block == nil:
		return nil, unreadable("the PEM block in the file is cut or broken")
	case block.Type == "CERTIFICATE":
		return nil, unreadable("the file is a certificate, perhaps the one to upload to Apple, and not the token that Apple gives for it")
	case block.Type != "PKCS7" && block.Type != "CMS":
		return nil, unreadable("the file is a %.40q and not a server token", block.Type)
	}
	return block.Bytes, nil
}

// afterHeader takes the header of a MIME message off, if there is one. An empty line ends it; without one it ends with the last line that looks
// like it.
func afterHeader(text []byte) []byte {
	for inside := false; ; inside = true {
		line, rest, more := bytes.Cut(text, []byte("\n"))
		switch folded := inside && len(line) > 0 && (line[0] == ' ' || line[0] == '\t'); {
		case inside && len(bytes.TrimSpace(line)) == 0:
			return bytes.TrimLeft(rest, "\r\n")
		case !folded && !headerLine.Match(line):
			return text
		case !more:
			return nil
		}
		text = rest
	}
}
