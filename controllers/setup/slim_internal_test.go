package setup

import (
	"reflect"
	"testing"
	"unsafe"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/roster"
)

// cached is a Device as the API server sends it.
func cached(name string) *mdmv1alpha1.Device {
	fields := func(manager, subresource, set string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, Subresource: subresource, FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(set)}
	}
	d := &mdmv1alpha1.Device{ObjectMeta: metav1.ObjectMeta{
		Namespace: "fleet", Name: name, Labels: map[string]string{"team": "design", "floor": "3"},
		Annotations: map[string]string{corev1.LastAppliedConfigAnnotation: "{}", mdmv1alpha1.AnnotationPaused: "true"},
		ManagedFields: []metav1.ManagedFieldsEntry{
			fields("token", "", `{"f:metadata":{"f:labels":{".":{},"f:team":{}}},"f:spec":{"f:udid":{}}}`),
			fields("kubectl", "", `{"f:metadata":{"f:labels":{"f:floor":{}}}}`),
			fields("manager", "", `{"f:spec":{"f:serialNumber":{}}}`),
			fields("manager", "status", `{"f:status":{"f:os":{}}}`),
		},
	}}
	d.Status.OS = &mdmv1alpha1.DeviceOS{Version: "26.1", Build: "25B78"}
	d.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: "True", Reason: string([]byte("Ready")), Message: string([]byte(name[:0] + "all is well"))}}
	return d
}

func TestCachedDevicesAreSlim(t *testing.T) {
	s := &slim{}
	var devices []*mdmv1alpha1.Device
	for _, name := range []string{"a", "b"} {
		before := cached(name)
		after, err := s.device(cached(name))
		if err != nil {
			t.Fatal(err)
		}
		d := after.(*mdmv1alpha1.Device)
		devices = append(devices, d)
		for _, manager := range []string{"token", "kubectl", "manager"} {
			wantMine, wantOthers, _ := roster.LabelOwners(before, manager)
			mine, others, err := roster.LabelOwners(d, manager)
			delete(wantMine, ".")
			delete(wantOthers, ".")
			if err != nil || !reflect.DeepEqual(mine, wantMine) || !reflect.DeepEqual(others, wantOthers) {
				t.Errorf("%s owns %v beside %v (%v), want %v beside %v", manager, mine, others, err, wantMine, wantOthers)
			}
		}
		if !reflect.DeepEqual(d.Status, before.Status) || !reflect.DeepEqual(d.Labels, before.Labels) || len(d.Annotations) != 1 {
			t.Errorf("something was lost: %+v", d)
		}
	}
	a, b := devices[0], devices[1]
	for what, shared := range map[string]bool{
		"labels":  reflect.ValueOf(a.Labels).Pointer() == reflect.ValueOf(b.Labels).Pointer(),
		"owners":  &a.ManagedFields[0] == &b.ManagedFields[0],
		"os":      a.Status.OS == b.Status.OS,
		"message": unsafe.StringData(a.Status.Conditions[0].Message) == unsafe.StringData(b.Status.Conditions[0].Message),
	} {
		if !shared {
			t.Errorf("two Devices with the same %s have them twice", what)
		}
	}
	if o, err := s.device(cache.DeletedFinalStateUnknown{Key: "fleet/a"}); err != nil || o != (cache.DeletedFinalStateUnknown{Key: "fleet/a"}) {
		t.Errorf("a tombstone became %v, %v", o, err)
	}
}
