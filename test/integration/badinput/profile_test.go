package badinput_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/devicesim"
)

const wifi = "com.example.wifi"

// mobileconfig is a configuration profile with this PayloadIdentifier, and something to change.
func mobileconfig(identifier, ssid string) string {
	return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>
<key>PayloadType</key><string>Configuration</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>` + identifier + `</string><key>PayloadUUID</key><string>5a0c0f6e-54b6-4c2b-8f6e-0d6a2f6f0001</string>
<key>PayloadContent</key><array><dict>
<key>PayloadType</key><string>com.apple.wifi.managed</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>` + identifier + `.1</string><key>PayloadUUID</key><string>5a0c0f6e-54b6-4c2b-8f6e-0d6a2f6f0002</string>
<key>SSID_STR</key><string>` + ssid + `</string>
</dict></array></dict></plist>`
}

// profile is a Profile for the devices of a team; nobody is all of them.
func profile(name, content string, team map[string]string) *mdmv1alpha1.Profile {
	return &mdmv1alpha1.Profile{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: mdmv1alpha1.ProfileSpec{
		ServerRef: mdmv1alpha1.LocalReference{Name: "mdm"}, Selector: &metav1.LabelSelector{MatchLabels: team},
		Apple: &mdmv1alpha1.AppleProfile{Type: mdmv1alpha1.AppleMobileconfig, Mobileconfig: &mdmv1alpha1.ContentSource{Inline: content}},
	}}
}

// fromSecret is a Profile whose content is in a Secret.
func fromSecret(name, secret string, team map[string]string) *mdmv1alpha1.Profile {
	p := profile(name, "", team)
	p.Spec.Apple.Mobileconfig.SecretRef = &mdmv1alpha1.KeyReference{Name: secret, Key: "profile"}
	return p
}

var team = map[string]string{"example.com/team": "design"}

// installed rolls a Profile out to n Macs.
func (w *world) installed(name string, n int) []*devicesim.Device {
	w.Helper()
	macs := w.enrol("design", team, n)
	w.create(profile(name, mobileconfig(wifi, "Office"), team))
	w.converge(name, macs)
	return macs
}

// converge lets the Macs connect until they are those that the Profile is for, and all have it.
func (w *world) converge(name string, macs []*devicesim.Device) {
	w.Helper()
	p := &mdmv1alpha1.Profile{}
	w.eventually(name+" to converge", func(ctx context.Context) string {
		w.idle(macs)
		if amiss := lacks(ctx, w.key(name), p, "Converged=True/Installed"); amiss != "" {
			return amiss
		}
		if targeted := ptr.Deref(p.Status.Targeted, 0); int(targeted) != len(macs) {
			return fmt.Sprintf("it is for %d devices", targeted)
		}
		return ""
	})
}

// What cannot be rendered is told, and devices keep what they have until it can.
func TestUnreadableContentTakesNothingAway(t *testing.T) {
	w := newWorld(t)
	macs := w.enrol("design", team, 1)
	w.secret("content", map[string][]byte{"profile": []byte(mobileconfig(wifi, "Office"))})
	w.create(fromSecret("wifi", "content", team))
	w.converge("wifi", macs)
	for name, c := range map[string]struct{ content, want string }{
		"no property list": {"garbage", "Rendered=False/Unreadable"},
		"binary":           {"bplist00garbage", "Rendered=False/Unreadable"},
		"no identifier":    {strings.Replace(mobileconfig(wifi, "Guests"), "PayloadIdentifier", "Other", 1), "Rendered=False/Unreadable"},
		"too deep":         {"<plist>" + strings.Repeat("<array>", 1000), "Rendered=False/Unreadable"},
		"an enrolment":     {strings.Replace(mobileconfig(wifi, "Guests"), "com.apple.wifi.managed", "com.apple.mdm", 1), "Rendered=False/ForbiddenPayload"},
	} {
		edit(w, "content", &corev1.Secret{}, func(s *corev1.Secret) { s.Data["profile"] = []byte(c.content) })
		poke(w, "wifi", &mdmv1alpha1.Profile{})
		w.expect(&mdmv1alpha1.Profile{}, "wifi", c.want)
		w.expect(&mdmv1alpha1.Profile{}, "wifi", "Ready"+strings.TrimPrefix(c.want, "Rendered"))
		w.idle(macs)
		if having(macs, wifi) != 1 {
			t.Fatalf("%s: the Mac lost its profile", name)
		}
	}
	edit(w, "content", &corev1.Secret{}, func(s *corev1.Secret) { s.Data["profile"] = []byte(mobileconfig(wifi, "Guests")) })
	poke(w, "wifi", &mdmv1alpha1.Profile{})
	w.expect(&mdmv1alpha1.Profile{}, "wifi", "Ready=True/Ready")
	w.eventually("the corrected profile", func(context.Context) string {
		w.idle(macs)
		if content := string(macs[0].Profiles()[wifi].Content); !strings.Contains(content, "Guests") {
			return content
		}
		return ""
	})
}

// Of two Profiles with one PayloadIdentifier the first keeps it; the second is told who has it, and reaches nobody.
func TestTwoProfilesWithOneIdentifier(t *testing.T) {
	w := newWorld(t)
	macs := w.installed("first", 1)
	w.create(profile("second", mobileconfig(wifi, "Thief"), team))
	if message := w.expect(&mdmv1alpha1.Profile{}, "second", "Published=False/IdentifierConflict"); !strings.Contains(message, "first") {
		t.Errorf("the conflict does not name the owner: %s", message)
	}
	w.expect(&mdmv1alpha1.Profile{}, "second", "Stalled=True/IdentifierConflict")
	w.idle(macs)
	if content := string(macs[0].Profiles()[wifi].Content); !strings.Contains(content, "Office") {
		t.Errorf("the Mac has %s", content)
	}
	edit(w, "second", &mdmv1alpha1.Profile{}, func(p *mdmv1alpha1.Profile) {
		p.Spec.Apple.Mobileconfig.Inline = mobileconfig("com.example.other", "Guests")
	})
	w.converge("second", macs)
	w.expect(&mdmv1alpha1.Profile{}, "first", "Converged=True/Installed")
}

// A Profile over 1 MiB is refused by the API server when it is in one piece, and stalls when it is made of pieces.
func TestAProfileThatIsTooLarge(t *testing.T) {
	w := newWorld(t)
	inline := profile("inline", mobileconfig(wifi, strings.Repeat("a", 1<<20)), team)
	inline.Namespace = w.ns
	if err := api.Create(t.Context(), inline); !apierrors.IsInvalid(err) {
		t.Errorf("an inline profile of more than 1 MiB: %v", err)
	}
	large := profile("large", "", team)
	large.Spec.Apple = &mdmv1alpha1.AppleProfile{Type: mdmv1alpha1.ApplePayloads, Payloads: &mdmv1alpha1.PayloadList{DisplayName: "Large"}}
	for i := range 2 {
		name := fmt.Sprintf("part-%d", i)
		w.secret(name, map[string][]byte{"value": []byte(strings.Repeat("a", 700<<10))})
		large.Spec.Apple.Payloads.Items = append(large.Spec.Apple.Payloads.Items, mdmv1alpha1.Payload{
			Type:         fmt.Sprintf("com.example.part%d", i),
			SecretValues: []mdmv1alpha1.SecretValue{{Path: "/Value", SecretRef: mdmv1alpha1.KeyReference{Name: name, Key: "value"}}},
		})
	}
	w.create(large)
	w.expect(large, "large", "Rendered=False/TooLarge")
	w.expect(large, "large", "Stalled=True/TooLarge")
	edit(w, "large", large, func(p *mdmv1alpha1.Profile) { p.Spec.Apple.Payloads.Items = p.Spec.Apple.Payloads.Items[:1] })
	w.expect(&mdmv1alpha1.Profile{}, "large", "Ready=True/Ready")
}

func TestASecretThatIsMissing(t *testing.T) {
	w := newWorld(t)
	macs := w.enrol("design", team, 1)
	w.create(fromSecret("wifi", "content", team))
	if message := w.expect(&mdmv1alpha1.Profile{}, "wifi", "Rendered=False/SecretNotFound"); !strings.Contains(message, "content") {
		t.Errorf("it does not say which: %s", message)
	}
	w.secret("content", map[string][]byte{"another": []byte("x")})
	w.expect(&mdmv1alpha1.Profile{}, "wifi", "Rendered=False/SecretKeyMissing")
	edit(w, "content", &corev1.Secret{}, func(s *corev1.Secret) { s.Data["profile"] = []byte(mobileconfig(wifi, "Office")) })
	w.converge("wifi", macs)

	w.must(api.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "content"}}))
	poke(w, "wifi", &mdmv1alpha1.Profile{})
	w.expect(&mdmv1alpha1.Profile{}, "wifi", "Rendered=False/SecretNotFound")
	w.idle(macs)
	if having(macs, wifi) != 1 {
		t.Error("the Mac lost its profile with the Secret")
	}
}
