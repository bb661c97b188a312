package depfake_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/test/depfake"
)

func TestASession(t *testing.T) {
	b := newBench(t, depfake.Options{Organization: "Acme", ServerName: "north"})
	if a := b.do(t, http.MethodGet, "/account", ""); a.status != http.StatusUnauthorized || a.code(t) != "UNAUTHORIZED" {
		t.Errorf("without a session: %d %s", a.status, a.body)
	}
	b.session = "made-up"
	if a := b.do(t, http.MethodGet, "/account", ""); a.status != http.StatusForbidden || a.code(t) != "FORBIDDEN" {
		t.Errorf("with a session that never was: %d %s", a.status, a.body)
	}
	b.login(t)
	var account map[string]string
	b.do(t, http.MethodGet, "/account", "").decode(t, &account)
	if account["org_name"] != "Acme" || account["server_name"] != "north" || account["server_uuid"] == "" || account["admin_id"] == "" {
		t.Errorf("account %v", account)
	}
	b.clock.advance(depfake.SessionLife - time.Second)
	if a := b.do(t, http.MethodGet, "/account", ""); a.status != http.StatusOK {
		t.Errorf("shortly before the end: %d %s", a.status, a.body)
	}
	b.clock.advance(time.Second)
	if a := b.do(t, http.MethodGet, "/account", ""); a.status != http.StatusUnauthorized || a.code(t) != "UNAUTHORIZED" {
		t.Errorf("after three minutes: %d %s", a.status, a.body)
	}
	if got, want := b.Requests()["GET /account"], 5; got != want {
		t.Errorf("%d requests were counted, want %d: %v", got, want, b.Requests())
	}
	if got := b.Answers(); got["GET /account 200"] != 2 || got["GET /account 401 UNAUTHORIZED"] != 2 || got["GET /session 200"] != 1 {
		t.Errorf("answers %v", got)
	}
}

func TestSessionsAreEnded(t *testing.T) {
	b := loggedIn(t, depfake.Options{})
	b.EndSessions(false)
	if a := b.do(t, http.MethodGet, "/account", ""); a.status != http.StatusUnauthorized {
		t.Errorf("ended: %d %s", a.status, a.body)
	}
	b.login(t)
	b.EndSessions(true)
	if a := b.do(t, http.MethodGet, "/account", ""); a.status != http.StatusForbidden || a.code(t) != "FORBIDDEN" {
		t.Errorf("forgotten: %d %s", a.status, a.body)
	}
}

// A client that does not take the new session of an answer is out.
func TestSessionsRotate(t *testing.T) {
	b := loggedIn(t, depfake.Options{Rotate: 1})
	for range 3 {
		former := b.session
		if a := b.do(t, http.MethodGet, "/account", ""); a.status != http.StatusOK || b.session == former {
			t.Fatalf("%d %s, session changed: %t", a.status, a.body, b.session != former)
		}
		next := b.session
		b.session = former
		if a := b.do(t, http.MethodGet, "/account", ""); a.status != http.StatusUnauthorized {
			t.Errorf("with the former session: %d %s", a.status, a.body)
		}
		b.session = next
	}
}

func TestWhoIsRefusedASession(t *testing.T) {
	for name, tc := range map[string]struct {
		change  func(*bench)
		status  int
		problem string
	}{
		"another secret":   {func(b *bench) { b.token.ConsumerSecret = "x" }, 401, "signature_invalid"},
		"another token":    {func(b *bench) { b.token.AccessToken = "x" }, 401, "token_rejected"},
		"another key":      {func(b *bench) { b.token.ConsumerKey = "x" }, 401, "consumer_key_unknown"},
		"a revoked server": {func(b *bench) { b.Revoke() }, 401, "token_rejected"},
		"an expired token": {func(b *bench) { b.clock.advance(366 * 24 * time.Hour) }, 401, "token_expired"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, depfake.Options{})
			tc.change(b)
			a := b.login(t)
			if a.status != tc.status || !strings.Contains(a.header.Get("WWW-Authenticate"), tc.problem) || a.code(t) != "UNAUTHORIZED" {
				t.Errorf("%d %s %s", a.status, a.body, a.header)
			}
		})
	}
}

func TestANonceIsUsedOnce(t *testing.T) {
	b := newBench(t, depfake.Options{})
	b.header.Set("Authorization", b.sign("once"))
	if a := b.do(t, http.MethodGet, "/session", ""); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	a := b.do(t, http.MethodGet, "/session", "")
	if a.status != http.StatusUnauthorized || !strings.Contains(a.header.Get("WWW-Authenticate"), "nonce_used") {
		t.Errorf("again: %d %s", a.status, a.header)
	}
	b.header.Del("Authorization")
	if a := b.do(t, http.MethodGet, "/session", ""); a.status != http.StatusBadRequest || a.code(t) != "BAD_REQUEST" {
		t.Errorf("unsigned: %d %s", a.status, a.body)
	}
}

// A client whose clock is wrong finds the service's in the answer.
func TestAWrongClock(t *testing.T) {
	b := newBench(t, depfake.Options{})
	b.header.Set("Authorization", b.sign("n"))
	b.clock.advance(6 * time.Minute)
	a := b.do(t, http.MethodGet, "/session", "")
	if a.status != http.StatusUnauthorized || !strings.Contains(a.header.Get("WWW-Authenticate"), "timestamp_refused") {
		t.Errorf("%d %s", a.status, a.header)
	}
	if at, err := http.ParseTime(a.header.Get("Date")); err != nil || !at.Equal(b.clock.Now()) {
		t.Errorf("date %s, %v", a.header.Get("Date"), err)
	}
}

func TestTermsThatWait(t *testing.T) {
	b := loggedIn(t, depfake.Options{})
	b.SetTerms(true)
	for _, a := range []answer{b.do(t, http.MethodGet, "/account", ""), b.login(t)} {
		if a.status != http.StatusForbidden || a.code(t) != "T_C_NOT_SIGNED" {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	b.SetTerms(false)
	if a := b.do(t, http.MethodGet, "/account", ""); a.status != http.StatusOK {
		t.Errorf("afterwards: %d %s", a.status, a.body)
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	b := loggedIn(t, depfake.Options{})
	for name, tc := range map[string]struct {
		method, path, body, header, value string
		status                            int
		want                              string
	}{
		"no user agent":         {header: "User-Agent", status: 400, want: "USER_AGENT_MISSING"},
		"a nameless user agent": {header: "User-Agent", value: "Go-http-client/1.1", status: 400, want: "USER_AGENT_INVALID"},
		"a bad user agent":      {header: "User-Agent", value: "client", status: 400, want: "USER_AGENT_INVALID"},
		"no protocol version":   {header: "X-Server-Protocol-Version", status: 400, want: "PROTOCOL_VERSION_INVALID"},
		"an unknown version":    {header: "X-Server-Protocol-Version", value: "11", status: 400, want: "PROTOCOL_VERSION_INVALID"},
		"no content type":       {method: "POST", path: "/devices", body: "{}", header: "Content-Type", status: 400, want: "CONTENT_TYPE_INVALID"},
		"XML": {method: "POST", path: "/devices", body: "{}", header: "Content-Type", value: "text/xml",
			status: 400, want: "CONTENT_TYPE_INVALID"},
		"another method":   {method: "POST", path: "/account", status: 405, want: "METHOD_NOT_ALLOWED"},
		"another path":     {path: "/accounts", status: 404, want: "NOT_FOUND"},
		"no JSON":          {method: "POST", path: "/devices", body: "{", status: 400, want: "MALFORMED_REQUEST_BODY"},
		"no body":          {method: "POST", path: "/devices", status: 400, want: "MALFORMED_REQUEST_BODY"},
		"two bodies":       {method: "POST", path: "/devices", body: `{"devices":["x"]}{}`, status: 400, want: "MALFORMED_REQUEST_BODY"},
		"another type":     {method: "POST", path: "/devices", body: `{"devices":"x"}`, status: 400, want: "MALFORMED_REQUEST_BODY"},
		"an unknown field": {method: "POST", path: "/devices", body: `{"device":["x"]}`, status: 400, want: "MALFORMED_REQUEST_BODY"},
		"a large body":     {method: "POST", path: "/devices", body: strings.Repeat(" ", 1<<20+1), status: 413, want: "MALFORMED_REQUEST_BODY"},
	} {
		t.Run(name, func(t *testing.T) {
			b.header = http.Header{}
			if tc.header != "" {
				b.header[tc.header] = []string{tc.value}
			}
			if tc.method == "" {
				tc.method = http.MethodGet
			}
			if tc.path == "" {
				tc.path = "/account"
			}
			if a := b.do(t, tc.method, tc.path, tc.body); a.status != tc.status || a.code(t) != tc.want {
				t.Errorf("%d %s, want %d %s", a.status, a.body, tc.status, tc.want)
			}
		})
	}
}

func TestFaults(t *testing.T) {
	b := loggedIn(t, depfake.Options{})
	b.Add(devices("A", 1)...)
	get := func() answer { return b.do(t, http.MethodGet, "/account", "") }
	b.Fail("GET /account", depfake.Error(500, "INTERNAL_ERROR"), depfake.WebPage(502), depfake.RetryLater(503, 90*time.Second))
	if a := get(); a.status != 500 || a.code(t) != "INTERNAL_ERROR" {
		t.Errorf("first: %d %s", a.status, a.body)
	}
	if a := get(); a.status != 502 || !strings.HasPrefix(string(a.body), "<!DOCTYPE html>") || a.header.Get("Content-Type") != "text/html" {
		t.Errorf("second: %d %s", a.status, a.body)
	}
	if a := get(); a.status != 503 || a.header.Get("Retry-After") != "90" {
		t.Errorf("third: %d %s", a.status, a.header)
	}
	if a := get(); a.status != 200 {
		t.Errorf("afterwards: %d %s", a.status, a.body)
	}
	b.Throttle(2, time.Minute)
	if a := b.login(t); a.status != 200 {
		t.Errorf("a session while throttled: %d", a.status)
	}
	for _, want := range []int{429, 429, 200} {
		if a := get(); a.status != want || want == 429 && (a.header.Get("Retry-After") != "60" || a.code(t) != "THROTTLED") {
			t.Errorf("throttled: %d %s %s, want %d", a.status, a.body, a.header, want)
		}
	}
	b.Fail("GET /session", depfake.Error(403, "ACCESS_DENIED"))
	if a := b.login(t); a.status != 403 || a.code(t) != "ACCESS_DENIED" {
		t.Errorf("session: %d %s", a.status, a.body)
	}
	b.Fail("POST /devices/disown", depfake.Lost())
	if a, err := b.send(t.Context(), http.MethodPost, "/devices/disown", `{"devices":["A0"]}`); err == nil {
		t.Errorf("a lost answer: %d %s", a.status, a.body)
	}
	if len(b.Devices()) > 0 {
		t.Error("the work of the lost answer was not done")
	}
}
