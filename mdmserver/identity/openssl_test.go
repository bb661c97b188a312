package identity_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/md5"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
	"github.com/kubemdm/kubemdm/test/pki"
)

// md5Digest is the digest of OMA-DM Security 1.2, section 5.3, written down a second time.
func md5Digest(user, secret string, nonce []byte) string {
	inner := md5.Sum([]byte(user + ":" + secret))
	h := md5.New()
	h.Write([]byte(base64.StdEncoding.EncodeToString(inner[:])))
	h.Write([]byte{':'})
	h.Write(nonce)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// forge signs a message with openssl, as anybody can, and puts a certificate into it, which need not be that of the signer.
func forge(t *testing.T, message []byte, hash string, signer, shown tls.Certificate) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert, key := pki.PEM(t, signer)
	other, _ := pki.PEM(t, shown)
	cmd := exec.CommandContext(t.Context(), "openssl", "cms", "-sign", "-binary", "-md", hash, "-outform", "DER", "-in", write("message", message),
		"-signer", write("cert.pem", cert), "-inkey", write("key.pem", key), "-nocerts", "-certfile", write("shown.pem", other))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cms, err := cmd.Output()
	if err != nil {
		t.Fatalf("openssl: %v\n%s", err, stderr.String())
	}
	return base64.StdEncoding.EncodeToString(cms)
}

// impostor has a certificate that bears the same names and number as a device's, and another key.
func impostor(t *testing.T, ca *pki.CA, device tls.Certificate) tls.Certificate {
	t.Helper()
	namesake := pki.NewIdentityCA(t, ca.Cert.Subject.CommonName)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: device.Leaf.SerialNumber, Subject: device.Leaf.Subject, NotBefore: device.Leaf.NotBefore, NotAfter: device.Leaf.NotAfter}
	der, err := x509.CreateCertificate(rand.Reader, template, namesake.Cert, key.Public(), namesake.Key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// A message signature made with openssl is accepted for the right key and refused for any other.
func TestSignaturesMadeWithOpenSSL(t *testing.T) {
	ours, others := pki.NewIdentityCA(t, "ours"), pki.NewIdentityCA(t, "others")
	device, stranger := ours.Issue(t, pki.Leaf{CN: "enrollment-1"}), others.Issue(t, pki.Leaf{CN: "enrollment-1"})
	namesake := impostor(t, ours, device)
	message := []byte("<SyncML>\n<SyncHdr/>\r\n</SyncML>")
	who, err := identity.NewWindows(identity.Options{
		CAs: func() []identity.CA {
			return []identity.CA{{Generation: 1, Role: serverconfig.RoleActive, Cert: ours.Cert}}
		},
		Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}, serverconfig.Authentication{Require: serverconfig.RequireSignature})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		signature string
		ok        bool
	}{
		"the device's key":                         {forge(t, message, "sha256", device, device), true},
		"the device's key with SHA-512":            {forge(t, message, "sha512", device, device), true},
		"the device's key with SHA-1":              {forge(t, message, "sha1", device, device), false},
		"the device's key on another message":      {forge(t, []byte("<SyncML/>"), "sha256", device, device), false},
		"another key under the device's name":      {forge(t, message, "sha256", namesake, namesake), false},
		"another key with the device's own":        {forge(t, message, "sha256", namesake, device), false},
		"a certificate of another CA":              {forge(t, message, "sha256", stranger, stranger), false},
		"the device's key without its certificate": {forge(t, message, "sha256", device, stranger), false},
	} {
		t.Run(name, func(t *testing.T) {
			id, by, err := who.Identify(identity.Evidence{Header: http.Header{"Ms-Signature": {tc.signature}}, Body: message})
			if ok := err == nil && by == adminapi.AuthSignature && id.EnrollmentID == "enrollment-1"; ok != tc.ok {
				t.Errorf("got %+v by %s, %v", id, by, err)
			}
		})
	}
}
