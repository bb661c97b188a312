package apple

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// contentType is that of a configuration profile; Apple's browsers offer to install it.
const contentType = "application/x-apple-aspen-config"

// enrollHandler serves the enrolment profile of a token. Each GET mints a challenge of its own, that lives shortly; it does not count as
// a use of the token.
type enrollHandler struct {
	apple *Apple
	fleet Fleet
}

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
	topic := h.apple.Topic()
	if topic == "" {
		return nil, errNoPush
	}
	sum := sha256.Sum256([]byte(r.PathValue("token")))
	params := h.apple.params(topic)
	challenge, err := h.fleet.IssueChallenge(r.Context(), hex.EncodeToString(sum[:]), params)
	if err != nil {
		return nil, err
	}
	unsigned, err := h.apple.profile(params, challenge.EnrollmentID, challenge.Secret)
	if err != nil || r.URL.Query().Get("unsigned") == "1" {
		return unsigned, err
	}
	return h.apple.sign(unsigned)
}

var _ fleet.Encoder = (*Apple)(nil)
