package profile_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/test/managed"
)

const camera = "./Device/Vendor/MSFT/Policy/Config/Camera/AllowCamera"

// forWindows is a Profile of one setting for every device of the server that it can be for.
func forWindows(s mdmv1alpha1.WindowsSetting) *mdmv1alpha1.Profile {
	p := managed.Profile("camera", nil)
	p.Spec.Apple, p.Spec.Signing = nil, ""
	s.LocURI, s.Verification = camera, mdmv1alpha1.VerifyValue
	p.Spec.Windows = &mdmv1alpha1.WindowsProfile{Type: mdmv1alpha1.WindowsSettings, Settings: []mdmv1alpha1.WindowsSetting{s}}
	return p
}

func number(value string) mdmv1alpha1.WindowsSetting {
	return mdmv1alpha1.WindowsSetting{Format: mdmv1alpha1.FormatInteger, Value: &value}
}

// mixed is a bench with n Macs and one PC.
func mixed(t *testing.T, n int) (*managed.Bench, []*managed.Mac, *managed.PC) {
	t.Helper()
	b, macs := fleetOf(t, n)
	d := managed.Device("pc-0", "P0", design)
	b.Create(d)
	pc := b.Fleet.EnrolPC("PC-0", "P0")
	b.UntilIs(d, "Ready=True/Ready", "Enrolled=True/Ready")
	return b, macs, pc
}

// untilHas runs sessions of a PC until a node holds a value.
func untilHas(b *managed.Bench, pc *managed.PC, want string) {
	b.Helper()
	b.Until("the PC has "+want, func() bool {
		pc.Session()
		return pc.Nodes[camera] == want
	})
}

func TestProfileReachesDevicesOfItsPlatformOnly(t *testing.T) {
	b, macs, pc := mixed(t, 2)
	windows := forWindows(number("0"))
	apple := managed.Profile("wifi", nil)
	b.Create(windows)
	b.Create(apple)
	b.Until("the Macs have theirs", func() bool {
		connect(macs, managed.Acknowledge)
		return b.Counted("wifi", 2)
	})
	untilHas(b, pc, "0")
	b.UntilIs(windows, "Converged=True/Installed", "Ready=True/Ready")
	b.UntilIs(apple, "Converged=True/Installed", "Ready=True/Ready")
	expectNumbers(b, windows, "targeted=1 installed=1 pending=0 notNow=0 failed=0 removing=0")
	expectNumbers(b, apple, "targeted=2 installed=2 pending=0 notNow=0 failed=0 removing=0")
	if windows.Status.Identifier != "fleet/camera" || len(windows.Status.Digest) != 64 {
		t.Errorf("status %+v", windows.Status)
	}
	b.Delete("camera", windows)
	b.Until("the setting is gone", func() bool {
		pc.Session()
		_, has := pc.Nodes[camera]
		return !has
	})
}

func TestNothingIsSelectedWithoutDevicesOfThePlatform(t *testing.T) {
	b, _ := fleetOf(t, 1)
	p := forWindows(number("0"))
	b.Create(p)
	b.UntilIs(p, "Converged=False/NothingSelected", "Ready=True/Ready")
	if said := managed.Message(p, "Converged"); !strings.Contains(said, "no enrolled Windows device") {
		t.Errorf("message %q", said)
	}
}

func TestSettingThatAPCRefusesIsNamed(t *testing.T) {
	b, _, pc := mixed(t, 0)
	pc.Refused[camera] = fleet.WindowsStatus{Code: 405, OriginalError: "0x86000002"}
	b.Create(&corev1.Secret{ObjectMeta: named(), Data: map[string][]byte{ref.Key: []byte("hunter2")}})
	p := forWindows(mdmv1alpha1.WindowsSetting{Format: mdmv1alpha1.FormatText, ValueFrom: &mdmv1alpha1.SettingValueSource{SecretRef: ref}})
	b.Create(p)
	b.Until("it is refused", func() bool {
		pc.Session()
		return b.Is(p, "Converged=False/Refused")
	})
	if f := p.Status.Failing; len(f) != 1 || f[0].Device != "pc-0" || !strings.Contains(f[0].Message, camera) {
		t.Errorf("failing %+v", f)
	}
	secretFree(b, p, "hunter2")
	delete(pc.Refused, camera)
	managed.Edit(b, ref.Name, &corev1.Secret{}, func(s *corev1.Secret) { s.Data[ref.Key] = []byte("correct horse") })
	untilHas(b, pc, "correct horse")
	b.UntilIs(p, "Converged=True/Installed")
	secretFree(b, p, "correct horse")
}

func TestSyncMLFromAConfigMap(t *testing.T) {
	document := func(uri string) map[string]string {
		return map[string]string{ref.Key: "<Replace><Item><Target><LocURI>" + uri + "</LocURI></Target><Data>1</Data></Item></Replace>"}
	}
	b, _, pc := mixed(t, 0)
	b.Create(&corev1.ConfigMap{ObjectMeta: named(), Data: document("./Elsewhere")})
	p := forWindows(mdmv1alpha1.WindowsSetting{})
	p.Spec.Windows = &mdmv1alpha1.WindowsProfile{
		Type: mdmv1alpha1.WindowsSyncML, SyncML: &mdmv1alpha1.SyncMLProfile{ContentSource: mdmv1alpha1.ContentSource{ConfigMapRef: &ref}},
	}
	b.Create(p)
	if wait := b.ReconcileNow(p).RequeueAfter; wait <= 0 {
		t.Error("a corrected ConfigMap would not be noticed")
	}
	b.Expect(p, "Rendered=False/"+mdmv1alpha1.ProfileUnreadable, "Stalled=True/"+mdmv1alpha1.ProfileUnreadable)
	if said := managed.Message(p, "Rendered"); !strings.Contains(said, "./Elsewhere") || !strings.Contains(said, "outside the management tree") {
		t.Errorf("message %q", said)
	}
	wipe := document("./Device/Vendor/MSFT/RemoteWipe/doWipe")
	managed.Edit(b, ref.Name, &corev1.ConfigMap{}, func(m *corev1.ConfigMap) { m.Data = wipe })
	b.UntilIs(p, "Rendered=False/"+mdmv1alpha1.ProfileForbiddenPayload)
	managed.Edit(b, ref.Name, &corev1.ConfigMap{}, func(m *corev1.ConfigMap) { m.Data = document(camera) })
	untilHas(b, pc, "1")
	b.UntilIs(p, "Converged=True/Installed", "Stalled=absent")
}
