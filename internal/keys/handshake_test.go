package keys_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/test/pki"
)

// checkRequest makes a certificate request with a key and has openssl verify it.
func checkRequest(t *testing.T, key crypto.Signer) {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "push"}, SignatureAlgorithm: x509.SHA256WithRSA}, key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "csr.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "openssl", "req", "-in", path, "-verify", "-noout").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "verify OK") {
		t.Errorf("openssl says %s (%v)", out, err)
	}
}

// checkHandshakes does mutual TLS with a key as the client's, in both versions and over HTTP/2.
func checkHandshakes(t *testing.T, key crypto.Signer) {
	t.Helper()
	ca := pki.NewCA(t, "apple")
	cert := clientCertificate(t, ca, key)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 || len(r.TLS.PeerCertificates) != 1 {
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool()}
	server.StartTLS()
	defer server.Close()
	for name, version := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
		client := server.Client()
		transport := client.Transport.(*http.Transport).Clone()
		transport.TLSClientConfig.Certificates = []tls.Certificate{cert}
		transport.TLSClientConfig.MinVersion, transport.TLSClientConfig.MaxVersion = version, version
		client = &http.Client{Transport: transport, Timeout: 30 * time.Second}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Errorf("TLS %s: %v", name, err)
			continue
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK || res.TLS.Version != version {
			t.Errorf("TLS %s: %s with version %x", name, res.Status, res.TLS.Version)
		}
		transport.CloseIdleConnections()
	}
}

func clientCertificate(t *testing.T, ca *pki.CA, key crypto.Signer) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "push"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.Cert, key.Public(), ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// signs says why a key makes no signature now.
func signs(key crypto.Signer) error {
	digest := bytes.Repeat([]byte{1}, crypto.SHA256.Size())
	_, err := key.Sign(rand.Reader, digest, crypto.SHA256)
	return err
}

func expired() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
