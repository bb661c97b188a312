package depfake_test

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/test/depfake"
)

type results struct {
	UUID       string `json:"profile_uuid"`
	Devices    map[string]string
	RetryAfter int `json:"retry_after_seconds"`
}

// define defines a profile with more fields than it must have.
func (b *bench) define(t *testing.T, more map[string]any) string {
	t.Helper()
	fields := map[string]any{"profile_name": "macs", "url": "https://mdm.example.com/ade/it/macs"}
	maps.Copy(fields, more)
	var r results
	b.do(t, http.MethodPost, "/profile", jsonText(t, fields)).decode(t, &r)
	if r.UUID == "" {
		t.Fatal("no identifier")
	}
	return r.UUID
}

func TestAProfile(t *testing.T) {
	b := loggedIn(t, depfake.Options{})
	b.Add(devices("A", 1)...)
	anchor, _ := pem.Decode(b.CAPEM)
	fields := map[string]any{
		"profile_name": "macs", "url": "https://mdm.example.com/ade/it/macs", "await_device_configured": true, "is_supervised": true,
		"is_mdm_removable": false, "org_magic": "m", "department": "IT", "skip_setup_items": []any{"Siri", "AppleID"}, "language": "de", "region": "DE",
		"anchor_certs": []any{base64.StdEncoding.EncodeToString(anchor.Bytes)},
	}
	uuid := b.define(t, fields)
	var got map[string]any
	b.do(t, http.MethodGet, "/profile?profile_uuid="+uuid, "").decode(t, &got)
	if got["profile_uuid"] != uuid {
		t.Errorf("identifier %v", got["profile_uuid"])
	}
	delete(got, "profile_uuid")
	if !reflect.DeepEqual(got, fields) {
		t.Errorf("got  %v\nwant %v", got, fields)
	}
	var stored map[string]any
	if err := json.Unmarshal(b.Profiles()[uuid], &stored); err != nil || !reflect.DeepEqual(stored, fields) {
		t.Errorf("%v, %v", stored, err)
	}
	withDevice := b.define(t, map[string]any{"devices": []string{"A0"}})
	if d := b.Devices()["A0"]; d.ProfileUUID != withDevice || withDevice == uuid {
		t.Errorf("a device that came with the profile: %+v", d)
	}
	for path, want := range map[string]string{"/profile": "PROFILE_UUID_REQUIRED", "/profile?profile_uuid=x": "NOT_FOUND"} {
		if a := b.do(t, http.MethodGet, path, ""); a.status != 400 || a.code(t) != want {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}

func TestProfilesThatAreRefused(t *testing.T) {
	b := loggedIn(t, depfake.Options{})
	long := func(n int) string { return strings.Repeat("ü", n) }
	for name, tc := range map[string]struct {
		fields map[string]any
		want   string
	}{
		"no name":                     {map[string]any{"profile_name": nil}, "CONFIG_NAME_REQUIRED"},
		"an empty name":               {map[string]any{"profile_name": ""}, "CONFIG_NAME_INVALID"},
		"a long name":                 {map[string]any{"profile_name": long(126)}, "CONFIG_NAME_INVALID"},
		"no URL":                      {map[string]any{"url": nil}, "CONFIG_URL_REQUIRED"},
		"a URL of HTTP":               {map[string]any{"url": "http://mdm.example.com"}, "CONFIG_URL_INVALID"},
		"a long URL":                  {map[string]any{"url": "https://mdm.example.com/" + strings.Repeat("x", 2000)}, "CONFIG_URL_INVALID"},
		"a web URL without a host":    {map[string]any{"configuration_web_url": "https:"}, "CONFIG_URL_INVALID"},
		"an empty department":         {map[string]any{"department": ""}, "DEPARTMENT_INVALID"},
		"an empty magic":              {map[string]any{"org_magic": ""}, "MAGIC_INVALID"},
		"a long magic":                {map[string]any{"org_magic": long(257)}, "MAGIC_INVALID"},
		"a long email":                {map[string]any{"support_email_address": long(251)}, "SUPPORT_EMAIL_INVALID"},
		"a long phone number":         {map[string]any{"support_phone_number": long(51)}, "SUPPORT_PHONE_INVALID"},
		"a language in words":         {map[string]any{"language": "German"}, "LOCALE_INVALID"},
		"a region in small letters":   {map[string]any{"region": "de"}, "LOCALE_INVALID"},
		"not removable, unsupervised": {map[string]any{"is_mdm_removable": false}, "FLAGS_INVALID"},
		"an anchor in PEM":            {map[string]any{"anchor_certs": []string{string(b.CAPEM)}}, "MALFORMED_REQUEST_BODY"},
		"a flag in words":             {map[string]any{"is_supervised": "yes"}, "MALFORMED_REQUEST_BODY"},
		"an unknown field":            {map[string]any{"supervised": true}, "MALFORMED_REQUEST_BODY"},
		"too many devices":            {map[string]any{"devices": make([]string, 1001)}, "DEVICE_LIMIT_EXCEEDED"},
	} {
		t.Run(name, func(t *testing.T) {
			fields := map[string]any{"profile_name": "macs", "url": "https://mdm.example.com/ade"}
			maps.Copy(fields, tc.fields)
			if a := b.do(t, http.MethodPost, "/profile", jsonText(t, fields)); a.status != 400 || a.code(t) != tc.want {
				t.Errorf("%d %s, want %s", a.status, a.body, tc.want)
			}
		})
	}
	if n := len(b.Profiles()); n > 0 {
		t.Errorf("%d profiles", n)
	}
}

func TestAssignAndRemove(t *testing.T) {
	b := loggedIn(t, depfake.Options{})
	b.Add(devices("A", 3)...)
	uuid := b.define(t, nil)
	_, cursor, _ := b.all(t, "/server/devices", "")
	for _, method := range []string{http.MethodPut, http.MethodPost} {
		var r results
		b.do(t, method, "/profile/devices", jsonText(t, map[string]any{"profile_uuid": uuid, "devices": []string{"A0", "A1", "X"}})).decode(t, &r)
		if want := map[string]string{"A0": "SUCCESS", "A1": "SUCCESS", "X": "NOT_ACCESSIBLE"}; !maps.Equal(r.Devices, want) || r.UUID != uuid {
			t.Errorf("%s: %+v", method, r)
		}
	}
	truth := b.Devices()
	if d := truth["A0"]; d.ProfileUUID != uuid || d.ProfileStatus != depfake.Assigned || !d.ProfileAssignedAt.Equal(b.clock.Now()) {
		t.Errorf("assigned: %+v", d)
	}
	if d := truth["A2"]; d.ProfileUUID != "" || d.ProfileStatus != depfake.Empty {
		t.Errorf("not assigned: %+v", d)
	}
	var r results
	b.do(t, http.MethodDelete, "/profile/devices", `{"devices":["A1","A2","X"]}`).decode(t, &r)
	if want := map[string]string{"A1": "SUCCESS", "A2": "SUCCESS", "X": "NOT_ACCESSIBLE"}; !maps.Equal(r.Devices, want) {
		t.Errorf("removal: %+v", r)
	}
	if d := b.Devices()["A1"]; d.ProfileUUID != "" || d.ProfileStatus != depfake.Removed || !d.ProfileAssignedAt.IsZero() {
		t.Errorf("after removal %+v", d)
	}
	if got := b.Assignments(); len(got) != 2 || got[0].UUID != uuid || !slices.Equal(got[0].Serials, []string{"A0", "A1", "X"}) {
		t.Errorf("assignments %v", got)
	}
	if got := b.Removals(); len(got) != 1 || !slices.Equal(got[0].Serials, []string{"A1", "A2", "X"}) {
		t.Errorf("removals %v", got)
	}
	known := b.Devices()
	changes, _, _ := b.all(t, "/devices/sync", cursor)
	replay(known, changes)
	if !reflect.DeepEqual(known, b.Devices()) || len(changes) != 5 {
		t.Errorf("%d changes, known %v", len(changes), known)
	}
}

func TestAssignmentsThatAreRefused(t *testing.T) {
	b := loggedIn(t, depfake.Options{})
	uuid := b.define(t, nil)
	many := serials(devices("A", 1001))
	for name, tc := range map[string]struct {
		method, path, body string
		status             int
		want               string
	}{
		"no profile":         {"PUT", "/profile/devices", `{"devices":["A0"]}`, 400, "PROFILE_UUID_REQUIRED"},
		"no device":          {"PUT", "/profile/devices", jsonText(t, map[string]any{"profile_uuid": uuid}), 400, "DEVICE_ID_REQUIRED"},
		"an unknown profile": {"PUT", "/profile/devices", `{"profile_uuid":"x","devices":["A0"]}`, 404, "NOT_FOUND"},
		"too many": {"PUT", "/profile/devices", jsonText(t, map[string]any{"profile_uuid": uuid, "devices": many}), 400,
			"DEVICE_LIMIT_EXCEEDED"},
		"too many to remove": {"DELETE", "/profile/devices", jsonText(t, map[string]any{"devices": many}), 400, "DEVICE_LIMIT_EXCEEDED"},
		"none to remove":     {"DELETE", "/profile/devices", `{}`, 400, "DEVICE_ID_REQUIRED"},
		"none to disown":     {"POST", "/devices/disown", `{}`, 400, "DEVICE_ID_REQUIRED"},
		"too many to look at": {"POST", "/devices", jsonText(t, map[string]any{"devices": many}), 400,
			"DEVICE_LIMIT_EXCEEDED"},
	} {
		t.Run(name, func(t *testing.T) {
			if a := b.do(t, tc.method, tc.path, tc.body); a.status != tc.status || a.code(t) != tc.want {
				t.Errorf("%d %s, want %d %s", a.status, a.body, tc.status, tc.want)
			}
		})
	}
	if n := len(b.Assignments()); n > 0 {
		t.Errorf("%d calls", n)
	}
}

func TestOutcomes(t *testing.T) {
	b := loggedIn(t, depfake.Options{})
	b.Add(devices("A", 2)...)
	b.SetOutcome("A0", depfake.Failed)
	b.SetOutcome("A1", depfake.Throttled)
	body := jsonText(t, map[string]any{"profile_uuid": b.define(t, nil), "devices": []string{"A0", "A1"}})
	for version, want := range map[string]results{
		"7":  {Devices: map[string]string{"A0": "FAILED", "A1": "FAILED"}},
		"9":  {Devices: map[string]string{"A0": "FAILED", "A1": "THROTTLED"}},
		"10": {Devices: map[string]string{"A0": "FAILED", "A1": "THROTTLED"}, RetryAfter: 60},
	} {
		b.header.Set("X-Server-Protocol-Version", version)
		var r results
		b.do(t, http.MethodPost, "/profile/devices", body).decode(t, &r)
		if !maps.Equal(r.Devices, want.Devices) || r.RetryAfter != want.RetryAfter {
			t.Errorf("version %s: %+v", version, r)
		}
	}
	if d := b.Devices()["A0"]; d.ProfileUUID != "" {
		t.Errorf("%+v", d)
	}
}

func TestDisown(t *testing.T) {
	b := loggedIn(t, depfake.Options{})
	b.Add(devices("A", 2)...)
	_, cursor, _ := b.all(t, "/server/devices", "")
	var r results
	b.do(t, http.MethodPost, "/devices/disown", `{"devices":["A1","A1","X"]}`).decode(t, &r)
	if want := map[string]string{"A1": "SUCCESS", "X": "NOT_ACCESSIBLE"}; !maps.Equal(r.Devices, want) {
		t.Errorf("%v", r)
	}
	if _, there := b.Devices()["A1"]; there || len(b.Devices()) != 1 || len(b.Disowned()) != 1 {
		t.Errorf("truth %v", b.Devices())
	}
	if changes, _, _ := b.all(t, "/devices/sync", cursor); len(changes) != 1 || changes[0].Op != "deleted" {
		t.Errorf("changes %v", changes)
	}
}

func TestActivation(t *testing.T) {
	b := loggedIn(t, depfake.Options{})
	b.Add(devices("A", 2)...)
	uuid := b.define(t, map[string]any{"devices": []string{"A0"}})
	profile, err := b.Activate("A0")
	if err != nil || string(profile) != string(b.Profiles()[uuid]) {
		t.Errorf("%s, %v", profile, err)
	}
	if d := b.Devices()["A0"]; d.ProfileStatus != depfake.Pushed || d.ProfilePushedAt.IsZero() || d.ProfileUUID != uuid {
		t.Errorf("%+v", d)
	}
	if profile, err := b.Activate("A1"); err != nil || profile != nil {
		t.Errorf("without a profile: %s, %v", profile, err)
	}
	if _, err := b.Activate("X"); !errors.Is(err, depfake.ErrNotListed) {
		t.Errorf("not listed: %v", err)
	}
}
