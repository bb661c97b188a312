package admin_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// send makes a raw call with lease epoch 42 unless header says otherwise, and returns the status and the error of the answer.
func (s *server) send(t *testing.T, method, path string, body io.Reader, lease string) (int, adminapi.Error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(adminapi.HeaderLeaseEpoch, lease)
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var e adminapi.Error
	if res.StatusCode >= 300 {
		if err := json.NewDecoder(res.Body).Decode(&e); err != nil {
			t.Fatalf("%s: the body is no error: %v", res.Status, err)
		}
	}
	return res.StatusCode, e
}

func encode(t *testing.T, v any) io.Reader {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b)
}

func TestBadCallsNeverReachTheFleet(t *testing.T) {
	bigArtifact, otherArtifact, noScope := artifact, artifact, artifact
	bigArtifact.Template = make([]byte, adminapi.MaxArtifact+1)
	otherArtifact.Key = "fleet/other"
	noScope.Scope = "Everywhere"
	otherPlatform := artifact
	otherPlatform.Platform = "Android"
	noTargets, rawAction := action, action
	noTargets.Targets = nil
	rawAction.Apple = &adminapi.AppleCommand{RequestType: adminapi.AppleRaw, Raw: make([]byte, adminapi.MaxArtifact+1)}
	plainToken, otherToken := token, token
	plainToken.Hash, otherToken.Platforms = "the-token-itself", []adminapi.Platform{adminapi.PlatformWindows, "Android"}
	manyAssignments := adminapi.AssignmentBatch{Assignments: make([]adminapi.Assignment, adminapi.MaxBatch+1)}

	for name, tc := range map[string]struct {
		method, path string
		body         any
		lease        string
		status       int
		message      string
	}{
		"no lease":          {"PUT", "/v1/artifacts/fleet/wifi", artifact, "", 400, adminapi.HeaderLeaseEpoch},
		"bad lease":         {"GET", "/v1/changes?wait=1s", nil, "-1", 400, adminapi.HeaderLeaseEpoch},
		"not JSON":          {"PUT", "/v1/assignments", "text", "42", 400, "not the JSON"},
		"bad namespace":     {"PUT", "/v1/artifacts/UPPER/wifi", artifact, "42", 400, "namespace and a name"},
		"escaping name":     {"DELETE", "/v1/tokens/fleet/..%2fx", nil, "42", 400, "namespace and a name"},
		"another key":       {"PUT", "/v1/artifacts/fleet/wifi", otherArtifact, "42", 400, "the path names fleet/wifi"},
		"unknown scope":     {"PUT", "/v1/artifacts/fleet/wifi", noScope, "42", 400, "scope"},
		"large template":    {"PUT", "/v1/artifacts/fleet/wifi", bigArtifact, "42", 413, "template"},
		"retain":            {"DELETE", "/v1/artifacts/fleet/wifi?retain=perhaps", nil, "42", 400, "retain"},
		"many assignments":  {"PUT", "/v1/assignments", manyAssignments, "42", 413, "assignments"},
		"nameless device":   {"PUT", "/v1/assignments", adminapi.AssignmentBatch{Assignments: []adminapi.Assignment{{EnrollmentID: "E"}}}, "42", 400, "deviceID"},
		"action of nobody":  {"PUT", "/v1/actions/fleet/restart.now", noTargets, "42", 400, "targets"},
		"large raw command": {"PUT", "/v1/actions/fleet/restart.now", rawAction, "42", 413, "raw"},
		"another platform":  {"PUT", "/v1/artifacts/fleet/wifi", otherPlatform, "42", 400, "platform"},
		"token of another":  {"PUT", "/v1/tokens/fleet/office", otherToken, "42", 400, "platform"},
		"token in clear":    {"PUT", "/v1/tokens/fleet/office", plainToken, "42", 400, "hash"},
		"limit":             {"GET", "/v1/devices?limit=1001", nil, "42", 400, "limit"},
		"wait":              {"GET", "/v1/changes?wait=long", nil, "42", 400, "wait"},
		"result of nobody":  {"POST", "/v1/actions/fleet/restart.now/result", adminapi.ResultRequest{}, "42", 400, "deviceID"},
		"detail of nobody":  {"POST", "/v1/device-detail", adminapi.DetailRequest{}, "", 400, "deviceID"},
		"detail of a book":  {"POST", "/v1/device-detail", adminapi.DetailRequest{DeviceID: strings.Repeat("x", 256)}, "", 400, "deviceID"},
		"detail, not JSON":  {"POST", "/v1/device-detail", "text", "", 400, "not the JSON"},
		"states of nothing": {"GET", "/v1/artifacts/UPPER/wifi/states", nil, "", 400, "namespace and a name"},
		"states, limit":     {"GET", "/v1/artifacts/fleet/wifi/states?limit=0", nil, "", 400, "limit"},
		"history, wait":     {"GET", "/v1/history?wait=-1s", nil, "", 400, "wait"},
		"history, no wait":  {"GET", "/v1/history?wait=", nil, "", 400, "wait"},
		"history, after":    {"GET", "/v1/history?after=-1", nil, "", 400, "after"},
		"history, too far":  {"GET", "/v1/history?after=9223372036854775808", nil, "", 400, "after"},
		"history, limit":    {"GET", "/v1/history?limit=1001", nil, "", 400, "limit"},
		"negative nack":     {"POST", "/v1/changes/ack", adminapi.Acks{StoreEpoch: "s", Nacks: []adminapi.Nack{{RetryAfterSeconds: -1}}}, "42", 400, "retryAfterSeconds"},
	} {
		t.Run(name, func(t *testing.T) {
			f := &domain{}
			s := serve(t, f)
			status, e := s.send(t, tc.method, tc.path, encode(t, tc.body), tc.lease)
			if status != tc.status || !strings.Contains(e.Message, tc.message) || f.called != "" {
				t.Errorf("got %d %v, the fleet saw %q; want %d with %q", status, e, f.called, tc.status, tc.message)
			}
		})
	}
}

func TestALargeBodyIsCutOff(t *testing.T) {
	s := serve(t, &domain{})
	body := io.MultiReader(strings.NewReader(`{"assignments": [`), io.LimitReader(spaces{}, 50<<20))
	if status, e := s.send(t, "PUT", "/v1/assignments", body, "42"); status != http.StatusRequestEntityTooLarge || e.Code != adminapi.CodeTooLarge {
		t.Errorf("got %d %v", status, e)
	}
}

type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// A manager one version ahead may send fields that this server does not know.
func TestUnknownFieldsAreTolerated(t *testing.T) {
	f := &domain{answer: &adminapi.AssignmentReply{}}
	s := serve(t, f)
	body := strings.NewReader(`{"assignments": [{"deviceID": "U1", "enrollmentID": "E1", "artifacts": [], "priority": 9}], "dryRun": false}`)
	if status, e := s.send(t, "PUT", "/v1/assignments", body, "42"); status != http.StatusOK || f.called == "" {
		t.Errorf("got %d %v", status, e)
	}
}

func TestALongPollIsBoundedAndEndsWhenTheServerStops(t *testing.T) {
	f := &domain{answer: &adminapi.Changes{}}
	s := serve(t, f)
	if _, err := s.client.Changes(t.Context(), time.Hour, 10); err != nil || f.called != "Changes 42 55s 10" {
		t.Errorf("%v, the fleet saw %q", err, f.called)
	}
	f.answer = &adminapi.HistoryPage{}
	if _, err := s.client.History(t.Context(), 3, time.Hour, 10); err != nil || f.called != "History 3 55s 10" {
		t.Errorf("%v, the fleet saw %q", err, f.called)
	}

	for name, poll := range map[string]func(*adminapi.Client) error{
		"Changes": func(c *adminapi.Client) error { _, err := c.Changes(t.Context(), time.Minute, 10); return err },
		"History": func(c *adminapi.Client) error { _, err := c.History(t.Context(), 3, time.Minute, 10); return err },
	} {
		f := &domain{block: make(chan struct{})}
		s := serve(t, f)
		ended := make(chan error)
		go func() { ended <- poll(s.client) }()
		<-f.block
		close(s.stopping)
		if err := <-ended; adminapi.CodeOf(err) != adminapi.CodeUnavailable {
			t.Errorf("%s: got %v, want %s", name, err, adminapi.CodeUnavailable)
		}
	}
}
