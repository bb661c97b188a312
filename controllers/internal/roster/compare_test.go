package roster_test

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/roster"
)

func TestWhoSpeaksForADevice(t *testing.T) {
	now := time.Now()
	device := func(name string, age time.Duration, discovered, deleting bool) *mdmv1alpha1.Device {
		d := &mdmv1alpha1.Device{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(now.Add(-age))}}
		if discovered {
			d.Labels = map[string]string{mdmv1alpha1.LabelDiscovered: "true"}
		}
		if deleting {
			d.DeletionTimestamp = new(metav1.NewTime(now))
		}
		return d
	}
	inOrder := []*mdmv1alpha1.Device{
		device("declared first", 3*time.Hour, false, false),
		device("a younger one", time.Hour, false, false),
		device("b of the same age", time.Hour, false, false),
		device("discovered earlier", 4*time.Hour, true, false),
		device("going, and the oldest", 5*time.Hour, false, true),
		device("going, and discovered", 6*time.Hour, true, true),
	}
	got := slices.Clone(inOrder)
	slices.Reverse(got)
	slices.SortFunc(got, roster.Compare)
	for i := range got {
		if got[i] != inOrder[i] {
			t.Errorf("%d: %s, want %s", i, got[i].Name, inOrder[i].Name)
		}
	}
}

func TestIdentitiesOfADevice(t *testing.T) {
	d := &mdmv1alpha1.Device{Spec: mdmv1alpha1.DeviceSpec{
		ServerRef: mdmv1alpha1.LocalReference{Name: "main"}, SerialNumber: "S", UDID: "U", EnrollmentID: "E",
	}, Status: mdmv1alpha1.DeviceStatus{Hardware: &mdmv1alpha1.DeviceHardware{UDID: "V"}}}
	want := []string{"main/serial/S", "main/udid/U", "main/udid/V", "main/enrollment/E"}
	if got := roster.IndexIdentities(d); !slices.Equal(got, want) {
		t.Errorf("identities %q, want %q", got, want)
	}
	if got := roster.IndexIdentities(&mdmv1alpha1.Device{}); len(got) != 0 {
		t.Errorf("a Device without identity has %q", got)
	}
}
