package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

func (s *suite) tokens() {
	s.update(func(tx fleet.Tx) {
		s.must(tx.PutToken(fleet.TokenRow{Token: adminapi.Token{Key: "t", Hash: "h"}}))
		if t := get[*fleet.TokenRow](s)(tx.TokenByHash("h")); t == nil || t.Key != "t" {
			s.Errorf("token by hash = %+v", t)
		}
		s.must(tx.DeleteToken("t"))
		s.must(tx.DeleteToken("t"))
		if t := get[*fleet.TokenRow](s)(tx.TokenByHash("h")); t != nil {
			s.Errorf("deleted token = %+v", t)
		}
		for hash, expires := range map[string]time.Time{"old": now.Add(-time.Second), "live": now} {
			s.must(tx.PutChallenge(fleet.ChallengeRow{SecretHash: hash, ExpiresAt: expires}))
		}
		s.must(tx.DeleteChallenges(now))
		if old, live := get[*fleet.ChallengeRow](s)(tx.Challenge("old")), get[*fleet.ChallengeRow](s)(tx.Challenge("live")); old != nil || live == nil {
			s.Errorf("after the deletion of expired ones: %+v, %+v", old, live)
		}
	})
}

func (s *suite) identities() {
	s.update(func(tx fleet.Tx) {
		for _, id := range []fleet.IdentityRow{
			{Fingerprint: "keep", EnrollmentID: "e"}, {Fingerprint: "other", EnrollmentID: "e"}, {Fingerprint: "foreign", EnrollmentID: "f"},
			{Fingerprint: "earlier", EnrollmentID: "e", RejectAfter: now.Add(-time.Hour)}, {Fingerprint: "later", EnrollmentID: "e", RejectAfter: now.Add(time.Hour)},
		} {
			id.NotAfter = now.Add(time.Hour)
			s.must(tx.PutIdentity(id))
		}
		s.must(tx.RejectIdentities("e", "keep", now))
		for fp, rejected := range map[string]time.Time{"keep": {}, "other": now, "foreign": {}, "earlier": now.Add(-time.Hour), "later": now} {
			if id := get[*fleet.IdentityRow](s)(tx.Identity(fp)); !id.RejectAfter.Equal(rejected) {
				s.Errorf("%s is rejected after %v, want %v", fp, id.RejectAfter, rejected)
			}
		}
		s.must(tx.PutIdentity(fleet.IdentityRow{Fingerprint: "expired", NotAfter: now.Add(-time.Second)}))
		s.must(tx.DeleteIdentities(now))
		if gone, kept := get[*fleet.IdentityRow](s)(tx.Identity("expired")), get[*fleet.IdentityRow](s)(tx.Identity("keep")); gone != nil || kept == nil {
			s.Errorf("after the deletion of expired ones: %+v, %+v", gone, kept)
		}
		for _, e := range []fleet.EnrollmentRow{{ID: "unused", IssuedAt: now.Add(-time.Second)}, {ID: "used", DeviceID: "D", IssuedAt: now.Add(-time.Second)}, {ID: "new", IssuedAt: now}} {
			s.must(tx.PutEnrollment(e))
		}
		s.must(tx.DeleteUnusedEnrollments(now))
		for id, there := range map[string]bool{"unused": false, "used": true, "new": true} {
			if e := get[*fleet.EnrollmentRow](s)(tx.Enrollment(id)); (e != nil) != there {
				s.Errorf("enrolment %s = %+v", id, e)
			}
		}
	})
}

// enrolled stores an enrolled Apple device with its channel, changed as told.
func (s *suite) enrolled(tx fleet.Tx, id string, change ...func(*fleet.DeviceRow, *fleet.ChannelRow)) {
	s.Helper()
	d := fleet.DeviceRow{
		ID: id, Platform: adminapi.PlatformApple, State: adminapi.DeviceEnrolled, Intent: adminapi.IntentManage, LastSeen: now, RenewAt: now.Add(time.Hour),
	}
	c := fleet.ChannelRow{
		Channel: fleet.Channel{ID: id, DeviceID: id, Kind: fleet.ChannelDevice}, Scope: adminapi.ScopeSystem, Enabled: true, PushToken: []byte(id),
	}
	for _, f := range change {
		f(&d, &c)
	}
	s.must(tx.PutDevice(d))
	s.must(tx.PutChannel(c))
}

// user stores an enabled user channel.
func (s *suite) user(tx fleet.Tx, device, user string) {
	s.Helper()
	s.must(tx.PutChannel(fleet.ChannelRow{Channel: fleet.Channel{ID: device + ":" + user, DeviceID: device, Kind: fleet.ChannelUser}, Scope: adminapi.ScopeUser, Enabled: true}))
}

func (s *suite) devices() {
	s.update(func(tx fleet.Tx) {
		s.enrolled(tx, "quiet", func(d *fleet.DeviceRow, _ *fleet.ChannelRow) { d.LastSeen = now.Add(-time.Second) })
		s.enrolled(tx, "quieter", func(d *fleet.DeviceRow, _ *fleet.ChannelRow) { d.LastSeen = now.Add(-time.Minute) })
		s.enrolled(tx, "seen")
		s.enrolled(tx, "marked", func(d *fleet.DeviceRow, _ *fleet.ChannelRow) { d.LastSeen, d.Silent = now.Add(-time.Hour), true })
		s.enrolled(tx, "ended", func(d *fleet.DeviceRow, c *fleet.ChannelRow) {
			d.LastSeen, d.State, c.Enabled = now.Add(-time.Hour), adminapi.DeviceEnded, false
		})
		want(s, get[[]fleet.DeviceRow](s)(tx.SilentDevices(now, 10)), deviceID, "quieter", "quiet")
		want(s, get[[]fleet.DeviceRow](s)(tx.SilentDevices(now, 1)), deviceID, "quieter")
		want(s, get[[]fleet.DeviceRow](s)(tx.QuietDevices(now, 10)), deviceID, "quieter", "quiet")
		want(s, get[[]fleet.DeviceRow](s)(tx.QuietDevices(now, 1)), deviceID, "quieter")
		if c := get[fleet.FleetCounts](s)(tx.FleetCounts()); c != (fleet.FleetCounts{Enrolled: 4, Responding: 3}) {
			s.Errorf("counts = %+v", c)
		}
		seen := map[string]time.Time{"marked": now, "quiet": now, "stranger": now}
		for i := range 1000 { // more than one statement takes
			seen[fmt.Sprintf("another stranger %d", i)] = now
		}
		if returned := get[[]string](s)(tx.SetLastSeen(seen)); !slices.Equal(returned, []string{"marked"}) {
			s.Errorf("%q return, want the silent device", returned)
		}
		if returned := get[[]string](s)(tx.SetLastSeen(map[string]time.Time{"marked": now.Add(-time.Minute)})); len(returned) > 0 {
			s.Errorf("%q return twice", returned)
		}
		if d := get[*fleet.DeviceRow](s)(tx.Device("quiet")); !d.LastSeen.Equal(now) {
			s.Errorf("device = %+v", d)
		}
		if d := get[*fleet.DeviceRow](s)(tx.Device("marked")); d.Silent || !d.LastSeen.Equal(now) {
			s.Errorf("device = %+v", d)
		}
	})
	s.update(func(tx fleet.Tx) {
		due := func(d *fleet.DeviceRow, _ *fleet.ChannelRow) { d.RenewAt = now }
		s.enrolled(tx, "due", due)
		s.enrolled(tx, "woken", due, func(_ *fleet.DeviceRow, c *fleet.ChannelRow) { c.WakeAt = now })
		s.enrolled(tx, "PC", due, windows)
		s.enrolled(tx, "ignored", due, func(d *fleet.DeviceRow, _ *fleet.ChannelRow) { d.Intent = adminapi.IntentIgnore })
		s.enrolled(tx, "over", due, func(d *fleet.DeviceRow, _ *fleet.ChannelRow) { d.State = adminapi.DeviceEnded })
		want(s, get[[]fleet.DeviceRow](s)(tx.RenewableDevices(now, 10)), deviceID, "due")
	})
	s.update(func(tx fleet.Tx) {
		serial := func(d *fleet.DeviceRow, _ *fleet.ChannelRow) { d.Facts.SerialNumber = "serial" }
		s.enrolled(tx, "one", serial)
		s.enrolled(tx, "another", serial, func(d *fleet.DeviceRow, _ *fleet.ChannelRow) { d.State = adminapi.DevicePending })
		s.enrolled(tx, "former", serial, func(d *fleet.DeviceRow, _ *fleet.ChannelRow) { d.State = adminapi.DeviceEnded })
		for otherThan, want := range map[string]string{"": "one", "another": "one", "one": "another"} {
			if d := get[*fleet.DeviceRow](s)(tx.DeviceWithSerial("serial", otherThan)); d == nil || d.ID != want {
				s.Errorf("with the serial number and not %q: %+v, want %s", otherThan, d, want)
			}
		}
		if d := get[*fleet.DeviceRow](s)(tx.DeviceWithSerial("", "one")); d != nil {
			s.Errorf("without a serial number: %+v", d)
		}
	})
}

func channelID(r fleet.ChannelRow) string { return r.ID }

func (s *suite) channels() {
	s.update(func(tx fleet.Tx) {
		wakeAt := func(at time.Time) func(*fleet.DeviceRow, *fleet.ChannelRow) {
			return func(_ *fleet.DeviceRow, c *fleet.ChannelRow) { c.WakeAt, c.Wakes = at, 3 }
		}
		s.enrolled(tx, "B", wakeAt(now))
		s.enrolled(tx, "A", wakeAt(now.Add(-time.Second)))
		s.enrolled(tx, "later", wakeAt(now.Add(time.Second)))
		s.enrolled(tx, "idle")
		s.enrolled(tx, "off", wakeAt(now), func(_ *fleet.DeviceRow, c *fleet.ChannelRow) { c.Enabled = false })
		s.enrolled(tx, "pushless", func(_ *fleet.DeviceRow, c *fleet.ChannelRow) { c.PushToken, c.WakeAt = nil, now })
		s.enrolled(tx, "gone", wakeAt(now), func(_ *fleet.DeviceRow, c *fleet.ChannelRow) { c.Unregistered = true })
		s.enrolled(tx, "ignored", wakeAt(now), func(d *fleet.DeviceRow, _ *fleet.ChannelRow) { d.Intent = adminapi.IntentIgnore })
		s.user(tx, "idle", "ann")
		s.user(tx, "idle", "bob")
		want(s, get[[]fleet.ChannelRow](s)(tx.DueChannels(now, 10)), channelID, "A", "B")
		want(s, get[[]fleet.ChannelRow](s)(tx.DueChannels(now, 1)), channelID, "A")

		s.must(tx.WakeChannel("later", now))
		s.must(tx.WakeDevice("idle", now))
		s.must(tx.WakeDevice("off", now.Add(time.Hour)))
		if c := get[*fleet.ChannelRow](s)(tx.Channel("off")); !c.WakeAt.Equal(now) {
			s.Error("a channel that is not enabled was woken")
		}
		if c := get[*fleet.ChannelRow](s)(tx.Channel("later")); !c.WakeAt.Equal(now) || c.Wakes != 0 {
			s.Errorf("a woken channel = %+v", c)
		}
		want(s, get[[]fleet.ChannelRow](s)(tx.ChannelsOf("idle")), channelID, "idle", "idle:ann", "idle:bob")
		if c := get[*fleet.ChannelRow](s)(tx.Channel("idle:bob")); !c.WakeAt.Equal(now) {
			s.Error("a user channel was not woken with its device")
		}
		s.must(tx.DeleteUserChannels("idle", "idle:bob"))
		want(s, get[[]fleet.ChannelRow](s)(tx.ChannelsOf("idle")), channelID, "idle", "idle:ann")
		s.must(tx.DeleteUserChannels("idle", ""))
		want(s, get[[]fleet.ChannelRow](s)(tx.ChannelsOf("idle")), channelID, "idle")
		if c := get[fleet.FleetCounts](s)(tx.FleetCounts()); c.Behind != 7 { // A, B, later, idle, pushless, gone, ignored
			s.Errorf("behind = %d", c.Behind)
		}
	})
}
