package identity_test

import (
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
	"github.com/kubemdm/kubemdm/mdmserver/identity/identitytest"
)

// What is remembered of a chain holds no longer than the chain, and only for the CAs that vouched for it.
func TestWhatIsRememberedOfAChainEndsWithIt(t *testing.T) {
	ca, other := identitytest.CA(t, 1, serverconfig.RoleActive), identitytest.CA(t, 2, serverconfig.RoleActive)
	device := identitytest.Issue(t, ca, "enrollment-1")
	trusted := []identity.CA{ca}
	var imported []*x509.Certificate
	now := inSpring
	var heard fleet.Identity
	handler := identity.Options{
		CAs: func() []identity.CA { return trusted }, Imported: func() []*x509.Certificate { return imported }, Chains: &identity.Chains{},
		Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
	}.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { heard, _ = identity.FromContext(r.Context()) }))
	ask := func(d identitytest.Device) int {
		heard = fleet.Identity{}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, post("hello", d.Sign(t, []byte("hello"))))
		return w.Code
	}
	for _, step := range []struct {
		name       string
		cas        []identity.CA
		imported   []*x509.Certificate
		at         time.Time
		code       int
		enrollment string
	}{
		{"first", []identity.CA{ca}, nil, inSpring, http.StatusOK, "enrollment-1"},
		{"again", []identity.CA{ca}, nil, inSpring, http.StatusOK, "enrollment-1"},
		{"after the certificate's end", []identity.CA{ca}, nil, device.Cert.NotAfter.Add(time.Second), http.StatusBadRequest, ""},
		{"before its begin", []identity.CA{ca}, nil, device.Cert.NotBefore.Add(-time.Second), http.StatusBadRequest, ""},
		{"a second CA beside it", []identity.CA{other, ca}, nil, inSpring, http.StatusOK, "enrollment-1"},
		{"the CA is gone", []identity.CA{other}, nil, inSpring, http.StatusBadRequest, ""},
		{"the CA is that of an import", []identity.CA{other}, []*x509.Certificate{ca.Cert}, inSpring, http.StatusOK, ""},
		{"and is gone as well", []identity.CA{other}, nil, inSpring, http.StatusBadRequest, ""},
	} {
		trusted, imported, now = step.cas, step.imported, step.at
		if code := ask(device); code != step.code || heard.EnrollmentID != step.enrollment {
			t.Errorf("%s: answered %d for %q, want %d for %q", step.name, code, heard.EnrollmentID, step.code, step.enrollment)
		}
	}
	// A chain that is remembered does not stand for the signature.
	trusted, now = []identity.CA{ca}, inSpring
	forged := device.Sign(t, []byte("another message"))
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, post("hello", forged))
	if w.Code != http.StatusBadRequest {
		t.Errorf("a signature of another message is answered %d", w.Code)
	}
}
