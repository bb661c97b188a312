package roster_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

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

// Devices are found by each identity that they claim, and by no other: identities share the values of the index.
func TestIdentitiesOfADevice(t *testing.T) {
	d := &mdmv1alpha1.Device{ObjectMeta: metav1.ObjectMeta{Namespace: "fleet", Name: "d"}, Spec: mdmv1alpha1.DeviceSpec{
		ServerRef: mdmv1alpha1.LocalReference{Name: "main"}, SerialNumber: "S", UDID: "U", EnrollmentID: "E",
	}, Status: mdmv1alpha1.DeviceStatus{Hardware: &mdmv1alpha1.DeviceHardware{UDID: "V"}}}
	if got := len(roster.IndexIdentities(d)); got != 4 {
		t.Errorf("%d values of the index, want 4", got)
	}
	if got := roster.IndexIdentities(&mdmv1alpha1.Device{}); len(got) != 0 {
		t.Errorf("a Device without identity has %q", got)
	}
	// The index finds a Device of the same value of the index too, that is none of them.
	other := &mdmv1alpha1.Device{ObjectMeta: metav1.ObjectMeta{Namespace: "fleet", Name: "other"}}
	for i := 0; !slices.Equal(roster.IndexIdentities(other), roster.IndexIdentities(d)[1:2]); i++ {
		other.Spec = mdmv1alpha1.DeviceSpec{ServerRef: d.Spec.ServerRef, UDID: fmt.Sprint("other", i)}
	}
	scheme := runtime.NewScheme()
	if err := mdmv1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	reader := fake.NewClientBuilder().WithScheme(scheme).WithObjects(other, d).
		WithIndex(&mdmv1alpha1.Device{}, roster.FieldIdentity, roster.IndexIdentities).Build()
	for id, want := range map[string]string{"U": "d", "V": "d", "E": "d", "S": "", "W": "", other.Spec.UDID: "other"} {
		found, err := roster.Named(t.Context(), reader, types.NamespacedName{Namespace: "fleet", Name: "main"}, id)
		if err != nil {
			t.Fatal(err)
		}
		if found == nil && want != "" || found != nil && found.Name != want {
			t.Errorf("%s is %v, want %q", id, found, want)
		}
	}
}
