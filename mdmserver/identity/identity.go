package identity

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	mdmhttp "github.com/micromdm/nanomdm/http/mdm"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// MaxBody is the largest message of a device that is read, in bytes. Lists of thousands of applications stay below it.
const MaxBody = 10 << 20

type contextKey struct{}

// FromContext returns the identity that Options.Middleware found.
func FromContext(ctx context.Context) (fleet.Identity, bool) {
	id, ok := ctx.Value(contextKey{}).(fleet.Identity)
	return id, ok
}

// Options is what it takes to tell who speaks.
type Options struct {
	// CAs returns the loaded generations; all of them are trusted.
	CAs func() []CA
	// Imported returns the certificates of the CAs of other servers, whose devices were imported; nil: there are none. What they issued is known by its
	// fingerprint alone: the enrolment in the name is the other server's.
	Imported func() []*x509.Certificate
	// Chains remembers whom the CAs vouch for; nil: every chain is verified anew.
	Chains *Chains
	Now    func() time.Time
	Log    *slog.Logger
}

// Middleware calls next only for requests whose body, at most MaxBody bytes, is signed in Mdm-Signature by a valid certificate of a
// trusted CA. The others are answered 400, or 413 when the body is too large: never 401, on which a device may unenrol.
func (o Options) Middleware(next http.Handler) http.Handler {
	signed := mdmhttp.CertExtractMdmSignatureMiddleware(o.identify(next), mdmhttp.MdmSignatureVerifierFunc(o.verify))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(SignatureHeader) == "" {
			http.Error(w, "the message is not signed", http.StatusBadRequest)
			return
		}
		if ReadBody(w, r, MaxBody) {
			signed.ServeHTTP(w, r)
		}
	})
}

// ReadBody reads the whole body, at most limit bytes, and puts it back into r. When it cannot it has answered the request and returns
// false: 413 at once, before reading, for a body that is announced as too large, and 400 for one that breaks off.
func ReadBody(w http.ResponseWriter, r *http.Request, limit int64) bool {
	if r.ContentLength > limit {
		refuseSize(w)
		return false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		refuseSize(w)
		return false
	}
	if err != nil {
		http.Error(w, "the message broke off", http.StatusBadRequest)
		return false
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return true
}

// refuseSize also ends the connection, or the server would read on to the next request.
func refuseSize(w http.ResponseWriter) {
	w.Header().Set("Connection", "close")
	http.Error(w, "the message is too large", http.StatusRequestEntityTooLarge)
}

// verify says in the log why a message was refused; the answer does not.
func (o Options) verify(header string, body []byte) (*x509.Certificate, error) {
	cert, err := o.signer(header, body)
	if err != nil {
		o.Log.Info("refused a device's message", "err", err)
	}
	return cert, err
}

func (o Options) identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := o.of(mdmhttp.GetCert(r.Context()))
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, id)))
	})
}

// of is the identity of a certificate that is trusted.
func (o Options) of(cert *x509.Certificate) fleet.Identity {
	sum := sha256.Sum256(cert.Raw)
	id := fleet.Identity{Fingerprint: hex.EncodeToString(sum[:]), NotBefore: cert.NotBefore, NotAfter: cert.NotAfter}
	if o.issued(cert) {
		id.EnrollmentID = cert.Subject.CommonName
	}
	return id
}
