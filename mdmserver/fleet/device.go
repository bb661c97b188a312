package fleet

import (
	"context"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// page reads one row more than a page holds to know whether there is a next one. render turns a row into an item and its key.
func page[R, T any](ctx context.Context, f *Fleet, limit int, list func(tx *txn, limit int) ([]R, error), render func(*txn, *R) (T, string, error)) (*adminapi.Page[T], error) {
	if limit <= 0 || limit > adminapi.MaxPage {
		limit = adminapi.MaxPage
	}
	p := &adminapi.Page[T]{StoreEpoch: f.StoreEpoch(), Items: []T{}}
	err := f.view(ctx, func(tx *txn) error {
		rows, err := list(tx, limit+1)
		if err != nil {
			return err
		}
		more := len(rows) > limit
		var last string
		for i := range rows[:min(len(rows), limit)] {
			item, key, err := render(tx, &rows[i])
			if err != nil {
				return err
			}
			p.Items, last = append(p.Items, item), key
		}
		if more {
			p.Next = last
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// ListDevices lists all devices that ever enrolled.
func (f *Fleet) ListDevices(ctx context.Context, after string, limit int) (*adminapi.Page[adminapi.Device], error) {
	return page(ctx, f, limit, func(tx *txn, limit int) ([]DeviceRow, error) {
		return tx.Devices(after, limit)
	}, func(tx *txn, d *DeviceRow) (adminapi.Device, string, error) {
		device, err := f.fullDevice(tx, d)
		return device, d.ID, err
	})
}

// describe is what the row itself says of the device.
func (d *DeviceRow) describe() adminapi.Device {
	return adminapi.Device{
		ID: d.ID, Platform: d.Platform, Kind: d.Kind, State: d.State, EnrollmentID: d.EnrollmentID, EnrolledAt: d.EnrolledAt,
		EndReason: d.EndReason, EndedAt: d.EndedAt,
		UDID: d.Facts.UDID, SerialNumber: d.Facts.SerialNumber, Model: d.Facts.Model, ModelName: d.Facts.ModelName, ProductName: d.Facts.ProductName,
		OSVersion: d.Facts.OSVersion, BuildVersion: d.Facts.BuildVersion, DeviceName: d.Facts.DeviceName,
		IdentityNotAfter: d.IdentityNotAfter, RenewingSince: d.RenewingSince, Token: d.Token, TokenLabels: d.TokenLabels,
		Ignored: d.Intent == adminapi.IntentIgnore, Unenrolling: d.Intent == adminapi.IntentUnenroll, Responding: d.State != adminapi.DeviceEnded && !d.Silent, LastSeen: d.LastSeen,
		HasBootstrapToken: d.BootstrapToken != nil, HasUnlockToken: d.UnlockToken != nil, Blocked: d.Blocked,
		Automated: d.Automated, AwaitingConfiguration: d.Setup.Awaiting, ConfiguredAt: d.Setup.ConfiguredAt,
		UserPrincipalName: d.UserPrincipalName, Authentication: d.Authentication, LastError: d.LastError, LastDrift: d.LastDrift,
	}
}

// fullDevice adds what stands in other rows.
func (f *Fleet) fullDevice(tx *txn, d *DeviceRow) (adminapi.Device, error) {
	device := d.describe()
	if seen := f.lastSeen(d.ID); seen.After(device.LastSeen) {
		device.LastSeen = seen
	}
	channels, err := tx.ChannelsOf(d.ID)
	if err != nil {
		return device, err
	}
	for _, c := range channels {
		if c.IsDevice() {
			device.PushUnregistered = c.Unregistered
		} else if c.Enabled && c.Kind != ChannelWindowsUser { // Windows does not say who they are
			device.Users++
		}
	}
	if device.FailingCount, err = tx.CountFailing(d.ID); err != nil || device.FailingCount == 0 {
		return device, err
	}
	failing, err := tx.FailingOf(d.ID, adminapi.MaxFailing)
	for _, st := range failing {
		device.Failing = append(device.Failing, st.failure())
	}
	return device, err
}

// visiblyDiffers says whether the manager would see a difference in what a check-in can change.
func (d *DeviceRow) visiblyDiffers(before *DeviceRow) bool {
	return d.State != before.State || !d.IdentityNotAfter.Equal(before.IdentityNotAfter) || !d.RenewingSince.Equal(before.RenewingSince) ||
		(d.UnlockToken != nil) != (before.UnlockToken != nil) || d.Setup.Awaiting != before.Setup.Awaiting
}

// PutIntents stores what is wanted of enrolments.
func (f *Fleet) PutIntents(ctx context.Context, b adminapi.IntentBatch) (*adminapi.IntentReply, error) {
	var reply *adminapi.IntentReply
	err := f.update(ctx, func(tx *txn) error {
		reply = &adminapi.IntentReply{}
		for _, in := range b.Intents {
			device, err := tx.Device(in.DeviceID)
			if err != nil {
				return err
			}
			if device == nil || device.EnrollmentID != in.EnrollmentID {
				reply.Stale = append(reply.Stale, in.DeviceID)
				continue
			}
			if err := intend(tx, device, in.Intent); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return reply, nil
}

// intend applies one intent. Nothing can be wanted of an enrolment that is over.
func intend(tx *txn, d *DeviceRow, intent adminapi.Intent) error {
	if d.State == adminapi.DeviceEnded {
		return nil
	}
	switch intent {
	case adminapi.IntentRelease:
		return end(tx, d, adminapi.EndReleased)
	case adminapi.IntentManage, adminapi.IntentIgnore, adminapi.IntentUnenroll:
	default:
		return &adminapi.Error{Code: adminapi.CodeInvalid, Message: "unknown intent " + string(intent)}
	}
	if d.Intent == intent {
		return nil
	}
	d.Intent, d.UnenrollAt = intent, zeroTime
	if err := tx.PutDevice(*d); err != nil {
		return err
	}
	tx.touch(adminapi.KindDevice, d.ID)
	assigned, err := tx.AssignmentsOf(d.ID)
	if err != nil {
		return err
	}
	for _, key := range assigned { // an ignored device is not counted
		tx.touch(adminapi.KindArtifact, string(key))
	}
	return tx.wakeAll(d.ID)
}

// PutToken stores a token's hash and rules; its uses go on counting. With another hash it is another secret: node keys that the one before gave to agents
// enrol nothing any more.
func (f *Fleet) PutToken(ctx context.Context, t adminapi.Token) (*adminapi.TokenStatus, error) {
	var status adminapi.TokenStatus
	err := f.update(ctx, func(tx *txn) error {
		row := TokenRow{Token: t}
		old, err := tx.Token(t.Key)
		if err != nil {
			return err
		}
		if old != nil {
			row.Uses, row.LastUsed = old.Uses, old.LastUsed
		}
		if old == nil || old.Hash != t.Hash {
			if err := tx.DeleteAgentsToEnrol(t.Key); err != nil {
				return err
			}
		}
		status = row.status()
		return tx.PutToken(row)
	})
	return &status, err
}

// DeleteToken makes a token unusable, also for challenges that it minted. An unknown token is no error.
func (f *Fleet) DeleteToken(ctx context.Context, key adminapi.Key) error {
	return f.update(ctx, func(tx *txn) error { return tx.DeleteToken(key) })
}

// ListTokens lists the uses of all tokens.
func (f *Fleet) ListTokens(ctx context.Context, after string, limit int) (*adminapi.Page[adminapi.TokenStatus], error) {
	return page(ctx, f, limit, func(tx *txn, limit int) ([]TokenRow, error) {
		return tx.Tokens(after, limit)
	}, func(_ *txn, t *TokenRow) (adminapi.TokenStatus, string, error) {
		return t.status(), string(t.Key), nil
	})
}

func (t *TokenRow) status() adminapi.TokenStatus {
	return adminapi.TokenStatus{Key: t.Key, Uses: t.Uses, LastUsed: t.LastUsed}
}

// Counts returns how many devices are enrolled, have work waiting, and have been heard of within SilentAfter.
func (f *Fleet) Counts(ctx context.Context) (enrolled, behind, responding int, err error) {
	var c FleetCounts
	err = f.view(ctx, func(tx *txn) error {
		c, err = tx.FleetCounts()
		return err
	})
	return c.Enrolled, c.Behind, c.Responding, err
}
