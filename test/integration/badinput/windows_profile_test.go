package badinput_test

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/devicesim/windows"
)

const camera = "./Device/Vendor/MSFT/Policy/Config/Camera/AllowCamera"

// setting is a Profile of one setting for PCs.
func setting(name, locURI string, format mdmv1alpha1.SettingFormat, value string) *mdmv1alpha1.Profile {
	return forPCs(name, mdmv1alpha1.WindowsProfile{
		Type: mdmv1alpha1.WindowsSettings, Settings: []mdmv1alpha1.WindowsSetting{{LocURI: locURI, Format: format, Value: &value}},
	})
}

func forPCs(name string, content mdmv1alpha1.WindowsProfile) *mdmv1alpha1.Profile {
	return &mdmv1alpha1.Profile{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: mdmv1alpha1.ProfileSpec{
		ServerRef: mdmv1alpha1.LocalReference{Name: "mdm"}, Selector: &metav1.LabelSelector{}, Windows: &content,
	}}
}

// pc enrols a PC by a token that a person types, and runs its first session.
func (w *world) pc(token string) *windows.PC {
	w.Helper()
	w.invite(&mdmv1alpha1.EnrollmentToken{ObjectMeta: metav1.ObjectMeta{Name: token}, Spec: mdmv1alpha1.EnrollmentTokenSpec{
		Platforms: []mdmv1alpha1.Platform{mdmv1alpha1.PlatformWindows},
	}})
	pc, err := windows.New(windows.Options{Hardware: windows.Laptop(token, 0), Roots: w.roots, Dial: w.pod.DialDevices, Key: keys.Key})
	w.must(err)
	w.secrets = append(w.secrets, pc.Hardware().SerialNumber)
	w.must(pc.EnrollWithPassword(w.Context(), "https://mdm.example.com", "ana@example.com", w.tokenOf(token)))
	w.session(pc)
	return pc
}

// tokenOf is the token of an EnrollmentToken that invite made.
func (w *world) tokenOf(name string) string {
	w.Helper()
	token, secret := &mdmv1alpha1.EnrollmentToken{}, &corev1.Secret{}
	w.get(name, token)
	w.get(token.Status.SecretRef.Name, secret)
	return string(secret.Data["token"])
}

func (w *world) session(pc *windows.PC) {
	w.Helper()
	_, err := pc.Session(w.Context(), windows.SessionOptions{})
	w.must(err)
}

// reads waits until a PC has a value at a node.
func (w *world) reads(pc *windows.PC, locURI, want string) {
	w.Helper()
	w.eventually(locURI+" to be "+want, func(context.Context) string {
		w.session(pc)
		node, _ := pc.Node(locURI)
		if node.Data != want {
			return "it is " + node.Data
		}
		return ""
	})
}

// What no PC could take is told field by field, with webhooks and without, and never sent.
func TestSettingsThatNoPCTakes(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		profile *mdmv1alpha1.Profile
		says    []string
	}{
		"outside": {setting("outside", "./Devices/Vendor/MSFT/A", "chr", "x"), []string{"spec.windows.settings[0].locURI", "outside the management tree"}},
		"upwards": {setting("upwards", "./Vendor/../User/A", "chr", "x"), []string{"spec.windows.settings[0].locURI", ".."}},
		"user":    {setting("user", "./User/Vendor/MSFT/A", "chr", "x"), []string{"spec.windows.settings[0].locURI", "spec.scope User"}},
		"wipe":    {setting("wipe", "./Vendor/MSFT/%52emoteWipe/doWipe", "chr", ""), []string{"spec.windows.settings[0].locURI", "type Wipe"}},
		"number":  {setting("number", camera, "int", "none"), []string{"spec.windows.settings[0].value", "whole number"}},
		"boolean": {setting("boolean", camera, "bool", "yes"), []string{"spec.windows.settings[0].value", "neither true nor false"}},
		"xml":     {setting("xml", camera, "xml", "<a>"), []string{"spec.windows.settings[0].value", "well-formed"}},
		"base64":  {setting("base64", camera, "b64", "?"), []string{"spec.windows.settings[0].value", "base64"}},
		"entities": {
			forPCs("entities", mdmv1alpha1.WindowsProfile{Type: mdmv1alpha1.WindowsSyncML, SyncML: &mdmv1alpha1.SyncMLProfile{
				ContentSource: mdmv1alpha1.ContentSource{Inline: `<!DOCTYPE a [<!ENTITY b "c">]><Replace>&b;</Replace>`},
			}}),
			[]string{"spec.windows.syncML.inline", "document type"},
		},
	} {
		w.create(c.profile)
		message := w.expect(&mdmv1alpha1.Profile{}, name, "Accepted=False/Invalid")
		for _, says := range c.says {
			if !strings.Contains(message, says) {
				t.Errorf("%s: %q does not say %q", name, message, says)
			}
		}
	}
	edit(w, "number", &mdmv1alpha1.Profile{}, func(p *mdmv1alpha1.Profile) { p.Spec.Windows.Settings[0].Value = new("0") })
	w.expect(&mdmv1alpha1.Profile{}, "number", "Ready=True/Ready")
}

// What comes from a ConfigMap is judged when it is rendered, and PCs keep what they have until it is in order.
func TestSyncMLThatCannotBeUsedTakesNothingAway(t *testing.T) {
	w := newWorld(t)
	replace := func(locURI, format, value string) string {
		return "<Replace><Item><Target><LocURI>" + locURI + "</LocURI></Target><Meta><Format>" + format + "</Format></Meta><Data>" + value + "</Data></Item></Replace>"
	}
	w.create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "content"}, Data: map[string]string{"syncml": replace(camera, "int", "0")}})
	w.create(forPCs("camera", mdmv1alpha1.WindowsProfile{Type: mdmv1alpha1.WindowsSyncML, SyncML: &mdmv1alpha1.SyncMLProfile{
		ContentSource: mdmv1alpha1.ContentSource{ConfigMapRef: &mdmv1alpha1.KeyReference{Name: "content", Key: "syncml"}},
	}}))
	pc := w.pc("office")
	w.reads(pc, camera, "0")
	for content, want := range map[string]string{
		"garbage":                               "Rendered=False/Unreadable",
		strings.Repeat("<Atomic>", 1000):        "Rendered=False/Unreadable",
		"<Get><Item/></Get>":                    "Rendered=False/Unreadable",
		replace("./Elsewhere", "int", "0"):      "Rendered=False/Unreadable",
		replace(camera, "int", "none"):          "Rendered=False/Unreadable",
		replace("./SyncML/DMAcc/x", "chr", "0"): "Rendered=False/ForbiddenPayload",
		"<Delete><Item><Target><LocURI>./Vendor</LocURI></Target></Item></Delete>": "Rendered=False/ForbiddenPayload",
	} {
		edit(w, "content", &corev1.ConfigMap{}, func(m *corev1.ConfigMap) { m.Data["syncml"] = content })
		poke(w, "camera", &mdmv1alpha1.Profile{})
		w.expect(&mdmv1alpha1.Profile{}, "camera", want)
		w.session(pc)
		if node, _ := pc.Node(camera); node.Data != "0" {
			t.Fatalf("%.40s: the PC lost its setting", content)
		}
	}
	edit(w, "content", &corev1.ConfigMap{}, func(m *corev1.ConfigMap) { m.Data["syncml"] = replace(camera, "int", "1") })
	poke(w, "camera", &mdmv1alpha1.Profile{})
	w.reads(pc, camera, "1")
	w.expect(&mdmv1alpha1.Profile{}, "camera", "Converged=True/Installed")
}

// A raw command that would erase or unenrol is refused however its path is written, and nothing is sent.
func TestRawCommandsThatErase(t *testing.T) {
	w := newWorld(t)
	for name, locURI := range map[string]string{
		"plain": "./Device/Vendor/MSFT/RemoteWipe/doWipe", "encoded": "./Vendor/MSFT/%2552emote%57ipe/doWipe", "lower": "./vendor/msft/remotewipe/dowipe",
		"unenrol": "./Device/Vendor/MSFT/DMClient/Provider/KubeMDM/Unenroll",
	} {
		c := &mdmv1alpha1.DeviceCommand{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: mdmv1alpha1.DeviceCommandSpec{
			ServerRef: mdmv1alpha1.LocalReference{Name: "mdm"}, Target: mdmv1alpha1.CommandTarget{Selector: &metav1.LabelSelector{}},
			Action: mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionRaw, Raw: &mdmv1alpha1.RawAction{
				Windows: &mdmv1alpha1.RawWindowsCommand{Verb: mdmv1alpha1.RawExec, LocURI: locURI},
			}},
		}}
		w.create(c)
		if message := w.expect(c, name, "Accepted=False/Invalid"); !strings.Contains(message, "spec.action.raw.windows.locURI") || !strings.Contains(message, "of type ") {
			t.Errorf("%s: %q", name, message)
		}
	}
}
