package fleet

import (
	"context"
	"slices"
	"strings"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// admission is what a Windows credential stands for. agent and ticket are nil unless the credential is theirs.
type admission struct {
	token  *TokenRow
	agent  *AgentRow
	ticket *ChallengeRow
}

// admit finds what the credential stands for if a Windows device could enrol with it now. Errors as of CheckWindows.
func admit(tx *txn, cred WindowsCredential) (*admission, error) {
	a := &admission{}
	var err error
	switch {
	case cred.Ticket != "":
		if a.ticket, err = unusedTicket(tx, cred.Ticket); err == nil {
			a.token, err = tx.Token(a.ticket.Token)
		}
	case cred.NodeKeyHash != "":
		if a.agent, err = tx.Agent(cred.NodeKeyHash); err == nil && a.agent != nil {
			a.token, err = tx.Token(a.agent.Token)
		}
	default:
		a.token, err = tx.TokenByHash(cred.TokenHash)
	}
	if err != nil {
		return nil, err
	}
	return a, a.token.usable(adminapi.PlatformWindows, tx.now)
}

// CheckWindows says whether a Windows device could enrol with the credential now. Errors: ErrTokenUnknown (also for the node key of an unknown agent),
// ErrTokenPlatform, ErrTokenExpired, ErrTokenExhausted, and ErrChallenge for a ticket.
func (f *Fleet) CheckWindows(ctx context.Context, cred WindowsCredential) error {
	return f.view(ctx, func(tx *txn) error {
		_, err := admit(tx, cred)
		return err
	})
}

// EnrollWindows exchanges a credential for the certificate (DER) that issue makes, and starts a pending enrolment of the device in the place of what it was
// before; the first management session completes it. The use of the token counts here. The same credential and key get the same answer again for ten
// minutes, since devices lose replies. Errors: those of CheckWindows; ErrTokenDevice; ErrWrongIdentity when a device of another platform has this id;
// ErrReenrolmentBlocked, which is recorded on the device that is enrolled. An error of issue changes nothing.
func (f *Fleet) EnrollWindows(ctx context.Context, cred WindowsCredential, claim WindowsClaim, issue func(Grant) (der []byte, err error)) (*WindowsEnrollment, error) {
	answer := answerHash(cred.TokenHash, cred.NodeKeyHash, cred.Ticket, claim.PublicKeySHA256)
	var enrollment *WindowsEnrollment
	err := f.update(ctx, func(tx *txn) error {
		var err error
		if enrollment, err = f.repeat(tx, answer); err != nil || enrollment != nil {
			return err
		}
		a, err := admit(tx, cred)
		if err != nil {
			return err
		}
		c, err := f.gatherNewcomer(tx, a, claim.DeviceID)
		if err != nil {
			return err
		}
		if err := refuse(c, otherPlatform, boundToOtherID, takeover); err != nil {
			return c.refused(tx, err)
		}
		if enrollment, err = f.startWindows(tx, a, c, claim, issue); err != nil {
			return err
		}
		return remember(tx, answer, claim, enrollment)
	})
	if err != nil {
		return nil, err
	}
	return enrollment, nil
}

// gatherNewcomer gives an enrolment that is not made yet the form of a claim. Its namesake is the device that the same agent enrolled under another id:
// an agent stands for one machine.
func (f *Fleet) gatherNewcomer(tx *txn, a *admission, deviceID string) (*claim, error) {
	id, err := f.uuid()
	if err != nil {
		return nil, err
	}
	issued := a.token.enrolment(id, tx.now)
	c := &claim{channel: windowsChannel(deviceID), now: tx.now, issued: &issued}
	if c.device, err = tx.Device(deviceID); err != nil || a.agent == nil || a.agent.DeviceID == deviceID {
		return c, err
	}
	former, err := tx.Device(a.agent.DeviceID)
	if former != nil && former.State != adminapi.DeviceEnded {
		c.namesake = former
	}
	return c, err
}

func windowsChannel(deviceID string) Channel {
	return Channel{ID: deviceID, DeviceID: deviceID, Kind: ChannelWindows}
}

// boundToOtherID: a token for one device enrols no other. Its serial number is not known before the first session.
func boundToOtherID(c *claim) error {
	if c.issued.UDID != "" && c.issued.UDID != c.channel.DeviceID {
		return ErrTokenDevice
	}
	return nil
}

// startWindows issues the certificate and uses the credential up.
func (f *Fleet) startWindows(tx *txn, a *admission, c *claim, claim WindowsClaim, issue func(Grant) ([]byte, error)) (*WindowsEnrollment, error) {
	der, err := issue(Grant{EnrollmentID: c.issued.ID})
	if err != nil {
		return nil, err
	}
	if c.identity, err = recordIdentity(tx, c.issued.ID, der, claim.PublicKeySHA256); err != nil {
		return nil, err
	}
	facts := claim.Facts
	facts.UDID, facts.SerialNumber = claim.DeviceID, ""
	device, err := f.startEnrolment(tx, c, facts, "")
	if err != nil {
		return nil, err
	}
	secret, err := f.secret()
	if err != nil {
		return nil, err
	}
	if device.DigestSecret, err = f.seal([]byte(secret), sealedDigest, device.ID, device.EnrollmentID); err != nil {
		return nil, err
	}
	if a.ticket != nil {
		device.UserPrincipalName = a.ticket.UserPrincipalName
		a.ticket.PublicKey = claim.PublicKeySHA256
		if err := tx.PutChallenge(*a.ticket); err != nil {
			return nil, err
		}
	}
	if a.agent != nil {
		a.agent.DeviceID = device.ID
		if err := tx.PutAgent(*a.agent); err != nil {
			return nil, err
		}
	}
	if err := tx.PutDevice(*device); err != nil {
		return nil, err
	}
	return &WindowsEnrollment{EnrollmentID: device.EnrollmentID, Certificate: der, DigestSecret: secret}, spend(tx, a.token)
}

// answerHash names what was answered to a request that the words identify. No challenge of a device has such a name.
func answerHash(words ...string) string {
	return hashHex(string(sealContext(append([]string{"answer"}, words...))))
}

// remember keeps the answer to a request for as long as the device may ask for it again.
func remember(tx *txn, answer string, claim WindowsClaim, e *WindowsEnrollment) error {
	return tx.PutChallenge(ChallengeRow{
		SecretHash: answer, EnrollmentID: e.EnrollmentID, PublicKey: claim.PublicKeySHA256, Certificate: e.Certificate, ExpiresAt: tx.now.Add(challengeLife),
	})
}

// repeat returns what was answered to the same request before; nil if it is new, or that enrolment is over.
func (f *Fleet) repeat(tx *txn, answer string) (*WindowsEnrollment, error) {
	row, err := tx.Challenge(answer)
	if err != nil || row == nil || !tx.now.Before(row.ExpiresAt) {
		return nil, err
	}
	device, err := liveDevice(tx, row.EnrollmentID)
	if err != nil || device == nil {
		return nil, err
	}
	return f.windowsEnrollment(device, row.Certificate)
}

func (f *Fleet) windowsEnrollment(device *DeviceRow, der []byte) (*WindowsEnrollment, error) {
	secret, err := f.digestSecret(device)
	return &WindowsEnrollment{EnrollmentID: device.EnrollmentID, Certificate: der, DigestSecret: secret}, err
}

func (f *Fleet) digestSecret(device *DeviceRow) (string, error) {
	secret, err := f.open(device.DigestSecret, sealedDigest, device.ID, device.EnrollmentID)
	return string(secret), err
}

// DigestCredentials returns what the digests of a Windows device are held against, from its enrolment on. Error: ErrNotEnrolled.
func (f *Fleet) DigestCredentials(ctx context.Context, deviceID string) (*DigestCredentials, error) {
	var creds *DigestCredentials
	err := f.view(ctx, func(tx *txn) error {
		device, err := tx.Device(deviceID)
		if err != nil {
			return err
		}
		if device == nil || device.DigestSecret == nil {
			return ErrNotEnrolled
		}
		secret, err := f.digestSecret(device)
		creds = &DigestCredentials{Identity: device.identity(), Secret: secret}
		return err
	})
	if err != nil {
		return nil, err
	}
	return creds, nil
}

// identity is the one in use.
func (d *DeviceRow) identity() Identity {
	return Identity{Fingerprint: d.Fingerprint, EnrollmentID: d.EnrollmentID, NotBefore: d.IdentityNotBefore, NotAfter: d.IdentityNotAfter}
}

// completeWindows makes a pending Windows device an enrolled one, now that it has told its serial number or that it has none. It opens the channels of
// the device and of its user and stores the device; what waits for them is seeded. Errors, after which the transaction is committed for what was
// recorded: ErrReenrolmentBlocked while another device holds the serial number; ErrWrongIdentity, which ends the enrolment, when its token was for another
// device.
func (f *Fleet) completeWindows(tx *txn, device *DeviceRow, facts DeviceFacts) error {
	issued, err := tx.Enrollment(device.EnrollmentID)
	if err != nil {
		return err
	}
	facts.UDID, facts.SerialNumber = device.ID, realSerial(facts.SerialNumber)
	facts = device.Facts.merge(facts)
	c := &claim{channel: device.channel(), now: tx.now, issued: issued}
	if refusal := boundElsewhere(facts)(c); refusal != nil {
		if err := end(tx, device, adminapi.EndReleased); err != nil {
			return err
		}
		return recorded{refusal}
	}
	if c.namesake, err = tx.DeviceWithSerial(facts.SerialNumber, device.ID); err != nil {
		return err
	}
	if err := takeover(c); err != nil {
		return c.refused(tx, err)
	}
	if err := displace(tx, c); err != nil {
		return err
	}
	device.Facts, device.Bound = facts, issued.boundTo(device.ID, facts)
	device.State, device.EnrolledAt = adminapi.DeviceEnrolled, tx.now
	if err := tx.tellEnrolled(device); err != nil {
		return err
	}
	if err := tx.PutDevice(*device); err != nil {
		return err
	}
	tx.touch(adminapi.KindDevice, device.ID)
	user := Channel{ID: userChannelOf(device.ID), DeviceID: device.ID, Kind: ChannelWindowsUser}
	for _, ch := range []Channel{device.channel(), user} {
		if err := tx.PutChannel(ChannelRow{Channel: ch, Scope: scopeOf(ch), Enabled: true}); err != nil {
			return err
		}
	}
	return seedDevice(tx, device.ID)
}

// noSerials are what makers of PCs leave in the place of a serial number, in lower case, besides zeros.
var noSerials = []string{
	"none", "n/a", "not applicable", "not specified", "default string", "to be filled by o.e.m.", "system serial number", "serial number",
	"chassis serial number", "invalid", "unknown", "123456789",
}

// realSerial is the serial number without surrounding blanks; empty if it is a placeholder.
func realSerial(s string) string {
	s = strings.TrimSpace(s)
	if slices.Contains(noSerials, strings.ToLower(s)) || strings.Trim(s, "0") == "" {
		return ""
	}
	return s
}
