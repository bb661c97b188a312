package live_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/live"
)

// session connects a real client to an API server that answers as a test says.
func session(t *testing.T, answer http.HandlerFunc) *cli.Session {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "config")
	config := "apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: \"" + server.URL + "\"}}]\ncontexts: [{name: c, context: {cluster: c, namespace: fleet}}]\ncurrent-context: c\n"
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", file)
	s, err := cli.New(genericiooptions.NewTestIOStreamsDiscard()).Open()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// answers is an answer in JSON, which only the path that the live view has gets.
func answers(t *testing.T, method, path string, code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method || r.URL.Path != "/apis/live.mdm.kubemdm.io/v1alpha1/namespaces/fleet/"+path {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

func status(code, reason, details string) string {
	return `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"the server says so","reason":"` + reason + `","details":{` + details + `},"code":` + code + `}`
}

func TestGet(t *testing.T) {
	s := session(t, answers(t, http.MethodGet, "devicereports/mac", http.StatusOK, `{"kind":"DeviceReport","apiVersion":"live.mdm.kubemdm.io/v1alpha1","metadata":{"name":"mac"},"server":"berlin"}`))
	report := &livev1alpha1.DeviceReport{}
	if err := live.Get(t.Context(), s, "fleet", "mac", report); err != nil || report.Server != "berlin" {
		t.Errorf("%v %+v", err, report)
	}
}

func TestPush(t *testing.T) {
	s := session(t, answers(t, http.MethodPost, "devicereports/mac/push", http.StatusCreated, `{"kind":"DevicePush","apiVersion":"live.mdm.kubemdm.io/v1alpha1","metadata":{"name":"mac"}}`))
	if err := live.Push(t.Context(), s, "fleet", "mac"); err != nil {
		t.Error(err)
	}
}

// What is wrong is told apart by what a real API server answers, and said in words.
func TestErrors(t *testing.T) {
	named := `"name":"mac","kind":"devicereports"`
	for _, tc := range []struct {
		name, body string
		code       int
		want       error
		line       string
	}{
		{"no APIService", "404 page not found\n", 404, live.ErrNotInstalled, "the live view is not installed (the chart's value live.enabled)"},
		{"no role", status("403", "Forbidden", named), 403, live.ErrForbidden, "the server says so"},
		{"no endpoints", "service unavailable\n", 503, live.ErrUnavailable, "the live view does not answer"},
		{"server of the devices away", status("503", "ServiceUnavailable", named), 503, live.ErrUnavailable, "the server says so"},
		{"proxy fails", "error trying to reach service", 502, live.ErrUnavailable, "the live view does not answer"},
		{"too late", status("504", "Timeout", named), 504, live.ErrUnavailable, "the live view does not answer"},
		{"no such device", status("404", "NotFound", named), 404, nil, ""},
		{"bad request", status("400", "BadRequest", named), 400, nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := session(t, func(w http.ResponseWriter, _ *http.Request) {
				if strings.HasPrefix(tc.body, "{") {
					w.Header().Set("Content-Type", "application/json")
				}
				w.WriteHeader(tc.code)
				_, _ = io.WriteString(w, tc.body)
			})
			err := live.Get(t.Context(), s, "fleet", "mac", &livev1alpha1.DeviceReport{})
			line, missing := live.Missing(err)
			if err == nil || tc.want != nil && !errors.Is(err, tc.want) || missing != (tc.want != nil) || !strings.Contains(line, tc.line) {
				t.Errorf("%v: %q", err, line)
			}
			if cli.KindUnknown(err) {
				t.Error("a live view that is not there is taken for KubeMDM")
			}
			if tc.code == 404 && tc.want == nil && !apierrors.IsNotFound(err) {
				t.Error("an object that is not there is taken for something else")
			}
		})
	}
}

// Nobody waits for an answer that does not come.
func TestDeadline(t *testing.T) {
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	s := session(t, hang)
	for name, call := range map[string]func(context.Context) error{
		"get": func(ctx context.Context) error { return live.Get(ctx, s, "fleet", "mac", &livev1alpha1.DeviceReport{}) },
		"watch": func(ctx context.Context) error {
			_, err := live.Watch(ctx, s, &livev1alpha1.DeviceEventList{}, client.InNamespace("fleet"))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			if err := call(t.Context()); !errors.Is(err, live.ErrUnavailable) || time.Since(begin) > 2*live.Deadline {
				t.Errorf("%v after %v", err, time.Since(begin))
			}
		})
	}
	t.Run("interrupted", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := live.Get(ctx, s, "fleet", "mac", &livev1alpha1.DeviceReport{})
		if _, missing := live.Missing(err); !errors.Is(err, context.Canceled) || missing {
			t.Errorf("%v", err)
		}
	})
}

// A watch goes on for longer than an answer may take to begin, and ends when it is stopped.
func TestWatch(t *testing.T) {
	stopped := make(chan struct{})
	s := session(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("fieldSelector") != "device=mac" || r.URL.Query().Get("watch") == "" {
			t.Errorf("%s", r.URL)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"type":"ADDED","object":{"kind":"DeviceEvent","apiVersion":"live.mdm.kubemdm.io/v1alpha1","metadata":{"name":"e"},"type":"Enrolled"}}`+"\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		close(stopped)
	})
	events, err := live.Watch(t.Context(), s, &livev1alpha1.DeviceEventList{}, client.InNamespace("fleet"), client.MatchingFields{"device": "mac"})
	if err != nil {
		t.Fatal(err)
	}
	event := <-events.ResultChan()
	if e, is := event.Object.(*livev1alpha1.DeviceEvent); !is || event.Type != watch.Added || e.Type != "Enrolled" {
		t.Errorf("%+v", event)
	}
	events.Stop()
	<-stopped
}
