package depfake_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/test/depfake"
)

// open reads a token file with openssl.
func open(t *testing.T, p7m, certPEM, keyPEM []byte) (depfake.Token, error) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string][]byte{"token.p7m": p7m, "cert.pem": certPEM, "key.pem": keyPEM} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "openssl", "smime", "-decrypt", "-in", "token.p7m", "-recip", "cert.pem", "-inkey", "key.pem")
	cmd.Dir = dir
	message, err := cmd.Output()
	if err != nil {
		return depfake.Token{}, err
	}
	header, text, found := strings.Cut(strings.ReplaceAll(string(message), "\r\n", "\n"), "\n\n")
	if !found || !strings.HasPrefix(header, "Content-Type: text/plain") {
		t.Fatalf("message %q", message)
	}
	text, begins := strings.CutPrefix(strings.TrimSpace(text), "-----BEGIN MESSAGE-----")
	text, ends := strings.CutSuffix(text, "-----END MESSAGE-----")
	var token depfake.Token
	if err := json.Unmarshal([]byte(text), &token); err != nil || !begins || !ends {
		t.Fatalf("message %q: %v", message, err)
	}
	return token, nil
}

func TestATokenFile(t *testing.T) {
	b := newBench(t, depfake.Options{})
	certPEM, keyPEM := newKey(t)
	p7m, err := b.Upload(certPEM)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(p7m, []byte("Content-Type: application/pkcs7-mime")) || bytes.Count(p7m, []byte("\n")) != bytes.Count(p7m, []byte("\r\n")) {
		t.Errorf("%s", p7m[:200])
	}
	token, err := open(t, p7m, certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	if token != b.Token() || !token.Expiry.Equal(b.clock.Now().Add(365*24*time.Hour)) {
		t.Errorf("token %+v, want %+v", token, b.Token())
	}
	otherCert, otherKey := newKey(t)
	if _, err := open(t, p7m, otherCert, otherKey); err == nil {
		t.Error("another key opened the token")
	}
	b.token = token
	if a := b.login(t); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestARenewedToken(t *testing.T) {
	b := loggedIn(t, depfake.Options{})
	if _, err := b.Renew(); err == nil {
		t.Error("a token without a public key")
	}
	certPEM, keyPEM := newKey(t)
	if _, err := b.Upload(certPEM); err != nil {
		t.Fatal(err)
	}
	former := b.token
	for name, renew := range map[string]func() ([]byte, error){"renew": b.Renew, "upload": func() ([]byte, error) { return b.Upload(certPEM) }} {
		p7m, err := renew()
		if err != nil {
			t.Fatal(err)
		}
		if a := b.do(t, "GET", "/account", ""); a.status != 401 {
			t.Errorf("%s: the former session: %d", name, a.status)
		}
		if a := b.login(t); a.status != 401 {
			t.Errorf("%s: the former token: %d", name, a.status)
		}
		if b.token, err = open(t, p7m, certPEM, keyPEM); err != nil {
			t.Fatal(err)
		}
		if b.token.ConsumerKey != former.ConsumerKey || b.token.AccessToken == former.AccessToken {
			t.Errorf("%s: token %+v", name, b.token)
		}
		if a := b.login(t); a.status != 200 {
			t.Errorf("%s: the new token: %d %s", name, a.status, a.body)
		}
	}
}

func TestATokenOfAnotherServer(t *testing.T) {
	b := loggedIn(t, depfake.Options{ServerName: "north"})
	certPEM, keyPEM := newKey(t)
	if _, err := b.Upload(certPEM); err != nil {
		t.Fatal(err)
	}
	p7m, err := b.RenewAsAnotherServer()
	if err != nil {
		t.Fatal(err)
	}
	token, err := open(t, p7m, certPEM, keyPEM)
	if err != nil || token.ConsumerKey == b.token.ConsumerKey || token != b.Token() {
		t.Fatalf("token %+v, %v", token, err)
	}
	var here, there map[string]string
	b.do(t, "GET", "/account", "").decode(t, &here)
	b.token = token
	b.login(t)
	b.do(t, "GET", "/account", "").decode(t, &there)
	if here["server_name"] != "north" || there["server_name"] == "north" || here["server_uuid"] == there["server_uuid"] {
		t.Errorf("%v\n%v", here, there)
	}
}

func TestPublicKeysThatAreRefused(t *testing.T) {
	b := newBench(t, depfake.Options{})
	certPEM, keyPEM := newKey(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	curve, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string][]byte{
		"nothing": nil, "a key": keyPEM, "two": bytes.Join([][]byte{certPEM, certPEM}, nil),
		"a broken one": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}),
		"of an EC key": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: curve}),
	} {
		if _, err := b.Upload(file); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
