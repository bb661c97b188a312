package agent

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/kubemdm/kubemdm/internal/agentapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// retryAfter is in seconds: two polls.
const retryAfter = "60"

// statuses is the table of answers to what went wrong. An error that is not in it is in doubt and answered 503: at a 401 the agent would throw its
// node key away.
var statuses = []struct {
	err    error
	status int
}{
	{fleet.ErrTokenUnusable, http.StatusUnauthorized},
	{fleet.ErrNotEnrolled, http.StatusUnauthorized},
	{fleet.ErrReenrolmentBlocked, http.StatusForbidden},
}

// serve bounds the body, calls the endpoint and writes its answer.
func (a *Agents) serve(endpoint func(*http.Request) ([]byte, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		answer, err := endpoint(r)
		status := http.StatusOK
		if err != nil {
			status, answer = a.refuse(r, err)
		}
		h := w.Header()
		if status == http.StatusServiceUnavailable {
			h.Set("Retry-After", retryAfter)
		}
		h.Set("Content-Type", "application/json")
		h.Set("Content-Length", strconv.Itoa(len(answer)))
		w.WriteHeader(status)
		_, _ = w.Write(answer) // the agent may be gone
	}
}

// refuse returns the answer to an error.
func (a *Agents) refuse(r *http.Request, err error) (status int, answer []byte) {
	status, message := classify(err)
	if status == http.StatusServiceUnavailable && r.Context().Err() == nil {
		a.Log.Error("a call of an agent failed", "endpoint", r.Pattern, "error", err)
	}
	return status, render(agentapi.Problem{Message: message, Errors: []agentapi.Detail{{Name: "base", Reason: message}}})
}

func classify(err error) (status int, message string) {
	var bad badRequest
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &bad):
		return http.StatusBadRequest, err.Error()
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge, "the body is larger than " + strconv.Itoa(maxBody) + " bytes"
	}
	for _, known := range statuses {
		if errors.Is(err, known.err) {
			return known.status, err.Error()
		}
	}
	return http.StatusServiceUnavailable, "the server cannot tell now: try again later"
}
