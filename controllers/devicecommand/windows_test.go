package devicecommand_test

import (
	"encoding/pem"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/test/managed"
	"github.com/kubemdm/kubemdm/test/pki"
)

// benchPC has one managed PC.
func benchPC(t *testing.T) (*managed.Bench, *managed.PC) {
	t.Helper()
	b := managed.New(t)
	return b, enrolPC(b)
}

func enrolPC(b *managed.Bench) *managed.PC {
	b.Helper()
	d := managed.Device("pc-0", "P0", nil)
	b.Create(d)
	pc := b.Fleet.EnrolPC("PC-0", "P0")
	b.UntilIs(d, "Ready=True/Ready", "Enrolled=True/Ready")
	return pc
}

// command is a DeviceCommand for pc-0 that the server has.
func command(b *managed.Bench, action mdmv1alpha1.CommandAction) *mdmv1alpha1.DeviceCommand {
	b.Helper()
	c := managed.Command("x", "pc-0", action.Type)
	c.Spec.Action = action
	b.Create(c)
	b.UntilIs(c, "Published=True/Ready")
	return c
}

// words are the commands of a session, without the questions that every session may ask.
func words(commands []adminapi.SyncMLCommand) []string {
	var all []string
	for _, c := range commands {
		if c.Verb != adminapi.VerbGet {
			all = append(all, string(c.Verb)+" "+c.LocURI)
		}
	}
	return all
}

func TestActionsInTermsOfWindows(t *testing.T) {
	for name, c := range map[string]struct {
		action mdmv1alpha1.CommandAction
		want   []string
	}{
		"deviceInformation": {mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionDeviceInformation}, nil},
		"restart":           {mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionRestart}, []string{"Exec ./Device/Vendor/MSFT/Reboot/RebootNow"}},
		"unenrol":           {mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionUnenroll}, []string{"Exec ./Device/Vendor/MSFT/DMClient/Provider/KubeMDM/Unenroll"}},
		"raw": {
			mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionRaw, Raw: &mdmv1alpha1.RawAction{Windows: &mdmv1alpha1.RawWindowsCommand{
				Verb: mdmv1alpha1.RawExec, LocURI: "./Device/Vendor/MSFT/Update/ScanNow",
			}}},
			[]string{"Exec ./Device/Vendor/MSFT/Update/ScanNow"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, pc := benchPC(t)
			for _, node := range []string{
				"DevInfo/DmV", "DevInfo/Lang", "DevDetail/FwV", "DevDetail/HwV", "DevDetail/OEM", "DevDetail/DevTyp", "DevDetail/Ext/Microsoft/DNSComputerName",
				"DevDetail/Ext/Microsoft/OSPlatform", "DevDetail/Ext/Microsoft/ProcessorArchitecture",
				"DevDetail/Ext/Microsoft/TotalRAM", "DevDetail/Ext/Microsoft/TotalStorage",
			} {
				pc.Nodes["./"+node] = "x"
			}
			done := command(b, c.action)
			if got := words(pc.Session()); !slices.Equal(got, c.want) {
				t.Errorf("the PC was told %q, want %q", got, c.want)
			}
			b.UntilIs(done, "Succeeded=True/Done")
		})
	}
}

func TestDevicesThatLackAnActionFailWithTheReason(t *testing.T) {
	b, mac := bench(t)
	enrolPC(b)
	c := selecting("lock", nil, mdmv1alpha1.ActionLock)
	b.Create(c)
	b.UntilIs(c, "Succeeded=False/Running")
	mac.Connect(managed.Acknowledge)
	b.UntilIs(c, "Failed=True/SomeFailed")
	if *c.Status.Counts != (mdmv1alpha1.CommandCounts{Succeeded: 1, Failed: 1}) {
		t.Errorf("counts %+v", *c.Status.Counts)
	}
	i := slices.IndexFunc(c.Status.Results, func(r mdmv1alpha1.CommandResult) bool { return r.Device == "pc-0" })
	if i < 0 || !strings.Contains(c.Status.Results[i].Message, "phones only") {
		t.Errorf("results %+v", c.Status.Results)
	}
}

func TestAppleLacksWhatIsForWindows(t *testing.T) {
	for says, action := range map[string]mdmv1alpha1.CommandAction{
		"InstallApplication": {Type: mdmv1alpha1.ActionInstallMSI, InstallMSI: &mdmv1alpha1.InstallMSIAction{}},
		"raw.plist": {Type: mdmv1alpha1.ActionRaw, Raw: &mdmv1alpha1.RawAction{Windows: &mdmv1alpha1.RawWindowsCommand{
			Verb: mdmv1alpha1.RawGet, LocURI: "./DevInfo",
		}}},
	} {
		b, mac := bench(t)
		c := managed.Command("x", "mac-0", action.Type)
		c.Spec.Action = action
		b.Create(c)
		b.UntilIs(c, "Failed=True/SomeFailed")
		if r := c.Status.Results; len(r) != 1 || !strings.Contains(r[0].Message, says) {
			t.Errorf("%s: results %+v", action.Type, r)
		}
		expectTypes(b, mac.Connect(managed.Acknowledge))
	}
}

func TestUnenrolmentOfAMac(t *testing.T) {
	b, mac := bench(t)
	c := managed.Command("leave", "mac-0", mdmv1alpha1.ActionUnenroll)
	b.Create(c)
	b.UntilIs(c, "Succeeded=False/Running")
	if got := mac.Connect(managed.Acknowledge); len(got) != 1 || got[0].Remove == nil || got[0].Remove.Identifier != "io.kubemdm.fleet.main.enroll" {
		t.Errorf("the device got %+v", got)
	}
	b.UntilIs(c, "Succeeded=True/Done")
}

func TestWipeOfAPCIsForOneEnrolment(t *testing.T) {
	b, pc := benchPC(t)
	for _, refused := range []*mdmv1alpha1.DeviceCommand{wipe("P1", pc.EnrollmentID()), wipe("P0", "an earlier one")} {
		refused.Name, refused.Spec.Target.DeviceRef.Name = "refused-"+strings.ToLower(refused.Spec.Action.Wipe.SerialNumber), "pc-0"
		b.Create(refused)
		b.UntilIs(refused, "Accepted=False/ConfirmationMismatch", "Failed=True/ConfirmationMismatch")
		if got := words(pc.Session()); len(got) > 0 {
			t.Fatalf("the PC was told %q", got)
		}
	}
	c := wipe("P0", pc.EnrollmentID())
	c.Spec.Target.DeviceRef.Name, c.Spec.Action.Wipe.Method = "pc-0", mdmv1alpha1.WipeProtected
	b.Create(c)
	b.UntilIs(c, "Succeeded=False/Running")
	if got := words(pc.Session()); !slices.Equal(got, []string{"Exec ./Device/Vendor/MSFT/RemoteWipe/doWipeProtected"}) {
		t.Errorf("the PC was told %q", got)
	}
	b.UntilIs(c, "Succeeded=True/Done")
}

func TestInstallationIsWaitedFor(t *testing.T) {
	for status, want := range map[string]string{"70": "Succeeded=True/Done", "60": "Failed=True/SomeFailed"} {
		b, pc := benchPC(t)
		c := command(b, mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionInstallMSI, InstallMSI: &mdmv1alpha1.InstallMSIAction{
			ProductCode: "{6F7CB29F-1319-4816-B345-0856916EB801}", Version: "1.0", URL: "https://example.com/a.msi", SHA256: strings.Repeat("a", 64),
		}})
		const product = "./Device/Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/%7B6F7CB29F-1319-4816-B345-0856916EB801%7D/"
		if got := words(pc.Session()); !slices.Equal(got, []string{"Add " + product + "DownloadInstall", "Exec " + product + "DownloadInstall"}) {
			t.Errorf("the PC was told %q", got)
		}
		pc.Nodes[product+"Status"], pc.Nodes[product+"LastError"] = "20", "0x80070642"
		pc.Session()
		b.Round()
		b.Expect(c, "Succeeded=False/Running")
		pc.Nodes[product+"Status"] = status
		b.Until("it has ended", func() bool {
			pc.Session()
			return b.Is(c, want)
		})
		if r := c.Status.Results; status == "60" && (len(r) != 1 || !strings.Contains(r[0].Message, "0x80070642")) {
			t.Errorf("results %+v", r)
		}
	}
}

func TestCertificateIsReadWhenTheCommandIsSent(t *testing.T) {
	b, pc := benchPC(t)
	ref := mdmv1alpha1.KeyReference{Name: "ca", Key: "ca.crt"}
	c := managed.Command("trust", "pc-0", mdmv1alpha1.ActionInstallCertificate)
	c.Spec.Action.InstallCertificate = &mdmv1alpha1.InstallCertificateAction{
		Store: mdmv1alpha1.StoreRoot, Certificate: mdmv1alpha1.ContentSource{SecretRef: &ref},
	}
	b.Create(c)
	if wait := b.ReconcileNow(c).RequeueAfter; wait <= 0 {
		t.Error("nobody will look for the Secret again")
	}
	b.Expect(c, "Published=False/"+mdmv1alpha1.ReasonSecretNotFound)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "ca"}, Data: map[string][]byte{"ca.crt": []byte("hunter2")}}
	b.Create(secret)
	if wait := b.ReconcileNow(c).RequeueAfter; wait <= 0 {
		t.Error("a corrected Secret would not be noticed")
	}
	b.Expect(c, "Published=False/"+mdmv1alpha1.DeviceCommandUnreadable, "Stalled=True/"+mdmv1alpha1.DeviceCommandUnreadable)
	if said := managed.Message(c, "Published"); strings.Contains(said, "hunter2") || !strings.Contains(said, "one certificate") {
		t.Errorf("message %q", said)
	}
	ca := pki.NewCA(t, "trusted")
	block, _ := pem.Decode(ca.CertPEM())
	managed.Edit(b, "ca", secret, func(s *corev1.Secret) { s.Data["ca.crt"] = pem.EncodeToMemory(block) })
	b.UntilIs(c, "Published=True/Ready", "Stalled=absent")
	got := pc.Session()
	i := slices.IndexFunc(got, func(c adminapi.SyncMLCommand) bool {
		return strings.Contains(c.LocURI, "RootCATrustedCertificates/Root/")
	})
	if i < 0 || got[i].Verb != adminapi.VerbAdd {
		t.Errorf("the PC was told %+v", got)
	}
	b.UntilIs(c, "Succeeded=True/Done")
}
