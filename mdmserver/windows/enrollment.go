package windows

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/kubemdm/kubemdm/mdmserver/identity"
	"github.com/kubemdm/kubemdm/mdmserver/windows/wire"
)

// errMalformed is for messages that are not what the protocol says.
var errMalformed = errors.New("the message is malformed")

// answerer answers a SOAP message; an error becomes a fault.
type answerer func(ctx context.Context, r *wire.Request) (wire.Body, error)

// EnrollmentHandler serves discovery, policy, enrolment, renewal and the sign-in page.
func (w *Windows) EnrollmentHandler() http.Handler {
	mux := http.NewServeMux()
	for path, discover := range map[string]answerer{pathDiscovery: w.discoverOnPremise, pathWellKnown: w.discover} {
		mux.HandleFunc("GET "+path, alive)
		mux.Handle("POST "+path, w.soap(wire.ActionDiscover, discover))
	}
	mux.Handle("POST "+pathPolicy, w.soap(wire.ActionPolicies, w.policy))
	mux.Handle("POST "+pathEnroll, w.soap(wire.ActionIssued, w.enroll))
	if w.Config.Windows.SignIn != nil {
		newSignIn(w).register(mux)
	}
	return mux
}

// alive answers the GET by which Windows looks whether there is a server.
func alive(rw http.ResponseWriter, _ *http.Request) {
	rw.Header().Set("Content-Length", "0")
	rw.WriteHeader(http.StatusOK)
}

// soap answers one kind of SOAP message, with HTTP status 200 also for faults: Windows reads no other. Answers have a length, since Windows takes none
// in chunks.
func (w *Windows) soap(action string, answer answerer) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !identity.ReadBody(rw, r, maxMessage) {
			return
		}
		reply := w.reply(r, action, answer)
		message, err := reply.Encode()
		if err != nil {
			w.Log.ErrorContext(r.Context(), "cannot answer", "path", r.URL.Path, "trace", reply.TraceID, "err", err)
			http.Error(rw, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
			return
		}
		header := rw.Header()
		header.Set("Content-Type", wire.ContentType)
		header.Set("Content-Length", strconv.Itoa(len(message)))
		header.Set("Cache-Control", "no-store")
		rw.Write(message) //nolint:errcheck // who went away asks again
	})
}

func (w *Windows) reply(r *http.Request, action string, answer answerer) *wire.Reply {
	reply := &wire.Reply{Action: action, TraceID: uuid.NewString()}
	request, err := readRequest(r)
	if err == nil {
		reply.RelatesTo = request.MessageID
		reply.Body, err = answer(r.Context(), request)
	}
	if err != nil {
		reply.Body = w.fault(r.Context(), reply, err)
	}
	return reply
}

func readRequest(r *http.Request) (*wire.Request, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	request, err := wire.ParseRequest(body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	return request, nil
}

func (w *Windows) url(path string) string { return "https://" + w.Config.Host + path }

// enrollmentVersion is the protocol's version that the server speaks: later ones add attestation.
const enrollmentVersion = "4.0"

// Authentication policies of MS-MDE2, section 3.1.4.1.3.1.
const (
	onPremise = "OnPremise"
	federated = "Federated"
)

// discoverOnPremise answers agents: Windows then sends the token that the agent gave it, and opens no page.
func (w *Windows) discoverOnPremise(_ context.Context, r *wire.Request) (wire.Body, error) {
	if r.Discover == nil {
		return nil, fmt.Errorf("%w: it is no Discover", errMalformed)
	}
	return &wire.DiscoverResult{
		AuthPolicy:        onPremise,
		EnrollmentVersion: enrollmentVersion,
		PolicyURL:         w.url(pathPolicy),
		EnrollURL:         w.url(pathEnroll),
	}, nil
}

// discover answers people: they sign in if there is where to, and the client can show it.
func (w *Windows) discover(ctx context.Context, r *wire.Request) (wire.Body, error) {
	body, err := w.discoverOnPremise(ctx, r)
	if result, ok := body.(*wire.DiscoverResult); ok && w.Config.Windows.SignIn != nil && slices.Contains(r.Discover.AuthPolicies, federated) {
		result.AuthPolicy, result.SignInURL = federated, w.url(pathSignIn)
	}
	return body, err
}

// keyBits is the size of the RSA keys that devices make.
const keyBits = 2048

// policy says what a certificate request should look like, and tells a person who typed a wrong token so before Windows makes a key. A device that
// renews has no credential any more, and the policy is no secret.
func (w *Windows) policy(ctx context.Context, r *wire.Request) (wire.Body, error) {
	if r.GetPolicies == nil {
		return nil, fmt.Errorf("%w: it is no GetPolicies", errMalformed)
	}
	cred, err := credential(r.Security)
	if err == nil {
		err = w.Fleet.CheckWindows(ctx, cred)
	}
	if err != nil && !errors.Is(err, errNoCredential) {
		return nil, err
	}
	i := w.Config.Windows.Identity
	return &wire.Policy{
		Name:            identity.Organization,
		ValiditySeconds: int64(time.Duration(i.Validity) / time.Second),
		RenewalSeconds:  int64(time.Duration(i.RenewBefore) / time.Second),
		KeyBits:         keyBits,
	}, nil
}
