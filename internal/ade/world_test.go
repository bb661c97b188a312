package ade_test

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/ade"
)

// service answers in Apple's place, as a script says, and takes down what was asked.
type service struct {
	*httptest.Server
	t  *testing.T
	mu sync.Mutex
	// answers has what is answered by "METHOD /path" in turn; the last one is repeated.
	answers map[string][]answer
	asked   []request
}

type answer struct {
	status int
	body   string
	header http.Header
}

type request struct {
	what, session, body, query string
	header                     http.Header
}

func newService(t *testing.T) *service {
	t.Helper()
	s := &service{t: t, answers: map[string][]answer{"GET /session": {{body: `{"auth_session_token":"s1"}`}, {body: `{"auth_session_token":"s2"}`}}}}
	s.Server = httptest.NewUnstartedServer(s)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	what := r.Method + " " + r.URL.Path
	s.asked = append(s.asked, request{what, r.Header.Get("X-ADM-Auth-Session"), string(body), r.URL.RawQuery, r.Header})
	script := s.answers[what]
	if len(script) == 0 {
		w.WriteHeader(http.StatusTeapot)
		return
	}
	if len(script) > 1 {
		s.answers[what] = script[1:]
	}
	for name, values := range script[0].header {
		w.Header()[name] = values
	}
	if script[0].status != 0 {
		w.WriteHeader(script[0].status)
	}
	_, _ = io.WriteString(w, script[0].body)
}

// on sets the answers to "METHOD /path".
func (s *service) on(what string, answers ...answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[what] = answers
}

// calls are what was asked so far, in order, each with its session.
func (s *service) calls() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, r := range s.asked {
		all = append(all, strings.TrimSpace(r.what+" "+r.session))
	}
	return strings.Join(all, ", ")
}

// trust is the roots of a server.
func trust(s *httptest.Server) *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return roots
}

func (s *service) client() *ade.Client {
	s.t.Helper()
	c, err := ade.New(token, ade.Options{URL: s.URL, Roots: trust(s.Server), UserAgent: "kubemdm/test", Now: time.Now})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func ok(body string) answer { return answer{body: body} }

func fault(status int, code string) answer { return answer{status: status, body: `"` + code + `"`} }

// failure is the error of a call.
func failure(t *testing.T, err error) *ade.Failure {
	t.Helper()
	var f *ade.Failure
	if !errors.As(err, &f) {
		t.Fatalf("%T %v is no failure", err, err)
	}
	return f
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// members is a JSON object.
func members(t *testing.T, text string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return m
}
