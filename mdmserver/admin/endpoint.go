package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// endpoint answers one request with a value, which is nil when there is nothing to say.
type endpoint func(r *http.Request) (any, error)

// statuses is the table of codes. A code that is not in it is a defect of the server.
var statuses = map[adminapi.Code]int{
	adminapi.CodeInvalid:            http.StatusBadRequest,
	adminapi.CodeNotFound:           http.StatusNotFound,
	adminapi.CodeIdentifierConflict: http.StatusConflict,
	adminapi.CodeSpecConflict:       http.StatusConflict,
	adminapi.CodeAnotherManager:     http.StatusConflict,
	adminapi.CodeTooLarge:           http.StatusRequestEntityTooLarge,
	adminapi.CodeUnavailable:        http.StatusServiceUnavailable,
	adminapi.CodeInternal:           http.StatusInternalServerError,
}

// serve bounds the body, calls the endpoint and writes its answer.
func (a *api) serve(e endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, adminapi.MaxBody)
		value, err := e(r)
		switch {
		case err != nil:
			problem := errorOf(err)
			if problem.Code == adminapi.CodeInternal {
				a.Log.Error("a call of the internal API failed", "endpoint", r.Pattern, "error", err)
			}
			write(w, statuses[problem.Code], problem)
		case value == nil:
			w.WriteHeader(http.StatusNoContent)
		default:
			write(w, http.StatusOK, value)
		}
	}
}

// errorOf returns the error that the caller sees.
func errorOf(err error) *adminapi.Error {
	var known *adminapi.Error
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &known) && statuses[known.Code] != 0:
		return known
	case errors.As(err, &tooLarge):
		return &adminapi.Error{Code: adminapi.CodeTooLarge, Message: "the body is larger than " + strconv.FormatInt(tooLarge.Limit, 10) + " bytes"}
	case errors.Is(err, fleet.ErrUnavailable):
		return &adminapi.Error{Code: adminapi.CodeUnavailable, Message: err.Error()}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &adminapi.Error{Code: adminapi.CodeUnavailable, Message: "the server is stopping, or the call took too long: try again"}
	}
	return &adminapi.Error{Code: adminapi.CodeInternal, Message: "the server failed; its log says why"}
}

func write(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // the caller may be gone
}

// leased refuses calls of a manager that another one has replaced.
func (a *api) leased(e endpoint) endpoint {
	return func(r *http.Request) (any, error) {
		epoch, err := leaseEpoch(r)
		if err != nil {
			return nil, err
		}
		if err := a.Fleet.CheckLease(r.Context(), epoch); err != nil {
			return nil, err
		}
		return e(r)
	}
}

// put decodes and checks a body, hands it on and answers with the result.
func put[In, Out any](call func(context.Context, In) (*Out, error), check func(r *http.Request, in In) error) endpoint {
	return func(r *http.Request) (any, error) {
		in, err := decode(r, check)
		if err != nil {
			return nil, err
		}
		return call(r.Context(), in)
	}
}

// command is put without a result.
func command[In any](call func(context.Context, In) error, check func(r *http.Request, in In) error) endpoint {
	return func(r *http.Request) (any, error) {
		in, err := decode(r, check)
		if err != nil {
			return nil, err
		}
		return nil, call(r.Context(), in)
	}
}

// remove calls with the key that the path names.
func remove(call func(context.Context, adminapi.Key) error) endpoint {
	return func(r *http.Request) (any, error) {
		key, err := pathKey(r)
		if err != nil {
			return nil, err
		}
		return nil, call(r.Context(), key)
	}
}

// list answers with one page.
func list[T any](call func(ctx context.Context, after string, limit int) (*adminapi.Page[T], error)) endpoint {
	return func(r *http.Request) (any, error) {
		limit, err := queryLimit(r)
		if err != nil {
			return nil, err
		}
		return call(r.Context(), r.URL.Query().Get(adminapi.QueryAfter), limit)
	}
}

// decode reads a body. Fields it does not know are tolerated: manager and server of neighbouring versions work together.
func decode[In any](r *http.Request, check func(r *http.Request, in In) error) (In, error) {
	var in In
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return in, err
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return in, invalid("the body is not the JSON of this call: %v", err)
	}
	return in, check(r, in)
}

func leaseEpoch(r *http.Request) (int64, error) {
	epoch, err := strconv.ParseInt(r.Header.Get(adminapi.HeaderLeaseEpoch), 10, 64)
	if err != nil || epoch < 0 {
		return 0, invalid("the header %s must be a number", adminapi.HeaderLeaseEpoch)
	}
	return epoch, nil
}

// queryLimit returns the limit of a page, MaxPage when none is given.
func queryLimit(r *http.Request) (int, error) {
	text := r.URL.Query().Get(adminapi.QueryLimit)
	if text == "" {
		return adminapi.MaxPage, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 || limit > adminapi.MaxPage {
		return 0, invalid("the query parameter %s must be from 1 to %d", adminapi.QueryLimit, adminapi.MaxPage)
	}
	return limit, nil
}

// queryWait returns how long a poll waits, maxWait at most.
func queryWait(r *http.Request) (time.Duration, error) {
	wait, err := time.ParseDuration(r.URL.Query().Get(adminapi.QueryWait))
	if err != nil || wait < 0 {
		return 0, invalid("the query parameter %s must be a duration such as 30s", adminapi.QueryWait)
	}
	return min(wait, maxWait), nil
}

// querySequence returns the number after which entries are asked for, -1 when none is given.
func querySequence(r *http.Request) (int64, error) {
	text := r.URL.Query().Get(adminapi.QueryAfter)
	if text == "" {
		return -1, nil
	}
	after, err := strconv.ParseInt(text, 10, 64)
	if err != nil || after < 0 {
		return 0, invalid("the query parameter %s must be the number that an answer gave as next", adminapi.QueryAfter)
	}
	return after, nil
}

// queryBool returns a query parameter that is false when it is not given.
func queryBool(r *http.Request, name string) (bool, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return false, nil
	}
	value, err := strconv.ParseBool(text)
	if err != nil {
		return false, invalid("the query parameter %s must be true or false", name)
	}
	return value, nil
}
