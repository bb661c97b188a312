package badinput_test

import (
	"context"
	"strings"
	"testing"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/devicesim/windows"
	"github.com/kubemdm/kubemdm/test/pki"
)

const product = "{6F7CB29F-1319-4816-B345-0856916EB801}"

func install() mdmv1alpha1.CommandAction {
	return mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionInstallMSI, InstallMSI: &mdmv1alpha1.InstallMSIAction{
		ProductCode: product, Version: "1.0", URL: "https://example.com/a.msi", SHA256: strings.Repeat("ab", 32),
	}}
}

// ends runs sessions of a PC until a command has a condition, and returns what the command says of the PC.
func (w *world) ends(pc *windows.PC, c *mdmv1alpha1.DeviceCommand, want string) string {
	w.Helper()
	w.eventually(c.Name+" "+want, func(ctx context.Context) string {
		w.session(pc)
		return lacks(ctx, w.key(c.Name), c, want)
	})
	if len(c.Status.Results) != 1 {
		w.Fatalf("%s has the results %+v", c.Name, c.Status.Results)
	}
	return c.Status.Results[0].Message
}

// What a PC cannot do is told with its own words, or with ours where Windows has no such command; the next command is done.
func TestCommandsThatAPCCannotDo(t *testing.T) {
	w := newWorld(t)
	pc := w.pc("office")
	device := w.deviceBySerial(pc.Hardware().SerialNumber).Name
	lock := command("lock", device, mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionLock})
	w.create(lock)
	if said := w.ends(pc, lock, "Failed=True/SomeFailed"); !strings.Contains(said, "phones only") {
		t.Errorf("lock: %q", said)
	}
	pc.FailInstall(product, "1603")
	failing := command("failing", device, install())
	w.create(failing)
	if said := w.ends(pc, failing, "Failed=True/SomeFailed"); !strings.Contains(said, "0x00000643") {
		t.Errorf("an installation that fails: %q", said)
	}
	nowhere := command("nowhere", device, mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionRaw, Raw: &mdmv1alpha1.RawAction{
		Windows: &mdmv1alpha1.RawWindowsCommand{Verb: mdmv1alpha1.RawGet, LocURI: "./Device/Vendor/MSFT/NoSuchProvider/Node"},
	}})
	w.create(nowhere)
	if said := w.ends(pc, nowhere, "Failed=True/SomeFailed"); !strings.Contains(said, "NoSuchProvider") {
		t.Errorf("a node that is not there: %q", said)
	}

	trust := mdmv1alpha1.InstallCertificateAction{
		Store: mdmv1alpha1.StoreRoot, Certificate: mdmv1alpha1.ContentSource{Inline: string(pki.NewCA(t, "Example").CertPEM())},
	}
	for name, action := range map[string]mdmv1alpha1.CommandAction{
		"information": {Type: mdmv1alpha1.ActionDeviceInformation},
		"trust":       {Type: mdmv1alpha1.ActionInstallCertificate, InstallCertificate: &trust},
		"again":       install(),
		"restart":     {Type: mdmv1alpha1.ActionRestart},
	} {
		c := command(name, device, action)
		w.create(c)
		w.ends(pc, c, "Succeeded=True/Done")
	}
}
