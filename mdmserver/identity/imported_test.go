package identity_test

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"io"
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

// The CA of another server chooses its names itself: a certificate of it never says which enrolment of this server it is for.
func TestACertificateOfAnImportIsKnownByItsFingerprintAlone(t *testing.T) {
	own, other, stranger := identitytest.CA(t, 1, serverconfig.RoleActive), identitytest.CA(t, 1, serverconfig.RoleActive), identitytest.CA(t, 1, serverconfig.RoleActive)
	imported := []*x509.Certificate{other.Cert}
	ask := func(device identitytest.Device) (int, *fleet.Identity) {
		var heard *fleet.Identity
		o := identity.Options{
			CAs: func() []identity.CA { return []identity.CA{own} }, Imported: func() []*x509.Certificate { return imported },
			Now: func() time.Time { return inSpring }, Log: slog.New(slog.DiscardHandler),
		}
		w := httptest.NewRecorder()
		o.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			id, _ := identity.FromContext(r.Context())
			heard = &id
			_, _ = io.Copy(io.Discard, r.Body)
		})).ServeHTTP(w, post("hello", device.Sign(t, []byte("hello"))))
		return w.Code, heard
	}
	old := identitytest.Issue(t, other, "enrollment-1")
	sum := sha256.Sum256(old.Cert.Raw)
	if _, id := ask(old); id == nil || id.EnrollmentID != "" || id.Fingerprint != hex.EncodeToString(sum[:]) {
		t.Errorf("a certificate of the import is %+v", id)
	}
	if _, id := ask(identitytest.Issue(t, own, "enrollment-1")); id == nil || id.EnrollmentID != "enrollment-1" {
		t.Errorf("an own certificate is %+v", id)
	}
	if code, id := ask(identitytest.Issue(t, stranger, "enrollment-1")); id != nil || code != http.StatusBadRequest {
		t.Errorf("a stranger is answered %d", code)
	}
	imported = nil // the file is gone
	if code, id := ask(old); id != nil || code != http.StatusBadRequest {
		t.Errorf("without the CA the old certificate is answered %d", code)
	}
}
