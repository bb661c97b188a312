package fleet_test

import (
	"testing"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

func TestArtifactReachesTheDeviceAndItsEditToo(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.put("ns/p", "v1")
	w.assign([]adminapi.Key{"ns/p"}, m)
	w.wantDelivery(m.idle(), "install ns/p v1")
	if got := w.artifact("ns/p"); got.Targeted != 1 || got.Pending != 1 || got.Installed != 0 {
		t.Errorf("while it is sent: %+v", got)
	}
	if got := m.settle(); len(got) != 1 || got[0] != "install ns/p v1" {
		t.Errorf("after a crash the device got %v, want the install again", got)
	}
	if got := w.artifact("ns/p"); got.Installed != 1 || got.Pending != 0 {
		t.Errorf("after the answer: %+v", got)
	}
	w.put("ns/p", "v1")
	w.wantDelivery(m.idle(), "nothing")
	w.put("ns/p", "v2")
	w.wantDelivery(m.idle(), "install ns/p v2")
	_ = fleet.StatusIdle
}
