package mdmcert_test

import (
	"bytes"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/internal/mdmcert"
)

// upload looks like what the service encrypts: base64 in lines that end in CRLF.
var upload = []byte(strings.Repeat(strings.Repeat("QUFB", 19)+"\r\n", 100))

// openssl runs openssl cms, with content and the recipient's pair beside it in files of these names, and returns what it prints.
func openssl(t testing.TB, content, certPEM []byte, arguments ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	for name, b := range map[string][]byte{"content": content, "cert.pem": certPEM, "key.pem": recipient.key} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "openssl", append([]string{"cms", "-binary", "-outform", "DER", "-in", "content"}, arguments...)...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openssl: %v\n%s", err, &stderr)
	}
	return out
}

// encrypt makes a reply in DER.
func encrypt(t testing.TB, content, certPEM []byte, options ...string) []byte {
	t.Helper()
	return openssl(t, content, certPEM, append(append([]string{"-encrypt"}, options...), "cert.pem")...)
}

func asHex(der []byte) []byte { return []byte(hex.EncodeToString(der)) }

func asBase64(der []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(der)) }

// lines breaks a text into lines.
func lines(text []byte, columns int, lineBreak string) []byte {
	var out []byte
	for ; len(text) > columns; text = text[columns:] {
		out = append(append(out, text[:columns]...), lineBreak...)
	}
	return append(append(out, text...), lineBreak...)
}

func TestRepliesMadeWithOpenSSL(t *testing.T) {
	for _, options := range [][]string{{"-aes-128-cbc"}, {"-aes-256-cbc"}, {"-des3"}, {"-aes-128-cbc", "-stream"}} {
		der := encrypt(t, upload, recipient.cert, options...)
		for form, reply := range map[string][]byte{
			"hex":                asHex(der),
			"hex in upper case":  bytes.ToUpper(asHex(der)),
			"hex with blanks":    lines(asHex(der), 2, " "),
			"hex in lines":       lines(asHex(der), 64, "\n"),
			"hex in CRLF lines":  lines(asHex(der), 75, "\r\n"),
			"DER":                der,
			"base64":             asBase64(der),
			"base64 in lines":    lines(asBase64(der), 76, "\r\n"),
			"base64, no padding": bytes.TrimRight(asBase64(der), "="),
		} {
			t.Run(strings.Join(options, " ")+", "+form, func(t *testing.T) {
				got, err := mdmcert.Open(reply, recipient.cert, recipient.key)
				if err != nil || !bytes.Equal(got, upload) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			})
		}
	}
}

func TestRepliesThatDoNotOpen(t *testing.T) {
	otherCert, otherKey, err := mdmcert.NewRecipient(now)
	if err != nil {
		t.Fatal(err)
	}
	der := encrypt(t, upload, recipient.cert, "-aes-128-cbc")
	sealed := bytes.Index(der, recipient.leaf.SerialNumber.Bytes()) // what follows is the encrypted content key, then the content
	flipped := func(at int) []byte {
		reply := bytes.Clone(der)
		reply[at] ^= 0xff
		return reply
	}
	for name, c := range map[string]struct {
		reply []byte
		want  error
	}{
		"for another key":             {encrypt(t, upload, otherCert, "-aes-128-cbc"), mdmcert.ErrReplyForAnotherKey},
		"the content key was changed": {flipped(sealed + 200), mdmcert.ErrReplyMalformed},
		"the last block was changed":  {flipped(len(der) - 17), mdmcert.ErrReplyMalformed},
		"nothing":                     {nil, mdmcert.ErrReplyMalformed},
		"blanks":                      {[]byte(" \r\n"), mdmcert.ErrReplyMalformed},
		"the text of the mail":        {[]byte("Hello,\n\nattached is your signed request."), mdmcert.ErrReplyMalformed},
		"one word":                    {[]byte("attached"), mdmcert.ErrReplyMalformed},
		"a line before":               {append([]byte("begin:\n"), asHex(der)...), mdmcert.ErrReplyMalformed},
		"opened already":              {upload, mdmcert.ErrReplyMalformed},
		"a certificate":               {recipient.cert, mdmcert.ErrReplyMalformed},
		"a certificate in DER":        {recipient.leaf.Raw, mdmcert.ErrReplyMalformed},
		"signed, not encrypted":       {openssl(t, upload, recipient.cert, "-sign", "-nodetach", "-signer", "cert.pem", "-inkey", "key.pem"), mdmcert.ErrReplyMalformed},
		"noise that opens":            {encrypt(t, bytes.Repeat([]byte{0xfe, 0x01}, 1000), recipient.cert, "-aes-128-cbc"), mdmcert.ErrReplyMalformed},
		"a cipher of no reply":        {encrypt(t, upload, recipient.cert, "-aes-192-cbc"), mdmcert.ErrReplyMalformed},
		"content of an odd length":    {shorten(t, der), mdmcert.ErrReplyMalformed},
		"too large":                   {bytes.Repeat([]byte("30"), 1<<20), mdmcert.ErrReplyMalformed},
		"deep":                        {bytes.Repeat([]byte("3080"), 1<<17), mdmcert.ErrReplyMalformed},
		"deep in DER":                 {bytes.Repeat([]byte{0x30, 0x80}, 1<<18), mdmcert.ErrReplyMalformed},
		"one digit less":              {asHex(der)[:2*len(der)-1], mdmcert.ErrReplyTruncated},
		"one byte less":               {asHex(der)[:2*len(der)-2], mdmcert.ErrReplyTruncated},
		"half":                        {asHex(der)[:len(der)], mdmcert.ErrReplyTruncated},
		"two digits":                  {asHex(der)[:2], mdmcert.ErrReplyTruncated},
		"one digit":                   {asHex(der)[:1], mdmcert.ErrReplyTruncated},
		"half of the DER":             {der[:len(der)/2], mdmcert.ErrReplyTruncated},
		"a beginning of the DER":      {der[:3], mdmcert.ErrReplyTruncated},
		"half of the base64":          {asBase64(der)[:1000], mdmcert.ErrReplyTruncated},
		"base64 that ends in between": {asBase64(der)[:1001], mdmcert.ErrReplyTruncated},
		"base64 of half":              {asBase64(der[:len(der)/2]), mdmcert.ErrReplyTruncated},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := mdmcert.Open(c.reply, recipient.cert, recipient.key)
			if !errors.Is(err, c.want) {
				t.Fatalf("%d bytes, %v, want %v", len(got), err, c.want)
			}
			for _, other := range []error{mdmcert.ErrReplyMalformed, mdmcert.ErrReplyTruncated, mdmcert.ErrReplyForAnotherKey} {
				if errors.Is(err, other) != errors.Is(c.want, other) {
					t.Errorf("%v is also: %v", err, other)
				}
			}
		})
	}
	if _, err := mdmcert.Open(asHex(der), recipient.cert, otherKey); err == nil || errors.Is(err, mdmcert.ErrReplyForAnotherKey) {
		t.Errorf("with a key that is not the certificate's: %v", err)
	}
}

// shorten takes one byte off the last value of a message, which is the content, and leaves the message well-formed.
func shorten(t *testing.T, der []byte) []byte {
	t.Helper()
	var v asn1.RawValue
	rest, err := asn1.Unmarshal(der, &v)
	if err != nil {
		t.Fatal(err)
	}
	if len(rest) > 0 {
		return append(der[:len(der)-len(rest):len(der)-len(rest)], shorten(t, rest)...)
	}
	if v.IsCompound {
		v.Bytes = shorten(t, v.Bytes)
	} else {
		v.Bytes = v.Bytes[:len(v.Bytes)-1]
	}
	v.FullBytes = nil
	short, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return short
}

func FuzzOpen(f *testing.F) {
	for _, options := range []string{"-aes-128-cbc", "-des3"} {
		der := encrypt(f, upload, recipient.cert, options)
		f.Add(der)
		f.Add(asHex(der))
		f.Add(asBase64(der))
	}
	f.Fuzz(func(t *testing.T, reply []byte) {
		_, err := mdmcert.Open(reply, recipient.cert, recipient.key)
		known := errors.Is(err, mdmcert.ErrReplyMalformed) || errors.Is(err, mdmcert.ErrReplyTruncated) || errors.Is(err, mdmcert.ErrReplyForAnotherKey)
		if err != nil && !known {
			t.Errorf("error %v", err)
		}
	})
}
