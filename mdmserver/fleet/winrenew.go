package fleet

import (
	"context"
	"strings"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// RenewWindows exchanges a certificate in use for the one (DER) that issue makes. signer is the verified signer of the request (ROBO, MS-MDE2 section
// 3.1.4). Its certificate works until the first session with the new one, and ten minutes longer. The same signer and key get the same answer again for
// ten minutes. issue knows the generations of the CA and the window: it answers ErrNotDue to a renewal that is too early; its errors change nothing.
// Errors: as of Verify, ErrSuperseded also in the grace, ErrKeyReused (a replayed request).
func (f *Fleet) RenewWindows(ctx context.Context, signer Identity, claim WindowsClaim, issue func(Grant) (der []byte, err error)) (*WindowsEnrollment, error) {
	answer := answerHash("renewal", signer.Fingerprint, claim.PublicKeySHA256)
	var enrollment *WindowsEnrollment
	err := f.update(ctx, func(tx *txn) error {
		ch, err := renewing(tx, signer, claim)
		if err != nil {
			return err
		}
		c, err := gatherClaim(tx, signer, ch)
		if err != nil {
			return err
		}
		if err := refuse(c, manages, replaced); err != nil {
			return err
		}
		if enrollment, err = f.repeat(tx, answer); err != nil || enrollment != nil {
			return err
		}
		used, err := tx.IdentityWithKey(claim.PublicKeySHA256)
		if err != nil {
			return err
		}
		if used != nil {
			return ErrKeyReused
		}
		if enrollment, err = f.renewWindows(tx, c, claim, issue); err != nil {
			return err
		}
		return remember(tx, answer, claim, enrollment)
	})
	if err != nil {
		return nil, err
	}
	return enrollment, nil
}

// renewing is the channel of the device that the claim names. Some builds name none when they renew; then it is that of the signer's enrolment.
func renewing(tx *txn, signer Identity, claim WindowsClaim) (Channel, error) {
	if claim.DeviceID != "" {
		return windowsChannel(claim.DeviceID), nil
	}
	device, err := liveDevice(tx, signer.EnrollmentID)
	if err == nil && device == nil {
		err = ErrNotEnrolled
	}
	if err != nil {
		return Channel{}, err
	}
	return device.channel(), nil
}

// renewWindows issues the certificate. A signature with a renewed key is as good as a session with it.
func (f *Fleet) renewWindows(tx *txn, c *claim, claim WindowsClaim, issue func(Grant) ([]byte, error)) (*WindowsEnrollment, error) {
	device := c.device
	if err := adopt(tx, c); err != nil {
		return nil, err
	}
	if err := f.activate(tx, c); err != nil {
		return nil, err
	}
	der, err := issue(Grant{EnrollmentID: device.EnrollmentID, Renewal: true})
	if err != nil {
		return nil, err
	}
	if _, err := recordIdentity(tx, device.EnrollmentID, der, claim.PublicKeySHA256); err != nil {
		return nil, err
	}
	device.RenewingSince = tx.now
	tx.touch(adminapi.KindDevice, device.ID)
	if err := tx.PutDevice(*device); err != nil {
		return nil, err
	}
	f.saw(device.ID)
	return f.windowsEnrollment(device, der)
}

// holds ends a renewal by what the device says that it has: a session that it opened by a digest shows no certificate.
func (f *Fleet) holds(tx *txn, device *DeviceRow, thumbprint string) error {
	known, err := tx.IdentityWithThumbprint(device.EnrollmentID, strings.ToUpper(thumbprint))
	if err != nil || known == nil {
		return err
	}
	id := Identity{Fingerprint: known.Fingerprint, EnrollmentID: known.EnrollmentID, NotBefore: known.NotBefore, NotAfter: known.NotAfter}
	c := &claim{identity: id, known: known, device: device}
	if !c.renewed() {
		return nil
	}
	if err := f.activate(tx, c); err != nil {
		return err
	}
	tx.touch(adminapi.KindDevice, device.ID)
	return tx.PutDevice(*device)
}
