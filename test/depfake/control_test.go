package depfake_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/test/depfake"
)

// All that a test of another process needs is at the control endpoint.
func TestControl(t *testing.T) {
	b := loggedIn(t, depfake.Options{})
	control := httptest.NewServer(b.Control())
	t.Cleanup(control.Close)
	ask := func(method, path, body string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, control.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := control.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		content, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(content)
	}
	good := func(method, path, body string) string {
		t.Helper()
		status, content := ask(method, path, body)
		if status != http.StatusOK {
			t.Errorf("%s %s: %d %s", method, path, status, content)
		}
		return content
	}

	good("POST", "/devices", `[{"serial_number":"A0"},{"serial_number":"A1","model":"iPad","asset_tag":"1"},{"serial_number":"A2"}]`)
	good("PATCH", "/devices", `[{"serial_number":"A1","asset_tag":"2"}]`)
	good("DELETE", "/devices", `["A2"]`)
	good("POST", "/devices/repeat", `["A2"]`)
	var truth map[string]depfake.Device
	err := json.Unmarshal([]byte(good("GET", "/devices", "")), &truth)
	if err != nil || len(truth) != 2 || truth["A1"].AssetTag != "2" || truth["A1"].Model != "iPad" {
		t.Errorf("truth %v, %v", truth, err)
	}

	uuid := b.define(t, map[string]any{"devices": []string{"A0"}})
	if got := good("GET", "/activation/A0", ""); !strings.Contains(got, `"url":"https://mdm.example.com/ade/it/macs"`) {
		t.Errorf("activation %s", got)
	}
	for path, want := range map[string]int{"/activation/A1": http.StatusNoContent, "/activation/X": http.StatusNotFound} {
		if status, content := ask("GET", path, ""); status != want {
			t.Errorf("%s: %d %s", path, status, content)
		}
	}
	if got := good("GET", "/profiles", ""); !strings.Contains(got, uuid) {
		t.Errorf("profiles %s", got)
	}
	if got := good("GET", "/calls", ""); !strings.Contains(got, `"assignments":[{"operation":"assign","profile_uuid":"`+uuid+`","serials":["A0"]}]`) {
		t.Errorf("calls %s", got)
	}

	good("PUT", "/throttle", `{"requests":1,"seconds":5}`)
	good("POST", "/faults", `{"endpoint":"GET /account","faults":[{"status":503,"body":"<html>","header":{"retry-after":["7"]}}]}`)
	if a := b.do(t, "GET", "/account", ""); a.status != 429 || a.header.Get("Retry-After") != "5" {
		t.Errorf("throttled: %d %v", a.status, a.header)
	}
	if a := b.do(t, "GET", "/account", ""); a.status != 503 || a.header.Get("Retry-After") != "7" || string(a.body) != "<html>" {
		t.Errorf("fault: %d %v %s", a.status, a.header, a.body)
	}
	good("PUT", "/terms", `{"pending":true}`)
	if a := b.do(t, "GET", "/account", ""); a.status != 403 {
		t.Errorf("terms: %d", a.status)
	}
	good("PUT", "/terms", `{"pending":false}`)
	good("PUT", "/outcomes", `{"A0":"FAILED"}`)
	_, cursor, _ := b.all(t, "/server/devices", "")
	good("POST", "/cursors/exhaust", "")
	if a := b.do(t, "POST", "/devices/sync", listBody(cursor, 100)); a.code(t) != "EXHAUSTED_CURSOR" {
		t.Errorf("cursor: %d %s", a.status, a.body)
	}
	if got := good("GET", "/answers", ""); !strings.Contains(got, `"POST /devices/sync 400 EXHAUSTED_CURSOR":1`) {
		t.Errorf("answers %s", got)
	}
	good("DELETE", "/requests", "")
	if got := good("GET", "/requests", ""); strings.TrimSpace(got) != "{}" {
		t.Errorf("requests %s", got)
	}
	good("POST", "/sessions/forget", "")
	if a := b.do(t, "GET", "/account", ""); a.status != 403 {
		t.Errorf("a forgotten session: %d", a.status)
	}

	certPEM, keyPEM := newKey(t)
	if token, err := open(t, []byte(good("POST", "/upload", string(certPEM))), certPEM, keyPEM); err != nil || token != b.token {
		t.Errorf("token %+v, %v", token, err)
	}
	token, err := open(t, []byte(good("POST", "/renew", "")), certPEM, keyPEM)
	if err != nil || token.ConsumerKey != b.token.ConsumerKey || token == b.token {
		t.Errorf("renewed %+v, %v", token, err)
	}
	token, err = open(t, []byte(good("POST", "/renew?server=another", "")), certPEM, keyPEM)
	if err != nil || token.ConsumerKey == b.token.ConsumerKey {
		t.Errorf("another server's %+v, %v", token, err)
	}
	good("POST", "/revoke", "")
	b.token = b.Token()
	if a := b.login(t); a.status != 401 {
		t.Errorf("revoked: %d", a.status)
	}
	good("DELETE", "/profiles/"+uuid, "")
	if len(b.Profiles()) > 0 {
		t.Error("the profile is not forgotten")
	}

	for _, wrong := range [][3]string{
		{"POST", "/devices", `[{"model":"x"}]`}, {"POST", "/devices", `[{"serial":"x"}]`}, {"PATCH", "/devices", `[{"serial_number":"X"}]`},
		{"DELETE", "/devices", `["A0","X"]`}, {"PUT", "/outcomes", `{"A0":"DONE"}`}, {"POST", "/faults", `{"endpoint":"GET /x"}`}, {"POST", "/upload", "x"},
	} {
		if status, content := ask(wrong[0], wrong[1], wrong[2]); status != http.StatusBadRequest {
			t.Errorf("%v: %d %s", wrong, status, content)
		}
	}
	if len(b.Devices()) != 2 {
		t.Errorf("truth %v", b.Devices())
	}
}
