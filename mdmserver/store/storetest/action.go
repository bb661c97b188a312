package storetest

import (
	"maps"
	"strconv"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

func (s *suite) actions() {
	s.update(func(tx fleet.Tx) {
		for _, a := range []fleet.ActionRow{
			{ID: "1", Key: "ns/a", SpecHash: "x", Seq: 1}, {ID: "2", Key: "ns/a", SpecHash: "y", Seq: 2}, {ID: "3", Key: "ns/b", SpecHash: "x", Seq: 3},
		} {
			s.must(tx.PutAction(a))
		}
		for _, tc := range []struct {
			key  adminapi.Key
			hash string
			id   string
		}{{"ns/a", "", "2"}, {"ns/a", "x", "1"}, {"ns/b", "x", "3"}, {"ns/b", "y", ""}, {"ns/c", "", ""}} {
			if a := get[*fleet.ActionRow](s)(tx.Action(tc.key, tc.hash)); (a == nil) != (tc.id == "") || a != nil && a.ID != tc.id {
				s.Errorf("action %s %q = %+v, want %q", tc.key, tc.hash, a, tc.id)
			}
		}
		want(s, get[[]fleet.ActionRow](s)(tx.Actions("", 10)), func(r fleet.ActionRow) string { return r.ID }, "2", "3")
	})
}

func targetName(r fleet.TargetRow) string { return r.ActionID + " " + r.DeviceID }

func (s *suite) targets() {
	s.update(func(tx fleet.Tx) {
		for _, id := range []string{"1", "2", "3"} {
			s.must(tx.PutAction(fleet.ActionRow{ID: id, SpecHash: id}))
		}
		for _, t := range []fleet.TargetRow{
			{ActionID: "2", DeviceID: "A", Seq: 2, State: adminapi.TargetQueued, Deadline: now},
			{ActionID: "1", DeviceID: "A", Seq: 1, State: adminapi.TargetDelivered, DeliveredAt: now.Add(-time.Second), RequestType: "R", Deadline: now.Add(time.Second)},
			{ActionID: "1", DeviceID: "B", Seq: 1, State: adminapi.TargetDelivered, DeliveredAt: now.Add(-time.Minute), RequestType: "S"},
			{ActionID: "1", DeviceID: "C", Seq: 1, State: adminapi.TargetDelivered, DeliveredAt: now.Add(-time.Minute), RequestType: "T"},
			{ActionID: "1", DeviceID: "D", Seq: 1, State: adminapi.TargetDelivered, DeliveredAt: now, RequestType: "R"},
			{ActionID: "1", DeviceID: "E", Seq: 1, State: adminapi.TargetFailed, FinishedAt: now.Add(-time.Second), Deadline: now},
			{ActionID: "1", DeviceID: "F", Seq: 1, State: adminapi.TargetSucceeded, FinishedAt: now},
			{ActionID: "3", DeviceID: "E", Seq: 3, State: adminapi.TargetSucceeded, FinishedAt: now},
		} {
			s.must(tx.PutTarget(t))
		}
		want(s, get[[]fleet.TargetRow](s)(tx.OpenTargets("A")), targetName, "1 A", "2 A")
		want(s, get[[]fleet.TargetRow](s)(tx.OpenTargets("E")), targetName)
		want(s, get[[]fleet.TargetRow](s)(tx.OpenTargetsOf("1")), targetName, "1 A", "1 B", "1 C", "1 D")
		s.must(tx.FinishAction("1", now))
		s.must(tx.FinishAction("3", now))
		if one, three := get[*fleet.ActionRow](s)(tx.ActionByID("1")), get[*fleet.ActionRow](s)(tx.ActionByID("3")); !one.FinishedAt.IsZero() || !three.FinishedAt.Equal(now) {
			s.Errorf("an action with open targets and one without: %+v, %+v", one, three)
		}
		want(s, get[[]fleet.TargetRow](s)(tx.OverdueTargets(now, 10)), targetName, "2 A")
		want(s, get[[]fleet.TargetRow](s)(tx.UnansweredTargets([]string{"R", "S"}, now, 10)), targetName, "1 B", "1 A")
		want(s, get[[]fleet.TargetRow](s)(tx.UnansweredTargets([]string{"R", "S"}, now, 1)), targetName, "1 B")
		counts, latest, err := tx.Outcomes("1", 2)
		s.must(err)
		want(s, latest, targetName, "1 F", "1 E")
		if !maps.Equal(counts, map[adminapi.TargetState]int{adminapi.TargetDelivered: 4, adminapi.TargetFailed: 1, adminapi.TargetSucceeded: 1}) {
			s.Errorf("counts = %v", counts)
		}
	})
}

func (s *suite) keepingTheNewest() {
	s.update(func(tx fleet.Tx) {
		for i := range 5 {
			id, at := strconv.Itoa(i), now.Add(time.Duration(i)*time.Second)
			s.must(tx.PutAction(fleet.ActionRow{ID: id, SpecHash: id, FinishedAt: at}))
			s.must(tx.PutTarget(fleet.TargetRow{ActionID: id, DeviceID: "A", FinishedAt: at, Body: []byte(id), PIN: []byte("pin")}))
			s.must(tx.PutTarget(fleet.TargetRow{ActionID: id, DeviceID: "B", FinishedAt: at, Body: []byte(id)}))
		}
		s.must(tx.PutAction(fleet.ActionRow{ID: "running", SpecHash: "running"}))
		s.must(tx.TrimResults("A", 5))
		s.must(tx.TrimResults("A", 2))
		for i := range 5 {
			id := strconv.Itoa(i)
			a, b := get[*fleet.TargetRow](s)(tx.Target(id, "A")), get[*fleet.TargetRow](s)(tx.Target(id, "B"))
			if (a.Body != nil) != (i >= 3) || a.PIN == nil || b.Body == nil {
				s.Errorf("targets of %s: %+v, %+v", id, a, b)
			}
		}
		if at := get[time.Time](s)(tx.ExcessActions(5)); !at.IsZero() {
			s.Errorf("five of five actions are too many before %s", at)
		}
		s.must(tx.DeleteActions(get[time.Time](s)(tx.ExcessActions(3))))
		for i := range 5 {
			if a := get[*fleet.ActionRow](s)(tx.ActionByID(strconv.Itoa(i))); (a != nil) != (i >= 2) {
				s.Errorf("action %d = %+v", i, a)
			}
		}
		if get[*fleet.ActionRow](s)(tx.ActionByID("running")) == nil {
			s.Error("a running action was forgotten")
		}
	})
}

func (s *suite) forgetting() {
	s.update(func(tx fleet.Tx) {
		for id, finished := range map[string]time.Time{"old": now.Add(-time.Second), "recent": now, "running": {}} {
			s.must(tx.PutAction(fleet.ActionRow{ID: id, SpecHash: id, FinishedAt: finished}))
			s.must(tx.PutTarget(fleet.TargetRow{ActionID: id, DeviceID: "A", FinishedAt: finished}))
		}
		s.must(tx.DeleteActions(now))
		for id, there := range map[string]bool{"old": false, "recent": true, "running": true} {
			if a := get[*fleet.ActionRow](s)(tx.ActionByID(id)); (a != nil) != there {
				s.Errorf("action %s = %+v", id, a)
			}
			if t := get[*fleet.TargetRow](s)(tx.Target(id, "A")); (t != nil) != there {
				s.Errorf("target of %s = %+v", id, t)
			}
		}
	})
}
