package storetest

import (
	"fmt"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

func stateName(r fleet.StateRow) string {
	return fmt.Sprintf("%s %s %s %s", r.ChannelID, r.Artifact, r.Digest, r.Outcome)
}

func recordName(r fleet.RecordRow) string { return r.ChannelID + " " + r.Identifier }

// artifact stores an artifact for Apple devices whose identifier is its key.
func (s *suite) artifact(tx fleet.Tx, key adminapi.Key, scope adminapi.Scope) {
	s.Helper()
	s.must(tx.PutArtifact(fleet.ArtifactRow{Key: key, Platform: adminapi.PlatformApple, Scope: scope, Identifier: string(key), Digest: "v1"}))
}

func (s *suite) state(tx fleet.Tx, channel, device string, artifact adminapi.Key, o fleet.Outcome) {
	s.Helper()
	s.must(tx.PutState(fleet.StateRow{ChannelID: channel, DeviceID: device, Artifact: artifact, Digest: "v1", Outcome: o, Since: now}))
}

func (s *suite) record(tx fleet.Tx, channel, device, identifier string, artifact adminapi.Key) {
	s.Helper()
	s.must(tx.PutRecord(fleet.RecordRow{ChannelID: channel, DeviceID: device, Identifier: identifier, Artifact: artifact, Digest: "v1"}))
}

func (s *suite) seeding() {
	s.update(func(tx fleet.Tx) {
		s.enrolled(tx, "A")
		s.user(tx, "A", "ann")
		s.enrolled(tx, "B")
		s.enrolled(tx, "off", func(_ *fleet.DeviceRow, c *fleet.ChannelRow) { c.Enabled = false })
		s.artifact(tx, "s", adminapi.ScopeSystem)
		s.artifact(tx, "u", adminapi.ScopeUser)
		s.must(tx.PutArtifact(fleet.ArtifactRow{Key: "w", Platform: adminapi.PlatformApple, Scope: adminapi.ScopeSystem, Identifier: "w", Digest: "v1", Withdrawn: true}))
		for _, device := range []string{"A", "B", "off"} {
			for _, key := range []adminapi.Key{"s", "u", "w", "missing"} {
				s.must(tx.PutAssignment(device, key))
				s.must(tx.PutAssignment(device, key))
			}
		}
		s.record(tx, "A", "A", "s", "s")
		s.must(tx.SeedDevice("A", now))
		s.must(tx.SeedDevice("off", now))
		want(s, get[[]fleet.StateRow](s)(tx.OpenStates("A")), stateName)
		want(s, get[[]fleet.StateRow](s)(tx.OpenStates("A:ann")), stateName, "A:ann u v1 Pending")
		want(s, get[[]fleet.StateRow](s)(tx.OpenStates("off")), stateName)
		if st := get[*fleet.StateRow](s)(tx.State("A", "s")); st == nil || st.Outcome != fleet.OutcomeInstalled {
			s.Errorf("what the record says is installed has the state %+v", st)
		}
		s.must(tx.PutRecord(fleet.RecordRow{ChannelID: "B", DeviceID: "B", Identifier: "s", Artifact: "s", Digest: "v1", Offer: fleet.Offer{CommandUUID: "u"}}))
		s.must(tx.SeedArtifact("s", now))
		s.must(tx.SeedArtifact("s", now.Add(time.Hour)))
		want(s, get[[]fleet.StateRow](s)(tx.OpenStates("B")), stateName, "B s v1 Pending") // its removal is under way
		if st := get[*fleet.StateRow](s)(tx.State("B", "s")); !st.Since.Equal(now) || st.DeviceID != "B" {
			s.Errorf("state = %+v", st)
		}

		s.must(tx.DeleteAssignment("A", "u"))
		s.must(tx.DropUnassigned("A"))
		want(s, get[[]fleet.StateRow](s)(tx.OpenStates("A:ann")), stateName)
		if st := get[*fleet.StateRow](s)(tx.State("A", "s")); st == nil {
			s.Error("an assigned state was dropped")
		}
		want(s, get[[]adminapi.Key](s)(tx.AssignmentsOf("A")), func(k adminapi.Key) string { return string(k) }, "missing", "s", "w")
		s.must(tx.DeleteAssignmentsOf("s"))
		want(s, get[[]adminapi.Key](s)(tx.AssignmentsOf("B")), func(k adminapi.Key) string { return string(k) }, "missing", "u", "w")
	})
}

func (s *suite) artifactChanges() {
	s.update(func(tx fleet.Tx) {
		s.artifact(tx, "p", adminapi.ScopeSystem)
		s.artifact(tx, "q", adminapi.ScopeSystem)
		for i, o := range []fleet.Outcome{fleet.OutcomeFailed, fleet.OutcomeInstalled, fleet.OutcomeNotNow} {
			id := fmt.Sprint("D", i)
			s.enrolled(tx, id)
			s.must(tx.PutState(fleet.StateRow{ChannelID: id, DeviceID: id, Artifact: "p", Digest: "v1", Outcome: o, Message: "m", Offer: full(func(*fleet.Offer) {})}))
			s.state(tx, id, id, "q", fleet.OutcomeInstalled)
		}
		s.must(tx.ResetStates("p", "v1", now))
		want(s, get[[]fleet.StateRow](s)(tx.OpenStates("D2")), stateName, "D2 p v1 NotNow")
		s.must(tx.ResetStates("p", "v2", now))
		for i := range 3 {
			st := get[*fleet.StateRow](s)(tx.State(fmt.Sprint("D", i), "p"))
			if st.Digest != "v2" || st.Outcome != fleet.OutcomePending || st.Message != "" || st.Offer != (fleet.Offer{}) || !st.Since.Equal(now) {
				s.Errorf("a reset state is %+v", st)
			}
			if other := get[*fleet.StateRow](s)(tx.State(fmt.Sprint("D", i), "q")); other.Outcome != fleet.OutcomeInstalled {
				s.Errorf("another artifact's state is %+v", other)
			}
		}
		s.must(tx.WakeArtifact("p", now))
		s.must(tx.WakeArtifact("q", now.Add(-time.Hour)))
		want(s, get[[]fleet.ChannelRow](s)(tx.DueChannels(now, 10)), channelID, "D0", "D1", "D2")
		want(s, get[[]fleet.ChannelRow](s)(tx.DueChannels(now.Add(-time.Second), 10)), channelID)
		s.must(tx.DeleteStatesOf("p"))
		want(s, get[[]fleet.StateRow](s)(tx.OpenStates("D0")), stateName)
		s.must(tx.DeleteArtifact("p"))
		if a := get[*fleet.ArtifactRow](s)(tx.Artifact("p")); a != nil {
			s.Errorf("a deleted artifact is %+v", a)
		}
	})
}

func (s *suite) ownership() {
	s.update(func(tx fleet.Tx) { s.artifact(tx, "q", adminapi.ScopeSystem) })
	err := s.store.Update(s.Context(), func(tx fleet.Tx) error {
		return tx.PutState(fleet.StateRow{ChannelID: "nobody", Artifact: "q"})
	})
	if err == nil {
		s.Error("a state belongs to no channel")
	}
	err = s.store.Update(s.Context(), func(tx fleet.Tx) error {
		return tx.PutArtifact(fleet.ArtifactRow{Key: "thief", Scope: adminapi.ScopeSystem, Identifier: "q"})
	})
	if err == nil {
		s.Error("two artifacts own one identifier")
	}
	s.update(func(tx fleet.Tx) {
		s.must(tx.PutArtifact(fleet.ArtifactRow{Key: "user", Scope: adminapi.ScopeUser, Identifier: "q"}))
		s.must(tx.PutArtifact(fleet.ArtifactRow{Key: "withdrawn", Scope: adminapi.ScopeSystem, Identifier: "q", Withdrawn: true}))
		if a := get[*fleet.ArtifactRow](s)(tx.ArtifactByIdentifier(adminapi.ScopeSystem, "q")); a == nil || a.Key != "q" {
			s.Errorf("the owner is %+v", a)
		}
	})
}

func (s *suite) records() {
	s.update(func(tx fleet.Tx) {
		s.enrolled(tx, "A")
		s.user(tx, "A", "ann")
		s.artifact(tx, "p", adminapi.ScopeSystem)
		s.state(tx, "A", "A", "p", fleet.OutcomePending)
		s.record(tx, "A", "A", "p", "another") // p is assigned and carries it
		s.record(tx, "A", "A", "z", "p")
		s.record(tx, "A", "A", "y", "gone")
		s.record(tx, "A:ann", "A", "p", "p") // not assigned on this channel
		want(s, get[*fleet.WorkRows](s)(tx.Work("", "A")).Strays, recordName, "A y", "A z")
		want(s, get[*fleet.WorkRows](s)(tx.Work("", "A:ann")).Strays, recordName, "A:ann p")
		want(s, get[[]adminapi.Key](s)(tx.RecordedArtifacts("A")), func(k adminapi.Key) string { return string(k) }, "another", "gone", "p")
		if n := get[int](s)(tx.CountRecords("p")); n != 2 {
			s.Errorf("p has %d records, want 2", n)
		}
		s.must(tx.DeleteRecord("A", "y"))
		s.must(tx.DeleteRecordsOf("p"))
		want(s, get[*fleet.WorkRows](s)(tx.Work("", "A")).Strays, recordName)
		if r := get[*fleet.RecordRow](s)(tx.Record("A", "p")); r == nil {
			s.Error("another artifact's record was deleted")
		}
		first := fleet.CommandRow{UUID: "u1", ChannelID: "A", Kind: fleet.CommandInstall, Key: "p"}
		second := first
		second.UUID = "u2"
		s.must(tx.PutCommand(first))
		s.must(tx.PutCommand(second))
		if old, latest := get[*fleet.CommandRow](s)(tx.Command("u1")), get[*fleet.CommandRow](s)(tx.Command("u2")); old != nil || latest == nil {
			s.Errorf("commands = %+v, %+v; want the last one only", old, latest)
		}
		s.must(tx.DeleteCommand("u2"))
		if c := get[*fleet.CommandRow](s)(tx.Command("u2")); c != nil {
			s.Errorf("a deleted command is %+v", c)
		}
	})
}

// furnish gives a channel a state, a record and a command.
func (s *suite) furnish(tx fleet.Tx, channel, device string) {
	s.Helper()
	s.state(tx, channel, device, "p", fleet.OutcomeFailed)
	s.record(tx, channel, device, "x", "p")
	s.must(tx.PutCommand(fleet.CommandRow{UUID: "of " + channel, ChannelID: channel, Kind: fleet.CommandInstall, Key: "p"}))
}

// furnished counts what furnish gave.
func (s *suite) furnished(tx fleet.Tx, channel string) int {
	n := 0
	if get[*fleet.StateRow](s)(tx.State(channel, "p")) != nil {
		n++
	}
	if get[*fleet.RecordRow](s)(tx.Record(channel, "x")) != nil {
		n++
	}
	if get[*fleet.CommandRow](s)(tx.Command("of "+channel)) != nil {
		n++
	}
	return n
}

func (s *suite) clearing() {
	s.update(func(tx fleet.Tx) {
		s.artifact(tx, "p", adminapi.ScopeSystem)
		for _, device := range []string{"A", "B"} {
			s.enrolled(tx, device)
			s.must(tx.PutAssignment(device, "p"))
			s.furnish(tx, device, device)
			for _, name := range []string{"ann", "bob"} {
				s.user(tx, device, name)
				s.furnish(tx, device+":"+name, device)
			}
		}
		s.must(tx.ClearChannel("A:ann"))
		if cleared, kept := s.furnished(tx, "A:ann"), s.furnished(tx, "A:bob")+s.furnished(tx, "A"); cleared != 0 || kept != 6 {
			s.Errorf("after clearing a channel it has %d rows and its neighbours %d", cleared, kept)
		}
		s.must(tx.ClearDevice("A"))
		if cleared, kept := s.furnished(tx, "A:bob")+s.furnished(tx, "A"), s.furnished(tx, "B")+s.furnished(tx, "B:ann"); cleared != 0 || kept != 6 {
			s.Errorf("after clearing a device it has %d rows and the other one %d", cleared, kept)
		}
		if a, b := get[[]adminapi.Key](s)(tx.AssignmentsOf("A")), get[[]adminapi.Key](s)(tx.AssignmentsOf("B")); len(a) != 0 || len(b) != 1 {
			s.Errorf("assignments = %q, %q", a, b)
		}
	})
}

func (s *suite) reoffering() {
	s.update(func(tx fleet.Tx) {
		s.artifact(tx, "p", adminapi.ScopeSystem)
		offer := fleet.Offer{State: fleet.OfferSent, CommandUUID: "u", Attempts: 2, NextAttempt: now}
		s.must(tx.PutAction(fleet.ActionRow{ID: "a"}))
		for _, id := range []string{"A", "B"} {
			s.enrolled(tx, id)
			s.must(tx.PutState(fleet.StateRow{ChannelID: id, Artifact: "p", Outcome: fleet.OutcomeNotNow, Offer: offer}))
			s.must(tx.PutRecord(fleet.RecordRow{ChannelID: id, Identifier: "x", Offer: offer}))
			s.must(tx.PutTarget(fleet.TargetRow{ActionID: "a", DeviceID: id, Offer: offer}))
		}
		s.must(tx.Reoffer("A"))
		for id, state := range map[string]fleet.OfferState{"A": fleet.OfferReady, "B": fleet.OfferSent} {
			offer.State = state
			if st := get[*fleet.StateRow](s)(tx.State(id, "p")); st.Offer != offer || st.Outcome != fleet.OutcomeNotNow {
				s.Errorf("state of %s = %+v", id, st)
			}
			if r := get[*fleet.RecordRow](s)(tx.Record(id, "x")); r.Offer != offer {
				s.Errorf("record of %s = %+v", id, r)
			}
			if t := get[*fleet.TargetRow](s)(tx.Target("a", id)); t.Offer != offer {
				s.Errorf("target of %s = %+v", id, t)
			}
		}
	})
}

func (s *suite) counting() {
	s.update(func(tx fleet.Tx) {
		s.artifact(tx, "p", adminapi.ScopeUser)
		s.artifact(tx, "q", adminapi.ScopeUser)
		for id, outcomes := range map[string][]fleet.Outcome{
			"installed": {fleet.OutcomeInstalled, fleet.OutcomeInstalled}, "pending": {fleet.OutcomeInstalled, fleet.OutcomePending},
			"notnow": {fleet.OutcomePending, fleet.OutcomeNotNow}, "failed": {fleet.OutcomeNotNow, fleet.OutcomeFailed},
			"failed2": {fleet.OutcomeFailed, fleet.OutcomeFailed}, "nobody": nil, "ignored": {fleet.OutcomeFailed},
		} {
			s.enrolled(tx, id, func(d *fleet.DeviceRow, _ *fleet.ChannelRow) {
				if id == "ignored" {
					d.Intent = adminapi.IntentIgnore
				}
			})
			s.must(tx.PutAssignment(id, "p"))
			for i, o := range outcomes {
				s.user(tx, id, fmt.Sprint(i))
				s.state(tx, fmt.Sprint(id, ":", i), id, "p", o)
				s.record(tx, fmt.Sprint(id, ":", i), id, "p", "p")
				s.record(tx, fmt.Sprint(id, ":", i), id, "old", "q")
			}
		}
		if c := get[fleet.ArtifactCounts](s)(tx.ArtifactCounts("p")); c != (fleet.ArtifactCounts{Targeted: 6, Installed: 1, NotNow: 1, Failed: 2}) {
			s.Errorf("counts = %+v", c)
		}
		if c := get[fleet.ArtifactCounts](s)(tx.ArtifactCounts("q")); c != (fleet.ArtifactCounts{Removing: 5}) {
			s.Errorf("counts of what is only removed = %+v", c)
		}
		if c := get[fleet.ArtifactCounts](s)(tx.ArtifactCounts("unknown")); c != (fleet.ArtifactCounts{}) {
			s.Errorf("counts of nothing = %+v", c)
		}
		want(s, get[[]fleet.StateRow](s)(tx.FailingDevices("p", 0)), func(r fleet.StateRow) string { return r.ChannelID }, "failed:1", "failed2:0", "failed2:1")
		want(s, get[[]fleet.StateRow](s)(tx.FailingDevices("p", 1)), func(r fleet.StateRow) string { return r.ChannelID }, "failed:1")
		want(s, get[[]fleet.StateRow](s)(tx.FailingOf("failed", 5)), func(r fleet.StateRow) string { return r.ChannelID }, "failed:1")
		if n := get[int](s)(tx.CountFailing("failed2")); n != 1 {
			s.Errorf("two channels that fail one artifact count %d", n)
		}
	})
}
