package apple

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/kubemdm/kubemdm/mdmserver/apple/machineinfo"
	"github.com/kubemdm/kubemdm/mdmserver/apple/profile"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

var (
	errMalformed = errors.New("the message is malformed")
	// errNotOffered is the answer to messages for services that the server does not have.
	errNotOffered = errors.New("the server does not offer this service")
	errNoPush     = errors.New("the server has no push certificate yet")
)

// statuses are the HTTP answers to the errors of the endpoints; what is not in it is 500. There is no 401: a device may unenrol on it.
var statuses = []struct {
	err    error
	status int
}{
	{errMalformed, http.StatusBadRequest},
	{errNotOffered, http.StatusNotFound},
	{fleet.ErrNotEnrolled, http.StatusForbidden},
	{fleet.ErrWrongIdentity, http.StatusForbidden},
	{fleet.ErrSuperseded, http.StatusForbidden},
	{fleet.ErrReenrolmentBlocked, http.StatusForbidden},
	{fleet.ErrTokenUnknown, http.StatusNotFound},
	{fleet.ErrTokenExpired, http.StatusGone},
	{fleet.ErrTokenExhausted, http.StatusGone},
	{fleet.ErrTokenPlatform, http.StatusForbidden},
	{machineinfo.ErrUnsigned, http.StatusForbidden},
	{machineinfo.ErrSigner, http.StatusForbidden},
	{machineinfo.ErrContent, http.StatusBadRequest},
	{fleet.ErrNotListed, http.StatusForbidden},
	{errSignIn, http.StatusForbidden},
	{fleet.ErrUnavailable, http.StatusServiceUnavailable},
	{errNoPush, http.StatusServiceUnavailable},
	{profile.ErrNoCertificate, http.StatusServiceUnavailable},
}

func statusOf(err error) int {
	for _, s := range statuses {
		if errors.Is(err, s.err) {
			return s.status
		}
	}
	return http.StatusInternalServerError
}

// logged returns the status of an error after logging it: as an error when the server is at fault.
func logged(ctx context.Context, log *slog.Logger, request string, err error) int {
	status, level := statusOf(err), slog.LevelInfo
	if status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	log.Log(ctx, level, "answered with an error", "request", request, "status", status, "err", err)
	return status
}

// patient asks for a retry in a minute wherever the server is at fault.
func patient(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(patientWriter{w}, r)
	})
}

type patientWriter struct{ http.ResponseWriter }

func (w patientWriter) WriteHeader(status int) {
	if status >= http.StatusInternalServerError {
		w.Header().Set("Retry-After", "60")
	}
	w.ResponseWriter.WriteHeader(status)
}
