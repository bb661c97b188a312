package managed

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

func kind(obj client.Object) string { return fmt.Sprintf("%T", obj) }

// Is reads an object and says whether it has the condition, written Type=Status/Reason, or Type=absent.
func (b *Bench) Is(obj mdmv1alpha1.Object, want string) bool {
	b.Helper()
	if !b.Get(obj.GetName(), obj) {
		return false
	}
	name, _, _ := strings.Cut(want, "=")
	got := name + "=absent"
	if c := meta.FindStatusCondition(obj.GetCommonStatus().Conditions, name); c != nil {
		got = fmt.Sprintf("%s=%s/%s", c.Type, c.Status, c.Reason)
	}
	return got == want
}

// Expect reads an object and compares conditions; others are not looked at.
func (b *Bench) Expect(obj mdmv1alpha1.Object, want ...string) {
	b.Helper()
	for _, w := range want {
		if !b.Is(obj, w) {
			b.Errorf("%s %s: want %s, and it has\n%s", kind(obj), obj.GetName(), w, show(obj))
		}
	}
}

// UntilIs makes rounds until an object has the conditions.
func (b *Bench) UntilIs(obj mdmv1alpha1.Object, want ...string) {
	b.Helper()
	last := ""
	b.Until(fmt.Sprintf("%s %s is %s", kind(obj), obj.GetName(), strings.Join(want, ", ")), func() bool {
		holds := !slices.ContainsFunc(want, func(w string) bool { return !b.Is(obj, w) })
		if now := show(obj); !holds && now != last {
			last = now
			b.Logf("%s %s\n%s", kind(obj), obj.GetName(), now)
		}
		return holds
	})
}

// Message is the message of a condition of an object that was read.
func Message(obj mdmv1alpha1.Object, condition string) string {
	if c := meta.FindStatusCondition(obj.GetCommonStatus().Conditions, condition); c != nil {
		return c.Message
	}
	return ""
}

func show(obj mdmv1alpha1.Object) string {
	var lines []string
	for _, c := range obj.GetCommonStatus().Conditions {
		lines = append(lines, fmt.Sprintf("  %s=%s/%s %s", c.Type, c.Status, c.Reason, c.Message))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// Device returns a declared Device.
func Device(name, serial string, labels map[string]string) *mdmv1alpha1.Device {
	return &mdmv1alpha1.Device{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, Spec: mdmv1alpha1.DeviceSpec{
		ServerRef: mdmv1alpha1.LocalReference{Name: ServerName}, SerialNumber: serial, DeletionPolicy: mdmv1alpha1.DeviceRetain,
	}}
}

// Profile returns a Profile of one payload for the devices with the labels.
func Profile(name string, labels map[string]string) *mdmv1alpha1.Profile {
	p := &mdmv1alpha1.Profile{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: mdmv1alpha1.ProfileSpec{
		ServerRef: mdmv1alpha1.LocalReference{Name: ServerName}, Selector: &metav1.LabelSelector{MatchLabels: labels},
		Scope: mdmv1alpha1.ProfileScopeSystem, Signing: mdmv1alpha1.ProfileUnsigned, DeletionPolicy: mdmv1alpha1.ProfileRemove,
		Apple: &mdmv1alpha1.AppleProfile{Type: mdmv1alpha1.ApplePayloads, Payloads: &mdmv1alpha1.PayloadList{
			Items: []mdmv1alpha1.Payload{{Type: "com.apple.wifi.managed"}},
		}},
	}}
	SetContent(p, "one")
	return p
}

// SetContent changes what a Profile of Profile holds.
func SetContent(p *mdmv1alpha1.Profile, ssid string) {
	p.Spec.Apple.Payloads.Items[0].Settings.Raw = fmt.Appendf(nil, `{"SSID_STR": %q}`, ssid)
}

// Command returns a DeviceCommand without parameters for one Device.
func Command(name, device string, action mdmv1alpha1.ActionType) *mdmv1alpha1.DeviceCommand {
	return &mdmv1alpha1.DeviceCommand{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: mdmv1alpha1.DeviceCommandSpec{
		ServerRef: mdmv1alpha1.LocalReference{Name: ServerName}, ActiveDeadlineSeconds: 604800,
		Target: mdmv1alpha1.CommandTarget{DeviceRef: &mdmv1alpha1.LocalReference{Name: device}},
		Action: mdmv1alpha1.CommandAction{Type: action},
	}}
}
