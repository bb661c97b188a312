package scep_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"
	scepmsg "github.com/smallstep/scep"
	"github.com/smallstep/scep/x509util"

	"github.com/kubemdm/kubemdm/mdmserver/apple/scep"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
	"github.com/kubemdm/kubemdm/mdmserver/identity/identitytest"
)

const validity = 90 * 24 * time.Hour

var inSpring = identitytest.Epoch.AddDate(0, 3, 0)

// challenges knows one secret, as fleet does: the key that redeems it first gets its certificate again, no other key does.
type challenges struct {
	secret  string
	failure error
	key     string
	der     []byte
}

func (c *challenges) RedeemChallenge(_ context.Context, secret, key string, issue func(fleet.Grant) ([]byte, error)) ([]byte, error) {
	switch {
	case c.failure != nil:
		return nil, c.failure
	case secret != c.secret, c.key != "" && c.key != key:
		return nil, fleet.ErrChallenge
	case c.key == key:
		return c.der, nil
	}
	der, err := issue(fleet.Grant{EnrollmentID: "enrollment-1"})
	if err == nil {
		c.key, c.der = key, der
	}
	return der, err
}

// server is the handler under test with a clock in spring.
func server(c scep.Challenges, cas ...identity.CA) http.Handler {
	return scep.NewHandler(scep.Options{
		Challenges: c,
		CAs:        func() []identity.CA { return cas },
		Validity:   validity,
		Now:        func() time.Time { return inSpring },
		Log:        slog.New(slog.DiscardHandler),
	})
}

func do(h http.Handler, method, query string, body []byte) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, "/scep?"+query, bytes.NewReader(body)))
	return w
}

// client is a device that enrols.
type client struct {
	key       crypto.Signer
	cert      *x509.Certificate
	challenge string
	kind      scepmsg.MessageType
}

func newClient(t testing.TB, key crypto.Signer) *client {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "self-signed"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &client{key: key, cert: cert, challenge: "one-time", kind: scepmsg.PKCSReq}
}

// csr is signed with key and claims names that it must not get.
func (c *client) csr(t testing.TB, key crypto.Signer) *x509.CertificateRequest {
	t.Helper()
	der, err := x509util.CreateCertificateRequest(rand.Reader, &x509util.CertificateRequest{
		CertificateRequest: x509.CertificateRequest{
			Subject:  pkix.Name{CommonName: "enrollment-of-somebody-else"},
			DNSNames: []string{"mdm.example.com"},
		},
		ChallengePassword: c.challenge,
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

func (c *client) request(t testing.TB, csr *x509.CertificateRequest, to *x509.Certificate) *scepmsg.PKIMessage {
	t.Helper()
	msg, err := scepmsg.NewCSRRequest(csr, &scepmsg.PKIMessage{
		MessageType: c.kind,
		Recipients:  []*x509.Certificate{to},
		SignerCert:  c.cert,
		SignerKey:   c.key,
	})
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

// ask sends the request and returns the CertRep, which must be signed by the given CA.
func (c *client) ask(t *testing.T, h http.Handler, msg []byte, from *x509.Certificate) *scepmsg.PKIMessage {
	t.Helper()
	res := do(h, http.MethodPost, "operation=PKIOperation", msg)
	body := res.Body.Bytes()
	if res.Code != http.StatusOK {
		t.Fatalf("status %d: %s", res.Code, body)
	}
	if got := res.Header().Get("Content-Type"); got != "application/x-pki-message" {
		t.Errorf("content type %q", got)
	}
	reply, err := scepmsg.ParsePKIMessage(body, scepmsg.WithCACerts([]*x509.Certificate{from}))
	if err != nil {
		t.Fatalf("the CertRep of generation %v: %v", from.Subject, err)
	}
	return reply
}

// enroll does what a device does and returns its certificate.
func (c *client) enroll(t *testing.T, h http.Handler, ca identity.CA) *x509.Certificate {
	t.Helper()
	reply := c.ask(t, h, c.request(t, c.csr(t, c.key), ca.Cert).Raw, ca.Cert)
	if reply.PKIStatus != scepmsg.SUCCESS {
		t.Fatalf("status %s, failInfo %s", reply.PKIStatus, reply.FailInfo)
	}
	if err := reply.DecryptPKIEnvelope(c.cert, c.key); err != nil {
		t.Fatal(err)
	}
	return reply.Certificate
}

// message signs an envelope of the caller's making as a PKCSReq.
func (c *client) message(t testing.TB, envelope []byte, more ...*x509.Certificate) []byte {
	t.Helper()
	sd, err := pkcs7.NewSignedData(envelope)
	if err != nil {
		t.Fatal(err)
	}
	attribute := func(last int, value any) pkcs7.Attribute {
		return pkcs7.Attribute{Type: []int{2, 16, 840, 1, 113733, 1, 9, last}, Value: value}
	}
	err = sd.AddSigner(c.cert, c.key, pkcs7.SignerInfoConfig{ExtraSignedAttributes: []pkcs7.Attribute{
		attribute(2, scepmsg.PKCSReq), attribute(5, []byte("0123456789abcdef")), attribute(7, "transaction"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, cert := range more {
		sd.AddCertificate(cert)
	}
	out, err := sd.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// failure asks and returns the failInfo, which must come without a certificate.
func (c *client) failure(t *testing.T, h http.Handler, msg []byte, from *x509.Certificate) scepmsg.FailInfo {
	t.Helper()
	reply := c.ask(t, h, msg, from)
	if reply.PKIStatus != scepmsg.FAILURE {
		t.Fatalf("status %s", reply.PKIStatus)
	}
	return reply.FailInfo
}

func rsaKey(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func lines(b []byte) []string { return strings.Split(string(b), "\n") }
