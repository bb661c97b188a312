package mdmserver

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/mdmserver/metrics"
)

// No request can bring the server down, and what it held does not reach the log.
func TestAPanicIsAnsweredAndCounted(t *testing.T) {
	var log bytes.Buffer
	s := &Server{log: slog.New(slog.NewJSONHandler(&log, nil)), metrics: metrics.New("test")}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /things/{id}", func(http.ResponseWriter, *http.Request) { panic(errors.New("serial C02SECRET")) })
	handler := s.observe("devices", mux)

	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/things/secret-id?token=secret-token", nil))
	if answer.Code != http.StatusInternalServerError {
		t.Errorf("answered %d", answer.Code)
	}
	for _, secret := range []string{"C02SECRET", "secret-id", "secret-token"} {
		if strings.Contains(log.String(), secret) || strings.Contains(answer.Body.String(), secret) {
			t.Errorf("%q reached the log or the answer", secret)
		}
	}
	counted := httptest.NewRecorder()
	s.metrics.Handler().ServeHTTP(counted, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		"kubemdm_server_http_panics_total 1",
		`kubemdm_server_http_requests_total{code="500",endpoint="GET /things/{id}",listener="devices"} 1`,
	} {
		if !strings.Contains(counted.Body.String(), want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
}

// Thirty thousand agents would fill the log with nothing.
func TestARoutineRequestIsCountedButNotLogged(t *testing.T) {
	for status, logged := range map[int]bool{http.StatusOK: false, http.StatusServiceUnavailable: true} {
		var log bytes.Buffer
		s := &Server{log: slog.New(slog.NewJSONHandler(&log, nil)), metrics: metrics.New("test")}
		mux := http.NewServeMux()
		mux.HandleFunc("POST /api/fleet/orbit/config", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		s.observe("devices", mux).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/api/fleet/orbit/config", nil))
		if got := log.Len() > 0; got != logged {
			t.Errorf("%d: logged: %v, want %v", status, got, logged)
		}
		counted := httptest.NewRecorder()
		s.metrics.Handler().ServeHTTP(counted, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		if !strings.Contains(counted.Body.String(), `endpoint="POST /api/fleet/orbit/config",listener="devices"} 1`) {
			t.Errorf("%d is not counted", status)
		}
	}
}
