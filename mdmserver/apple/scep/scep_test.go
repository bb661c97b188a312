package scep_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	scepserver "github.com/micromdm/scep/v2/server"
	"github.com/smallstep/pkcs7"
	scepmsg "github.com/smallstep/scep"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
	"github.com/kubemdm/kubemdm/mdmserver/identity/identitytest"
)

func TestCapabilitiesAreThoseThatWork(t *testing.T) {
	got := lines(do(server(nil), http.MethodGet, "operation=GetCACaps", nil).Body.Bytes())
	if want := []string{"AES", "POSTPKIOperation", "SCEPStandard", "SHA-256"}; !slices.Equal(got, want) {
		t.Errorf("capabilities %q, want %q", got, want)
	}
}

func TestGetCACertIsTheActiveGeneration(t *testing.T) {
	retired, active := identitytest.CA(t, 1, serverconfig.RoleRetired), identitytest.CA(t, 2, serverconfig.RoleActive)
	res := do(server(nil, retired, active), http.MethodGet, "operation=GetCACert", nil)
	if !bytes.Equal(res.Body.Bytes(), active.Cert.Raw) || res.Header().Get("Content-Type") != "application/x-x509-ca-cert" {
		t.Errorf("not the active generation's certificate; content type %q", res.Header().Get("Content-Type"))
	}
}

func TestACertificateSaysWhatTheServerDecided(t *testing.T) {
	ca := identitytest.CA(t, 1, serverconfig.RoleActive)
	c := newClient(t, rsaKey(t, 2048))
	cert := c.enroll(t, server(&challenges{secret: "one-time"}, ca), ca)
	if cert.Subject.CommonName != "enrollment-1" || !slices.Equal(cert.Subject.Organization, []string{identity.Organization}) {
		t.Errorf("subject %v", cert.Subject)
	}
	if len(cert.DNSNames) > 0 {
		t.Errorf("it has the names that the request asked for: %v", cert.DNSNames)
	}
	if !slices.Equal(cert.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}) {
		t.Errorf("extended key usage %v", cert.ExtKeyUsage)
	}
	if !cert.NotAfter.Equal(inSpring.Add(validity)) || cert.NotBefore.After(inSpring) {
		t.Errorf("valid from %v to %v", cert.NotBefore, cert.NotAfter)
	}
	if !c.key.Public().(*rsa.PublicKey).Equal(cert.PublicKey) {
		t.Error("it is for another key")
	}
	if err := cert.CheckSignatureFrom(ca.Cert); err != nil {
		t.Errorf("it is not signed by the CA: %v", err)
	}
}

// micromdm's client asks for the capabilities, then for the CA, and then in the way that the capabilities allow.
func TestMicromdmsClientEnrolsOverHTTP(t *testing.T) {
	ca := identitytest.CA(t, 1, serverconfig.RoleActive)
	listener := httptest.NewServer(server(&challenges{secret: "one-time"}, ca))
	defer listener.Close()
	remote, err := scepserver.MakeClientEndpoints(listener.URL + "/scep")
	if err != nil {
		t.Fatal(err)
	}
	for _, capability := range []string{"AES", "SHA-256", "POSTPKIOperation"} {
		if !remote.Supports(capability) {
			t.Errorf("the server does not say that it supports %s", capability)
		}
	}
	der, number, err := remote.GetCACert(t.Context(), "")
	if err != nil || number > 1 || !bytes.Equal(der, ca.Cert.Raw) {
		t.Fatalf("GetCACert: %d certificates, %v", number, err)
	}
	c := newClient(t, rsaKey(t, 2048))
	body, err := remote.PKIOperation(t.Context(), c.request(t, c.csr(t, c.key), ca.Cert).Raw)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := scepmsg.ParsePKIMessage(body, scepmsg.WithCACerts([]*x509.Certificate{ca.Cert}))
	if err != nil || reply.PKIStatus != scepmsg.SUCCESS {
		t.Errorf("reply %+v, %v", reply, err)
	}
}

func TestACertificateDoesNotOutliveItsIssuer(t *testing.T) {
	ca := identitytest.CA(t, 1, serverconfig.RoleActive)
	ca.Cert.NotBefore, ca.Cert.NotAfter = inSpring, inSpring.Add(24*time.Hour)
	c, issued := newClient(t, rsaKey(t, 2048)), &challenges{secret: "one-time"}
	do(server(issued, ca), http.MethodPost, "operation=PKIOperation", c.request(t, c.csr(t, c.key), ca.Cert).Raw)
	cert, err := x509.ParseCertificate(issued.der)
	if err != nil {
		t.Fatal(err)
	}
	if cert.NotAfter.After(ca.Cert.NotAfter) || cert.NotBefore.Before(ca.Cert.NotBefore) {
		t.Errorf("valid from %v to %v", cert.NotBefore, cert.NotAfter)
	}
}

func TestRepliesUseAESAndSHA256(t *testing.T) {
	ca := identitytest.CA(t, 1, serverconfig.RoleActive)
	c := newClient(t, rsaKey(t, 2048))
	reply := c.ask(t, server(&challenges{secret: "one-time"}, ca), c.request(t, c.csr(t, c.key), ca.Cert).Raw, ca.Cert)
	p7, err := pkcs7.Parse(reply.Raw)
	if err != nil {
		t.Fatal(err)
	}
	if digest := p7.Signers[0].DigestAlgorithm.Algorithm; !digest.Equal(pkcs7.OIDDigestAlgorithmSHA256) {
		t.Errorf("digest algorithm %v", digest)
	}
	if aes128CBC := []byte{0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x02}; !bytes.Contains(p7.Content, aes128CBC) {
		t.Error("the envelope does not name AES-128-CBC")
	}
}

func TestADeviceThatLostTheReplyAsksAgain(t *testing.T) {
	ca := identitytest.CA(t, 1, serverconfig.RoleActive)
	h := server(&challenges{secret: "one-time"}, ca)
	c := newClient(t, rsaKey(t, 2048))
	first, second := c.enroll(t, h, ca), c.enroll(t, h, ca)
	if !first.Equal(second) {
		t.Error("the second certificate is another one")
	}
	thief := newClient(t, rsaKey(t, 2048))
	if info := thief.failure(t, h, thief.request(t, thief.csr(t, thief.key), ca.Cert).Raw, ca.Cert); info != scepmsg.BadRequest {
		t.Errorf("another key with the same challenge: %s", info)
	}
}

func TestARetiredGenerationStillAnswersWhatWasEncryptedToIt(t *testing.T) {
	retired, active := identitytest.CA(t, 1, serverconfig.RoleRetired), identitytest.CA(t, 2, serverconfig.RoleActive)
	cert := newClient(t, rsaKey(t, 2048)).enroll(t, server(&challenges{secret: "one-time"}, retired, active), retired)
	if err := cert.CheckSignatureFrom(active.Cert); err != nil {
		t.Errorf("the active generation did not issue it: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	ca, stranger := identitytest.CA(t, 1, serverconfig.RoleActive), identitytest.CA(t, 9, serverconfig.RoleActive)
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	usual := rsaKey(t, 2048)
	asUsual := func(c *client) []byte { return c.request(t, c.csr(t, c.key), ca.Cert).Raw }
	for name, c := range map[string]struct {
		key     crypto.Signer
		change  func(*client)
		message func(*client) []byte
		failure error
		want    scepmsg.FailInfo
	}{
		"unknown challenge": {change: func(c *client) { c.challenge = "guessed" }, want: scepmsg.BadRequest},
		"no challenge":      {change: func(c *client) { c.challenge = "" }, want: scepmsg.BadRequest},
		"exhausted token":   {failure: fmt.Errorf("redeeming: %w", fleet.ErrTokenExhausted), want: scepmsg.BadRequest},
		"renewal request":   {change: func(c *client) { c.kind = scepmsg.RenewalReq }, want: scepmsg.BadRequest},
		"short RSA key":     {key: rsaKey(t, 1024), want: scepmsg.BadAlg},
		"elliptic key":      {key: ecKey, want: scepmsg.BadAlg},
		"request of another key": {want: scepmsg.BadMessageCheck, message: func(c *client) []byte {
			return c.request(t, c.csr(t, rsaKey(t, 2048)), ca.Cert).Raw
		}},
		"request whose signature is wrong": {want: scepmsg.BadMessageCheck, message: func(c *client) []byte {
			csr := c.csr(t, c.key)
			csr.Raw[len(csr.Raw)-1] ^= 1
			return c.request(t, csr, ca.Cert).Raw
		}},
		"encrypted to a stranger": {want: scepmsg.BadCertID, message: func(c *client) []byte {
			return c.request(t, c.csr(t, c.key), stranger.Cert).Raw
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.key == nil {
				c.key = usual
			}
			device := newClient(t, c.key)
			if c.change != nil {
				c.change(device)
			}
			if c.message == nil {
				c.message = asUsual
			}
			h := server(&challenges{secret: "one-time", failure: c.failure}, ca)
			if got := device.failure(t, h, c.message(device), ca.Cert); got != c.want {
				t.Errorf("failInfo %s, want %s", got, c.want)
			}
		})
	}
}

func TestHTTPAnswers(t *testing.T) {
	ca := identitytest.CA(t, 1, serverconfig.RoleActive)
	expired := ca
	expired.Cert = &x509.Certificate{}
	*expired.Cert = *ca.Cert
	expired.Cert.NotAfter = inSpring
	next := ca
	next.Role = serverconfig.RoleNext
	c := newClient(t, rsaKey(t, 2048))
	message := c.request(t, c.csr(t, c.key), ca.Cert).Raw
	inQuery := "operation=PKIOperation&message=" + url.QueryEscape(base64.StdEncoding.EncodeToString(message))
	known := &challenges{secret: "one-time"}
	for name, tc := range map[string]struct {
		handler       http.Handler
		method, query string
		body          []byte
		status        int
	}{
		"request by GET":     {server(known, ca), http.MethodGet, inQuery, nil, 200},
		"not base64":         {server(known, ca), http.MethodGet, "operation=PKIOperation&message=%25%25", nil, 400},
		"query too large":    {server(known, ca), http.MethodGet, inQuery + string(bytes.Repeat([]byte("A"), 65<<10)), nil, 413},
		"empty":              {server(known, ca), http.MethodPost, "operation=PKIOperation", nil, 400},
		"truncated":          {server(known, ca), http.MethodPost, "operation=PKIOperation", message[:len(message)/2], 400},
		"deeply nested BER":  {server(known, ca), http.MethodPost, "operation=PKIOperation", bytes.Repeat([]byte{0x30, 0x80}, 9000), 400},
		"too large":          {server(known, ca), http.MethodPost, "operation=PKIOperation", make([]byte, 65<<10), 413},
		"no envelope in it":  {server(known, ca), http.MethodPost, "operation=PKIOperation", c.message(t, []byte("hello")), 400},
		"unknown operation":  {server(known, ca), http.MethodGet, "operation=GetNextCACert", nil, 400},
		"no operation":       {server(known, ca), http.MethodGet, "", nil, 400},
		"store unavailable":  {server(&challenges{failure: fleet.ErrUnavailable}, ca), http.MethodPost, "operation=PKIOperation", message, 503},
		"store broken":       {server(&challenges{failure: errors.New("corrupt")}, ca), http.MethodPost, "operation=PKIOperation", message, 500},
		"issuer expired":     {server(known, expired), http.MethodPost, "operation=PKIOperation", message, 500},
		"no active CA":       {server(known, next), http.MethodGet, "operation=GetCACert", nil, 503},
		"no CA at all":       {server(known), http.MethodPost, "operation=PKIOperation", message, 503},
		"unsupported method": {server(known, ca), http.MethodDelete, "operation=GetCACaps", nil, 404},
	} {
		t.Run(name, func(t *testing.T) {
			known.key = ""
			res := do(tc.handler, tc.method, tc.query, tc.body)
			if res.Code != tc.status {
				t.Errorf("status %d, want %d: %s", res.Code, tc.status, res.Body.Bytes())
			}
		})
	}
}

// FuzzPKIOperation starts from a whole message: any change to it must get an answer, never a certificate for another secret.
func FuzzPKIOperation(f *testing.F) {
	ca := identitytest.CA(f, 1, serverconfig.RoleActive)
	c := newClient(f, rsaKey(f, 2048))
	h := server(&challenges{failure: fleet.ErrChallenge}, []identity.CA{ca}...)
	f.Add(c.request(f, c.csr(f, c.key), ca.Cert).Raw)
	f.Add(c.message(f, []byte{0x30, 0x80, 0x00, 0x00}))
	f.Fuzz(func(t *testing.T, message []byte) {
		if status := do(h, http.MethodPost, "operation=PKIOperation", message).Code; status >= 500 {
			t.Fatalf("status %d for %x", status, message)
		}
	})
}
