package ade_test

import (
	"bytes"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/micromdm/nanodep/tokenpki"

	"github.com/kubemdm/kubemdm/internal/ade"
)

var now = time.Date(2027, 3, 4, 5, 6, 7, 0, time.UTC)

var token = ade.Token{
	ConsumerKey:    "CK_48dd68d198350f51258e885ce9a5c37ab7f98543c4a697323d75682a6c10a32501cb247e3db08105db868f73f2c972bd",
	ConsumerSecret: "CS_34c7b2b531a600d9",
	AccessToken:    "AT_927696831c59ba510cfe4ec1a69e5267c19881257d4bca2906a99d0785b785a6", AccessSecret: "AS_c31afd7a09691d83548489336e8ff1cb",
	Expiry: time.Date(2028, 1, 26, 16, 24, 0, 0, time.UTC),
}

const tokenJSON = `{"consumer_key":"CK_48dd68d198350f51258e885ce9a5c37ab7f98543c4a697323d75682a6c10a32501cb247e3db08105db868f73f2c972bd",` +
	`"consumer_secret":"CS_34c7b2b531a600d9","access_token":"AT_927696831c59ba510cfe4ec1a69e5267c19881257d4bca2906a99d0785b785a6",` +
	`"access_secret":"AS_c31afd7a09691d83548489336e8ff1cb","access_token_expiry":"2028-01-26T16:24:00Z"}`

// message is what Apple encrypts.
const message = "Content-Type: text/plain;charset=UTF-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n" +
	"-----BEGIN MESSAGE-----\r\n" + tokenJSON + "\r\n-----END MESSAGE-----\r\n"

// header is what Apple sets before the encrypted message.
const header = "Content-Type: application/pkcs7-mime; name=\"smime.p7m\"; smime-type=enveloped-data\r\nContent-Transfer-Encoding: base64\r\n" +
	"Content-Disposition: attachment; filename=\"smime.p7m\"\r\nContent-Description: S/MIME Encrypted Message\r\n\r\n"

// pair is a certificate that is uploaded to Apple, and its key.
type pair struct {
	certPEM []byte
	cert    *x509.Certificate
	key     *rsa.PrivateKey
}

func newPair(t testing.TB) pair {
	t.Helper()
	certPEM, keyPEM, err := ade.NewPair("ade/school", now)
	if err != nil {
		t.Fatal(err)
	}
	both, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return pair{certPEM, both.Leaf, both.PrivateKey.(*rsa.PrivateKey)}
}

// keys are made once, for they take their time.
var (
	keysMu sync.Mutex
	keys   = map[string]pair{}
)

func named(t testing.TB, whose string) pair {
	t.Helper()
	keysMu.Lock()
	defer keysMu.Unlock()
	if _, made := keys[whose]; !made {
		keys[whose] = newPair(t)
	}
	return keys[whose]
}

// ours is the pair of this MDM server, and theirs that of another with the same name.
func ours(t testing.TB) pair   { t.Helper(); return named(t, "ours") }
func theirs(t testing.TB) pair { t.Helper(); return named(t, "theirs") }

// encrypt does what Apple does, by openssl alone, and returns CMS in DER.
func (p pair) encrypt(t testing.TB, content string, options ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	for name, b := range map[string][]byte{"content": []byte(content), "cert.pem": p.certPEM} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	arguments := append([]string{"cms", "-encrypt", "-binary", "-outform", "DER", "-in", "content"}, options...)
	cmd := exec.CommandContext(t.Context(), "openssl", append(arguments, "cert.pem")...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openssl: %v\n%s", err, &stderr)
	}
	return out
}

// lines is base64 in lines.
func lines(der []byte, lineBreak string) string {
	text := base64.StdEncoding.EncodeToString(der)
	var b strings.Builder
	for ; len(text) > 76; text = text[76:] {
		b.WriteString(text[:76] + lineBreak)
	}
	return b.String() + text + lineBreak
}

func TestTokensInEveryForm(t *testing.T) {
	p := ours(t)
	der := p.encrypt(t, message, "-aes256")
	unix := strings.NewReplacer("\r\n", "\n")
	for form, file := range map[string]string{
		"as Apple sends it":          header + lines(der, "\r\n"),
		"line ends of Unix":          unix.Replace(header + lines(der, "\n")),
		"an editor's mark before it": "\ufeff" + header + lines(der, "\r\n"),
		"empty lines around it":      "\r\n\r\n" + header + "\r\n" + lines(der, "\r\n") + "\r\n\r\n",
		"a folded header":            strings.Replace(header, "; smime", ";\r\n\tsmime", 1) + lines(der, "\r\n"),
		"the empty line lost":        strings.TrimSuffix(header, "\r\n") + lines(der, "\r\n"),
		"binary content":             "Content-Type: application/pkcs7-mime\nContent-Transfer-Encoding: binary\n\n" + string(der),
		"base64 in lines":            lines(der, "\n"),
		"base64 in one line":         base64.StdEncoding.EncodeToString(der),
		"base64 without padding":     base64.RawStdEncoding.EncodeToString(der),
		"PEM":                        string(pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: der})),
		"PEM of openssl cms":         string(pem.EncodeToMemory(&pem.Block{Type: "CMS", Bytes: der})),
		"DER":                        string(der),
		"BER":                        string(p.encrypt(t, message, "-aes128", "-stream")),
		"triple DES":                 header + lines(p.encrypt(t, message, "-des3"), "\r\n"),
		"the JSON alone":             header + lines(p.encrypt(t, tokenJSON, "-aes256"), "\r\n"),
		"no inner header":            header + lines(p.encrypt(t, "-----BEGIN MESSAGE-----\n"+tokenJSON+"\n-----END MESSAGE-----", "-aes256"), "\r\n"),
	} {
		got, err := ade.OpenToken([]byte(file), p.cert, p.key)
		if err != nil || got != token {
			t.Errorf("%s: %v, %#v", form, err, got)
		}
	}
}

// nanodep reads what Apple sends; so is the file of these tests like Apple's, and the pair like nanodep's.
func TestNanodepReadsTheSameFile(t *testing.T) {
	p := ours(t)
	text, err := tokenpki.DecryptTokenJSON([]byte(header+lines(p.encrypt(t, message, "-des3"), "\r\n")), p.cert, p.key)
	if err != nil || string(text) != tokenJSON {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestRefusedTokens(t *testing.T) {
	p, other := ours(t), theirs(t)
	der := p.encrypt(t, message, "-aes256")
	file := header + lines(der, "\r\n")
	broken := bytes.Clone(der)
	broken[len(broken)-3] ^= 1
	sealed := func(content string) string { return header + lines(p.encrypt(t, content, "-aes256"), "\r\n") }
	for name, c := range map[string]struct{ file, reason, says string }{
		"empty":                   {"", ade.ReasonTokenUnreadable, "nothing"},
		"white space":             {" \r\n\r\n", ade.ReasonTokenUnreadable, "nothing"},
		"the header alone":        {strings.TrimSpace(header), ade.ReasonTokenUnreadable, "nothing"},
		"cut in the header":       {header[:100], ade.ReasonTokenUnreadable, ""},
		"cut by half":             {file[:len(file)/2], ade.ReasonTokenUnreadable, "its end is missing"},
		"cut by a little":         {strings.TrimSpace(file)[:len(file)-7], ade.ReasonTokenUnreadable, "its end is missing"},
		"cut in DER":              {string(der[:len(der)-1]), ade.ReasonTokenUnreadable, "its end is missing"},
		"a bit flipped":           {string(broken), ade.ReasonTokenUnreadable, ""}, // one in 256 has a valid padding, and then is no JSON
		"a web page":              {"<!DOCTYPE html><html></html>", ade.ReasonTokenUnreadable, "a web page"},
		"text":                    {"Hello! Please find the token attached.", ade.ReasonTokenUnreadable, "neither"},
		"decrypted JSON":          {tokenJSON, ade.ReasonTokenUnreadable, "JSON"},
		"the certificate":         {string(p.certPEM), ade.ReasonTokenUnreadable, "the one to upload"},
		"a certificate in DER":    {string(p.cert.Raw), ade.ReasonTokenUnreadable, "not the encrypted message"},
		"a key":                   {"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", ade.ReasonTokenUnreadable, "PRIVATE KEY"},
		"half of PEM":             {"-----BEGIN PKCS7-----\nAAAA\n", ade.ReasonTokenUnreadable, "cut or broken"},
		"too long":                {strings.Repeat("A", 1<<20), ade.ReasonTokenUnreadable, "1048576 bytes"},
		"for another key":         {header + lines(other.encrypt(t, message, "-aes256"), "\r\n"), ade.ReasonTokenForAnotherKey, "upload the certificate"},
		"something else within":   {sealed("hello"), ade.ReasonTokenUnreadable, "not the JSON"},
		"a broken header within":  {sealed("Content-Type: text/plain\r\nno header\r\n"), ade.ReasonTokenUnreadable, "not the JSON"},
		"without a secret within": {sealed(strings.Replace(message, "access_secret", "other", 1)), ade.ReasonTokenIncomplete, "access_secret"},
	} {
		got, err := ade.OpenToken([]byte(c.file), p.cert, p.key)
		var refusal *ade.Refusal
		if !errors.As(err, &refusal) || refusal.Reason != c.reason || !strings.Contains(refusal.Message, c.says) || got != (ade.Token{}) {
			t.Errorf("%s: %v, want %s that says %q", name, err, c.reason, c.says)
		}
	}
}

func TestTokensCutAnywhere(t *testing.T) {
	p := ours(t)
	whole := strings.TrimRight(base64.StdEncoding.EncodeToString(p.encrypt(t, message, "-aes256")), "=")
	for n := 4; n < len(whole); n += 3 {
		_, err := ade.OpenToken([]byte(header+whole[:n]), p.cert, p.key)
		var refusal *ade.Refusal
		if !errors.As(err, &refusal) || refusal.Reason != ade.ReasonTokenUnreadable || !strings.Contains(refusal.Message, "its end is missing") {
			t.Errorf("%d of %d characters: %v", n, len(whole), err)
		}
	}
}

func TestAKeyOfAnotherCertificate(t *testing.T) {
	p, other := ours(t), theirs(t)
	_, err := ade.OpenToken(p.encrypt(t, message, "-aes256"), p.cert, other.key)
	var refusal *ade.Refusal
	if !errors.As(err, &refusal) || refusal.Reason != ade.ReasonTokenForAnotherKey {
		t.Error(err)
	}
}

func TestNewPair(t *testing.T) {
	p, other := ours(t), theirs(t)
	if p.cert.Subject.CommonName != "ade/school" || p.key.N.BitLen() != 2048 || p.cert.CheckSignatureFrom(p.cert) == nil && p.cert.IsCA {
		t.Errorf("%v with %d bits", p.cert.Subject, p.key.N.BitLen())
	}
	if err := p.cert.CheckSignature(p.cert.SignatureAlgorithm, p.cert.RawTBSCertificate, p.cert.Signature); err != nil {
		t.Error(err)
	}
	if p.cert.NotBefore.After(now) || !p.cert.NotAfter.Equal(now.AddDate(10, 0, 0)) {
		t.Errorf("valid from %s to %s", p.cert.NotBefore, p.cert.NotAfter)
	}
	if p.cert.SerialNumber.Cmp(other.cert.SerialNumber) == 0 {
		t.Error("two pairs with one serial number can not be told apart")
	}
	certPEM, _, err := ade.NewPair(strings.Repeat("ä", 300), now)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(certPEM)
	if cert, err := x509.ParseCertificate(block.Bytes); err != nil || len([]rune(cert.Subject.CommonName)) != 64 {
		t.Errorf("%v: a long name", err)
	}
}
