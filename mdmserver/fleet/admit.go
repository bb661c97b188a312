package fleet

import (
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// supersededGrace is how long a replaced certificate still works: requests that the device signed before it switched may be on their way.
const supersededGrace = 10 * time.Minute

// claim is a certificate's claim to speak for a device, and all that is known of both.
type claim struct {
	identity Identity
	channel  Channel
	now      time.Time
	// device, known (the certificate), issued (its enrolment) and stored (the channel) are nil when the store does not know them.
	device *DeviceRow
	known  *IdentityRow
	issued *EnrollmentRow
	stored *ChannelRow
	// found is all that was read for the request.
	found *ClaimRows
	// namesake is another device with the serial number of this one whose enrolment has not ended; looked for by Authenticate only.
	namesake *DeviceRow
}

func gatherClaim(tx *txn, id Identity, ch Channel) (*claim, error) {
	return readClaim(tx, id, ch, contacted(id, ch))
}

// readClaim reads a claim with what else the request is about.
func readClaim(tx *txn, id Identity, ch Channel, q Contacted) (*claim, error) {
	rows, err := tx.Claim(q)
	if err != nil {
		return nil, err
	}
	c := &claim{identity: id, channel: ch, now: tx.now, device: rows.Device, known: rows.Identity, issued: rows.Enrollment, stored: rows.Channel, found: rows}
	return c, c.complete()
}

// complete takes the enrolment of the certificate from the store if its name does not say it.
func (c *claim) complete() error {
	if c.identity.EnrollmentID != "" {
		return nil
	}
	if c.known == nil {
		return ErrNotEnrolled
	}
	c.identity.EnrollmentID = c.known.EnrollmentID
	return nil
}

// otherPlatform: the protocols share the names of devices, and none speaks for a device of another one.
func otherPlatform(c *claim) error {
	if c.device != nil && c.device.Platform != c.channel.Kind.platform() {
		return ErrWrongIdentity
	}
	return nil
}

// check is one reason to refuse a claim.
type check func(*claim) error

func refuse(c *claim, checks ...check) error {
	for _, check := range checks {
		if err := check(c); err != nil {
			return err
		}
	}
	return nil
}

func (c *claim) sameEnrolment() bool {
	return c.device != nil && c.device.EnrollmentID == c.identity.EnrollmentID
}

// otherDevice: an enrolment belongs to the device that first used it.
func otherDevice(c *claim) error {
	if c.issued != nil && c.issued.DeviceID != "" && c.issued.DeviceID != c.channel.DeviceID {
		return ErrWrongIdentity
	}
	return nil
}

func notEnrolled(c *claim) error {
	if c.device == nil || c.sameEnrolment() && c.device.State == adminapi.DeviceEnded {
		return ErrNotEnrolled
	}
	return nil
}

// otherEnrolment: the device has moved on to another enrolment, or the certificate was never its own.
func otherEnrolment(c *claim) error {
	switch {
	case c.sameEnrolment():
		return nil
	case c.issued != nil && c.issued.DeviceID == c.channel.DeviceID:
		return ErrSuperseded
	}
	return ErrWrongIdentity
}

func rejected(c *claim) error {
	if c.known != nil && !c.known.RejectAfter.IsZero() && !c.now.Before(c.known.RejectAfter) {
		return ErrSuperseded
	}
	return nil
}

// replaced: a certificate in its grace speaks still, and renews nothing.
func replaced(c *claim) error {
	if c.known != nil && !c.known.RejectAfter.IsZero() {
		return ErrSuperseded
	}
	return nil
}

// renewed says whether the claim's identity is newer than the one in use. One of the same second is, unless that replaced it.
func (c *claim) renewed() bool {
	return c.identity.Fingerprint != c.device.Fingerprint && !c.identity.NotBefore.Before(c.device.IdentityNotBefore) && replaced(c) == nil
}

// unknownAndOld: a certificate the store does not know was issued after the backup that the store was restored from, so it is newer than
// any the store knows of this enrolment. Our CA and the enrolment in its name prove that we issued it. An older one was replaced.
func unknownAndOld(c *claim) error {
	if c.known == nil && c.identity.NotBefore.Before(c.device.IdentityNotBefore) {
		return ErrSuperseded
	}
	return nil
}

func pending(c *claim) error {
	if c.device.State == adminapi.DevicePending {
		return ErrNotEnrolled
	}
	return nil
}

// userWithoutDevice: a user channel speaks only through its device's enrolment.
func userWithoutDevice(c *claim) error {
	if !c.channel.IsDevice() {
		return pending(c)
	}
	return nil
}

// speaks decides whether the claim is that of the device's own live enrolment.
func speaks(c *claim) error {
	return refuse(c, otherPlatform, otherDevice, notEnrolled, otherEnrolment, rejected, unknownAndOld, userWithoutDevice)
}

// manages is speaks for messages that only a fully enrolled device sends.
func manages(c *claim) error {
	if err := speaks(c); err != nil {
		return err
	}
	return pending(c)
}

// bound says whether the enrolment was issued for one device, by a token or in Setup Assistant, boundTo whether for this very one: all that is named must fit.
func (e *EnrollmentRow) bound() bool { return e.SerialNumber != "" || e.UDID != "" }

func (e *EnrollmentRow) boundTo(deviceID string, facts DeviceFacts) bool {
	return e.bound() && (e.SerialNumber == "" || e.SerialNumber == facts.SerialNumber) && (e.UDID == "" || e.UDID == deviceID)
}

// boundElsewhere: a token for one device enrols no other.
func boundElsewhere(facts DeviceFacts) check {
	return func(c *claim) error {
		if c.issued.bound() && !c.issued.boundTo(c.channel.DeviceID, facts) {
			return ErrWrongIdentity
		}
		return nil
	}
}

// userAlone: only a device enrols; its users come along with a TokenUpdate.
func userAlone(c *claim) error {
	if !c.channel.IsDevice() {
		return ErrNotEnrolled
	}
	return nil
}

// unknownEnrolment: the store was restored from before the certificate was issued; nothing is known that could be managed.
func unknownEnrolment(c *claim) error {
	if c.issued == nil && !c.sameEnrolment() {
		return ErrNotEnrolled
	}
	return nil
}

// usedUp: an enrolment that the device left, or that ended, is never entered again.
func usedUp(c *claim) error {
	if c.issued != nil && c.issued.DeviceID != "" && !c.sameEnrolment() || c.sameEnrolment() && c.device.State == adminapi.DeviceEnded {
		return ErrSuperseded
	}
	return nil
}

// takeover: a device that is enrolled is left alone by any new identity whose token was not made for it, whether that claims its id or its serial
// number. A pending enrolment holds its place only if its own token was: until the first TokenUpdate nothing was entrusted to it. One that an administrator
// wants to end holds none: the device may have been erased, and nobody would hear that it was refused.
func takeover(c *claim) error {
	if c.taken() != nil {
		return ErrReenrolmentBlocked
	}
	return nil
}

// taken is the enrolment that the claim would take over without a right to, or nil.
func (c *claim) taken() *DeviceRow {
	for _, d := range []*DeviceRow{c.device, c.namesake} {
		holds := d != nil && d.Intent != adminapi.IntentUnenroll && (d.State == adminapi.DeviceEnrolled || d.State == adminapi.DevicePending && d.Bound)
		if holds && !c.issued.boundTo(d.ID, d.Facts) {
			return d
		}
	}
	return nil
}

// enrols decides whether an Authenticate with this claim is accepted.
func enrols(c *claim, facts DeviceFacts) error {
	if err := refuse(c, userAlone, otherPlatform, otherDevice, unknownEnrolment, usedUp, rejected); err != nil {
		return err
	}
	if c.sameEnrolment() {
		return unknownAndOld(c)
	}
	return refuse(c, boundElsewhere(facts), takeover)
}
