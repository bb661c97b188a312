package scep

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"

	scepserver "github.com/micromdm/scep/v2/server"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
)

// maxMessage is the largest message that is read, in bytes. A request with an RSA-8192 key takes five thousand.
const maxMessage = 64 << 10

// operations of RFC 8894, section 4, that are answered.
var operations = map[string]bool{"GetCACaps": true, "GetCACert": true, "PKIOperation": true}

var errBase64 = errors.New("the message parameter is not base64")

// NewHandler serves SCEP at the path /scep. What a device may ask again later is answered 503, a malformed message 400, and what the
// device should give up a CertRep with a failInfo.
func NewHandler(o Options) http.Handler {
	svc := service{o}
	endpoints := scepserver.MakeServerEndpoints(svc)
	endpoints.GetEndpoint = svc.answerErrors(endpoints.GetEndpoint)
	endpoints.PostEndpoint = svc.answerErrors(endpoints.PostEndpoint)
	return bounded(scepserver.MakeHTTPHandler(endpoints, svc, silent{}))
}

// bounded lets operations that are answered through, with their whole message read.
func bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		switch {
		case !operations[query.Get("operation")]:
			http.Error(w, errUnsupported.Error(), http.StatusBadRequest)
		case len(r.URL.RawQuery) > maxMessage:
			http.Error(w, "the message is too large", http.StatusRequestEntityTooLarge)
		case r.Method == http.MethodGet && query.Get("operation") == "PKIOperation" && !isBase64(query.Get("message")):
			http.Error(w, errBase64.Error(), http.StatusBadRequest)
		case identity.ReadBody(w, r, maxMessage):
			next.ServeHTTP(w, r)
		}
	})
}

// isBase64 asks the question of the decoder behind it, which answers 500.
func isBase64(message string) bool {
	unescaped, err := url.PathUnescape(message)
	if err != nil {
		return false
	}
	_, err = base64.StdEncoding.DecodeString(unescaped)
	return err == nil
}

// answer is an error with its HTTP status, as go-kit's default error encoder wants it.
type answer struct {
	error
	status int
}

func malformed(err error) error { return answer{err, http.StatusBadRequest} }

func (a answer) Unwrap() error   { return a.error }
func (a answer) StatusCode() int { return a.status }

// answerErrors gives the service's errors their status; the transport would answer 500 to all of them.
func (s service) answerErrors(next func(context.Context, any) (any, error)) func(context.Context, any) (any, error) {
	return func(ctx context.Context, request any) (any, error) {
		response, err := next(ctx, request)
		if reply, ok := response.(scepserver.SCEPResponse); ok && err == nil {
			err = reply.Err
		}
		if err == nil {
			return response, nil
		}
		if answered := (answer{}); errors.As(err, &answered) {
			return nil, answered
		}
		s.Log.Error("SCEP operation failed", "err", err)
		if errors.Is(err, fleet.ErrUnavailable) || errors.Is(err, identity.ErrNoCA) {
			return nil, answer{errors.New("not available now"), http.StatusServiceUnavailable}
		}
		return nil, answer{errors.New("internal error"), http.StatusInternalServerError}
	}
}

// silent is the transport's logger: what it would log is the server's request log's to say.
type silent struct{}

func (silent) Log(...any) error { return nil }
