package device_test

import (
	"maps"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/managed"
)

func untilLabels(b *managed.Bench, d *mdmv1alpha1.Device, want map[string]string) {
	b.Helper()
	b.Until("the labels stand", func() bool { return b.Get(d.Name, d) && maps.Equal(d.Labels, want) })
}

func TestTokenLabelsAreReplacedByTheNextEnrolment(t *testing.T) {
	b := managed.New(t)
	d := managed.Device("mac", "C02A", map[string]string{"site": "bern"})
	b.Create(d)
	b.Fleet.Enrol("UDID-1", "C02A", map[string]string{"team": "design", "floor": "3"})
	untilLabels(b, d, map[string]string{"site": "bern", "team": "design", "floor": "3"})
	b.Fleet.Enrol("UDID-1", "C02A", map[string]string{"team": "sales"})
	untilLabels(b, d, map[string]string{"site": "bern", "team": "sales"})
}

func TestLabelOfAPersonBeatsTheToken(t *testing.T) {
	b := managed.New(t)
	d := managed.Device("mac", "C02A", map[string]string{"team": "board"})
	b.Create(d)
	b.Fleet.Enrol("UDID-1", "C02A", map[string]string{"team": "design", "floor": "3"})
	untilLabels(b, d, map[string]string{"team": "board", "floor": "3"})
	b.UntilIs(d, "Ready=True/Ready")
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata": {"labels": {"floor": "4"}}}`))
	b.Must(b.Client.Patch(b.Context(), d, patch, client.FieldOwner("kubectl")))
	rounds(b)
	untilLabels(b, d, map[string]string{"team": "board", "floor": "4"})
}

func TestTokenSetsNoLabelOfTheOperator(t *testing.T) {
	b := managed.New(t)
	d := managed.Device("mac", "C02A", nil)
	b.Create(d)
	b.Fleet.Enrol("UDID-1", "C02A", map[string]string{mdmv1alpha1.LabelDiscovered: "true", "team": "design"})
	untilLabels(b, d, map[string]string{"team": "design"})
	b.UntilIs(d, "Ready=True/Ready")
	if d.Status.Origin != mdmv1alpha1.DeviceDeclared {
		t.Errorf("origin %s", d.Status.Origin)
	}
}

func TestTokenLabelThatWasTakenOffComesBack(t *testing.T) {
	b := managed.New(t)
	d := managed.Device("mac", "C02A", nil)
	b.Create(d)
	b.Fleet.Enrol("UDID-1", "C02A", map[string]string{"team": "design"})
	untilLabels(b, d, map[string]string{"team": "design"})
	managed.Edit(b, "mac", d, func(d *mdmv1alpha1.Device) { delete(d.Labels, "team") })
	untilLabels(b, d, map[string]string{"team": "design"})
}

// A Device that is made for an enrolment has the labels of its token from the first write on, and loses them with the enrolment.
func TestDiscoveredDeviceIsBornWithItsLabels(t *testing.T) {
	b := managed.New(t)
	b.Fleet.Enrol("UDID-1", "C02A", map[string]string{"team": "design", "floor": "3", mdmv1alpha1.LabelServer: "another"})
	b.Until("there is a Device", func() bool { b.Pass(); return len(devices(b)) == 1 })
	d := &devices(b)[0]
	want := map[string]string{mdmv1alpha1.LabelDiscovered: "true", "team": "design", "floor": "3"}
	if !maps.Equal(d.Labels, want) {
		t.Errorf("labels %v, want %v", d.Labels, want)
	}
	b.UntilIs(d, "Ready=True/Ready")
	b.Fleet.Enrol("UDID-1", "C02A", map[string]string{"team": "sales"})
	untilLabels(b, d, map[string]string{mdmv1alpha1.LabelDiscovered: "true", "team": "sales"})
}
