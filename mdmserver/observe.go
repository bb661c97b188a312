package mdmserver

import (
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/kubemdm/kubemdm/internal/agentapi"
)

// routine is what a large fleet asks a thousand times a second. Where it succeeds only the metrics tell of it.
const routine = http.MethodPost + " " + agentapi.PathConfig

// observe logs and counts requests by the pattern that matched, never by path, query or header: those hold tokens and identifiers. A panic
// is answered 500.
func (s *Server) observe(listener string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := &answerWriter{ResponseWriter: w}
		start := time.Now()
		defer func() {
			if cause := recover(); cause != nil {
				s.afterPanic(answer, r, listener, cause)
			}
			s.answered(answer, r, listener, time.Since(start))
		}()
		next.ServeHTTP(answer, r)
	})
}

// answered counts a request and logs it.
func (s *Server) answered(w *answerWriter, r *http.Request, listener string, took time.Duration) {
	endpoint := r.Pattern
	if endpoint == "" {
		endpoint = "unmatched"
	}
	s.metrics.Request(listener, endpoint, w.code(), took)
	level := slog.LevelInfo
	if endpoint == routine && w.code() == http.StatusOK {
		level = slog.LevelDebug
	}
	if !s.log.Enabled(r.Context(), level) {
		return
	}
	s.log.LogAttrs(r.Context(), level, "request", slog.String("listener", listener), slog.String("endpoint", endpoint), slog.Int("status", w.code()),
		slog.Duration("duration", took), slog.Int64("requestBytes", r.ContentLength), slog.Int64("answerBytes", w.size))
}

// afterPanic answers and reports a panic. The panic's value may hold what a device sent, so only its place is logged.
func (s *Server) afterPanic(w *answerWriter, r *http.Request, listener string, cause any) {
	if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(http.ErrAbortHandler)
	}
	s.metrics.Panic()
	s.log.Error("a request panicked", "listener", listener, "endpoint", r.Pattern, "stack", string(debug.Stack()))
	if w.status == 0 {
		http.Error(w, "internal error", http.StatusInternalServerError)
	}
}

// answerWriter remembers the status and size of an answer.
type answerWriter struct {
	http.ResponseWriter
	status int
	size   int64
}

func (w *answerWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *answerWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.size += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *answerWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *answerWriter) code() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}
