package agent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/mdmserver/agent"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

const (
	ping   = "/api/fleet/orbit/ping"
	enroll = "/api/fleet/orbit/enroll"
	config = "/api/fleet/orbit/config"

	poll  = `{"orbit_node_key":"node-key"}`
	enrol = `{"enroll_secret":"s3cret","hardware_uuid":"4C4C4544-0051-3510","hardware_serial":"PF0ABC","hostname":"pc-1","platform":"windows",` +
		`"osquery_identifier":"4C4C4544","computer_name":"PC-1","hardware_model":"ThinkPad","eua_token":""}`
)

func TestPingTellsWhatTheServerOffers(t *testing.T) {
	for _, method := range []string{http.MethodHead, http.MethodGet} {
		res := call(t, &fakeFleet{}, method, ping, "")
		if res.Code != http.StatusOK || res.Header().Get("X-Fleet-Capabilities") != "orbit_endpoints,windows_mdm_sync" {
			t.Errorf("%s: %d %v", method, res.Code, res.Header())
		}
	}
}

func TestEnrolmentAnswersWithANodeKey(t *testing.T) {
	f := &fakeFleet{}
	res := call(t, f, http.MethodPost, enroll, enrol)
	if res.Code != http.StatusOK || res.Body.String() != `{"orbit_node_key":"node-key"}` {
		t.Errorf("%d %s", res.Code, res.Body)
	}
	if res.Header().Get("Content-Type") != "application/json" || res.Header().Get("X-Fleet-Capabilities") == "" {
		t.Errorf("headers %v", res.Header())
	}
	if want := (fleet.AgentClaim{HardwareUUID: "4C4C4544-0051-3510", SerialNumber: "PF0ABC"}); f.claim != want {
		t.Errorf("claim %+v, want %+v", f.claim, want)
	}
	// The SHA-256 of "s3cret": fleet knows tokens by it.
	if want := "1ec1c26b50d5d3c58d9583181af8076655fe00756bf7285940ba3670f99fcba0"; f.hash != want {
		t.Errorf("token hash %s, want %s", f.hash, want)
	}
}

func TestWhatAMachineSaysOfItselfIsCleaned(t *testing.T) {
	f := &fakeFleet{}
	res := call(t, f, http.MethodPost, enroll, `{"hardware_uuid":" U\u0000 ","hardware_serial":"\tPF 0\u001b[31m\u202e ","hostname":"büro\n","platform":"windows"}`)
	want := fleet.AgentClaim{HardwareUUID: "U", SerialNumber: "PF 0[31m"}
	if res.Code != http.StatusOK || f.claim != want {
		t.Errorf("%d, claim %q, want %q", res.Code, f.claim, want)
	}
}

// Orbit reads these names and nothing else.
func TestEachNoticeIsANotification(t *testing.T) {
	for _, tc := range []struct {
		notice fleet.AgentNotice
		want   string
	}{
		{fleet.AgentNotice{}, `{"notifications":{}}`},
		{fleet.AgentNotice{Enroll: true},
			`{"notifications":{"needs_programmatic_windows_mdm_enrollment":true,"windows_mdm_discovery_endpoint":"` + discoveryURL + `"}}`},
		{fleet.AgentNotice{Unenroll: true}, `{"notifications":{"needs_programmatic_windows_mdm_unenrollment":true}}`},
		{fleet.AgentNotice{Sync: true}, `{"notifications":{"windows_mdm_sync_request":true}}`},
		{fleet.AgentNotice{Unenroll: true, Sync: true},
			`{"notifications":{"needs_programmatic_windows_mdm_unenrollment":true,"windows_mdm_sync_request":true}}`},
	} {
		res := call(t, &fakeFleet{notice: tc.notice}, http.MethodPost, config, poll)
		if res.Code != http.StatusOK || res.Body.String() != tc.want || res.Header().Get("Content-Length") != fmt.Sprint(len(tc.want)) {
			t.Errorf("%+v: %d %s (Content-Length %s), want %s", tc.notice, res.Code, res.Body, res.Header().Get("Content-Length"), tc.want)
		}
	}
}

// A 401 makes an agent throw its node key away, so only a proven fact may give one.
func TestWhatWentWrongHasItsStatus(t *testing.T) {
	for _, tc := range []struct {
		path string
		err  error
		want int
	}{
		{config, fleet.ErrNotEnrolled, http.StatusUnauthorized},
		{config, fmt.Errorf("looking: %w", fleet.ErrUnavailable), http.StatusServiceUnavailable},
		{config, context.DeadlineExceeded, http.StatusServiceUnavailable},
		{config, errors.New("a defect"), http.StatusServiceUnavailable},
		{enroll, fleet.ErrTokenUnknown, http.StatusUnauthorized},
		{enroll, fleet.ErrTokenExpired, http.StatusUnauthorized},
		{enroll, fleet.ErrTokenExhausted, http.StatusUnauthorized},
		{enroll, fleet.ErrReenrolmentBlocked, http.StatusForbidden},
		{enroll, fleet.ErrUnavailable, http.StatusServiceUnavailable},
	} {
		body := map[string]string{config: poll, enroll: enrol}[tc.path]
		res := call(t, &fakeFleet{err: tc.err}, http.MethodPost, tc.path, body)
		if res.Code != tc.want || (res.Header().Get("Retry-After") != "") != (tc.want == http.StatusServiceUnavailable) {
			t.Errorf("%s, %v: %d %v, want %d", tc.path, tc.err, res.Code, res.Header(), tc.want)
		}
		var problem struct {
			Message string
			Errors  []struct{ Name, Reason string }
		}
		if err := json.Unmarshal(res.Body.Bytes(), &problem); err != nil || problem.Message == "" || len(problem.Errors) != 1 || problem.Errors[0].Reason == "" {
			t.Errorf("%s, %v: %s is no clear error: %v", tc.path, tc.err, res.Body, err)
		}
	}
}

func TestBadRequestsAreRefusedAndReachNobody(t *testing.T) {
	for name, tc := range map[string]struct {
		path, body string
		want       int
	}{
		"nothing":              {config, ``, http.StatusBadRequest},
		"no JSON":              {config, `orbit_node_key=node-key`, http.StatusBadRequest},
		"two values":           {config, poll + poll, http.StatusBadRequest},
		"another type":         {config, `{"orbit_node_key":1}`, http.StatusBadRequest},
		"a list":               {enroll, `[]`, http.StatusBadRequest},
		"too deep":             {enroll, strings.Repeat(`[`, 20_000), http.StatusBadRequest},
		"too large":            {config, `{"orbit_node_key":"` + strings.Repeat("k", 64<<10) + `"}`, http.StatusRequestEntityTooLarge},
		"another platform":     {enroll, `{"hardware_uuid":"U","platform":"darwin"}`, http.StatusBadRequest},
		"no hardware UUID":     {enroll, `{"hardware_uuid":" ","platform":"windows"}`, http.StatusBadRequest},
		"a long serial number": {enroll, `{"hardware_uuid":"U","platform":"windows","hardware_serial":"` + strings.Repeat("S", 257) + `"}`, http.StatusBadRequest},
	} {
		f := &fakeFleet{}
		if res := call(t, f, http.MethodPost, tc.path, tc.body); res.Code != tc.want || f.hash != "" {
			t.Errorf("%s: %d %s, want %d; asked fleet: %v", name, res.Code, res.Body, tc.want, f.hash != "")
		}
	}
}

// Orbit takes a 404 for an older server, and a 401 for the loss of its node key.
func TestOtherCallsOfOrbitAreNotFound(t *testing.T) {
	for _, tc := range []struct{ method, path string }{
		{http.MethodPost, "/api/fleet/orbit/device_token"},
		{http.MethodPost, "/api/fleet/orbit/scripts/request"},
		{http.MethodPost, "/api/fleet/orbit/disk_encryption_key"},
		{http.MethodPut, "/api/fleet/orbit/device_mapping"},
		{http.MethodGet, config},
		{http.MethodPost, ping},
		{http.MethodGet, "/api/fleet/orbit/"},
	} {
		if res := call(t, &fakeFleet{}, tc.method, tc.path, poll); res.Code != http.StatusNotFound {
			t.Errorf("%s %s: %d", tc.method, tc.path, res.Code)
		}
	}
}

func TestTheLogNamesNobody(t *testing.T) {
	var log bytes.Buffer
	f := &fakeFleet{err: errors.New("a defect")}
	h := agent.New(agent.Options{Fleet: f, DiscoveryURL: discoveryURL, Log: slog.New(slog.NewTextHandler(&log, nil))}).Handler()
	for path, body := range map[string]string{enroll: enrol, config: poll} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)))
	}
	if !strings.Contains(log.String(), "a defect") {
		t.Errorf("a defect is not logged: %s", &log)
	}
	for _, secret := range []string{"s3cret", "node-key", "PF0ABC", "4C4C4544", "pc-1"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log says %q: %s", secret, &log)
		}
	}
}

// No body makes the endpoints panic, and what fleet is told is clean.
func FuzzRequests(f *testing.F) {
	f.Add(enrol)
	f.Add(poll)
	f.Add(`{"hardware_uuid":"\u0000U","platform":"windows"}`)
	f.Fuzz(func(t *testing.T, body string) {
		for _, path := range []string{enroll, config} {
			fleet := &fakeFleet{}
			res := call(t, fleet, http.MethodPost, path, body)
			if !json.Valid(res.Body.Bytes()) {
				t.Errorf("%s answers %q with %q", path, body, res.Body)
			}
			for _, said := range []string{fleet.claim.HardwareUUID, fleet.claim.SerialNumber} {
				if len(said) > 256 || strings.ContainsAny(said, "\x00\n\r\x1b") || strings.TrimSpace(said) != said {
					t.Errorf("fleet is told %q", said)
				}
			}
		}
	})
}
