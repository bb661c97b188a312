package orbit_test

import (
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/cmd/kubemdm-agent/internal/orbit"
	"github.com/kubemdm/kubemdm/internal/agentapi"
)

// client is one of a server that answers everything by h.
func client(t testing.TB, h http.HandlerFunc) *orbit.Client {
	t.Helper()
	server := httptest.NewTLSServer(h)
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	c, err := orbit.New(server.URL, roots)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRequestsAreThoseOfOrbit(t *testing.T) {
	type seen struct{ method, path, kind, capabilities, body string }
	var last seen
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		last = seen{r.Method, r.URL.Path, r.Header.Get("Content-Type"), r.Header.Get("X-Fleet-Capabilities"), string(body)}
		_, _ = io.WriteString(w, `{"orbit_node_key":"key","notifications":{"needs_programmatic_windows_mdm_enrollment":true,"windows_mdm_discovery_endpoint":"https://x/d",`+
			`"pending_script_execution_ids":["1"]},"update_channels":{}}`)
	})

	key, err := c.Enroll(t.Context(), agentapi.EnrollRequest{EnrollSecret: "s", HardwareUUID: "U", HardwareSerial: "S", Hostname: "h", Platform: "windows", ComputerName: "c"})
	if err != nil || key != "key" {
		t.Errorf("%q, %v", key, err)
	}
	want := seen{"POST", "/api/fleet/orbit/enroll", "application/json", "windows_mdm_sync",
		`{"enroll_secret":"s","hardware_uuid":"U","hardware_serial":"S","hostname":"h","platform":"windows","computer_name":"c"}`}
	if last != want {
		t.Errorf("enrol: %+v, want %+v", last, want)
	}

	notifications, err := c.Config(t.Context(), "key")
	if err != nil || notifications != (agentapi.Notifications{Enroll: true, DiscoveryURL: "https://x/d"}) {
		t.Errorf("%+v, %v", notifications, err)
	}
	want = seen{"POST", "/api/fleet/orbit/config", "application/json", "windows_mdm_sync", `{"orbit_node_key":"key"}`}
	if last != want {
		t.Errorf("config: %+v, want %+v", last, want)
	}
}

func TestWhatAnAnswerMeans(t *testing.T) {
	for name, tc := range map[string]struct {
		status  int
		header  string
		body    string
		refused bool
		after   time.Duration
		says    string
	}{
		"unknown key":       {status: 401, body: `{"message":"not enrolled"}`, refused: true, says: "401: not enrolled"},
		"a page of a proxy": {status: 502, body: "<html>", says: "status 502"},
		"in doubt":          {status: 503, header: "60", body: `{"message":"later"}`, after: time.Minute, says: "503: later"},
		"too many":          {status: 429, header: "5", after: 5 * time.Second, says: "429"},
		"a date":            {status: 503, header: "Wed, 21 Oct 2026 07:28:00 GMT", says: "503"},
		"a negative wait":   {status: 503, header: "-5", says: "503"},
		"blocked":           {status: 403, body: `{"message":"enrolled` + "\\n\\u001b" + `already"}`, says: "403: enrolled  already"},
		"a long message":    {status: 400, body: `{"message":"x` + strings.Repeat("ä", 1_000) + `"}`, says: "400"},
		"a redirect":        {status: 302, says: "302"},
		"no JSON":           {status: 200, body: "hello", says: "none of a KubeMDM server"},
		"an endless answer": {status: 200, body: `{"notifications":{}` + strings.Repeat(" ", 64<<10) + "}", says: "none of a KubeMDM server"},
	} {
		c := client(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.Header().Set("Retry-After", tc.header)
			w.WriteHeader(tc.status)
			_, _ = io.WriteString(w, tc.body)
		})
		_, err := c.Config(t.Context(), "key")
		if err == nil || !strings.Contains(err.Error(), tc.says) || len(err.Error()) > 700 {
			t.Errorf("%s: %v does not say %q", name, err, tc.says)
		}
		if orbit.Refused(err) != tc.refused || orbit.RetryAfter(err) != tc.after {
			t.Errorf("%s: refused %v, retry after %v", name, orbit.Refused(err), orbit.RetryAfter(err))
		}
	}
}

func TestAnEnrolmentWithoutAKeyFails(t *testing.T) {
	c := client(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") })
	if key, err := c.Enroll(t.Context(), agentapi.EnrollRequest{}); err == nil {
		t.Errorf("key %q", key)
	}
}

func TestAServerThatNobodyTrustsIsNotAsked(t *testing.T) {
	asked := false
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer server.Close()
	c, err := orbit.New(server.URL, x509.NewCertPool())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Enroll(t.Context(), agentapi.EnrollRequest{EnrollSecret: "s"}); err == nil || asked {
		t.Errorf("asked: %v, %v", asked, err)
	}
}

func TestParseServer(t *testing.T) {
	for server, good := range map[string]bool{
		"https://mdm.example.com":      true,
		"https://mdm.example.com/":     true,
		"https://mdm.example.com:8443": true,
		"http://mdm.example.com":       false,
		"mdm.example.com":              false,
		"https://":                     false,
		"https://a:b@mdm.example.com":  false,
		"https://mdm.example.com/mdm":  false,
		"https://mdm.example.com?a=b":  false,
		"":                             false,
		"https://mdm.example.com/%zz":  false,
	} {
		if u, err := orbit.ParseServer(server); (err == nil) != good {
			t.Errorf("%q: %v, %v", server, u, err)
		}
	}
}

// No answer makes the client panic, nor its message break a line of the log.
func FuzzAnswers(f *testing.F) {
	f.Add(401, `{"message":"not enrolled","errors":[{"name":"base","reason":"r"}]}`)
	f.Add(200, `{"notifications":{"windows_mdm_sync_request":true}}`)
	var status int
	var body string
	c := client(f, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
	f.Fuzz(func(t *testing.T, s int, b string) {
		status, body = 200+s&0xff, b
		_, err := c.Config(t.Context(), "key")
		if err != nil && status != http.StatusOK && strings.ContainsAny(err.Error(), "\n\r\x1b") {
			t.Errorf("%q", err)
		}
		if err == nil && !json.Valid([]byte(body)) {
			t.Errorf("%q was understood", body)
		}
	})
}
