package live

import (
	"context"
	"errors"
	"net"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Why there is nothing of the live view.
var (
	// ErrNotInstalled: the cluster has no live view.
	ErrNotInstalled = errors.New("the live view is not installed (the chart's value live.enabled)")
	// ErrForbidden: the person may not read this.
	ErrForbidden = errors.New("you lack a right on the live view; the viewer role of KubeMDM has those to read")
	// ErrUnavailable: the live view is there and does not answer, or its server does not.
	ErrUnavailable = errors.New("the live view does not answer")
)

// Error is one of the above with what the API server said. errors.Is finds the former.
type Error struct {
	Kind  error
	Cause error
}

// Error implements error.
func (e *Error) Error() string { return e.Kind.Error() + ": " + e.Cause.Error() }

// Unwrap hides the cause on purpose: it is told in words, and what looks at errors of the API server would take a live view that is missing for KubeMDM as a whole.
func (e *Error) Unwrap() error { return e.Kind }

// Judge makes what a request to the live view returns an Error if the live view as a whole is out of reach, and returns all else as it is.
func Judge(err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsForbidden(err):
		return &Error{Kind: ErrForbidden, Cause: err}
	case unavailable(err):
		return &Error{Kind: ErrUnavailable, Cause: err}
	case notInstalled(err):
		return &Error{Kind: ErrNotInstalled, Cause: err}
	}
	return err
}

// Missing says in a line why a verb goes on without the live view, and whether it can: errors that are about the object itself, or an interruption, are no such
// reason.
func Missing(err error) (string, bool) {
	var e *Error
	if !errors.As(err, &e) {
		return "", false
	}
	if errors.Is(e.Kind, ErrNotInstalled) { // what the API server says about it is a bare 404
		return e.Kind.Error(), true
	}
	return e.Error(), true
}

func unavailable(err error) bool {
	var network net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout() {
		return true
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	// 500 is what the aggregator says of a handler that cannot be reached in some ways.
	code := status.Status().Code
	return code >= http.StatusInternalServerError || code == http.StatusTooManyRequests
}

func notInstalled(err error) bool {
	if meta.IsNoMatchError(err) {
		return true
	}
	var status apierrors.APIStatus
	if !apierrors.IsNotFound(err) || !errors.As(err, &status) {
		return false
	}
	details := status.Status().Details
	if details == nil || details.Name == "" {
		return true
	}
	// A path that nothing serves is answered in plain text, while an object that is not there is answered by the live view.
	for _, cause := range details.Causes {
		if cause.Type == metav1.CauseTypeUnexpectedServerResponse {
			return true
		}
	}
	return false
}
