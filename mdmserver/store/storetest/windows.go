package storetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// windows makes a device and its channel those of a PC.
func windows(d *fleet.DeviceRow, c *fleet.ChannelRow) {
	d.Platform, c.Kind, c.PushToken = adminapi.PlatformWindows, fleet.ChannelWindows, nil
}

// agentOf stores an agent, on the hardware that its key names, that enrolled a device.
func (s *suite) agentOf(tx fleet.Tx, key, device string) {
	s.Helper()
	s.must(tx.PutAgent(fleet.AgentRow{NodeKeyHash: key, HardwareUUID: "hardware of " + key, DeviceID: device, CreatedAt: now}))
}

func agentName(r fleet.AgentRow) string { return r.NodeKeyHash }

func (s *suite) agents() {
	s.update(func(tx fleet.Tx) {
		for i, key := range []string{"second", "first"} {
			s.must(tx.PutAgent(fleet.AgentRow{NodeKeyHash: key, HardwareUUID: "PC", CreatedAt: now.Add(-time.Duration(i) * time.Hour)}))
		}
		s.agentOf(tx, "foreign", "")
		want(s, get[[]fleet.AgentRow](s)(tx.AgentsOn("PC")), agentName, "first", "second")
		want(s, get[[]fleet.AgentRow](s)(tx.AgentsOn("nowhere")), agentName)
		s.must(tx.DeleteAgent("first"))
		s.must(tx.DeleteAgent("first"))
		want(s, get[[]fleet.AgentRow](s)(tx.AgentsOn("PC")), agentName, "second")
		if a := get[*fleet.AgentRow](s)(tx.Agent("first")); a != nil {
			s.Errorf("a deleted agent is %+v", a)
		}
		s.must(tx.DeleteAgent("second"))
		s.must(tx.DeleteAgent("foreign"))
	})
	s.update(func(tx fleet.Tx) {
		intent := func(i adminapi.Intent) func(*fleet.DeviceRow, *fleet.ChannelRow) {
			return func(d *fleet.DeviceRow, c *fleet.ChannelRow) { d.Intent, c.WakeAt = i, now }
		}
		ended := func(reason string) func(*fleet.DeviceRow, *fleet.ChannelRow) {
			return func(d *fleet.DeviceRow, c *fleet.ChannelRow) {
				d.State, d.EndReason, d.Intent, c.Enabled = adminapi.DeviceEnded, reason, adminapi.IntentUnenroll, false
			}
		}
		for device, change := range map[string]func(*fleet.DeviceRow, *fleet.ChannelRow){
			"managed": intent(adminapi.IntentManage), "ignored": intent(adminapi.IntentIgnore), "leaving": intent(adminapi.IntentUnenroll),
			"unenrolled": ended(adminapi.EndUnenrolled), "gone": ended(adminapi.EndCheckedOut),
			"idle":    func(_ *fleet.DeviceRow, c *fleet.ChannelRow) { c.WakeAt = time.Time{} },
			"off":     func(_ *fleet.DeviceRow, c *fleet.ChannelRow) { c.WakeAt, c.Enabled = now, false },
			"pending": func(d *fleet.DeviceRow, c *fleet.ChannelRow) { d.State, c.Enabled = adminapi.DevicePending, false },
		} {
			s.enrolled(tx, device, windows, change)
			s.agentOf(tx, device, device)
		}
		s.must(tx.PutChannel(fleet.ChannelRow{Channel: fleet.Channel{ID: "managed:user", DeviceID: "managed"}, Enabled: true, WakeAt: now.Add(-time.Hour)}))
		s.agentOf(tx, "new", "")
		s.agentOf(tx, "lost", "nobody")

		expected := map[string]fleet.AgentView{
			"managed": {WakeAt: now.Add(-time.Hour)}, "ignored": {}, "leaving": {Unenroll: true, WakeAt: now}, "unenrolled": {}, "gone": {Enroll: true},
			"idle": {}, "off": {}, "pending": {}, "new": {Enroll: true}, "lost": {Enroll: true},
		}
		all := get[[]fleet.AgentView](s)(tx.AgentViews(""))
		if len(all) != len(expected) {
			s.Errorf("%d agents, want %d", len(all), len(expected))
		}
		for key, view := range expected {
			view.NodeKeyHash = key
			name := func(v fleet.AgentView) string { return fmt.Sprintf("%+v", v) }
			want(s, get[[]fleet.AgentView](s)(tx.AgentViews(key)), name, name(view))
		}
		want(s, get[[]fleet.AgentView](s)(tx.AgentViews("unknown")), func(v fleet.AgentView) string { return v.NodeKeyHash })
	})
}

func (s *suite) strandedAgents() {
	s.update(func(tx fleet.Tx) {
		s.enrolled(tx, "managed", windows)
		for _, t := range []adminapi.Token{{Key: "good"}, {Key: "lasting", ExpiresAt: now.Add(time.Hour)}, {Key: "over", ExpiresAt: now}, {Key: "used", MaxUses: 1}} {
			s.must(tx.PutToken(fleet.TokenRow{Token: t, Uses: 1}))
		}
		for i, token := range []adminapi.Key{"good", "lasting", "over", "used", "gone"} {
			s.must(tx.PutAgent(fleet.AgentRow{NodeKeyHash: "to enrol by " + string(token), Token: token, CreatedAt: now.Add(time.Duration(-i) * time.Minute)}))
			s.must(tx.PutAgent(fleet.AgentRow{NodeKeyHash: "managed by " + string(token), Token: token, DeviceID: "managed"}))
		}
		s.must(tx.DeleteStrandedAgents(now.Add(-time.Hour), now))
		s.wantAgents(tx, "to enrol by ", "good", "lasting")
		s.must(tx.DeleteAgentsToEnrol("lasting"))
		s.wantAgents(tx, "to enrol by ", "good")
		s.must(tx.DeleteStrandedAgents(now.Add(time.Second), now))
		s.wantAgents(tx, "to enrol by ")
		s.wantAgents(tx, "managed by ", "good", "lasting", "over", "used", "gone")
	})
}

// wantAgents checks which agents there are whose node keys begin so.
func (s *suite) wantAgents(tx fleet.Tx, prefix string, endings ...string) {
	s.Helper()
	var got []string
	for _, v := range get[[]fleet.AgentView](s)(tx.AgentViews("")) {
		if ending, ok := strings.CutPrefix(v.NodeKeyHash, prefix); ok {
			got = append(got, ending)
		}
	}
	slices.Sort(got)
	slices.Sort(endings)
	if !slices.Equal(got, endings) {
		s.Errorf("agents %s%q, want %q", prefix, got, endings)
	}
}

func (s *suite) nodes() {
	self := func(node string) string { return node }
	s.update(func(tx fleet.Tx) {
		for _, key := range []adminapi.Key{"p", "q"} {
			s.must(tx.PutArtifact(fleet.ArtifactRow{Key: key, Platform: adminapi.PlatformWindows, Scope: adminapi.ScopeSystem, Identifier: string(key)}))
			s.must(tx.PutNodes(key, []string{"./b", "./a", "./b"}))
		}
		want(s, get[[]string](s)(tx.Nodes("p")), self, "./a", "./b")
		s.must(tx.PutNodes("p", []string{"./c"}))
		want(s, get[[]string](s)(tx.Nodes("p")), self, "./c")
		want(s, get[[]string](s)(tx.Nodes("q")), self, "./a", "./b")

		s.enrolled(tx, "PC", windows)
		s.state(tx, "PC", "PC", "p", fleet.OutcomeInstalled)
		for _, node := range []string{"./c", "./a", "./gone"} {
			s.record(tx, "PC", "PC", node, "p")
		}
		want(s, get[[]fleet.RecordRow](s)(tx.Records("PC")), recordName, "PC ./a", "PC ./c", "PC ./gone")
		want(s, get[[]fleet.RecordRow](s)(tx.Records("nobody")), recordName)
		want(s, get[*fleet.WorkRows](s)(tx.Work("", "PC")).Strays, recordName, "PC ./a", "PC ./gone")
		s.state(tx, "PC", "PC", "q", fleet.OutcomePending)
		want(s, get[*fleet.WorkRows](s)(tx.Work("", "PC")).Strays, recordName, "PC ./gone")

		s.must(tx.DeleteStatesOf("p"))
		s.must(tx.DeleteArtifact("p"))
		want(s, get[[]string](s)(tx.Nodes("p")), self)
	})
}

func (s *suite) verifying() {
	s.update(func(tx fleet.Tx) {
		s.enrolled(tx, "PC", windows)
		s.enrolled(tx, "another", windows)
		for key, st := range map[adminapi.Key]fleet.StateRow{
			"b due":     {Outcome: fleet.OutcomeInstalled, VerifyAt: now},
			"a overdue": {Outcome: fleet.OutcomeInstalled, VerifyAt: now.Add(-time.Hour)},
			"later":     {Outcome: fleet.OutcomeInstalled, VerifyAt: now.Add(time.Second)},
			"never":     {Outcome: fleet.OutcomeInstalled},
			"failed":    {Outcome: fleet.OutcomeFailed, VerifyAt: now},
		} {
			s.artifact(tx, key, adminapi.ScopeSystem)
			st.ChannelID, st.DeviceID, st.Artifact, st.Digest = "PC", "PC", key, "v1"
			s.must(tx.PutState(st))
		}
		want(s, get[[]fleet.StateRow](s)(tx.StatesToVerify("PC", now)), stateName, "PC a overdue v1 Installed", "PC b due v1 Installed")
		want(s, get[[]fleet.StateRow](s)(tx.StatesToVerify("another", now)), stateName)
		s.must(tx.ResetStates("a overdue", "v2", now))
		if st := get[*fleet.StateRow](s)(tx.State("PC", "a overdue")); !st.VerifyAt.IsZero() {
			s.Errorf("a state that was reset is read back at %v", st.VerifyAt)
		}
	})
}

// platforms: what is for devices of one platform reaches no other.
func (s *suite) platforms() {
	s.update(func(tx fleet.Tx) {
		s.enrolled(tx, "Mac")
		s.enrolled(tx, "PC", windows)
		s.must(tx.PutChannel(fleet.ChannelRow{Channel: fleet.Channel{ID: "PC:user", DeviceID: "PC"}, Scope: adminapi.ScopeUser, Enabled: true}))
		s.must(tx.PutSession(fleet.SessionRow{DeviceID: "PC", SessionID: "1"}))
		for _, a := range []fleet.ArtifactRow{
			{Key: "apple", Platform: adminapi.PlatformApple, Scope: adminapi.ScopeSystem}, {Key: "b", Platform: adminapi.PlatformWindows, Scope: adminapi.ScopeSystem},
			{Key: "a", Platform: adminapi.PlatformWindows, Scope: adminapi.ScopeSystem}, {Key: "user", Platform: adminapi.PlatformWindows, Scope: adminapi.ScopeUser},
			{Key: "withdrawn", Platform: adminapi.PlatformWindows, Scope: adminapi.ScopeSystem, Withdrawn: true},
		} {
			a.Identifier = string(a.Key)
			s.must(tx.PutArtifact(a))
			for _, device := range []string{"Mac", "PC"} {
				s.must(tx.PutAssignment(device, a.Key))
			}
		}
		s.must(tx.PutArtifact(fleet.ArtifactRow{Key: "unassigned", Platform: adminapi.PlatformWindows, Scope: adminapi.ScopeSystem, Identifier: "unassigned"}))
		for channel, keys := range map[string][]string{"Mac": {"apple"}, "PC": {"a", "b"}, "PC:user": {"user"}, "nobody": nil} {
			want(s, get[[]fleet.ArtifactRow](s)(tx.AssignedArtifacts(channel)), func(r fleet.ArtifactRow) string { return string(r.Key) }, keys...)
		}
		s.must(tx.SeedDevice("PC", now))
		s.must(tx.SeedArtifact("apple", now))
		for channel, keys := range map[string][]string{"Mac": {"apple"}, "PC": {"a", "b"}, "PC:user": {"user"}} {
			want(s, get[[]fleet.StateRow](s)(tx.OpenStates(channel)), func(r fleet.StateRow) string { return string(r.Artifact) }, keys...)
		}
		s.must(tx.ClearDevice("PC"))
		if session := get[*fleet.SessionRow](s)(tx.Session("PC")); session != nil {
			s.Errorf("the session of a cleared device is %+v", session)
		}
	})
}

func (s *suite) pcs() {
	s.update(func(tx fleet.Tx) {
		pending := func(seen time.Time) func(*fleet.DeviceRow, *fleet.ChannelRow) {
			return func(d *fleet.DeviceRow, _ *fleet.ChannelRow) { d.State, d.LastSeen = adminapi.DevicePending, seen }
		}
		s.enrolled(tx, "new", windows, pending(now))
		s.enrolled(tx, "old", windows, pending(now.Add(-time.Second)))
		s.enrolled(tx, "older", windows, pending(now.Add(-time.Minute)))
		s.enrolled(tx, "done", windows, func(d *fleet.DeviceRow, _ *fleet.ChannelRow) { d.LastSeen = now.Add(-time.Hour) })
		s.enrolled(tx, "iPad", pending(now.Add(-time.Hour)))
		want(s, get[[]fleet.DeviceRow](s)(tx.AbandonedDevices(now, 10)), deviceID, "older", "old")
		want(s, get[[]fleet.DeviceRow](s)(tx.AbandonedDevices(now, 1)), deviceID, "older")

		s.must(tx.PutIdentity(fleet.IdentityRow{Fingerprint: "thumb", EnrollmentID: "e", Thumbprint: "T"}))
		for _, tc := range []struct{ enrolment, thumbprint, want string }{{"e", "T", "thumb"}, {"e", "U", ""}, {"f", "T", ""}, {"e", "", ""}} {
			if id := get[*fleet.IdentityRow](s)(tx.IdentityWithThumbprint(tc.enrolment, tc.thumbprint)); (id == nil) != (tc.want == "") {
				s.Errorf("the certificate %q of %s is %+v, want %q", tc.thumbprint, tc.enrolment, id, tc.want)
			}
		}
		for fingerprint, key := range map[string]string{"a": "k", "b": "", "c": "l"} {
			s.must(tx.PutIdentity(fleet.IdentityRow{Fingerprint: fingerprint, PublicKey: key}))
		}
		for key, fingerprint := range map[string]string{"k": "a", "l": "c", "m": "", "": ""} {
			if id := get[*fleet.IdentityRow](s)(tx.IdentityWithKey(key)); (id == nil) != (fingerprint == "") || id != nil && id.Fingerprint != fingerprint {
				s.Errorf("the certificate of key %q is %+v, want %q", key, id, fingerprint)
			}
		}
	})
}
