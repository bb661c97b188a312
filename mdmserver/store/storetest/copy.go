package storetest

import (
	"reflect"
	"testing"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// Fill puts a row without empty fields into every table.
func Fill(t *testing.T, store fleet.Store) {
	t.Helper()
	s := &suite{T: t, store: store}
	s.rows()
	s.update(func(tx fleet.Tx) {
		s.must(tx.PutAssignment("D", "p"))
		s.must(tx.PutNodes("p", []string{"./Device/A", "./Device/B"}))
		s.must(tx.PutAutomatedDevices([]fleet.AutomatedDeviceRow{{SerialNumber: "S", Automated: "ns/a", Profile: "staff"}}))
		s.must(tx.PutDirty(fleet.DirtyRow{Kind: adminapi.KindDevice, Key: "D", Version: get[int64](s)(tx.NextVersion())}))
		s.must(tx.AppendHistory(full(func(e *adminapi.HistoryEntry) { e.Seq, e.DeviceID = get[int64](s)(tx.NextVersion()), "D" })))
	})
}

// Compare compares what Fill put into one store with what is in another one.
func Compare(t *testing.T, one, other fleet.Store) {
	t.Helper()
	a, b := everything(t, one), everything(t, other)
	for i := range a {
		if reflect.ValueOf(a[i]).IsZero() || !reflect.DeepEqual(a[i], b[i]) {
			t.Errorf("one store has\n%+v\nand the other\n%+v", a[i], b[i])
		}
	}
}

func everything(t *testing.T, store fleet.Store) (all []any) {
	s := &suite{T: t, store: store}
	add := func(v any, err error) {
		s.Helper()
		s.must(err)
		all = append(all, v)
	}
	s.view(func(tx fleet.Tx) {
		for _, read := range []func() (any, error){
			func() (any, error) { return tx.Token("t") },
			func() (any, error) { return tx.Challenge("c") },
			func() (any, error) { return tx.Enrollment("e") },
			func() (any, error) { return tx.Identity("i") },
			func() (any, error) { return tx.Device("D") },
			func() (any, error) { return tx.Channel("D") },
			func() (any, error) { return tx.Artifact("p") },
			func() (any, error) { return tx.State("D", "p") },
			func() (any, error) { return tx.Record("D", "x") },
			func() (any, error) { return tx.Command("u") },
			func() (any, error) { return tx.Session("D") },
			func() (any, error) { return tx.Automated("ns/a") },
			func() (any, error) { return tx.AutomatedDevice("S") },
			func() (any, error) { return tx.Agent("n") },
			func() (any, error) { return tx.ActionByID("a") },
			func() (any, error) { return tx.Target("a", "D") },
			func() (any, error) { return tx.AssignmentsOf("D") },
			func() (any, error) { return tx.Nodes("p") },
			func() (any, error) { return tx.DueDirty(now, 0, 10) },
			func() (any, error) { return tx.HistoryAfter(0, 10) },
			func() (any, error) { return tx.LastHistory() },
		} {
			add(read())
		}
	})
	return all
}
