package fleet

import (
	"context"
	"crypto/sha1" // a name and no proof
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// challengeLife is how long a challenge can be redeemed, and how long its certificate can be fetched again with the same key.
const challengeLife = 10 * time.Minute

// usable says why the token can enrol no device of the platform now, or nil.
func (t *TokenRow) usable(platform adminapi.Platform, now time.Time) error {
	switch {
	case t == nil:
		return ErrTokenUnknown
	case !slices.Contains(t.platforms(), platform):
		return t.named(ErrTokenPlatform)
	case !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt):
		return t.named(ErrTokenExpired)
	case t.MaxUses > 0 && t.Uses >= t.MaxUses:
		return t.named(ErrTokenExhausted)
	}
	return nil
}

// named says which token it was.
func (t *TokenRow) named(err error) error { return aboutToken(t.Key, err) }

func aboutToken(key adminapi.Key, err error) error {
	return &About{Subject: "token " + string(key), Err: err}
}

// platforms are those that the token enrols; one that names none is from the time when there were Apple devices only.
func (t *TokenRow) platforms() []adminapi.Platform {
	if len(t.Platforms) == 0 {
		return []adminapi.Platform{adminapi.PlatformApple}
	}
	return t.Platforms
}

// IssueChallenge mints a challenge and a new enrolment for whoever holds the token, of which it gets the lower-case hex SHA-256. No use is
// counted. Errors: ErrTokenUnknown, ErrTokenPlatform, ErrTokenExpired, ErrTokenExhausted.
func (f *Fleet) IssueChallenge(ctx context.Context, tokenHash string, params EnrollmentParams) (Challenge, error) {
	return f.invite(ctx, "", params, func(tx *txn) (*TokenRow, error) { return tx.TokenByHash(tokenHash) })
}

// mint stores a challenge under a new secret.
func (f *Fleet) mint(tx *txn, row ChallengeRow) (Challenge, error) {
	secret, err := f.secret()
	if err != nil {
		return Challenge{}, err
	}
	row.SecretHash = hashHex(secret)
	row.ExpiresAt = tx.now.Add(challengeLife)
	return Challenge{Secret: secret, EnrollmentID: row.EnrollmentID, ExpiresAt: row.ExpiresAt}, tx.PutChallenge(row)
}

// RedeemChallenge exchanges a challenge for the certificate (DER) that issue makes. publicKeySHA256 names the requester's key: the same key
// gets the same certificate again for ten minutes, since devices lose replies; another key gets ErrChallenge. The use of the token counts here,
// so its errors are possible too. An error of issue leaves the challenge unused.
func (f *Fleet) RedeemChallenge(ctx context.Context, secret, publicKeySHA256 string, issue func(Grant) ([]byte, error)) ([]byte, error) {
	var der []byte
	err := f.update(ctx, func(tx *txn) error {
		row, err := tx.Challenge(hashHex(secret))
		if err != nil {
			return err
		}
		if row == nil || !tx.now.Before(row.ExpiresAt) {
			return ErrChallenge
		}
		if row.Certificate != nil {
			if subtle.ConstantTimeCompare([]byte(row.PublicKey), []byte(publicKeySHA256)) != 1 {
				return ErrChallenge
			}
			der = row.Certificate
			return nil
		}
		if err := openEnrolment(tx, row); err != nil {
			return err
		}
		if der, err = issue(Grant{EnrollmentID: row.EnrollmentID, Renewal: row.Renewal}); err != nil {
			return err
		}
		row.PublicKey, row.Certificate, row.ExpiresAt = publicKeySHA256, der, tx.now.Add(challengeLife)
		if err := tx.PutChallenge(*row); err != nil {
			return err
		}
		_, err = recordIdentity(tx, row.EnrollmentID, der, "")
		return err
	})
	return der, err
}

// openEnrolment counts the token's use and stores the new enrolment; for a renewal it looks whether the enrolment still lives, and in Setup Assistant
// whether the device is still listed.
func openEnrolment(tx *txn, ch *ChallengeRow) error {
	if ch.Renewal {
		return renewable(tx, ch.EnrollmentID)
	}
	if ch.Automated != "" {
		return openAutomated(tx, ch)
	}
	token, err := tx.Token(ch.Token)
	if err != nil {
		return err
	}
	if err := token.usable(adminapi.PlatformApple, tx.now); err != nil {
		return err
	}
	issued := token.enrolment(ch.EnrollmentID, tx.now)
	issued.UserPrincipalName, issued.Params = ch.UserPrincipalName, ch.Params
	if err := tx.PutEnrollment(issued); err != nil {
		return err
	}
	return spend(tx, token)
}

// spend counts a use of the token.
func spend(tx *txn, token *TokenRow) error {
	token.Uses++
	token.LastUsed = tx.now
	tx.touch(adminapi.KindToken, string(token.Key))
	return tx.PutToken(*token)
}

// enrolment is a new enrolment by the token.
func (t *TokenRow) enrolment(id string, now time.Time) EnrollmentRow {
	return EnrollmentRow{ID: id, Token: t.Key, Labels: t.Labels, SerialNumber: t.SerialNumber, UDID: t.UDID, IssuedAt: now}
}

// renewable says whether the enrolment still lives. Error: ErrChallenge.
func renewable(tx *txn, enrollmentID string) error {
	device, err := liveDevice(tx, enrollmentID)
	if err == nil && device == nil {
		err = ErrChallenge
	}
	return err
}

// liveDevice is the device of a live enrolment, nil if that is over or was never used.
func liveDevice(tx *txn, enrollmentID string) (*DeviceRow, error) {
	e, err := tx.Enrollment(enrollmentID)
	if err != nil || e == nil {
		return nil, err
	}
	device, err := tx.Device(e.DeviceID)
	if err != nil || device == nil || device.EnrollmentID != enrollmentID || device.State == adminapi.DeviceEnded {
		return nil, err
	}
	return device, nil
}

// recordIdentity stores an issued certificate; publicKey is empty for Apple devices.
func recordIdentity(tx *txn, enrollmentID string, der []byte, publicKey string) (Identity, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return Identity{}, fmt.Errorf("reading the issued certificate: %w", err)
	}
	sum := sha256.Sum256(der)
	id := Identity{Fingerprint: hex.EncodeToString(sum[:]), EnrollmentID: enrollmentID, NotBefore: cert.NotBefore.UTC(), NotAfter: cert.NotAfter.UTC()}
	row := id.row()
	row.PublicKey, row.Thumbprint = publicKey, fmt.Sprintf("%X", sha1.Sum(der))
	return id, tx.PutIdentity(row)
}

func (id Identity) row() IdentityRow {
	return IdentityRow{Fingerprint: id.Fingerprint, EnrollmentID: id.EnrollmentID, NotBefore: id.NotBefore, NotAfter: id.NotAfter}
}

// Authenticate handles the first message of an enrolment. With the device's live enrolment it is a renewal or a retry and changes nothing but
// facts; with a new one it starts that, if the claim is good. Errors: ErrNotEnrolled (an enrolment that the store does not know), ErrWrongIdentity,
// ErrSuperseded, ErrReenrolmentBlocked, which is recorded on the device.
func (f *Fleet) Authenticate(ctx context.Context, id Identity, ch Channel, facts DeviceFacts, topic string) error {
	return f.update(ctx, func(tx *txn) error {
		c, err := gatherClaim(tx, id, ch)
		if err != nil {
			return err
		}
		if c.namesake, err = tx.DeviceWithSerial(facts.SerialNumber, ch.DeviceID); err != nil {
			return err
		}
		if err := enrols(c, facts); err != nil {
			return c.refused(tx, err)
		}
		if c.sameEnrolment() {
			if err := adopt(tx, c); err != nil {
				return err
			}
			return learn(tx, c.device, facts)
		}
		_, err = f.startEnrolment(tx, c, facts, topic)
		return err
	})
}

// refused returns the refusal of an enrolment, after it was noted on a device that would have been taken over.
func (c *claim) refused(tx *txn, refusal error) error {
	if !errors.Is(refusal, ErrReenrolmentBlocked) {
		return refusal
	}
	return block(tx, c.taken(), c.issued.Token)
}

// noteAgain is how often it is noted of a device that the same token was refused: a PC comes back with each session.
const noteAgain = 24 * time.Hour

// block notes on a device that an enrolment by the token was refused for its sake, and refuses it.
func block(tx *txn, device *DeviceRow, token adminapi.Key) error {
	refusal := aboutToken(token, fmt.Errorf("against enrolment %s: %w", device.EnrollmentID, ErrReenrolmentBlocked))
	if b := device.Blocked; b != nil && b.Token == token && tx.now.Before(b.Since.Add(noteAgain)) {
		return refusal
	}
	device.Blocked = &adminapi.BlockedEnrollment{Since: tx.now, Token: token}
	tx.touch(adminapi.KindDevice, device.ID)
	if err := tx.PutDevice(*device); err != nil {
		return err
	}
	if err := tx.tellDevice(device, adminapi.HistoryBlocked, refusal.Error()); err != nil {
		return err
	}
	return recorded{refusal}
}

// adopt stores a certificate that a restored store does not know (see unknownAndOld).
func adopt(tx *txn, c *claim) error {
	if c.known != nil {
		return nil
	}
	row := c.identity.row()
	c.known = &row
	return tx.PutIdentity(row)
}

// learn merges what a device says of itself, but for what names it: that is settled when it enrols, and nobody may take another's name later.
func learn(tx *txn, device *DeviceRow, facts DeviceFacts) error {
	facts.UDID, facts.SerialNumber = "", ""
	merged := device.Facts.merge(facts)
	if merged == device.Facts {
		return nil
	}
	device.Facts = merged
	tx.touch(adminapi.KindDevice, device.ID)
	return tx.PutDevice(*device)
}

// merge returns the facts overwritten by the known ones of the newer.
func (d DeviceFacts) merge(newer DeviceFacts) DeviceFacts {
	for _, f := range []struct {
		old *string
		new string
	}{
		{&d.UDID, newer.UDID}, {&d.SerialNumber, newer.SerialNumber}, {&d.Model, newer.Model}, {&d.ModelName, newer.ModelName},
		{&d.ProductName, newer.ProductName}, {&d.OSVersion, newer.OSVersion}, {&d.BuildVersion, newer.BuildVersion}, {&d.DeviceName, newer.DeviceName},
	} {
		if f.new != "" {
			*f.old = f.new
		}
	}
	return d
}

// startEnrolment puts a pending enrolment in the place of whatever the device was before. A device that enrols anew has nothing of
// what it had.
func (f *Fleet) startEnrolment(tx *txn, c *claim, facts DeviceFacts, topic string) (*DeviceRow, error) {
	if c.device != nil {
		if err := closeEnrolment(tx, c.device); err != nil {
			return nil, err
		}
	}
	if err := displace(tx, c); err != nil {
		return nil, err
	}
	c.issued.DeviceID = c.channel.DeviceID
	if err := tx.PutEnrollment(*c.issued); err != nil {
		return nil, err
	}
	device := DeviceRow{
		ID: c.channel.DeviceID, Platform: c.channel.Kind.platform(), Kind: enrollmentKind(c.channel.Kind), State: adminapi.DevicePending, EnrollmentID: c.issued.ID,
		Facts: facts, Token: c.issued.Token, TokenLabels: c.issued.Labels, Automated: c.issued.Automated, UserPrincipalName: c.issued.UserPrincipalName, Bound: c.issued.boundTo(c.channel.DeviceID, facts), Params: c.issued.Params,
		Intent: adminapi.IntentManage, Fingerprint: c.identity.Fingerprint, IdentityNotBefore: c.identity.NotBefore,
		IdentityNotAfter: c.identity.NotAfter, RenewAt: f.renewAt(c.identity), LastSeen: tx.now,
	}
	if err := tx.PutDevice(device); err != nil {
		return nil, err
	}
	tx.touch(adminapi.KindDevice, device.ID)
	return &device, tx.PutChannel(ChannelRow{Channel: c.channel, Scope: scopeOf(c.channel), Topic: topic})
}

// displace ends the enrolment of the namesake: the device has another logic board, say, or never finished its first attempt.
func displace(tx *txn, c *claim) error {
	if c.namesake == nil {
		return nil
	}
	return end(tx, c.namesake, adminapi.EndReleased)
}

func enrollmentKind(k ChannelKind) adminapi.EnrollmentKind {
	if k == ChannelUserEnrollmentDevice {
		return adminapi.EnrollmentUser
	}
	return adminapi.EnrollmentDevice
}

// scopeOf says which artifacts go to a channel.
func scopeOf(ch Channel) adminapi.Scope {
	if ch.IsDevice() {
		return adminapi.ScopeSystem
	}
	return adminapi.ScopeUser
}

// renewAt is the window before the end of the identity plus the enrolment's share of jitter, a tenth of the window at most. The window is never
// more than half of the identity's life, or a renewed one would be due again at once.
func (f *Fleet) renewAt(id Identity) time.Time {
	window := min(f.opts.RenewBefore, id.NotAfter.Sub(id.NotBefore)/2)
	sum := sha256.Sum256([]byte(id.EnrollmentID))
	share := time.Duration(sum[0]) * (window / 10) / 255
	return id.NotAfter.Add(-window - share)
}
