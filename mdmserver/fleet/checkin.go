package fleet

import (
	"context"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// identified runs fn for a claim that decide accepts. A certificate that a restored store does not know is stored on the way.
func (f *Fleet) identified(ctx context.Context, id Identity, ch Channel, decide func(*claim) error, fn func(*txn, *claim) error) error {
	return f.asked(ctx, id, ch, contacted(id, ch), decide, fn)
}

// asked is identified for a request that is about more.
func (f *Fleet) asked(ctx context.Context, id Identity, ch Channel, q Contacted, decide func(*claim) error, fn func(*txn, *claim) error) error {
	return f.update(ctx, func(tx *txn) error {
		c, err := readClaim(tx, id, ch, q)
		if err != nil {
			return err
		}
		if err := decide(c); err != nil {
			return err
		}
		if err := adopt(tx, c); err != nil {
			return err
		}
		f.saw(ch.DeviceID)
		return fn(tx, c)
	})
}

// Verify checks that the identity may speak for the channel, for messages that change nothing. Errors: ErrNotEnrolled, ErrWrongIdentity, ErrSuperseded.
func (f *Fleet) Verify(ctx context.Context, id Identity, ch Channel) error {
	return f.view(ctx, func(tx *txn) error {
		c, err := gatherClaim(tx, id, ch)
		if err != nil {
			return err
		}
		return manages(c)
	})
}

// AllowUserChannel checks that a user of the device may open a channel (UserAuthenticate). Errors as of Verify.
func (f *Fleet) AllowUserChannel(ctx context.Context, id Identity, ch Channel) error {
	return f.Verify(ctx, id, ch)
}

// TokenUpdate stores where a channel is woken. The first one completes an enrolment; the first one with a renewed identity completes the
// renewal and ends the life of the identity before, after a grace of ten minutes. An empty unlockToken leaves the stored one. A device that awaits its
// configuration in Setup Assistant is let go once it has what is assigned to it, and is woken at once even if nothing waits for it. Errors as of Verify.
func (f *Fleet) TokenUpdate(ctx context.Context, id Identity, ch Channel, push PushInfo, unlockToken []byte, awaitingConfiguration bool) error {
	return f.identified(ctx, id, ch, speaks, func(tx *txn, c *claim) error {
		device := c.device
		before := *device
		if err := completeApple(tx, device); err != nil {
			return err
		}
		awaits := awaitingConfiguration && ch.IsDevice()
		if awaits {
			device.Setup.await()
		}
		if err := f.activate(tx, c); err != nil {
			return err
		}
		if len(unlockToken) > 0 {
			sealed, err := f.seal(unlockToken, sealedUnlock, device.ID)
			if err != nil {
				return err
			}
			device.UnlockToken = sealed
		}
		if err := tx.PutDevice(*device); err != nil {
			return err
		}
		shows, err := f.openChannel(tx, ch, push)
		if err != nil {
			return err
		}
		if shows || device.visiblyDiffers(&before) {
			tx.touch(adminapi.KindDevice, device.ID)
		}
		if awaits {
			return tx.wake(device.ID)
		}
		return nil
	})
}

// completeApple makes a pending device an enrolled one. The caller stores it.
func completeApple(tx *txn, d *DeviceRow) error {
	if d.State != adminapi.DevicePending {
		return nil
	}
	d.State, d.EnrolledAt = adminapi.DeviceEnrolled, tx.now
	return tx.tellEnrolled(d)
}

// activate makes the identity the one in use, if it is newer. The caller stores the device.
func (f *Fleet) activate(tx *txn, c *claim) error {
	d, id := c.device, c.identity
	if !c.renewed() {
		return nil
	}
	d.Fingerprint, d.IdentityNotBefore, d.IdentityNotAfter = id.Fingerprint, id.NotBefore, id.NotAfter
	d.RenewAt, d.RenewingSince = f.renewAt(id), zeroTime
	if err := tx.tellDevice(d, adminapi.HistoryRenewed, ""); err != nil {
		return err
	}
	return tx.RejectIdentities(id.EnrollmentID, id.Fingerprint, tx.now.Add(supersededGrace))
}

// openChannel stores the push information of a channel. shows says whether the manager sees a difference: the channel is new, or can be pushed to again.
func (f *Fleet) openChannel(tx *txn, ch Channel, push PushInfo) (shows bool, err error) {
	row, err := tx.Channel(ch.ID)
	if err != nil {
		return false, err
	}
	if row == nil {
		row = &ChannelRow{Channel: ch, Scope: scopeOf(ch)}
	}
	opened := !row.Enabled
	shows = opened || row.Unregistered
	row.Enabled, row.Unregistered = true, false
	row.Tally++
	row.PushToken, row.Topic, row.TokenAt = push.Token, push.Topic, tx.now
	if row.PushMagic, err = f.seal([]byte(push.Magic), sealedMagic, ch.ID); err != nil {
		return false, err
	}
	if err := tx.PutChannel(*row); err != nil {
		return false, err
	}
	if !opened {
		return shows, nil
	}
	return shows, seedDevice(tx, ch.DeviceID)
}

// seedDevice gives the channels of a device the states of its assignments, and wakes it if there is something to do.
func seedDevice(tx *txn, deviceID string) error {
	keys, err := tx.AssignmentsOf(deviceID)
	if err != nil {
		return err
	}
	for _, k := range keys {
		tx.touch(adminapi.KindArtifact, string(k))
	}
	if err := tx.SeedDevice(deviceID, tx.now); err != nil {
		return err
	}
	targets, err := tx.OpenTargets(deviceID)
	if err != nil || len(keys)+len(targets) == 0 {
		return err
	}
	return tx.wakeAll(deviceID)
}

// CheckOut ends the enrolment, or closes the user channel. Errors as of Verify.
func (f *Fleet) CheckOut(ctx context.Context, id Identity, ch Channel) error {
	return f.identified(ctx, id, ch, speaks, func(tx *txn, c *claim) error {
		if !ch.IsDevice() {
			return closeUserChannel(tx, ch)
		}
		reason := adminapi.EndCheckedOut
		if c.device.Intent == adminapi.IntentUnenroll {
			reason = adminapi.EndUnenrolled
		}
		return end(tx, c.device, reason)
	})
}

// SetBootstrapToken stores the token that macOS escrows; an empty one deletes it. Errors as of Verify.
func (f *Fleet) SetBootstrapToken(ctx context.Context, id Identity, ch Channel, token []byte) error {
	return f.identified(ctx, id, ch, manages, func(tx *txn, c *claim) error {
		had := c.device.BootstrapToken != nil
		c.device.BootstrapToken = nil
		if len(token) > 0 {
			sealed, err := f.seal(token, sealedBootstrap, c.device.ID)
			if err != nil {
				return err
			}
			c.device.BootstrapToken = sealed
		}
		if had != (c.device.BootstrapToken != nil) {
			tx.touch(adminapi.KindDevice, c.device.ID)
		}
		return tx.PutDevice(*c.device)
	})
}

// BootstrapToken returns the escrowed token, nil if there is none. Errors as of Verify.
func (f *Fleet) BootstrapToken(ctx context.Context, id Identity, ch Channel) ([]byte, error) {
	var token []byte
	err := f.view(ctx, func(tx *txn) error {
		c, err := gatherClaim(tx, id, ch)
		if err != nil {
			return err
		}
		if err := manages(c); err != nil {
			return err
		}
		token, err = f.open(c.device.BootstrapToken, sealedBootstrap, c.device.ID)
		return err
	})
	return token, err
}

// closeUserChannel forgets a user of a device. What was on the channel went with the user's session.
func closeUserChannel(tx *txn, ch Channel) error {
	if err := clearing(tx, ch.DeviceID, func() error { return tx.ClearChannel(ch.ID) }); err != nil {
		return err
	}
	tx.touch(adminapi.KindDevice, ch.DeviceID)
	return tx.DeleteUserChannels(ch.DeviceID, ch.ID)
}

// clearing runs del, which deletes desired state or records of a device, and sees to the artifacts that this changes.
func clearing(tx *txn, deviceID string, del func() error) error {
	assigned, err := tx.AssignmentsOf(deviceID)
	if err != nil {
		return err
	}
	recorded, err := tx.RecordedArtifacts(deviceID)
	if err != nil {
		return err
	}
	if err := del(); err != nil {
		return err
	}
	for _, key := range append(assigned, recorded...) {
		tx.touch(adminapi.KindArtifact, string(key))
		if err := forgetIfGone(tx, key); err != nil {
			return err
		}
	}
	return nil
}

// end ends the enrolment of a device for good; only a new identity can enrol it again.
func end(tx *txn, d *DeviceRow, reason string) error {
	if err := closeEnrolment(tx, d); err != nil {
		return err
	}
	d.State, d.EndReason, d.EndedAt = adminapi.DeviceEnded, reason, tx.now
	d.Setup = Setup{ConfiguredAt: d.Setup.ConfiguredAt}
	d.BootstrapToken, d.UnlockToken, d.DigestSecret, d.Blocked, d.RenewingSince = nil, nil, nil, nil, zeroTime
	tx.touch(adminapi.KindDevice, d.ID)
	if err := tx.tellDevice(d, adminapi.HistoryEnded, reason); err != nil {
		return err
	}
	return tx.PutDevice(*d)
}

// closeEnrolment takes from an enrolment all that lets it act: identities, pushes, user channels, open actions, desired state.
func closeEnrolment(tx *txn, d *DeviceRow) error {
	if err := tx.RejectIdentities(d.EnrollmentID, "", tx.now); err != nil {
		return err
	}
	open, err := tx.OpenTargets(d.ID)
	if err != nil {
		return err
	}
	for _, t := range open {
		if err := finish(tx, &t, adminapi.TargetEnrolmentEnded, "the enrolment ended before the device answered"); err != nil {
			return err
		}
	}
	if err := clearing(tx, d.ID, func() error { return tx.ClearDevice(d.ID) }); err != nil {
		return err
	}
	if err := tx.DeleteUserChannels(d.ID, ""); err != nil {
		return err
	}
	return tx.PutChannel(ChannelRow{Channel: d.channel(), Scope: adminapi.ScopeSystem})
}

// channel is the device's own channel.
func (d *DeviceRow) channel() Channel {
	ch := Channel{ID: d.ID, DeviceID: d.ID, Kind: ChannelDevice}
	switch {
	case d.Platform == adminapi.PlatformWindows:
		ch.Kind = ChannelWindows
	case d.Kind == adminapi.EnrollmentUser:
		ch.Kind = ChannelUserEnrollmentDevice
	}
	return ch
}
