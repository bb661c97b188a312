package identity_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
	"github.com/kubemdm/kubemdm/mdmserver/identity/identitytest"
)

var inSpring = identitytest.Epoch.AddDate(0, 3, 0)

// heard is what the protected handler saw.
type heard struct {
	called bool
	id     fleet.Identity
	body   []byte
}

func serve(cas []identity.CA, now time.Time, r *http.Request) (*httptest.ResponseRecorder, heard) {
	var h heard
	o := identity.Options{
		CAs: func() []identity.CA { return cas },
		Now: func() time.Time { return now },
		Log: slog.New(slog.DiscardHandler),
	}
	w := httptest.NewRecorder()
	o.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		h.called = true
		h.id, _ = identity.FromContext(r.Context())
		h.body, _ = io.ReadAll(r.Body)
	})).ServeHTTP(w, r)
	return w, h
}

func post(body, signature string) *http.Request {
	r := httptest.NewRequest(http.MethodPut, "/apple/checkin", strings.NewReader(body))
	if signature != "" {
		r.Header.Set(identity.SignatureHeader, signature)
	}
	return r
}

func TestTheSignerOfTheBodySpeaks(t *testing.T) {
	active, retired := identitytest.CA(t, 2, serverconfig.RoleActive), identitytest.CA(t, 1, serverconfig.RoleRetired)
	for _, ca := range []identity.CA{active, retired} {
		device := identitytest.Issue(t, ca, "enrollment-1")
		_, h := serve([]identity.CA{active, retired}, inSpring, post("hello", device.Sign(t, []byte("hello"))))
		sum := sha256.Sum256(device.Cert.Raw)
		want := fleet.Identity{
			Fingerprint:  hex.EncodeToString(sum[:]),
			EnrollmentID: "enrollment-1",
			NotBefore:    device.Cert.NotBefore,
			NotAfter:     device.Cert.NotAfter,
		}
		if h.id != want || string(h.body) != "hello" {
			t.Errorf("generation %d: heard %+v, body %q", ca.Generation, h.id, h.body)
		}
	}
}

// Apple's CMS encoder writes lengths that end with their content.
func TestASignatureInIndefiniteForm(t *testing.T) {
	ca := identitytest.CA(t, 1, serverconfig.RoleActive)
	cms, err := base64.StdEncoding.DecodeString(identitytest.Issue(t, ca, "enrollment-1").Sign(t, []byte("hello")))
	if err != nil {
		t.Fatal(err)
	}
	open := slices.Concat([]byte{0x30, 0x80}, cms[4:], []byte{0, 0}) // for 0x30 0x82 and two octets of length
	if _, h := serve([]identity.CA{ca}, inSpring, post("hello", base64.StdEncoding.EncodeToString(open))); h.id.EnrollmentID != "enrollment-1" {
		t.Errorf("heard %+v", h.id)
	}
}

func TestWhoIsRefused(t *testing.T) {
	ours, other := identitytest.CA(t, 1, serverconfig.RoleActive), identitytest.CA(t, 1, serverconfig.RoleActive)
	device := identitytest.Issue(t, ours, "enrollment-1")
	signature := device.Sign(t, []byte("hello"))
	serving := identitytest.Device{Cert: ours.Cert, Key: identitytest.Key(t)}
	cms, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		t.Fatal(err)
	}
	trailed := base64.StdEncoding.EncodeToString(append(cms, make([]byte, 16<<10)...))
	for name, c := range map[string]struct {
		request *http.Request
		now     time.Time
		status  int
	}{
		"unsigned":                      {request: post("hello", ""), status: http.StatusBadRequest},
		"another body":                  {request: post("hullo", signature), status: http.StatusBadRequest},
		"certificate of another CA":     {request: post("hello", identitytest.Issue(t, other, "enrollment-1").Sign(t, []byte("hello"))), status: http.StatusBadRequest},
		"key that is not the cert's":    {request: post("hello", serving.Sign(t, []byte("hello"))), status: http.StatusBadRequest},
		"expired":                       {request: post("hello", signature), now: device.Cert.NotAfter.Add(time.Second), status: http.StatusBadRequest},
		"not valid yet":                 {request: post("hello", signature), now: device.Cert.NotBefore.Add(-time.Second), status: http.StatusBadRequest},
		"not base64":                    {request: post("hello", "%%%"), status: http.StatusBadRequest},
		"deeply nested BER":             {request: post("hello", base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0x30, 0x80}, 4000))), status: http.StatusBadRequest},
		"signature as large as a novel": {request: post("hello", trailed), status: http.StatusBadRequest},
		"body over the limit":           {request: post(strings.Repeat("a", identity.MaxBody+1), signature), status: http.StatusRequestEntityTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			if c.now.IsZero() {
				c.now = inSpring
			}
			w, h := serve([]identity.CA{ours}, c.now, c.request)
			if w.Code != c.status {
				t.Errorf("status %d, want %d", w.Code, c.status)
			}
			if h.called {
				t.Errorf("it was let in as %+v", h.id)
			}
		})
	}
}

// countingReader fails the test's promise when it is read.
type countingReader struct{ read int }

func (c *countingReader) Read(p []byte) (int, error) {
	c.read += len(p)
	return len(p), nil
}

func TestAnAnnouncedFiftyMegabytesAreNotRead(t *testing.T) {
	body := &countingReader{}
	r := httptest.NewRequest(http.MethodPut, "/apple/command", body)
	r.ContentLength = 50 << 20
	r.Header.Set(identity.SignatureHeader, "AAAA")
	w, _ := serve(nil, inSpring, r)
	if w.Code != http.StatusRequestEntityTooLarge || body.read != 0 {
		t.Errorf("status %d after reading %d bytes", w.Code, body.read)
	}
}

func TestAnEndlessBodyIsReadUpToTheLimit(t *testing.T) {
	body := &countingReader{}
	r := httptest.NewRequest(http.MethodPut, "/apple/command", body)
	r.ContentLength = -1
	r.Header.Set(identity.SignatureHeader, "AAAA")
	w, _ := serve(nil, inSpring, r)
	if w.Code != http.StatusRequestEntityTooLarge || body.read > 2*identity.MaxBody {
		t.Errorf("status %d after reading %d bytes", w.Code, body.read)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

func TestABodyThatBreaksOff(t *testing.T) {
	r := httptest.NewRequest(http.MethodPut, "/apple/command", brokenReader{})
	r.Header.Set(identity.SignatureHeader, "AAAA")
	if w, _ := serve(nil, inSpring, r); w.Code != http.StatusBadRequest {
		t.Errorf("status %d", w.Code)
	}
}

// FuzzMdmSignature feeds the header. Nothing but the signature made here may be believed, and nothing may panic.
func FuzzMdmSignature(f *testing.F) {
	ca := identitytest.CA(f, 1, serverconfig.RoleActive)
	device := identitytest.Issue(f, ca, "enrollment-1")
	cms, err := base64.StdEncoding.DecodeString(device.Sign(f, []byte("hello")))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(cms)
	f.Add([]byte{0x30, 0x80, 0x06, 0x00})
	f.Fuzz(func(t *testing.T, cms []byte) {
		_, h := serve([]identity.CA{ca}, inSpring, post("hello", base64.StdEncoding.EncodeToString(cms)))
		if h.called && h.id.EnrollmentID != "enrollment-1" {
			t.Fatalf("believed %x", cms)
		}
	})
}
