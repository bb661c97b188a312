package fleet_test

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// BenchmarkIdleSession is what nearly all sessions of a quiet fleet are: a PC with twenty installed profiles for which there is nothing to do.
func BenchmarkIdleSession(b *testing.B) {
	w := newWorld(b)
	p := w.newPC("A")
	var assigned []adminapi.Key
	for i := range 20 {
		key := adminapi.Key(fmt.Sprintf("ns/p%02d", i))
		w.putProfile(key, "v1", set(policy+"Area/n"+strconv.Itoa(i), "int", "1"))
		assigned = append(assigned, key)
	}
	p.assign(assigned...)
	p.sync()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			orders, err := w.Manage(w.ctx, p.id, "A", p.by, fleet.WindowsMessage{SessionID: "idle", MsgID: "1", First: true, Login: "none"})
			if err != nil || len(orders) > 0 {
				b.Fatalf("%v, %v", orders, err)
			}
		}
	})
}

// BenchmarkSettingSession is an edit of a profile and the session of three messages in which a PC takes the setting and reads it back.
func BenchmarkSettingSession(b *testing.B) {
	w := newWorld(b)
	p := w.newPC("A")
	p.assign("ns/p")
	for i := 0; b.Loop(); i++ {
		w.putProfile("ns/p", strconv.Itoa(i), set(camera, "int", strconv.Itoa(i)))
		p.sync()
	}
	w.wantCounts("ns/p", 1, 0)
}
