package devicecommand_test

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/test/managed"
)

func TestActionsInTermsOfApple(t *testing.T) {
	const raw = "<plist><dict><key>RequestType</key><string>Settings</string></dict></plist>"
	for name, c := range map[string]struct {
		action mdmv1alpha1.CommandAction
		want   adminapi.AppleCommand
	}{
		"deviceInformation": {
			mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionDeviceInformation, DeviceInformation: &mdmv1alpha1.DeviceInformationAction{Queries: []string{"OSVersion"}}},
			adminapi.AppleCommand{RequestType: "DeviceInformation", Queries: []string{"OSVersion"}},
		},
		"shutDown":     {mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionShutDown}, adminapi.AppleCommand{RequestType: "ShutDownDevice"}},
		"applications": {mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionInstalledApplications}, adminapi.AppleCommand{RequestType: "InstalledApplicationList"}},
		"profiles":     {mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionProfileList}, adminapi.AppleCommand{RequestType: "ProfileList"}},
		"certificates": {mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionCertificateList}, adminapi.AppleCommand{RequestType: "CertificateList"}},
		"lock": {
			mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionLock, Lock: &mdmv1alpha1.LockAction{Message: "Call us", PhoneNumber: "1", PIN: mdmv1alpha1.PINNone}},
			adminapi.AppleCommand{RequestType: "DeviceLock", Message: "Call us", PhoneNumber: "1"},
		},
		"lock with a PIN, as is usual": {mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionLock}, adminapi.AppleCommand{RequestType: "DeviceLock", GeneratePIN: true}},
		"app": {
			mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionInstallApplication, InstallApplication: &mdmv1alpha1.InstallApplicationAction{ManifestURL: "https://x/m.plist"}},
			adminapi.AppleCommand{RequestType: "InstallApplication", ManifestURL: "https://x/m.plist"},
		},
		"package": {
			mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionInstallApplication, InstallApplication: &mdmv1alpha1.InstallApplicationAction{
				ManifestURL: "https://x/m.plist", Kind: mdmv1alpha1.ApplicationEnterprise,
			}},
			adminapi.AppleCommand{RequestType: "InstallEnterpriseApplication", ManifestURL: "https://x/m.plist"},
		},
		"raw": {
			mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionRaw, Raw: &mdmv1alpha1.RawAction{Plist: raw}},
			adminapi.AppleCommand{RequestType: "Raw", Raw: []byte(raw)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, mac := bench(t)
			command := managed.Command("x", "mac-0", c.action.Type)
			command.Spec.Action = c.action
			b.Create(command)
			b.UntilIs(command, "Succeeded=False/Running")
			got := mac.Connect(managed.Acknowledge)
			if len(got) != 1 || !reflect.DeepEqual(got[0].Action.Command, c.want) {
				t.Errorf("the device got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestWipeInTermsOfApple(t *testing.T) {
	b, mac := bench(t)
	c := wipe("C0", mac.EnrollmentID())
	c.Spec.Action.Wipe.DataPlan, c.Spec.Action.Wipe.ObliterationBehavior = mdmv1alpha1.DataPlanPreserve, mdmv1alpha1.ObliterationAlways
	b.Create(c)
	b.UntilIs(c, "Succeeded=False/Running")
	got := mac.Connect(managed.Acknowledge)
	want := adminapi.AppleCommand{RequestType: "EraseDevice", PreserveDataPlan: true, ObliterationBehavior: "Always"}
	if len(got) != 1 || !reflect.DeepEqual(got[0].Action.Command, want) {
		t.Errorf("the device got %+v", got)
	}
}

func TestPINsAreKeptByDevice(t *testing.T) {
	b, mac := bench(t)
	other := enrol(b, 1)
	c := selecting("lock", nil, mdmv1alpha1.ActionLock)
	b.Create(c)
	b.UntilIs(c, "Succeeded=False/Running")
	if b.Get("lock-pin", &corev1.Secret{}) || c.Status.PINSecretRef != nil {
		t.Error("a PIN is kept that no device has")
	}
	first := mac.Take()
	secret := &corev1.Secret{}
	b.Until("its PIN is kept", func() bool { return b.Get("lock-pin", secret) })
	if pin := string(secret.Data["mac-0"]); len(secret.Data) != 1 || pin != first.Action.PIN || !regexp.MustCompile(`^\d{6}$`).MatchString(pin) {
		t.Errorf("%d PINs, that of the device is right: %v", len(secret.Data), pin == first.Action.PIN)
	}
	second := other.Connect(managed.Acknowledge)
	mac.Connect(managed.Acknowledge)
	b.UntilIs(c, "Succeeded=True/Done")
	b.Get("lock-pin", secret)
	if len(secret.Data) != 2 || string(secret.Data["mac-1"]) != second[0].Action.PIN || !metav1.IsControlledBy(secret, c) {
		t.Errorf("%d PINs, owned %v", len(secret.Data), metav1.IsControlledBy(secret, c))
	}
	if c.Status.PINSecretRef == nil || c.Status.PINSecretRef.Name != "lock-pin" {
		t.Errorf("status %+v", c.Status.PINSecretRef)
	}
	for _, pin := range secret.Data {
		if strings.Contains(fmt.Sprintf("%+v", c), string(pin)) || strings.Contains(strings.Join(b.Told(), "\n"), string(pin)) {
			t.Error("a PIN stands in the command or in an event")
		}
	}
}

func TestSecretOfAnotherIsNotOverwritten(t *testing.T) {
	b, mac := bench(t)
	taken := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "lock-pin"}, Data: map[string][]byte{"mine": []byte("x")}}
	b.Create(taken)
	c := managed.Command("lock", "mac-0", mdmv1alpha1.ActionLock)
	b.Create(c)
	b.UntilIs(c, "Ready=False/SecretTaken", "Stalled=True/SecretTaken")
	got := mac.Connect(managed.Acknowledge)
	b.Round()
	b.Expect(c, "Stalled=True/SecretTaken")
	if b.Get("lock-pin", taken); len(taken.Data) != 1 || c.Status.FinishedAt != nil {
		t.Error("the Secret was overwritten, or the command ended without its PIN")
	}
	b.Delete("lock-pin", taken)
	b.UntilIs(c, "Succeeded=True/Done", "Stalled=absent")
	secret := &corev1.Secret{}
	if b.Get("lock-pin", secret); string(secret.Data["mac-0"]) != got[0].Action.PIN {
		t.Error("the PIN was lost")
	}
}
