package fleet

import (
	"context"
	"slices"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// PutAutomated stores an automated enrolment: its profiles, and which devices have which. A device of another one is taken over. What is stored already is
// not written again.
func (f *Fleet) PutAutomated(ctx context.Context, a adminapi.Automated) (*adminapi.AutomatedStatus, error) {
	err := f.update(ctx, func(tx *txn) error {
		old, err := tx.Automated(a.Key)
		if err != nil {
			return err
		}
		if old == nil || old.Digest != a.Digest {
			if err := tx.PutAutomated(AutomatedRow{Key: a.Key, Digest: a.Digest, Profiles: a.Profiles}); err != nil {
				return err
			}
		}
		return replaceListed(tx, a)
	})
	if err != nil {
		return nil, err
	}
	return &adminapi.AutomatedStatus{Key: a.Key, Digest: a.Digest, Devices: len(a.Devices)}, nil
}

// replaceListed brings the devices of an automated enrolment to those that are wanted.
func replaceListed(tx *txn, a adminapi.Automated) error {
	stored, err := tx.AutomatedDevices(a.Key)
	if err != nil {
		return err
	}
	have := make(map[string]string, len(stored))
	var gone []string
	for _, d := range stored {
		have[d.SerialNumber] = d.Profile
		if _, listed := a.Devices[d.SerialNumber]; !listed {
			gone = append(gone, d.SerialNumber)
		}
	}
	var changed []AutomatedDeviceRow
	for serial, profile := range a.Devices {
		if was, listed := have[serial]; !listed || was != profile {
			changed = append(changed, AutomatedDeviceRow{SerialNumber: serial, Automated: a.Key, Profile: profile})
		}
	}
	if err := tx.DeleteAutomatedDevices(a.Key, gone); err != nil {
		return err
	}
	return tx.PutAutomatedDevices(changed)
}

// DeleteAutomated forgets an automated enrolment, also for challenges that it minted; what it enrolled stays enrolled. An unknown one is no error.
func (f *Fleet) DeleteAutomated(ctx context.Context, key adminapi.Key) error {
	return f.update(ctx, func(tx *txn) error { return tx.DeleteAutomated(key) })
}

// ListAutomated lists what is stored of all automated enrolments.
func (f *Fleet) ListAutomated(ctx context.Context, after string, limit int) (*adminapi.Page[adminapi.AutomatedStatus], error) {
	return page(ctx, f, limit, func(tx *txn, limit int) ([]AutomatedRow, error) {
		return tx.Automateds(after, limit)
	}, func(tx *txn, a *AutomatedRow) (adminapi.AutomatedStatus, string, error) {
		devices, err := tx.CountAutomatedDevices(a.Key)
		return adminapi.AutomatedStatus{Key: a.Key, Digest: a.Digest, Devices: devices}, string(a.Key), err
	})
}

// AutomatedProfile is the setup-assistant profile of a device that may enrol with the automated enrolment; it is empty for a device that has none. Error:
// ErrNotListed.
func (f *Fleet) AutomatedProfile(ctx context.Context, key adminapi.Key, serialNumber string) (adminapi.AutomatedProfile, error) {
	var profile adminapi.AutomatedProfile
	err := f.view(ctx, func(tx *txn) error {
		name, err := listed(tx, key, serialNumber)
		if err != nil {
			return err
		}
		automated, err := tx.Automated(key)
		if err != nil || automated == nil {
			return err
		}
		if i := slices.IndexFunc(automated.Profiles, func(p adminapi.AutomatedProfile) bool { return p.Name == name }); i >= 0 {
			profile = automated.Profiles[i]
		}
		return nil
	})
	return profile, err
}

// listed returns the name of the profile of a device. Error: ErrNotListed.
func listed(tx *txn, key adminapi.Key, serialNumber string) (profile string, err error) {
	row, err := tx.AutomatedDevice(serialNumber)
	if err != nil {
		return "", err
	}
	if row == nil || row.Automated != key || serialNumber == "" {
		return "", &About{Subject: "automated enrolment " + string(key), Err: ErrNotListed}
	}
	return row.Profile, nil
}

// IssueAutomated mints a challenge and a new enrolment for the device with the serial number, which proved in Setup Assistant that it is that. The enrolment is
// bound to the device, so that it may take the place of the one that the device had before it was erased. account is who signed in; empty without a sign-in.
// Error: ErrNotListed.
func (f *Fleet) IssueAutomated(ctx context.Context, key adminapi.Key, serialNumber, account string, params EnrollmentParams) (Challenge, error) {
	var ch Challenge
	err := f.update(ctx, func(tx *txn) error {
		if _, err := listed(tx, key, serialNumber); err != nil {
			return err
		}
		id, err := f.uuid()
		if err != nil {
			return err
		}
		ch, err = f.mint(tx, ChallengeRow{
			EnrollmentID: id, Automated: key, SerialNumber: serialNumber, UserPrincipalName: clip(account, maxMessage), Params: params,
		})
		return err
	})
	return ch, err
}

// openAutomated stores the new enrolment of a challenge that IssueAutomated minted. Error: ErrNotListed.
func openAutomated(tx *txn, ch *ChallengeRow) error {
	if _, err := listed(tx, ch.Automated, ch.SerialNumber); err != nil {
		return err
	}
	return tx.PutEnrollment(EnrollmentRow{
		ID: ch.EnrollmentID, Automated: ch.Automated, SerialNumber: ch.SerialNumber, UserPrincipalName: ch.UserPrincipalName, Params: ch.Params, IssuedAt: tx.now,
	})
}
