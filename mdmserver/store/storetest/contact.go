package storetest

import (
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// contacts: what decides about a request is the same in one statement and in a transaction.
func (s *suite) contacts() {
	s.contact()
	for name, q := range map[string]fleet.Contacted{
		"all":                          {ChannelID: "A", DeviceID: "A", Fingerprint: "f", EnrollmentID: "e"},
		"the enrolment of the store":   {ChannelID: "A", DeviceID: "A", Fingerprint: "f"},
		"another enrolment":            {ChannelID: "A", DeviceID: "A", Fingerprint: "f", EnrollmentID: "other"},
		"an unknown certificate":       {ChannelID: "A", DeviceID: "A", Fingerprint: "other", EnrollmentID: "e"},
		"nothing of the certificate":   {ChannelID: "A", DeviceID: "A", Fingerprint: "other"},
		"a channel that is not there":  {ChannelID: "A:ann", DeviceID: "A", Fingerprint: "f", EnrollmentID: "e"},
		"a device that is not there":   {ChannelID: "B", DeviceID: "B", Fingerprint: "f", EnrollmentID: "e"},
		"nothing of which is there":    {ChannelID: "B", DeviceID: "B", Fingerprint: "other", EnrollmentID: "other"},
		"text that is no name of rows": {ChannelID: "A' OR 'a'='a", DeviceID: "%", Fingerprint: "", EnrollmentID: "_"},
	} {
		contact := get[*fleet.ContactRow](s)(s.store.Contact(s.Context(), q))
		s.view(func(tx fleet.Tx) {
			claim := get[*fleet.ClaimRows](s)(tx.Claim(q))
			if contact.Busy || !sameDevice(contact.Device, claim.Device) || !sameIdentity(contact.Identity, claim.Identity) ||
				!sameEnrollment(contact.Enrollment, claim.Enrollment) || !sameChannel(contact.Channel, claim.Channel) {
				s.Errorf("%s: in one statement %+v, in a transaction %+v", name, contact, claim)
			}
		})
	}
}

// busyContacts: what waits for a channel makes it busy, until it is done.
func (s *suite) busyContacts() {
	s.contact()
	for name, change := range map[string]struct{ work, undo func(fleet.Tx) error }{
		"a state that is pending": {
			func(tx fleet.Tx) error { return tx.PutState(with(settled, fleet.OutcomePending)) }, func(tx fleet.Tx) error { return tx.PutState(settled) },
		},
		"a state that was deferred": {
			func(tx fleet.Tx) error { return tx.PutState(with(settled, fleet.OutcomeNotNow)) }, func(tx fleet.Tx) error { return tx.PutState(settled) },
		},
		"a target": {
			func(tx fleet.Tx) error {
				return tx.PutTarget(fleet.TargetRow{ActionID: "1", DeviceID: "A", State: adminapi.TargetQueued})
			},
			func(tx fleet.Tx) error {
				return tx.PutTarget(fleet.TargetRow{ActionID: "1", DeviceID: "A", State: adminapi.TargetFailed, FinishedAt: now})
			},
		},
		"a profile that nothing assigned": {
			func(tx fleet.Tx) error {
				return tx.PutRecord(fleet.RecordRow{ChannelID: "A", DeviceID: "A", Identifier: "gone", Artifact: "gone"})
			},
			func(tx fleet.Tx) error { return tx.DeleteRecord("A", "gone") },
		},
	} {
		for _, step := range []struct {
			do   func(fleet.Tx) error
			busy bool
		}{{change.work, true}, {change.undo, false}} {
			s.update(func(tx fleet.Tx) { s.must(step.do(tx)) })
			got := get[*fleet.ContactRow](s)(s.store.Contact(s.Context(), fleet.Contacted{ChannelID: "A", DeviceID: "A", Fingerprint: "f", EnrollmentID: "e"}))
			if got.Busy != step.busy {
				s.Errorf("%s: busy is %v", name, got.Busy)
			}
		}
	}
}

// settled is an artifact that is on its channel.
var settled = fleet.StateRow{ChannelID: "A", Artifact: "p", DeviceID: "A", Digest: "1", Outcome: fleet.OutcomeInstalled}

// contact makes a device for which there is nothing to do.
func (s *suite) contact() {
	s.Helper()
	s.update(func(tx fleet.Tx) {
		s.enrolled(tx, "A")
		s.artifact(tx, "p", adminapi.ScopeSystem)
		d := get[*fleet.DeviceRow](s)(tx.Device("A"))
		d.EnrollmentID, d.Fingerprint, d.IdentityNotBefore, d.RenewAt = "e", "f", now.Add(-time.Hour), now.Add(time.Hour)
		d.Intent, d.Setup = adminapi.IntentManage, fleet.Setup{Awaiting: true, Assigned: true}
		s.must(tx.PutDevice(*d))
		s.must(tx.PutEnrollment(fleet.EnrollmentRow{ID: "e", DeviceID: "A"}))
		s.must(tx.PutIdentity(fleet.IdentityRow{Fingerprint: "f", EnrollmentID: "e", NotBefore: now, NotAfter: now, RejectAfter: now.Add(time.Minute)}))
		s.must(tx.PutAction(fleet.ActionRow{ID: "1", Key: "1"}))
		s.must(tx.PutState(settled))
		s.record(tx, "A", "A", "p", "p")
	})
}

func with(st fleet.StateRow, outcome fleet.Outcome) fleet.StateRow {
	st.Outcome = outcome
	return st
}

// both says whether two rows are there, done whether the comparison is over with it.
func both[T any](a, b *T) (same, done bool) {
	if a == nil || b == nil {
		return a == b, true
	}
	return true, false
}

func sameDevice(a, b *fleet.DeviceRow) bool {
	if same, done := both(a, b); done {
		return same
	}
	return a.ID == b.ID && a.Platform == b.Platform && a.State == b.State && a.EnrollmentID == b.EnrollmentID && a.Intent == b.Intent &&
		a.Fingerprint == b.Fingerprint && a.IdentityNotBefore.Equal(b.IdentityNotBefore) && a.RenewAt.Equal(b.RenewAt) && a.Setup == b.Setup
}

func sameIdentity(a, b *fleet.IdentityRow) bool {
	if same, done := both(a, b); done {
		return same
	}
	return a.Fingerprint == b.Fingerprint && a.EnrollmentID == b.EnrollmentID && a.RejectAfter.Equal(b.RejectAfter)
}

func sameEnrollment(a, b *fleet.EnrollmentRow) bool {
	if same, done := both(a, b); done {
		return same
	}
	return a.ID == b.ID && a.DeviceID == b.DeviceID
}

func sameChannel(a, b *fleet.ChannelRow) bool {
	if same, done := both(a, b); done {
		return same
	}
	return a.ID == b.ID && a.Enabled == b.Enabled && a.WakeAt.Equal(b.WakeAt)
}
