package ade_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/ade"
)

// page is what a proxy answers.
const page = "<html><head><title>403 FORBIDDEN</title></head></html>"

func header1(name, value string) http.Header { return http.Header{name: {value}} }

func TestFailures(t *testing.T) {
	ahead := header1("Date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
	for name, c := range map[string]struct {
		what   string
		answer answer
		kind   ade.Kind
		code   string
		says   string
		wait   time.Duration
	}{
		"terms":                     {"GET /account", fault(403, "T_C_NOT_SIGNED"), ade.Terms, "T_C_NOT_SIGNED", "https://business.apple.com", 0},
		"terms, not quoted":         {"GET /account", answer{status: 403, body: "T_C_NOT_SIGNED\n"}, ade.Terms, "T_C_NOT_SIGNED", "terms", 0},
		"terms at the session":      {"GET /session", fault(403, "T_C_NOT_SIGNED"), ade.Terms, "T_C_NOT_SIGNED", "terms", 0},
		"revoked":                   {"GET /session", fault(401, "token_rejected"), ade.Revoked, "", "download a new token", 0},
		"revoked, without a word":   {"GET /session", answer{status: 401}, ade.Revoked, "", "(HTTP 401)", 0},
		"revoked, with a page":      {"GET /session", answer{status: 401, body: page}, ade.Revoked, "", "download", 0},
		"revoked, FORBIDDEN":        {"GET /session", fault(403, "FORBIDDEN"), ade.Revoked, "FORBIDDEN", "download", 0},
		"a fresh session is over":   {"GET /account", answer{status: 401}, ade.Revoked, "", "download", 0},
		"fresh and FORBIDDEN":       {"GET /account", fault(403, "FORBIDDEN"), ade.Revoked, "FORBIDDEN", "download", 0},
		"no access":                 {"GET /account", fault(403, "ACCESS_DENIED"), ade.Revoked, "ACCESS_DENIED", "download", 0},
		"no right to disown":        {"POST /devices/disown", fault(403, "ACCESS_DENIED"), ade.Refused, "ACCESS_DENIED", `"ACCESS_DENIED"`, 0},
		"clocks":                    {"GET /session", answer{401, `"oauth_problem"`, ahead}, ade.ClockSkewed, "", "NTP", 0},
		"clocks, but no auth":       {"GET /account", answer{400, `"BAD_THING"`, ahead}, ade.Refused, "BAD_THING", "BAD_THING", 0},
		"429":                       {"GET /account", answer{429, "", header1("Retry-After", "7")}, ade.Throttled, "", "in 7s", 7 * time.Second},
		"429 without a time":        {"GET /account", answer{status: 429, body: page}, ade.Throttled, "", "later", 0},
		"429 for years":             {"GET /account", answer{429, "", header1("Retry-After", "99999999")}, ade.Throttled, "", "24h", 24 * time.Hour},
		"429 nonsense":              {"GET /account", answer{429, "", header1("Retry-After", "-5")}, ade.Throttled, "", "later", 0},
		"503 with a time":           {"GET /session", answer{503, "", header1("Retry-After", "60")}, ade.Throttled, "", "in 1m0s", time.Minute},
		"503 THROTTLED":             {"GET /account", fault(503, "THROTTLED"), ade.Throttled, "THROTTLED", "later", 0},
		"503":                       {"GET /account", answer{status: 503}, ade.Unavailable, "", "out of order (HTTP 503)", 0},
		"500 with words":            {"GET /session", fault(500, "INTERNAL_ERROR"), ade.Unavailable, "INTERNAL_ERROR", "out of order", 0},
		"502 of a proxy":            {"GET /account", answer{status: 502, body: page}, ade.Unavailable, "", "a web page", 0},
		"403 of a proxy":            {"GET /session", answer{status: 403, body: page}, ade.Unavailable, "", "a web page", 0},
		"404 of a proxy":            {"GET /profile", answer{status: 404, body: page}, ade.Unavailable, "", "a web page", 0},
		"200 of a proxy":            {"GET /account", answer{body: page}, ade.Unavailable, "", "a web page", 0},
		"200 of one to the session": {"GET /session", answer{body: page}, ade.Unavailable, "", "a web page", 0},
		"a session without a name":  {"GET /session", ok(`{"auth_session_token":""}`), ade.Unavailable, "", "not what Apple documents", 0},
		"no JSON":                   {"GET /account", ok("hello"), ade.Unavailable, "", "not what Apple documents", 0},
		"other JSON":                {"POST /server/devices", ok(`{"devices":"none"}`), ade.Unavailable, "", "not what Apple documents", 0},
		"cut":                       {"POST /server/devices", ok(`{"devices":[{"serial_`), ade.Unavailable, "", "not what Apple documents", 0},
		"empty":                     {"GET /account", ok(""), ade.Unavailable, "", "not what Apple documents", 0},
		"201":                       {"POST /profile", answer{status: 201, body: `{}`}, ade.Unavailable, "", "HTTP 201", 0},
		"exhausted":                 {"POST /server/devices", fault(400, "EXHAUSTED_CURSOR"), ade.CursorExhausted, "EXHAUSTED_CURSOR", "no more", 0},
		"invalid":                   {"POST /devices/sync", fault(400, "INVALID_CURSOR"), ade.CursorInvalid, "INVALID_CURSOR", "fetched anew", 0},
		"expired":                   {"POST /devices/sync", fault(400, "EXPIRED_CURSOR"), ade.CursorExpired, "EXPIRED_CURSOR", "seven days", 0},
		"required":                  {"POST /devices/sync", fault(400, "CURSOR_REQUIRED"), ade.CursorInvalid, "CURSOR_REQUIRED", "fetched anew", 0},
		"no profile":                {"PUT /profile/devices", fault(404, "NOT_FOUND"), ade.ProfileNotFound, "NOT_FOUND", "defined anew", 0},
		"no profile, by name":       {"GET /profile", fault(400, "PROFILE_NOT_FOUND"), ade.ProfileNotFound, "PROFILE_NOT_FOUND", "defined anew", 0},
		"not found, no profile":     {"GET /account", fault(404, "NOT_FOUND"), ade.Refused, "NOT_FOUND", `"NOT_FOUND"`, 0},
		"refused":                   {"POST /profile", fault(400, "CONFIG_URL_REQUIRED"), ade.Refused, "CONFIG_URL_REQUIRED", `(HTTP 400): "CONFIG_`, 0},
		"refused without a word":    {"POST /profile", answer{status: 413}, ade.Refused, "", "does not say why", 0},
		"unknown user agent":        {"GET /session", fault(400, "USER_AGENT_INVALID"), ade.Refused, "USER_AGENT_INVALID", "USER_AGENT_INVALID", 0},
	} {
		s := newService(t)
		s.on(c.what, c.answer)
		f := failure(t, ask(t.Context(), s.client(), c.what))
		status := max(c.answer.status, 200)
		if f.Kind != c.kind || f.Code != c.code || f.Status != status || f.RetryAfter != c.wait || !strings.Contains(f.Message, c.says) {
			t.Errorf("%s: %s, code %q, HTTP %d, %s: %s", name, f.Kind, f.Code, f.Status, f.RetryAfter, f)
		}
	}
}

// ask makes the call that the endpoint is for.
func ask(ctx context.Context, c *ade.Client, what string) (err error) {
	switch what {
	case "GET /session", "GET /account":
		_, err = c.Account(ctx)
	case "POST /server/devices":
		_, err = c.Fetch(ctx, "c")
	case "POST /devices/sync":
		_, err = c.Sync(ctx, "c")
	case "POST /profile":
		_, err = c.Define(ctx, profile)
	case "GET /profile":
		_, err = c.Profile(ctx, "p")
	case "PUT /profile/devices":
		_, err = c.Assign(ctx, "p", []string{"C1"})
	case "POST /devices/disown":
		_, err = c.Disown(ctx, []string{"C1"})
	}
	return err
}

func TestRetryAfterADate(t *testing.T) {
	s := newService(t)
	s.on("GET /account", answer{429, "", http.Header{"Date": {"Thu, 04 Mar 2027 05:06:07 GMT"}, "Retry-After": {"Thu, 04 Mar 2027 05:08:07 GMT"}}})
	_, err := s.client().Account(t.Context())
	if f := failure(t, err); f.RetryAfter != 2*time.Minute {
		t.Error(f.RetryAfter)
	}
}

func TestAnExpiredTokenIsNamedSo(t *testing.T) {
	s := newService(t)
	s.on("GET /session", answer{status: 401})
	expired := token
	expired.Expiry = time.Now().Add(-time.Hour)
	c, err := ade.New(expired, ade.Options{URL: s.URL, Roots: trust(s.Server)})
	must(t, err)
	_, err = c.Account(t.Context())
	if f := failure(t, err); f.Kind != ade.Revoked || !strings.Contains(f.Message, "the token expired at 20") {
		t.Errorf("%s %v", f.Kind, f)
	}
}

func TestSecretsAndBodiesStayOut(t *testing.T) {
	s := newService(t)
	secrets := []string{token.ConsumerKey, token.ConsumerSecret, token.AccessToken, token.AccessSecret, "s1-session"}
	s.on("GET /session", ok(`{"auth_session_token":"s1-session"}`))
	s.on("GET /account", answer{status: 400, body: strings.Join(secrets, " ") + "\x1b[31m\n" + strings.Repeat("é", 1<<20)})
	_, err := s.client().Account(t.Context())
	f := failure(t, err)
	for _, secret := range secrets {
		if strings.Contains(f.Message, secret) {
			t.Errorf("%q is in %s", secret, f)
		}
	}
	if len(f.Message) > 500 || strings.ContainsAny(f.Message, "\x1b\n") || !strings.Contains(f.Message, "é") {
		t.Errorf("%d bytes: %q", len(f.Message), f)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		chunk := []byte(strings.Repeat(" ", 1<<20))
		for range 1 << 20 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	defer s.Close()
	c, err := ade.New(token, ade.Options{URL: s.URL, Roots: trust(s)})
	must(t, err)
	_, err = c.Account(t.Context())
	if f := failure(t, err); f.Kind != ade.Unavailable || !strings.Contains(f.Message, "32 MiB") {
		t.Errorf("%s %v", f.Kind, f)
	}
}

func TestNobodyAnswers(t *testing.T) {
	s := newService(t)
	stranger, err := ade.New(token, ade.Options{URL: s.URL}) // the system does not know its root
	must(t, err)
	known := s.client()
	_, err = stranger.Account(t.Context())
	if f := failure(t, err); f.Kind != ade.Unavailable || !strings.Contains(f.Message, "certificate") || s.calls() != "" {
		t.Errorf("%s %v", f.Kind, f)
	}
	s.Close()
	_, err = known.Account(t.Context())
	if f := failure(t, err); f.Kind != ade.Unavailable || f.Status != 0 || f.Unwrap() == nil || !strings.Contains(f.Message, "refused") {
		t.Errorf("%s %v", f.Kind, f)
	}
}
