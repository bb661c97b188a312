package fleet

import (
	"context"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// Contacted asks for what decides about a request of a channel. EnrollmentID is empty if only the store knows the enrolment of the certificate.
type Contacted struct {
	ChannelID, DeviceID, Fingerprint, EnrollmentID string
	// CommandUUID is the command that the request answers, empty if it answers none.
	CommandUUID string
	// Idle asks for what waits for the channel.
	Idle bool
}

func contacted(id Identity, ch Channel) Contacted {
	return Contacted{ChannelID: ch.ID, DeviceID: ch.DeviceID, Fingerprint: id.Fingerprint, EnrollmentID: id.EnrollmentID}
}

// ClaimRows are what a certificate's claim to speak for a channel is judged by. Rows are nil if there are none. Enrollment is that of Contacted, or else
// that of the certificate.
type ClaimRows struct {
	Device     *DeviceRow
	Identity   *IdentityRow
	Enrollment *EnrollmentRow
	Channel    *ChannelRow
	// Command is the one that was answered, Target its own if it is that of an action.
	Command *CommandRow
	Target  *TargetRow
	// Work is nil unless it was asked for.
	Work *WorkRows
}

// WorkRows are what waits for a channel: the open targets of its device, the records that nothing assigned carries, and the open states.
type WorkRows struct {
	Targets []OpenTarget
	Strays  []RecordRow
	Open    []StateRow
}

// ContactRow is what decides whether a device that is idle has anything to do. Rows are nil if there are none, and have the fields only that are named.
type ContactRow struct {
	// Device has its ID, Platform, State, EnrollmentID, Intent, Fingerprint, IdentityNotBefore, RenewAt and Setup.
	Device *DeviceRow
	// Identity has its Fingerprint, EnrollmentID and RejectAfter.
	Identity *IdentityRow
	// Enrollment has its ID and DeviceID.
	Enrollment *EnrollmentRow
	// Channel has its ID, Enabled and WakeAt.
	Channel *ChannelRow
	// Busy is true if something on the channel is to be installed, removed or, on that of a device, done; it may be true without, never false with it.
	Busy bool
}

// nothingToDo answers an idle Apple device with one read and without writing, which is what nearly all requests of a quiet fleet are. Where it says
// false the transaction decides. Errors as of Verify.
func (f *Fleet) nothingToDo(ctx context.Context, id Identity, ch Channel) (bool, error) {
	row, err := f.store.Contact(ctx, contacted(id, ch))
	if err != nil {
		return false, err
	}
	c := &claim{identity: id, channel: ch, now: f.now(), device: row.Device, known: row.Identity, issued: row.Enrollment}
	if err := c.complete(); err != nil {
		return false, err
	}
	if err := manages(c); err != nil {
		return false, err
	}
	if row.Channel == nil || !row.Channel.Enabled || !row.Channel.WakeAt.IsZero() || row.waits(c) {
		return false, nil
	}
	f.saw(ch.DeviceID)
	return true, nil
}

// waits says whether gather may find something for the channel.
func (r *ContactRow) waits(c *claim) bool {
	own := c.channel.IsDevice()
	switch {
	case own && r.Device.Setup.Awaiting && (r.Device.Setup.Assigned || r.Device.Intent == adminapi.IntentIgnore):
		return true
	case r.Device.Intent == adminapi.IntentIgnore:
		return false
	case own && (r.Device.Intent == adminapi.IntentUnenroll || !r.Device.RenewAt.After(c.now)):
		return true
	}
	return r.Device.Intent != adminapi.IntentUnenroll && r.Busy
}
