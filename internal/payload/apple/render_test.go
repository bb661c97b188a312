package apple_test

import (
	"encoding/base64"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/payload/apple"
	"github.com/kubemdm/kubemdm/internal/payload/content"
	"github.com/kubemdm/kubemdm/test/golden"
)

var (
	wifiPassword = v1alpha1.KeyReference{Name: "wifi", Key: "password"}
	clientP12    = v1alpha1.KeyReference{Name: "client", Key: "identity.p12"}
	exported     = v1alpha1.KeyReference{Name: "exported", Key: "profile"}
)

var sources = content.Sources{
	ConfigMaps: map[v1alpha1.KeyReference][]byte{exported: []byte(minimal)},
	Secrets: map[v1alpha1.KeyReference][]byte{
		wifiPassword: []byte("correct <horse> & battery"),
		clientP12:    {0x30, 0x82, 0x00, 0xff},
		exported:     []byte(minimal),
	},
}

const minimal = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>PayloadType</key><string>Configuration</string>
	<key>PayloadIdentifier</key><string>com.example.minimal</string>
	<key>PayloadContent</key><array/>
</dict>
</plist>
`

func typed(items ...v1alpha1.Payload) *v1alpha1.Profile {
	return of(v1alpha1.AppleProfile{Type: v1alpha1.ApplePayloads, Payloads: &v1alpha1.PayloadList{Items: items}})
}

func inline(text string) *v1alpha1.Profile {
	return of(v1alpha1.AppleProfile{Type: v1alpha1.AppleMobileconfig, Mobileconfig: &v1alpha1.ContentSource{Inline: text}})
}

func of(source v1alpha1.AppleProfile) *v1alpha1.Profile {
	return &v1alpha1.Profile{
		ObjectMeta: metav1.ObjectMeta{Namespace: "fleet", Name: "office"},
		Spec:       v1alpha1.ProfileSpec{Scope: v1alpha1.ProfileScopeSystem, Apple: &source},
	}
}

func settings(json string) runtime.RawExtension { return runtime.RawExtension{Raw: []byte(json)} }

// profiles are the ones whose rendering is kept as golden files.
func profiles(t testing.TB) map[string]*v1alpha1.Profile {
	exportedByTool, err := os.ReadFile("testdata/exported.mobileconfig")
	if err != nil {
		t.Fatal(err)
	}
	named := typed(v1alpha1.Payload{Type: "com.apple.dock"})
	named.Spec.Scope = v1alpha1.ProfileScopeUser
	named.Spec.Apple.Payloads.Identifier = "com.example.dock"
	named.Spec.Apple.Payloads.DisplayName = "Dock"
	named.Spec.Apple.Payloads.Description = "No magnification"
	return map[string]*v1alpha1.Profile{
		"exported": inline(string(exportedByTool)),
		"named":    named,
		"values": typed(v1alpha1.Payload{Type: "com.example.values", Settings: settings(`{
			"Text": "a < b", "On": true, "Off": false, "Whole": 1, "Negative": -7, "Huge": 18446744073709551615, "Real": 1.5,
			"List": ["x", {"y": []}], "Data": {"$data": "AAEC"}, "Date": {"$date": "2026-11-21T12:00:00+02:00"},
			"PlainKey": {"$data": "AAEC", "other": "so this is an object"}
		}`)}),
		"secrets": typed(
			v1alpha1.Payload{
				Type:     "com.apple.wifi.managed",
				Settings: settings(`{"SSID_STR": "Office", "EAPClientConfiguration": {"AcceptEAPTypes": [13]}, "Servers": [{"Name": "a"}]}`),
				SecretValues: []v1alpha1.SecretValue{
					{Path: "/Password", SecretRef: wifiPassword},
					{Path: "/EAPClientConfiguration/UserPassword", SecretRef: wifiPassword},
					{Path: "/Made/On~1The~0Way", SecretRef: wifiPassword},
					{Path: "/Servers/0/Key", SecretRef: wifiPassword},
				},
			},
			v1alpha1.Payload{
				Type:         "com.apple.security.pkcs12",
				Settings:     settings(`{"PayloadUUID": "00000000-0000-0000-0000-000000000001", "PayloadIdentifier": "com.example.identity"}`),
				SecretValues: []v1alpha1.SecretValue{{Path: "/PayloadContent", Encoding: v1alpha1.SecretValueData, SecretRef: clientP12}},
			},
		),
	}
}

func TestRender(t *testing.T) {
	for name, profile := range profiles(t) {
		t.Run(name, func(t *testing.T) {
			got, err := apple.Render(profile, sources)
			if err != nil {
				t.Fatal(err)
			}
			text := "identifier " + got.Identifier + "\ndigest " + got.Digest + "\n" + string(got.Template)
			golden.Check(t, filepath.Join("testdata", name+".golden"), []byte(text)) // another result installs profiles again on every device
		})
	}
}

// A restored cluster has new UIDs, resource versions and times, and must reinstall nothing.
func TestRenderIsDurable(t *testing.T) {
	for name, profile := range profiles(t) {
		t.Run(name, func(t *testing.T) {
			restored := profile.DeepCopy()
			restored.UID, restored.ResourceVersion, restored.Generation = types.UID("another"), "99", 7
			restored.CreationTimestamp = metav1.Now()
			restored.Labels = map[string]string{"restored": "true"}
			restored.Spec.Signing = v1alpha1.ProfileUnsigned
			if a, b := render(t, profile), render(t, restored); a.Digest != b.Digest || a.Identifier != b.Identifier {
				t.Errorf("%s %s became %s %s", a.Identifier, a.Digest, b.Identifier, b.Digest)
			}
		})
	}
}

func TestDigestFollowsTheContent(t *testing.T) {
	wifi := profiles(t)["secrets"]
	before := render(t, wifi).Digest

	rotated := content.Sources{Secrets: maps.Clone(sources.Secrets)}
	rotated.Secrets[wifiPassword] = []byte("another")
	after, err := apple.Render(wifi, rotated)
	if err != nil {
		t.Fatal(err)
	}
	if after.Digest == before {
		t.Error("a new value of a Secret has the same digest")
	}

	moved := wifi.DeepCopy()
	moved.Namespace = "other"
	if render(t, moved).Digest == before {
		t.Error("a Profile of another namespace has the same digest")
	}
}

func TestSourcesOfAMobileconfig(t *testing.T) {
	want := render(t, inline(minimal))
	for name, source := range map[string]v1alpha1.ContentSource{
		"ConfigMap": {ConfigMapRef: &exported},
		"Secret":    {SecretRef: &exported},
	} {
		if got := render(t, of(v1alpha1.AppleProfile{Mobileconfig: &source})); got.Digest != want.Digest {
			t.Errorf("%s: digest %s, inline %s", name, got.Digest, want.Digest)
		}
	}
}

func TestReferences(t *testing.T) {
	one := []v1alpha1.KeyReference{exported}
	refs := apple.References(of(v1alpha1.AppleProfile{Mobileconfig: &v1alpha1.ContentSource{ConfigMapRef: &exported}}))
	if !slices.Equal(refs.ConfigMaps, one) || len(refs.Secrets) != 0 {
		t.Errorf("ConfigMap source: %v", refs)
	}
	refs = apple.References(of(v1alpha1.AppleProfile{Mobileconfig: &v1alpha1.ContentSource{SecretRef: &exported}}))
	if !slices.Equal(refs.Secrets, one) || len(refs.ConfigMaps) != 0 {
		t.Errorf("Secret source: %v", refs)
	}
	refs = apple.References(profiles(t)["secrets"])
	if want := []v1alpha1.KeyReference{wifiPassword, wifiPassword, wifiPassword, wifiPassword, clientP12}; !slices.Equal(refs.Secrets, want) {
		t.Errorf("secret values: %v, want %v", refs.Secrets, want)
	}
}

func render(t testing.TB, p *v1alpha1.Profile) *content.Rendered {
	t.Helper()
	r, err := apple.Render(p, sources)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRefusals(t *testing.T) {
	secret := func(path string) *v1alpha1.Profile {
		return typed(v1alpha1.Payload{
			Type: "com.apple.wifi.managed", Settings: settings(`{"List": ["x"], "Text": "y"}`),
			SecretValues: []v1alpha1.SecretValue{{Path: path, SecretRef: wifiPassword}},
		})
	}
	setting := func(json string) *v1alpha1.Profile {
		return typed(v1alpha1.Payload{Type: "com.example.any", Settings: settings(json)})
	}
	with := func(key, value string) *v1alpha1.Profile {
		return inline(strings.Replace(minimal, "<dict>", "<dict><key>"+key+"</key>"+value, 1))
	}
	huge := base64.StdEncoding.EncodeToString(make([]byte, adminapi.MaxArtifact))
	missing := v1alpha1.KeyReference{Name: "missing", Key: "x"}

	for name, c := range map[string]struct {
		profile *v1alpha1.Profile
		reason  string
		says    string
	}{
		"not XML":             {inline("hello"), v1alpha1.ProfileUnreadable, "XML property list"},
		"binary":              {inline("bplist00..."), v1alpha1.ProfileUnreadable, "binary"},
		"signed":              {inline("0\x82\x10"), v1alpha1.ProfileUnreadable, "unsigned"},
		"deep":                {inline("<plist>" + strings.Repeat("<array>", 10000)), v1alpha1.ProfileUnreadable, "deep"},
		"another kind":        {inline(strings.Replace(minimal, ">Configuration<", ">Profile<", 1)), v1alpha1.ProfileUnreadable, "Configuration"},
		"no identifier":       {inline(strings.Replace(minimal, "com.example.minimal", "", 1)), v1alpha1.ProfileUnreadable, "PayloadIdentifier"},
		"content is no array": {inline(strings.Replace(minimal, "<array/>", "<string/>", 1)), v1alpha1.ProfileUnreadable, "PayloadContent"},
		"payload is no dict":  {inline(strings.Replace(minimal, "<array/>", "<array><true/></array>", 1)), v1alpha1.ProfileUnreadable, "PayloadContent[0]"},
		"payload of no type":  {inline(strings.Replace(minimal, "<array/>", "<array><dict/></array>", 1)), v1alpha1.ProfileUnreadable, "PayloadType"},
		"MDM payload": {
			inline(strings.Replace(minimal, "<array/>", "<array><dict><key>PayloadType</key><string>com.apple.mdm</string></dict></array>", 1)),
			v1alpha1.ProfileForbiddenPayload, "MDM payload",
		},
		"enrolment's name": {
			inline(strings.Replace(minimal, "com.example.minimal", "io.kubemdm.fleet.Server.Enroll", 1)),
			v1alpha1.ProfileForbiddenPayload, "enrolment profile",
		},
		"missing source":      {of(v1alpha1.AppleProfile{Mobileconfig: &v1alpha1.ContentSource{ConfigMapRef: &missing}}), v1alpha1.ProfileUnreadable, "missing"},
		"no source":           {of(v1alpha1.AppleProfile{}), v1alpha1.ProfileUnreadable, "neither"},
		"too large":           {with("Blob", "<data>"+huge+"</data>"), v1alpha1.ProfileTooLarge, "split"},
		"typed MDM payload":   {typed(v1alpha1.Payload{Type: "com.apple.mdm"}), v1alpha1.ProfileForbiddenPayload, "MDM payload"},
		"settings: type":      {setting(`{"PayloadType": "com.apple.mdm"}`), v1alpha1.ProfileUnreadable, "PayloadType"},
		"settings: identity":  {setting(`{"PayloadUUID": null}`), v1alpha1.ProfileUnreadable, "/PayloadUUID is null"},
		"settings: null":      {setting(`{"a": [1, {"b": null}]}`), v1alpha1.ProfileUnreadable, "/a/1/b is null"},
		"settings: list":      {setting(`[]`), v1alpha1.ProfileUnreadable, "object"},
		"settings: literal":   {setting(`{"$data": "AAEC"}`), v1alpha1.ProfileUnreadable, "object"},
		"settings: no base64": {setting(`{"a": {"$data": "!"}}`), v1alpha1.ProfileUnreadable, "base64"},
		"settings: no date":   {setting(`{"a": {"$date": "today"}}`), v1alpha1.ProfileUnreadable, "RFC 3339"},
		"settings: number":    {setting(`{"a": 1e999}`), v1alpha1.ProfileUnreadable, "number"},
		"settings: deep":      {setting(strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100)), v1alpha1.ProfileUnreadable, "deep"},
		"settings: control":   {setting(`{"a": "\u0007"}`), v1alpha1.ProfileUnreadable, "U+0007"},
		"secret into a text":  {secret("/Text/x"), v1alpha1.ProfileUnreadable, "neither an object nor a list"},
		"secret past a list":  {secret("/List/1"), v1alpha1.ProfileUnreadable, "no index"},
		"secret as type":      {secret("/PayloadType"), v1alpha1.ProfileUnreadable, "PayloadType"},
		"missing secret": {
			typed(v1alpha1.Payload{Type: "a", SecretValues: []v1alpha1.SecretValue{{Path: "/x", SecretRef: missing}}}),
			v1alpha1.ProfileUnreadable, "/x is missing",
		},
		"binary secret as text": {
			typed(v1alpha1.Payload{Type: "a", SecretValues: []v1alpha1.SecretValue{{Path: "/x", SecretRef: clientP12}}}),
			v1alpha1.ProfileUnreadable, "encoding Data",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := apple.Render(c.profile, sources)
			var refused *content.Error
			if !errors.As(err, &refused) {
				t.Fatalf("error %v", err)
			}
			if refused.Reason != c.reason || !strings.Contains(refused.Message, c.says) {
				t.Errorf("%s: %s; want %s and %q", refused.Reason, refused.Message, c.reason, c.says)
			}
		})
	}
}

func TestErrorsQuoteNoSecret(t *testing.T) {
	broken := content.Sources{Secrets: map[v1alpha1.KeyReference][]byte{
		exported:     []byte("<plist><dict><key>PIN</key><integer>hunter2</integer></dict></plist>"),
		wifiPassword: []byte("hunter2\x00"),
	}}
	for name, profile := range map[string]*v1alpha1.Profile{
		"mobileconfig": of(v1alpha1.AppleProfile{Mobileconfig: &v1alpha1.ContentSource{SecretRef: &exported}}),
		"value":        typed(v1alpha1.Payload{Type: "a", SecretValues: []v1alpha1.SecretValue{{Path: "/x", SecretRef: wifiPassword}}}),
	} {
		if _, err := apple.Render(profile, broken); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
