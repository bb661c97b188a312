package apple

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// contentType is that of a configuration profile; Apple's browsers offer to install it.
const contentType = "application/x-apple-aspen-config"

// enrollHandler serves the enrolment profile of a token. Each GET mints a challenge of its own, that lives shortly; it does not count as
// a use of the token.
type enrollHandler struct{ *Invitations }

// explanations are what people read instead of a profile.
var explanations = map[int]string{
	http.StatusNotFound:           "This enrolment link is not known. Ask your administrator for a new one.",
	http.StatusForbidden:          "This enrolment link is not for Apple devices. Ask your administrator for another one.",
	http.StatusGone:               "This enrolment link has expired or was used up. Ask your administrator for a new one.",
	http.StatusServiceUnavailable: "The server cannot enrol devices right now. Try again in a few minutes.",
}

func (h *enrollHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", contentType)
	if r.Method == http.MethodHead {
		return // link previews must not mint challenges
	}
	profile, err := h.profile(r)
	if err != nil {
		status := logged(r.Context(), h.apple.Log, "enroll", err)
		text, ok := explanations[status]
		if !ok {
			text = http.StatusText(status)
		}
		http.Error(w, text, status)
		return
	}
	// A browser would name the download after the last part of the path, which is the token.
	w.Header().Set("Content-Disposition", `attachment; filename="enroll.mobileconfig"`)
	w.Write(profile) //nolint:errcheck // who went away asks again
}

func (h *enrollHandler) profile(r *http.Request) ([]byte, error) {
	sum := sha256.Sum256([]byte(r.PathValue("token")))
	unsigned, err := h.byToken(r.Context(), hex.EncodeToString(sum[:]))
	if err != nil || r.URL.Query().Get("unsigned") == "1" {
		return unsigned, err
	}
	return h.apple.sign(unsigned)
}

// Invitations are the enrolment profiles that people download.
type Invitations struct {
	apple *Apple
	fleet Fleet
}

// Invitations mint challenges of the fleet.
func (a *Apple) Invitations(f Fleet) *Invitations { return &Invitations{apple: a, fleet: f} }

// Handler answers tools that fetch a profile at an enrolment link, whose pattern names the token.
func (i *Invitations) Handler() http.Handler { return patient(&enrollHandler{i}) }

// ByToken returns the signed profile for whoever holds the token, of which it gets the lower-case hex SHA-256. Errors: those of fleet.IssueChallenge, and what
// keeps the server from making a profile.
func (i *Invitations) ByToken(ctx context.Context, tokenHash string) ([]byte, error) {
	return i.signed(i.byToken(ctx, tokenHash))
}

// ByAccount is ByToken for somebody who signed in as account: the EnrollmentToken that is named counts.
func (i *Invitations) ByAccount(ctx context.Context, token adminapi.Key, account string) ([]byte, error) {
	return i.signed(i.unsigned(func(params fleet.EnrollmentParams) (fleet.Challenge, error) {
		return i.fleet.IssueSignedIn(ctx, token, account, params)
	}))
}

func (i *Invitations) byToken(ctx context.Context, tokenHash string) ([]byte, error) {
	return i.unsigned(func(params fleet.EnrollmentParams) (fleet.Challenge, error) {
		return i.fleet.IssueChallenge(ctx, tokenHash, params)
	})
}

// unsigned renders the profile of an enrolment that issue begins.
func (i *Invitations) unsigned(issue func(fleet.EnrollmentParams) (fleet.Challenge, error)) ([]byte, error) {
	topic := i.apple.Topic()
	if topic == "" {
		return nil, errNoPush
	}
	params := i.apple.params(topic)
	challenge, err := issue(params)
	if err != nil {
		return nil, err
	}
	return i.apple.profile(params, challenge.EnrollmentID, challenge.Secret)
}

func (i *Invitations) signed(unsigned []byte, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return i.apple.sign(unsigned)
}

var _ fleet.Encoder = (*Apple)(nil)
