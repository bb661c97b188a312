package validate_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/validate"
)

const mobileconfig = `<plist><dict>
<key>PayloadType</key><string>Configuration</string>
<key>PayloadIdentifier</key><string>com.example.test</string>
<key>PayloadContent</key><array/>
</dict></plist>`

var noSuchOperator = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Near", Values: []string{"b"}}}}

func profile(change func(*v1alpha1.ProfileSpec)) *v1alpha1.Profile {
	p := &v1alpha1.Profile{Spec: v1alpha1.ProfileSpec{
		Selector: &metav1.LabelSelector{},
		Apple:    &v1alpha1.AppleProfile{Mobileconfig: &v1alpha1.ContentSource{Inline: mobileconfig}},
	}}
	change(&p.Spec)
	return p
}

func payloads(item v1alpha1.Payload) func(*v1alpha1.ProfileSpec) {
	return func(s *v1alpha1.ProfileSpec) {
		s.Apple = &v1alpha1.AppleProfile{Payloads: &v1alpha1.PayloadList{Items: []v1alpha1.Payload{item}}}
	}
}

func settings(all ...v1alpha1.WindowsSetting) func(*v1alpha1.ProfileSpec) {
	return func(s *v1alpha1.ProfileSpec) { s.Apple, s.Windows = nil, &v1alpha1.WindowsProfile{Settings: all} }
}

func syncML(source v1alpha1.ContentSource) func(*v1alpha1.ProfileSpec) {
	return func(s *v1alpha1.ProfileSpec) {
		s.Apple, s.Windows = nil, &v1alpha1.WindowsProfile{SyncML: &v1alpha1.SyncMLProfile{ContentSource: source}}
	}
}

func TestEveryFaultOfAProfileHasItsField(t *testing.T) {
	errs := validate.Profile(profile(settings(
		v1alpha1.WindowsSetting{LocURI: "./Elsewhere", Format: v1alpha1.FormatText, Value: new("1")},
		v1alpha1.WindowsSetting{LocURI: "./DevDetail/B", Format: v1alpha1.FormatBoolean, Value: new("1")},
	)))
	if len(errs) != 2 || errs[0].Field != "spec.windows.settings[0].locURI" || errs[1].Field != "spec.windows.settings[1].value" {
		t.Errorf("errors %v", errs)
	}
}

func TestProfile(t *testing.T) {
	ref := v1alpha1.KeyReference{Name: "s", Key: "k"}
	for name, c := range map[string]struct {
		change func(*v1alpha1.ProfileSpec)
		field  string // "" is valid
		says   string
	}{
		"mobileconfig": {change: func(*v1alpha1.ProfileSpec) {}},
		"no property list": {
			change: func(s *v1alpha1.ProfileSpec) { s.Apple.Mobileconfig.Inline = "{}" },
			field:  "spec.apple.mobileconfig.inline", says: "XML property list",
		},
		"enrolment": {
			change: func(s *v1alpha1.ProfileSpec) {
				s.Apple.Mobileconfig.Inline = strings.Replace(mobileconfig, "<array/>",
					"<array><dict><key>PayloadType</key><string>com.apple.mdm</string></dict></array>", 1)
			},
			field: "spec.apple.mobileconfig.inline", says: "MDM payload",
		},
		"what is not at hand is not judged": {change: func(s *v1alpha1.ProfileSpec) {
			s.Apple.Mobileconfig = &v1alpha1.ContentSource{SecretRef: &ref}
		}},
		"payloads": {change: payloads(v1alpha1.Payload{
			Type: "com.apple.wifi.managed", Settings: runtime.RawExtension{Raw: []byte(`{"SSID_STR": "x"}`)},
			SecretValues: []v1alpha1.SecretValue{{Path: "/Password", SecretRef: ref}},
		})},
		"a secret value without a place": {
			change: payloads(v1alpha1.Payload{
				Type: "com.apple.wifi.managed", Settings: runtime.RawExtension{Raw: []byte(`{"SSID_STR": "x"}`)},
				SecretValues: []v1alpha1.SecretValue{{Path: "/SSID_STR/Password", SecretRef: ref}},
			}),
			field: "spec.apple.payloads", says: "/SSID_STR/Password",
		},
		"settings that no property list can hold": {
			change: payloads(v1alpha1.Payload{Type: "a", Settings: runtime.RawExtension{Raw: []byte(`{"a": null}`)}}),
			field:  "spec.apple.payloads", says: "null",
		},
		"settings": {change: settings(v1alpha1.WindowsSetting{LocURI: "./DevDetail/A", Format: v1alpha1.FormatInteger, Value: new("1")})},
		"a path elsewhere": {
			change: settings(v1alpha1.WindowsSetting{LocURI: "./Elsewhere", Format: v1alpha1.FormatText, Value: new("1")}),
			field:  "spec.windows.settings[0].locURI", says: "outside the management tree",
		},
		"a value of another format": {
			change: settings(
				v1alpha1.WindowsSetting{LocURI: "./DevDetail/A", Format: v1alpha1.FormatText, Value: new("1")},
				v1alpha1.WindowsSetting{LocURI: "./DevDetail/B", Format: v1alpha1.FormatBoolean, Value: new("1")},
			),
			field: "spec.windows.settings[1].value", says: "neither true nor false",
		},
		"a Secret's value is not judged": {change: settings(v1alpha1.WindowsSetting{
			LocURI: "./DevDetail/A", Format: v1alpha1.FormatInteger, ValueFrom: &v1alpha1.SettingValueSource{SecretRef: ref},
		})},
		"a user's node": {
			change: settings(v1alpha1.WindowsSetting{LocURI: "./User/Vendor/A", Format: v1alpha1.FormatText, Value: new("1")}),
			field:  "spec.windows.settings[0].locURI", says: "spec.scope User",
		},
		"SyncML": {
			change: syncML(v1alpha1.ContentSource{Inline: "<Get/>"}),
			field:  "spec.windows.syncML.inline", says: "no command of a Profile",
		},
		"SyncML that is not at hand": {change: syncML(v1alpha1.ContentSource{SecretRef: &ref})},
		"selector": {
			change: func(s *v1alpha1.ProfileSpec) { s.Selector = noSuchOperator },
			field:  "spec.selector.matchExpressions[0].operator", says: "Near",
		},
		"excludeSelector": {
			change: func(s *v1alpha1.ProfileSpec) { s.ExcludeSelector = noSuchOperator },
			field:  "spec.excludeSelector.matchExpressions[0].operator", says: "Near",
		},
	} {
		t.Run(name, func(t *testing.T) { expect(t, validate.Profile(profile(c.change)), c.field, c.says) })
	}
}

func TestDeviceCommand(t *testing.T) {
	raw := func(plist string) *v1alpha1.DeviceCommand {
		return &v1alpha1.DeviceCommand{Spec: v1alpha1.DeviceCommandSpec{Action: v1alpha1.CommandAction{
			Type: v1alpha1.ActionRaw, Raw: &v1alpha1.RawAction{Plist: plist},
		}}}
	}
	rawWindows := func(locURI string) *v1alpha1.DeviceCommand {
		c := raw("")
		c.Spec.Action.Raw.Windows = &v1alpha1.RawWindowsCommand{Verb: v1alpha1.RawExec, LocURI: locURI}
		return c
	}
	trust := func(source v1alpha1.ContentSource) *v1alpha1.DeviceCommand {
		return &v1alpha1.DeviceCommand{Spec: v1alpha1.DeviceCommandSpec{Action: v1alpha1.CommandAction{
			InstallCertificate: &v1alpha1.InstallCertificateAction{Certificate: source},
		}}}
	}
	request := func(of string) string {
		return "<plist><dict><key>RequestType</key><string>" + of + "</string></dict></plist>"
	}
	for name, c := range map[string]struct {
		command *v1alpha1.DeviceCommand
		field   string
		says    string
	}{
		"no parameters":      {command: &v1alpha1.DeviceCommand{Spec: v1alpha1.DeviceCommandSpec{Action: v1alpha1.CommandAction{Type: v1alpha1.ActionRestart}}}},
		"raw":                {command: raw(request("Settings"))},
		"raw: no XML":        {raw("Settings"), "spec.action.raw.plist", "XML property list"},
		"raw: binary":        {raw("bplist00"), "spec.action.raw.plist", "binary"},
		"raw: no type":       {raw("<plist><dict/></plist>"), "spec.action.raw.plist", "RequestType"},
		"raw: no dictionary": {raw("<plist><array/></plist>"), "spec.action.raw.plist", "property list"},
		"raw: wrapped":       {raw("<plist><dict><key>Command</key><dict/></dict></plist>"), "spec.action.raw.plist", "alone"},
		"raw: erase":         {raw(request("EraseDevice")), "spec.action.raw.plist", "type Wipe"},
		"raw: path":          {rawWindows("./Elsewhere"), "spec.action.raw.windows.locURI", "outside the management tree"},
		"raw: RemoteWipe":    {rawWindows("./Vendor/MSFT/remotew%69pe/doWipe"), "spec.action.raw.windows.locURI", "type Wipe"},
		"raw: for PCs":       {command: rawWindows("./Vendor/MSFT/Update/ScanNow")},
		"certificate":        {trust(v1alpha1.ContentSource{Inline: "hello"}), "spec.action.installCertificate.certificate", "PEM"},
		"certificate: later": {command: trust(v1alpha1.ContentSource{SecretRef: &v1alpha1.KeyReference{}})},
		"raw: install":       {raw(request("InstallProfile")), "spec.action.raw.plist", "use a Profile"},
		"raw: remove":        {raw(request("RemoveProfile")), "spec.action.raw.plist", "delete the Profile"},
		"selector": {
			&v1alpha1.DeviceCommand{Spec: v1alpha1.DeviceCommandSpec{Target: v1alpha1.CommandTarget{Selector: noSuchOperator}}},
			"spec.target.selector.matchExpressions[0].operator", "Near",
		},
	} {
		t.Run(name, func(t *testing.T) { expect(t, validate.DeviceCommand(c.command), c.field, c.says) })
	}
}

func TestEnrollmentToken(t *testing.T) {
	for name, c := range map[string]struct {
		labels map[string]string
		field  string
		says   string
	}{
		"none":        {},
		"good":        {labels: map[string]string{"example.com/team": "design", "site": "bern"}},
		"no label":    {map[string]string{"white space": "x"}, "spec.labels", "name part"},
		"no value":    {map[string]string{"site": "white space"}, "spec.labels", "white space"},
		"ours":        {map[string]string{v1alpha1.LabelServer: "x"}, "spec.labels[mdm.kubemdm.io/server]", "set by the operator"},
		"not quite":   {labels: map[string]string{"notmdm.kubemdm.io/server": "x"}},
		"ours as key": {labels: map[string]string{"mdm.kubemdm.io": "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, validate.EnrollmentToken(&v1alpha1.EnrollmentToken{Spec: v1alpha1.EnrollmentTokenSpec{Labels: c.labels}}), c.field, c.says)
		})
	}
}

func FuzzDeviceCommandRaw(f *testing.F) {
	f.Add("<plist><dict><key>RequestType</key><string>Settings</string></dict></plist>")
	f.Add("<plist><dict><key>RequestType</key><dict/></dict></plist>")
	f.Fuzz(func(_ *testing.T, plist string) {
		validate.DeviceCommand(&v1alpha1.DeviceCommand{Spec: v1alpha1.DeviceCommandSpec{ // must return
			Action: v1alpha1.CommandAction{Raw: &v1alpha1.RawAction{Plist: plist}},
		}})
	})
}

// expect wants no error, or exactly one, on that field and with those words.
func expect(t *testing.T, errs field.ErrorList, path, says string) {
	t.Helper()
	switch {
	case path == "" && len(errs) > 0:
		t.Errorf("refused: %v", errs)
	case path != "" && (len(errs) != 1 || errs[0].Field != path || !strings.Contains(errs[0].Error(), says)):
		t.Errorf("errors %v, want one of %s with %q", errs, path, says)
	}
}
