package fleet_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/managed"
)

func TestCommandWithPINAndResults(t *testing.T) {
	b := bench(t)
	mac := b.Fleet.Enrol("UDID-1", "C02A", nil)
	d := discovered(b)
	c := managed.Command("lock", d.Name, mdmv1alpha1.ActionLock)
	b.Create(c)
	b.UntilIs(c, "Ready=True/Ready", "Succeeded=False/Running")
	got := mac.Connect(managed.Acknowledge)
	b.UntilIs(c, "Succeeded=True/Done")
	secret := &corev1.Secret{}
	if !b.Get(c.Status.PINSecretRef.Name, secret) || string(secret.Data[d.Name]) != got[0].Action.PIN {
		t.Error("the PIN is not kept")
	}
	if r := c.Status.Results; len(r) != 1 || r[0].Device != d.Name || r[0].State != "Succeeded" {
		t.Errorf("results %+v", r)
	}
	b.Delete("lock", c)
	b.Until("it has gone", func() bool { return !b.Get("lock", c) })
}

func TestLongReasonsOfDevicesAreCut(t *testing.T) {
	b := bench(t)
	mac := b.Fleet.Enrol("UDID-1", "C02A", nil)
	d := discovered(b)
	c := managed.Command("info", d.Name, mdmv1alpha1.ActionSecurityInfo)
	p := managed.Profile("wifi", nil)
	b.Create(c)
	b.Create(p)
	b.UntilIs(c, "Succeeded=False/Running")
	b.UntilIs(p, "Converged=False/RollingOut")
	b.Until("all is refused at length", func() bool {
		mac.Connect(managed.RefuseWith(strings.Repeat("ä", 5000)))
		return b.Is(c, "Failed=True/SomeFailed") && b.Is(p, "Converged=False/Refused") && b.Is(d, "ProfilesApplied=False/ProfileRefused")
	})
}
