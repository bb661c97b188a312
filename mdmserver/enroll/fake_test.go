package enroll_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/enroll"
	"github.com/kubemdm/kubemdm/mdmserver/seal"
)

// What browsers call themselves.
const (
	safari  = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15"
	iPhone  = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
	inApp   = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
	edge    = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36 Edg/137.0.0.0"
	android = "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Mobile Safari/537.36"
)

// secret is the token that the fleet knows.
const secret = "S3CR3T-token"

// world is a page over a fleet that gives prepared answers.
type world struct {
	enroll.Options
	now   time.Time
	topic string
	// err is the answer to whoever holds the token or has signed in; another token is unknown.
	err     error
	unknown error
	calls   []string
	log     bytes.Buffer
	handler http.Handler
}

func (w *world) CheckToken(_ context.Context, hash string, platform adminapi.Platform) error {
	w.calls = append(w.calls, "CheckToken "+string(platform))
	if hash != hashOfSecret {
		return w.unknown
	}
	return w.err
}

func (w *world) CheckSignIn(_ context.Context, token adminapi.Key, platform adminapi.Platform) error {
	w.calls = append(w.calls, fmt.Sprintf("CheckSignIn %s %s", token, platform))
	return w.err
}

func (w *world) ByToken(_ context.Context, hash string) ([]byte, error) {
	w.calls = append(w.calls, "ByToken")
	if hash != hashOfSecret {
		return nil, w.unknown
	}
	return []byte("profile"), w.err
}

func (w *world) ByAccount(_ context.Context, token adminapi.Key, account string) ([]byte, error) {
	w.calls = append(w.calls, fmt.Sprintf("ByAccount %s %s", token, account))
	return []byte("profile of " + account), w.err
}

// newWorld is a server for all platforms; changes come before it starts.
func newWorld(t testing.TB, changes ...func(*world)) *world {
	t.Helper()
	w := &world{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), topic: "com.apple.mgmt.External.1", unknown: errUnknown}
	w.Options = enroll.Options{
		Config: serverconfig.Config{
			Host: "mdm.example.com", Organization: "Example & Sons",
			Apple: &serverconfig.Apple{}, Windows: &serverconfig.Windows{}, Page: serverconfig.Page{SupportURL: "https://help.example.com/"},
		},
		Fleet: w, Apple: w,
		Tools: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			w.calls = append(w.calls, "Tools "+r.Method)
			if r.PathValue("token") != secret {
				http.Error(rw, "not known", http.StatusNotFound)
			}
		}),
		Topic: func() string { return w.topic }, SignInSecret: func() string { return "client-secret" },
		Seal: seal.New(func() seal.Keyring { return ring }), Now: func() time.Time { return w.now }, Log: slog.New(slog.NewTextHandler(&w.log, nil)),
	}
	for _, change := range changes {
		change(w)
	}
	page, err := enroll.New(w.Options)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	page.Register(mux)
	w.handler = mux
	return w
}

// ask makes a request as a browser does.
func ask(method, path, userAgent string) *http.Request {
	r := httptest.NewRequest(method, "https://mdm.example.com"+path, nil)
	r.Header.Set("User-Agent", userAgent)
	r.Header.Set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
	r.Header.Set("Sec-Fetch-Dest", "document")
	return r
}

func (w *world) do(r *http.Request) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	w.handler.ServeHTTP(answer, r)
	return answer
}

func (w *world) get(path, userAgent string) *httptest.ResponseRecorder {
	return w.do(ask(http.MethodGet, path, userAgent))
}

// form is what the page's form sends.
func form(userAgent string, fields url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "https://mdm.example.com/enroll-page/code", strings.NewReader(fields.Encode()))
	r.Header.Set("User-Agent", userAgent)
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Origin", "https://mdm.example.com")
	return r
}

func (w *world) enter(userAgent, code string) *httptest.ResponseRecorder {
	return w.do(form(userAgent, url.Values{"code": {code}}))
}

// says fails the test unless an answer has the status and all texts.
func says(t *testing.T, answer *httptest.ResponseRecorder, status int, texts ...string) {
	t.Helper()
	if answer.Code != status {
		t.Errorf("status %d, want %d", answer.Code, status)
	}
	for _, text := range texts {
		if !strings.Contains(answer.Body.String(), text) {
			t.Errorf("the answer does not say %q:\n%s", text, answer.Body.String())
		}
	}
}

// silent fails the test if an answer has one of the texts.
func silent(t *testing.T, answer *httptest.ResponseRecorder, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(answer.Body.String(), text) {
			t.Errorf("the answer says %q:\n%s", text, answer.Body.String())
		}
	}
}
