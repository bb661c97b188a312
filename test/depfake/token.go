package depfake

import (
	"bytes"
	crand "crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Token is what the portal gives out, in Apple's JSON.
type Token struct {
	ConsumerKey    string    `json:"consumer_key"`
	ConsumerSecret string    `json:"consumer_secret"`
	AccessToken    string    `json:"access_token"`
	AccessSecret   string    `json:"access_secret"`
	Expiry         time.Time `json:"access_token_expiry"`
}

// server is one "MDM server" of the organisation.
type server struct {
	name, uuid string
	token      Token
	revoked    bool
}

func hexText(bytes int) string {
	b := make([]byte, bytes)
	_, _ = crand.Read(b) // never fails
	return fmt.Sprintf("%x", b)
}

// newUUID makes a profile's or a server's identifier as Apple writes them.
func newUUID() string {
	h := strings.ToUpper(hexText(16))
	return strings.Join([]string{h[:8], h[8:12], "4" + h[13:16], "A" + h[17:20], h[20:]}, "-")
}

// newServer makes a server with its first token; the lock must be held.
func (f *Fake) newServer(name string) *server {
	s := &server{name: name, uuid: newUUID(), token: Token{ConsumerKey: "CK_" + hexText(48), ConsumerSecret: "CS_" + hexText(20)}}
	f.renew(s)
	f.servers[s.token.ConsumerKey] = s
	return s
}

// renew gives a server a new access token; the former one ends.
func (f *Fake) renew(s *server) {
	s.token.AccessToken = "AT_O" + hexText(80)
	s.token.AccessSecret = "AS_" + hexText(20)
	s.token.Expiry = f.options.Now().Add(f.options.TokenLife).UTC().Truncate(time.Second)
	s.revoked = false
}

// Token returns the token that is good now.
func (f *Fake) Token() Token {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.server.token
}

// Upload is the portal's page of the server: it takes the public key and returns the file with the token that only this key opens. The first time
// the token is the one that Token returns; later ones are renewed as with Renew.
func (f *Fake) Upload(certPEM []byte) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	cert, err := readCertificate(certPEM)
	if err != nil {
		return nil, err
	}
	first := f.cert == nil
	f.cert = cert
	if first {
		return f.download()
	}
	return f.renewed(f.server)
}

// Renew is another download of the token: the consumer key stays, the access token is new, and the former one and its sessions end.
func (f *Fake) Renew() ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.renewed(f.server)
}

// RenewAsAnotherServer is the download of a token of another server that has the same public key: its consumer key is another one. The token of
// the server that was stays good. For brevity both servers have the same devices; Token, Renew and Upload are of the new one.
func (f *Fake) RenewAsAnotherServer() ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.server = f.newServer(f.server.name + " (other)")
	return f.download()
}

// Revoke ends all tokens and sessions, as when the server is deleted in the portal. Renew makes a good token again.
func (f *Fake) Revoke() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.servers {
		s.revoked = true
		f.endOf(s)
	}
}

func (f *Fake) renewed(s *server) ([]byte, error) {
	f.renew(s)
	f.endOf(s)
	return f.download()
}

func readCertificate(certPEM []byte) ([]byte, error) {
	block, rest := pem.Decode(certPEM)
	if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("the file is not one certificate in PEM")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the file is no certificate: %w", err)
	}
	if key, isRSA := cert.PublicKey.(*rsa.PublicKey); !isRSA || key.N.BitLen() < 2048 {
		return nil, errors.New("the certificate's key is not an RSA key of 2048 bits or more")
	}
	return block.Bytes, nil
}

// download writes the token as the portal does: S/MIME around CMS around a text message around JSON.
func (f *Fake) download() ([]byte, error) {
	if f.cert == nil {
		return nil, errors.New("no public key was uploaded")
	}
	cert, err := x509.ParseCertificate(f.cert)
	if err != nil {
		return nil, err
	}
	token, err := json.Marshal(f.server.token)
	if err != nil {
		return nil, err
	}
	message := "Content-Type: text/plain;charset=UTF-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n" +
		"-----BEGIN MESSAGE-----\r\n" + string(token) + "\r\n-----END MESSAGE-----\r\n"
	der, err := encrypt([]byte(message), cert)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.WriteString("Content-Type: application/pkcs7-mime; name=\"smime.p7m\"; smime-type=enveloped-data\r\n" +
		"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"smime.p7m\"\r\n" +
		"Content-Description: S/MIME Encrypted Message\r\n\r\n")
	for line := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(der)), 76) {
		out.Write(line)
		out.WriteString("\r\n")
	}
	return out.Bytes(), nil
}
