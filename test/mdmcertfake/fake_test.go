package mdmcertfake_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/mdmcert"
	"github.com/kubemdm/kubemdm/test/applepki"
	"github.com/kubemdm/kubemdm/test/mdmcertfake"
)

const (
	apiKey = "key-of-the-test"
	email  = "admin@example.com"
)

// bench is the service, a client for it, and a customer's CSR.
type bench struct {
	apple  *applepki.Apple
	fake   *mdmcertfake.Fake
	client mdmcert.Client
	key    *rsa.PrivateKey
	csr    []byte // PEM
	cert   []byte // of the pair for the reply, PEM
	secret []byte // its key, PEM
}

func newBench(t *testing.T, vendor applepki.VendorOptions) *bench {
	t.Helper()
	b := &bench{}
	var err error
	if b.apple, err = applepki.New(time.Now); err != nil {
		t.Fatal(err)
	}
	b.fake, err = mdmcertfake.New(mdmcertfake.Config{Apple: b.apple, Now: time.Now, Vendor: vendor, APIKey: apiKey, Registered: []string{email}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(b.fake)
	t.Cleanup(server.Close)
	b.client = mdmcert.Client{URL: server.URL + mdmcertfake.Path, APIKey: apiKey, HTTP: server.Client()}
	if b.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	b.csr = newCSR(t, b.key)
	if b.cert, b.secret, err = mdmcert.NewRecipient(time.Now()); err != nil {
		t.Fatal(err)
	}
	return b
}

func newCSR(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "push"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func (b *bench) request(ctx context.Context, t *testing.T) error {
	t.Helper()
	return b.client.Request(ctx, b.csr, email, parse(t, b.cert))
}

func parse(t *testing.T, certPEM []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(certPEM)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// The way of a request: service, mail, portal, certificate.
func TestFromRequestToCertificate(t *testing.T) {
	b := newBench(t, applepki.VendorOptions{})
	if err := b.request(t.Context(), t); err != nil {
		t.Fatal(err)
	}
	mails := b.fake.Mailbox(email)
	if len(mails) != 1 || len(b.fake.Mailbox("somebody@example.com")) > 0 {
		t.Fatalf("%d mails", len(mails))
	}
	upload, err := mdmcert.Open([]byte(mails[0]), b.cert, b.secret)
	if err != nil {
		t.Fatal(err)
	}
	returned, err := b.apple.Portal().Create(upload)
	if err != nil {
		t.Fatal(err)
	}
	if cert := parse(t, returned); !b.key.PublicKey.Equal(cert.PublicKey) {
		t.Error("the push certificate is for another key")
	}
	cert, key, err := mdmcert.NewRecipient(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mdmcert.Open([]byte(mails[0]), cert, key); !errors.Is(err, mdmcert.ErrReplyForAnotherKey) {
		t.Errorf("with another pair: %v", err)
	}
}

// openssl opens the mails too.
func TestMailsOpenWithOpenSSL(t *testing.T) {
	b := newBench(t, applepki.VendorOptions{})
	if err := b.request(t.Context(), t); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	der, err := hex.DecodeString(b.fake.Mailbox(email)[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"mail": der, "cert.pem": b.cert, "key.pem": b.secret} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in", "mail", "-recip", "cert.pem", "-inkey", "key.pem")
	cmd.Dir = dir
	upload, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasSuffix(upload, []byte("\r\n")) || bytes.IndexByte(upload, '\r') != 76 {
		t.Errorf("not in lines of 76 columns: %q ...", upload[:100])
	}
	if _, err := b.apple.Portal().Create(upload); err != nil {
		t.Error(err)
	}
}

// In 2025 the service signed with an expired certificate for months.
func TestAServiceWhoseVendorCertificateExpired(t *testing.T) {
	b := newBench(t, applepki.VendorOptions{NotAfter: time.Now().Add(-time.Minute)})
	if err := b.request(t.Context(), t); err != nil {
		t.Fatal(err)
	}
	upload, err := mdmcert.Open([]byte(b.fake.Mailbox(email)[0]), b.cert, b.secret)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.apple.Portal().Create(upload); err == nil || !strings.Contains(err.Error(), "expired on") {
		t.Errorf("the portal says %v", err)
	}
}

func TestFaults(t *testing.T) {
	b := newBench(t, applepki.VendorOptions{})
	for fault, want := range map[mdmcertfake.Fault]struct {
		status int
		reason string
	}{
		mdmcertfake.InternalError: {500, "out of order"},
		mdmcertfake.HTML:          {200, "web page"},
		mdmcertfake.Empty:         {200, "empty"},
		mdmcertfake.Refusal:       {200, mdmcertfake.RefusalReason},
	} {
		t.Run(string(fault), func(t *testing.T) {
			b.fake.Fail(fault)
			var refused *mdmcert.ServiceError
			if err := b.request(t.Context(), t); !errors.As(err, &refused) || refused.Status != want.status || !strings.Contains(refused.Reason, want.reason) {
				t.Errorf("error %v", err)
			}
		})
	}
	t.Run("hang", func(t *testing.T) {
		b.fake.Fail(mdmcertfake.Hang)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if err := b.request(ctx, t); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
	})
	if n := len(b.fake.Mailbox(email)); n > 0 {
		t.Errorf("%d mails of a service that fails", n)
	}
	b.fake.Fail(mdmcertfake.None)
	if err := b.request(t.Context(), t); err != nil || len(b.fake.Mailbox(email)) != 1 {
		t.Errorf("after the faults: %v", err)
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	b := newBench(t, applepki.VendorOptions{})
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	old, _, err := mdmcert.NewRecipient(time.Now().AddDate(-2, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	text := base64.StdEncoding.EncodeToString
	for name, c := range map[string]struct {
		method, path, contentType, agent string // in place of good ones
		set                              map[string]any
		want                             string
	}{
		"GET":                      {method: http.MethodGet, want: "GET"},
		"another path":             {path: "/api/v2/signrequest", want: "/api/v2/signrequest"},
		"a form":                   {contentType: "application/x-www-form-urlencoded", want: "content type"},
		"nobody asks":              {agent: "-", want: "does not say what it is"},
		"a number":                 {set: map[string]any{"key": 1}, want: "object of strings"},
		"one field more":           {set: map[string]any{"name": "x"}, want: "more fields"},
		"no CSR":                   {set: map[string]any{"csr": ""}, want: "csr is missing"},
		"another key":              {set: map[string]any{"key": "x"}, want: "invalid API key"},
		"another address":          {set: map[string]any{"email": "x@example.com"}, want: "Have you registered"},
		"CSR in PEM only":          {set: map[string]any{"csr": string(b.csr)}, want: "csr: it is not base64"},
		"CSR in lines":             {set: map[string]any{"csr": text(b.csr) + "\n"}, want: "csr: it is not base64"},
		"a certificate as CSR":     {set: map[string]any{"csr": text(b.cert)}, want: "csr: it is not one PEM block"},
		"words before the CSR":     {set: map[string]any{"csr": text(append([]byte("x\n"), b.csr...))}, want: "csr: it is not one PEM block"},
		"CSR of an EC key":         {set: map[string]any{"csr": text(newCSR(t, curve))}, want: "csr: its key"},
		"CSR of 1024 bits":         {set: map[string]any{"csr": text(newCSR(t, small))}, want: "csr: its key"},
		"the key of the recipient": {set: map[string]any{"encrypt": text(b.secret)}, want: "encrypt: it is not one PEM block"},
		"a recipient of the past":  {set: map[string]any{"encrypt": text(old)}, want: "encrypt: it is not valid now"},
		"a recipient with an issuer": {set: map[string]any{"encrypt": text(b.apple.WWDRPEM(applepki.G3))},
			want: "encrypt: it is not signed by itself"},
	} {
		t.Run(name, func(t *testing.T) {
			fields := map[string]any{"csr": text(b.csr), "email": email, "key": apiKey, "encrypt": text(b.cert)}
			for field, value := range c.set {
				fields[field] = value
			}
			body, err := json.Marshal(fields)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequestWithContext(t.Context(), cmp.Or(c.method, http.MethodPost), cmp.Or(c.path, mdmcertfake.Path), bytes.NewReader(body))
			r.Header.Set("Content-Type", cmp.Or(c.contentType, "application/json"))
			if c.agent == "" {
				r.Header.Set("User-Agent", "test")
			}
			w := httptest.NewRecorder()
			b.fake.ServeHTTP(w, r)
			var answer struct{ Result, Reason string }
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.Result != "failure" || !strings.Contains(answer.Reason, c.want) {
				t.Errorf("%d %s (%v), want %q", w.Code, w.Body, err, c.want)
			}
		})
	}
	if n := len(b.fake.Mailbox(email)); n > 0 {
		t.Errorf("%d mails", n)
	}
}
