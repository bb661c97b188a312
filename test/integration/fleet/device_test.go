package fleet_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/managed"
)

func devices(b *managed.Bench) []mdmv1alpha1.Device {
	b.Helper()
	list := &mdmv1alpha1.DeviceList{}
	b.Must(b.Client.List(b.Context(), list, client.InNamespace(b.Namespace)))
	return list.Items
}

// discovered waits until the only Device is the one that was discovered and it is ready.
func discovered(b *managed.Bench) *mdmv1alpha1.Device {
	b.Helper()
	b.Until("there is a Device", func() bool { return len(devices(b)) == 1 })
	d := &devices(b)[0]
	b.UntilIs(d, "Ready=True/Ready", "Enrolled=True/Ready")
	return d
}

func untilLabels(b *managed.Bench, d *mdmv1alpha1.Device, want map[string]string) {
	b.Helper()
	b.Until("the labels stand", func() bool { return b.Get(d.Name, d) && maps.Equal(d.Labels, want) })
}

// patchLabels does what kubectl label does.
func patchLabels(b *managed.Bench, d *mdmv1alpha1.Device, labels string) {
	b.Helper()
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata": {"labels": `+labels+`}}`))
	b.Must(b.Client.Patch(b.Context(), d, patch, client.FieldOwner("kubectl-label")))
}

func owners(d *mdmv1alpha1.Device) []string {
	var names []string
	for _, entry := range d.ManagedFields {
		names = append(names, entry.Manager)
	}
	return names
}

func TestTokenLabelsHaveAnOwnerOfTheirOwn(t *testing.T) {
	b := bench(t)
	d := managed.Device("mac", "C02A", map[string]string{"site": "bern", "team": "board"})
	b.Create(d)
	b.Fleet.Enrol("UDID-1", "C02A", map[string]string{"team": "design", "floor": "3"})
	untilLabels(b, d, map[string]string{"site": "bern", "team": "board", "floor": "3"})
	b.UntilIs(d, "Ready=True/Ready")
	if !slices.Contains(owners(d), "kubemdm-token-labels") {
		t.Errorf("owners of fields: %v", owners(d))
	}
	patchLabels(b, d, `{"floor": "4", "site": null}`)
	untilLabels(b, d, map[string]string{"team": "board", "floor": "4"})
	for range 3 {
		b.Round()
	}
	untilLabels(b, d, map[string]string{"team": "board", "floor": "4"})
	patchLabels(b, d, `{"team": null, "floor": null}`)
	untilLabels(b, d, map[string]string{"team": "design", "floor": "3"})
	b.Fleet.Enrol("UDID-1", "C02A", map[string]string{"team": "sales"})
	untilLabels(b, d, map[string]string{"team": "sales"})
}

func TestIdleDeviceIsNotWritten(t *testing.T) {
	b := bench(t)
	mac := b.Fleet.Enrol("UDID-1", "C02A", map[string]string{"team": "design"})
	d := discovered(b)
	b.Round()
	b.Get(d.Name, d)
	before := d.ResourceVersion
	for range 3 {
		mac.Connect(managed.Acknowledge)
		b.Round()
	}
	if b.Get(d.Name, d); d.ResourceVersion != before {
		t.Errorf("version %s after %s", d.ResourceVersion, before)
	}
}

// What a device says of itself must not make the API server refuse all that is known of it.
func TestDevicesMaySayWhatTheyLike(t *testing.T) {
	for name, c := range map[string]struct{ serial, wantSerial string }{
		"a serial number that is none": {"-- (VM) --", ""},
		"a very long one":              {strings.Repeat("C", 300), ""},
		"none":                         {"", ""},
		"one with a blank in it":       {"VMware-56 4d a1", "VMware-56 4d a1"},
	} {
		t.Run(name, func(t *testing.T) {
			b := bench(t)
			mac := b.Fleet.Enrol("UDID-1", c.serial, nil)
			d := discovered(b)
			if d.Spec.SerialNumber != c.wantSerial || d.Spec.UDID != "UDID-1" || d.Status.Enrollment.ID != mac.EnrollmentID() {
				t.Errorf("spec %+v, enrolment %+v", d.Spec, d.Status.Enrollment)
			}
		})
	}
}

func TestDeclaredBeatsDiscovered(t *testing.T) {
	b := bench(t)
	b.Fleet.Enrol("UDID-1", "C02A", map[string]string{"team": "design"})
	discovered(b)
	d := managed.Device("mac", "C02A", nil)
	b.Create(d)
	b.UntilIs(d, "Ready=True/Ready", "Enrolled=True/Ready")
	b.Until("the discovered one has gone", func() bool { return len(devices(b)) == 1 })
	untilLabels(b, d, map[string]string{"team": "design"})
	if page, err := b.Fleet.ListDevices(t.Context(), "", 0); err != nil || page.Items[0].Ignored {
		t.Errorf("the device was touched: %v", err)
	}
}

func TestRemovalIsHeldAndAcknowledged(t *testing.T) {
	b := bench(t)
	for i := range 6 {
		b.Create(managed.Device(fmt.Sprint("mac-", i), fmt.Sprint("C", i), map[string]string{"team": "design"}))
		b.Fleet.Enrol(fmt.Sprint("UDID-", i), fmt.Sprint("C", i), nil)
	}
	p := managed.Profile("wifi", map[string]string{"team": "design"})
	b.Create(p)
	b.UntilIs(p, "Ready=True/Ready", "Converged=False/RollingOut")
	b.Until("all are targeted", func() bool { return b.Get("wifi", p) && *p.Status.Targeted == 6 })
	for i := range 6 {
		patchLabels(b, &mdmv1alpha1.Device{ObjectMeta: metav1.ObjectMeta{Namespace: b.Namespace, Name: fmt.Sprint("mac-", i)}}, `{"team": null}`)
	}
	b.UntilIs(p, "RemovalHeld=True/TooManyRemovals")
	managed.Edit(b, "wifi", p, func(p *mdmv1alpha1.Profile) { p.Spec.Removal.Acknowledge = p.Status.HeldRemoval.Token })
	b.UntilIs(p, "RemovalHeld=absent", "Converged=False/NothingSelected")
}
