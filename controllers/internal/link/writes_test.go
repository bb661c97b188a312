package link_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

const wifi adminapi.Key = "fleet/wifi"

// enrolled returns devices d0, d1, ... and the assignment of an artifact to each.
func enrolled(n int) (devices []adminapi.Device, assigned []adminapi.Assignment) {
	for i := range n {
		id := fmt.Sprint("d", i)
		devices = append(devices, adminapi.Device{ID: id, EnrollmentID: "e", State: adminapi.DeviceEnrolled})
		assigned = append(assigned, adminapi.Assignment{DeviceID: id, EnrollmentID: "e", Artifacts: []adminapi.Key{wifi}})
	}
	return devices, assigned
}

func TestAssignmentsGoInBatches(t *testing.T) {
	f := newFakeServer(t)
	f.devices, _ = enrolled(3)
	f.stale = []string{"d2"}
	s := watch(t, all, link.KindServer).connect(t, f)
	_, assigned := enrolled(1001)
	if err := s.PutAssignments(t.Context(), assigned); err != nil {
		t.Fatal(err)
	}
	if want := []int{500, 500, 1}; !slices.Equal(f.batches, want) {
		t.Errorf("batches of %v, want %v", f.batches, want)
	}
	if got := s.Targeted(wifi); got != 2 {
		t.Errorf("%d devices targeted, want the known ones that the server took", got)
	}
}

func TestAssignmentsBeforeAFailureAreKnown(t *testing.T) {
	f := newFakeServer(t)
	f.devices, _ = enrolled(501)
	f.refuseAfter = 1
	s := watch(t, all, link.KindServer).connect(t, f)
	_, assigned := enrolled(501)
	if err := s.PutAssignments(t.Context(), assigned); err == nil {
		t.Fatal("the failure of the second batch was lost")
	}
	if got := s.Targeted(wifi); got != 500 {
		t.Errorf("%d devices targeted, want the 500 of the first batch", got)
	}
}

func TestIntentIsSeenAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		stale []string
		want  bool
	}{"taken": {nil, true}, "stale": {[]string{"d0"}, false}} {
		t.Run(name, func(t *testing.T) {
			f := newFakeServer(t)
			f.devices, f.assigns = enrolled(1)
			f.stale = c.stale
			s := watch(t, all, link.KindServer).connect(t, f)
			stale, err := s.PutIntent(t.Context(), adminapi.DeviceIntent{DeviceID: "d0", EnrollmentID: "e", Intent: adminapi.IntentIgnore})
			if err != nil {
				t.Fatal(err)
			}
			if d, _ := s.Device("d0"); stale == c.want || d.Ignored != c.want {
				t.Errorf("stale %v, ignored in the mirror %v", stale, d.Ignored)
			}
			if ignored := s.Targeted(wifi) == 0; ignored != c.want {
				t.Errorf("an ignored device is targeted: %v", !ignored)
			}
		})
	}
}

func TestWithdrawnArtifactIsAssignedToNobody(t *testing.T) {
	f := newFakeServer(t)
	f.devices, f.assigns = enrolled(2)
	w := watch(t, all, link.KindServer, adminapi.KindArtifact)
	s := w.connect(t, f)
	if err := s.DeleteArtifact(t.Context(), wifi, false); err != nil {
		t.Fatal(err)
	}
	if a, _ := s.Assignment("d0"); s.Targeted(wifi) != 0 || len(a.Artifacts) != 0 {
		t.Errorf("%d targeted, assignment %v", s.Targeted(wifi), a.Artifacts)
	}
}

func TestWithdrawalByAnotherIsSeen(t *testing.T) {
	f := newFakeServer(t)
	f.devices, f.assigns = enrolled(2)
	w := watch(t, all, link.KindServer, adminapi.KindArtifact)
	s := w.connect(t, f)
	send(t, "a change", f.feed, adminapi.Changes{StoreEpoch: "a", Changes: []adminapi.Change{
		{Kind: adminapi.KindArtifact, Key: string(wifi), Version: 1, Artifact: &adminapi.ArtifactStatus{Key: wifi, Withdrawn: true}},
	}})
	w.next(t)
	if got := s.Targeted(wifi); got != 0 {
		t.Errorf("%d targeted", got)
	}
}

func TestWakeReachesTheSourcesOfItsKind(t *testing.T) {
	w := watch(t, all, link.KindAssignments)
	e := link.Event{Server: serverName, Kind: link.KindAssignments, Key: "x"}
	w.Wake(t.Context(), e)
	if got := receive(t, "event", w.events); got != e {
		t.Errorf("event %+v", got)
	}
}
