package ade_test

import (
	"encoding/base64"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/ade"
)

var profile = ade.Profile{
	ProfileName: "Macs", URL: "https://mdm.example.com/ade/school/macs", AwaitDeviceConfigured: true, IsMandatory: true, IsSupervised: true,
	Department: "IT", OrgMagic: "913FABBB", SupportPhoneNumber: "1-408", SupportEmailAddress: "it@example.com", Language: "de", Region: "DE",
	ConfigurationWebURL: "https://mdm.example.com/ade/school/macs/signin", AnchorCerts: [][]byte{{1, 2, 3}}, SkipSetupItems: []string{"Siri", "AppleID"},
}

func TestProfilesAreDefinedAndReadBack(t *testing.T) {
	s := newService(t)
	s.on("POST /profile", ok(`{"profile_uuid":"88fc","devices":{}}`))
	c := s.client()
	uuid, err := c.Define(t.Context(), profile)
	if err != nil || uuid != "88fc" {
		t.Fatalf("%q %v", uuid, err)
	}
	sent := s.asked[1].body
	for member, want := range map[string]any{
		"profile_name": "Macs", "url": profile.URL, "await_device_configured": true, "is_mandatory": true, "is_mdm_removable": false, "is_supervised": true,
		"allow_pairing": false, "is_multi_user": false, "auto_advance_setup": false, "department": "IT", "org_magic": "913FABBB",
		"support_phone_number": "1-408", "support_email_address": "it@example.com", "language": "de", "region": "DE",
		"configuration_web_url": profile.ConfigurationWebURL, "anchor_certs": []any{base64.StdEncoding.EncodeToString([]byte{1, 2, 3})},
		"skip_setup_items": []any{"Siri", "AppleID"},
	} {
		if got := members(t, sent)[member]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v, want %v", member, got, want)
		}
	}
	s.on("GET /profile", ok(`{"profile_uuid":"88fc","devices":["C1"],"unknown":1,`+sent[1:]))
	got, err := c.Profile(t.Context(), "88fc")
	if err != nil || !reflect.DeepEqual(got, profile) || got.Digest() != profile.Digest() || s.asked[2].query != "profile_uuid=88fc" {
		t.Errorf("%v %+v, asked with %s", err, got, s.asked[2].query)
	}
}

func TestAProfileWithoutAName(t *testing.T) {
	s := newService(t)
	s.on("POST /profile", ok(`{}`))
	_, err := s.client().Define(t.Context(), profile)
	if f := failure(t, err); f.Kind != ade.Unavailable {
		t.Errorf("%s %v", f.Kind, f)
	}
}

func TestDigests(t *testing.T) {
	const golden = "a1c3c5e3ce659fa4a066509c717ba0c8f98e53a7bd90f1b6f2f30c1c28eca7df"
	if got := profile.Digest(); got != golden {
		t.Errorf("%s: every profile would be defined anew", got)
	}
	other := profile
	other.SkipSetupItems = []string{"AppleID", "Siri", "Siri"}
	if other.Digest() != golden {
		t.Error("the order of what is skipped counts")
	}
	if !reflect.DeepEqual(profile.SkipSetupItems, []string{"Siri", "AppleID"}) {
		t.Error("the digest changed the profile")
	}
	for i := range reflect.TypeFor[ade.Profile]().NumField() {
		other := profile
		switch field := reflect.ValueOf(&other).Elem().Field(i); v := field.Addr().Interface().(type) {
		case *string:
			*v += "x"
		case *bool:
			*v = !*v
		case *[]string:
			*v = []string{"AppleID"}
		case *[][]byte:
			*v = nil
		}
		if other.Digest() == golden {
			t.Errorf("%s is no part of the digest", reflect.TypeFor[ade.Profile]().Field(i).Name)
		}
	}
}

func TestAssignments(t *testing.T) {
	const answered = `{"profile_uuid":"88fc","devices":{"C1":"SUCCESS","C2":"NOT_ACCESSIBLE","C3":"FAILED","C4":"ELSE","C9":"SUCCESS"}}`
	want := map[string]ade.Result{"C1": ade.Success, "C2": ade.NotAccessible, "C3": ade.Failed, "C4": ade.Failed, "C5": ade.Failed}
	serials := []string{"C5", "C4", "C3", "C2", "C1", "C1"}
	s := newService(t)
	s.on("PUT /profile/devices", ok(answered))
	s.on("DELETE /profile/devices", ok(answered))
	s.on("POST /devices/disown", ok(answered))
	c := s.client()
	for i, call := range []func() (map[string]ade.Result, error){
		func() (map[string]ade.Result, error) { return c.Assign(t.Context(), "88fc", serials) },
		func() (map[string]ade.Result, error) { return c.Remove(t.Context(), serials) },
		func() (map[string]ade.Result, error) { return c.Disown(t.Context(), serials) },
	} {
		got, err := call()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("call %d: %v %v", i, err, got)
		}
	}
	const named = `"devices":["C1","C2","C3","C4","C5"]}`
	for i, before := range []string{`{"profile_uuid":"88fc",`, "{", "{"} {
		if got := s.asked[i+1].body; got != before+named {
			t.Errorf("call %d: %s", i, got)
		}
	}
}

func TestThrottledAssignments(t *testing.T) {
	for retry, want := range map[string]time.Duration{
		`,"retry_after_seconds":120`: 2 * time.Minute, `,"retry_after_seconds":"120"`: 2 * time.Minute, "": 0, `,"retry_after_seconds":-1`: 0,
		`,"retry_after_seconds":1e300`: 24 * time.Hour, `,"retry_after_seconds":1e999`: 0, `,"retry_after_seconds":"NaN"`: 0,
	} {
		s := newService(t)
		s.on("PUT /profile/devices", ok(`{"devices":{"C1":"SUCCESS","C2":"THROTTLED"}`+retry+`}`))
		got, err := s.client().Assign(t.Context(), "p", []string{"C1", "C2"})
		f := failure(t, err)
		if f.Kind != ade.Throttled || f.RetryAfter != want || !strings.Contains(f.Message, "1 of 2") {
			t.Errorf("%s: %s %s %v", retry, f.Kind, f.RetryAfter, f)
		}
		if !reflect.DeepEqual(got, map[string]ade.Result{"C1": ade.Success, "C2": ade.Deferred}) {
			t.Errorf("%s: %v", retry, got)
		}
	}
}

func TestChunks(t *testing.T) {
	s := newService(t)
	s.on("PUT /profile/devices", ok(`{"devices":{}}`))
	c := s.client()
	var serials []string
	for i := range ade.MaxChunk + 1 {
		serials = append(serials, fmt.Sprintf("C%d", i))
	}
	if _, err := c.Assign(t.Context(), "p", serials); err == nil || s.calls() != "" {
		t.Errorf("%v, %s", err, s.calls())
	}
	if got, err := c.Assign(t.Context(), "p", nil); err != nil || len(got) != 0 || s.calls() != "" {
		t.Errorf("%v %v, %s", got, err, s.calls())
	}
	if got, err := c.Assign(t.Context(), "p", serials[1:]); err != nil || len(got) != ade.MaxChunk {
		t.Errorf("%d %v", len(got), err)
	}
}
