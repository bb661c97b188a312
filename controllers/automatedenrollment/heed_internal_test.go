package automatedenrollment

import (
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/ade"
)

// Events may come again at any time: the newest decides, whether the device came by an event or by the whole list.
func TestOldEventsSayNothing(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 1, 1, 0, minute, 0, 0, time.UTC) }
	event := func(op ade.Op, minute int) ade.Device {
		return ade.Device{SerialNumber: "C0", Op: op, OpAt: at(minute), AssetTag: string(op)}
	}
	for name, c := range map[string]struct {
		assigned int // in the whole list; 0: not in it
		events   []ade.Device
		listed   bool
	}{
		"added":                                  {0, []ade.Device{event(ade.Added, 1)}, true},
		"deleted":                                {1, []ade.Device{event(ade.Deleted, 2)}, false},
		"modified before it left":                {1, []ade.Device{event(ade.Deleted, 3), event(ade.Modified, 2)}, false},
		"its end comes twice":                    {1, []ade.Device{event(ade.Deleted, 3), event(ade.Deleted, 3)}, false},
		"back again":                             {1, []ade.Device{event(ade.Deleted, 3), event(ade.Added, 4)}, true},
		"back again, and its end comes late":     {1, []ade.Device{event(ade.Deleted, 3), event(ade.Added, 4), event(ade.Deleted, 3)}, true},
		"its end from before it was listed last": {5, []ade.Device{event(ade.Deleted, 3)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			a := &account{list: map[string]*listed{}, gone: map[string]time.Time{}}
			if c.assigned > 0 {
				a.list["C0"] = &listed{Device: ade.Device{SerialNumber: "C0", AssignedAt: at(c.assigned)}}
			}
			for _, e := range c.events {
				a.heed(e)
			}
			if _, is := a.list["C0"]; is != c.listed {
				t.Errorf("it is listed: %t", is)
			}
		})
	}
}
