package devicesim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/uuid"
)

// SharedIPadUserID is the UserID of every user of a Shared iPad; the UserShortName tells them apart.
const SharedIPadUserID = "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"

// User is a person who logs in to a device and gets a channel of their own.
type User struct {
	// ID is the GUID of the account, SharedIPadUserID on a Shared iPad, the EnrollmentUserID in a User Enrollment.
	ID        string
	ShortName string
	LongName  string
	// Network marks a directory account, for which a Mac asks the server first (UserAuthenticate).
	Network bool
}

// ErrNoUserChannel says that the server manages no users: the device stops asking until the next login.
var ErrNoUserChannel = errors.New("the server manages no users")

// Channel is one line between a server and a device: the device's own, or a user's.
type Channel struct {
	device *Device
	user   *User // nil on the device channel
	token  []byte
	magic  string

	// Guarded by device.mu.
	profiles     map[string]*InstalledProfile
	tokenPending bool // a TokenUpdate is due before anything else
}

// InstalledProfile is a profile on a channel.
type InstalledProfile struct {
	*Profile
	// Installs counts how often it was installed since it first came.
	Installs int
}

const (
	pushTokenLength   = 32
	unlockTokenLength = 64
)

func (d *Device) newChannel(user *User) (*Channel, error) {
	token, err := d.random(pushTokenLength)
	if err != nil {
		return nil, err
	}
	magic, err := uuid.NewRandomFromReader(d.opts.Rand)
	if err != nil {
		return nil, fmt.Errorf("making push magic: %w", err)
	}
	return &Channel{
		device: d, user: user, token: token, magic: strings.ToUpper(magic.String()),
		profiles: map[string]*InstalledProfile{}, tokenPending: true,
	}, nil
}

// PushToken is where pushes for the channel go, PushMagic what they must say.
func (c *Channel) PushToken() []byte { return c.token }

// PushMagic is the word that a push must carry.
func (c *Channel) PushMagic() string { return c.magic }

// Profiles returns what is installed on the channel, by PayloadIdentifier.
func (c *Channel) Profiles() map[string]InstalledProfile {
	if c == nil {
		return nil
	}
	c.device.mu.Lock()
	defer c.device.mu.Unlock()
	installed := make(map[string]InstalledProfile, len(c.profiles))
	for identifier, p := range c.profiles {
		installed[identifier] = *p
	}
	return installed
}

// ids are the keys that name the channel in every message.
func (c *Channel) ids(e *enrollment) map[string]any {
	ids := map[string]any{"UDID": c.device.opts.UDID}
	user := "UserID"
	if c.device.opts.UserEnrollment {
		ids, user = map[string]any{"EnrollmentID": e.id}, "EnrollmentUserID"
	}
	if c.user != nil {
		ids[user], ids["UserShortName"], ids["UserLongName"] = c.user.ID, c.user.ShortName, c.user.LongName
	}
	return ids
}

// checkIn sends a check-in message of the channel and returns the reply.
func (c *Channel) checkIn(ctx context.Context, e *enrollment, messageType string, fields map[string]any) ([]byte, error) {
	message, err := e.checkInMessage(c, messageType, fields)
	if err != nil {
		return nil, err
	}
	return c.device.send(ctx, e, messageType, message)
}

// insist sends a check-in message again until it got through or the server refused it.
func (c *Channel) insist(ctx context.Context, e *enrollment, messageType string, fields map[string]any) error {
	for try := 1; ; try++ {
		_, err := c.checkIn(ctx, e, messageType, fields)
		if err == nil || try == checkInTries || !temporary(err) {
			return err
		}
		if err := c.device.wait(ctx, c.device.opts.RetryInterval); err != nil {
			return err
		}
	}
}

const checkInTries = 3

func (c *Channel) tokenUpdate(ctx context.Context, e *enrollment) error {
	fields := map[string]any{"Topic": e.profile.MDM.Topic, "Token": c.token, "PushMagic": c.magic}
	if c.user == nil && len(e.unlockToken) > 0 {
		fields["UnlockToken"] = e.unlockToken
	}
	if awaiting := c.device.awaits(e); c.user == nil && (awaiting || c.device.opts.Kind != KindMac) {
		fields["AwaitingConfiguration"] = awaiting
	}
	if c.user != nil {
		fields["NotOnConsole"] = false
	}
	if err := c.insist(ctx, e, "TokenUpdate", fields); err != nil {
		return err
	}
	c.device.mu.Lock()
	defer c.device.mu.Unlock()
	c.tokenPending = false
	return nil
}

func (c *Channel) tokenDue() bool {
	c.device.mu.Lock()
	defer c.device.mu.Unlock()
	return c.tokenPending
}

// Login opens the channel of a user. The server must have declared per-user connections in the enrolment profile.
// Nobody can log in to a device that is in Setup Assistant.
func (d *Device) Login(ctx context.Context, user User) (*Channel, error) {
	d.conversation.Lock()
	defer d.conversation.Unlock()
	e, err := d.current()
	if err != nil {
		return nil, err
	}
	if d.awaits(e) {
		return nil, ErrInSetupAssistant
	}
	if !e.profile.MDM.can(capabilityUsers) && user.ID != SharedIPadUserID && !d.opts.UserEnrollment {
		return nil, ErrNoUserChannel
	}
	channel, err := d.newChannel(&user)
	if err != nil {
		return nil, err
	}
	if err := channel.authenticateUser(ctx, e); err != nil {
		return nil, err
	}
	if err := channel.tokenUpdate(ctx, e); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	e.users = append(e.users, channel)
	return channel, nil
}

// authenticateUser asks the server about a network account. An empty DigestChallenge lets the user in.
func (c *Channel) authenticateUser(ctx context.Context, e *enrollment) error {
	if !c.user.Network {
		return nil
	}
	reply, err := c.checkIn(ctx, e, "UserAuthenticate", nil)
	var status *StatusError
	if errors.As(err, &status) && status.Code == http.StatusGone {
		return ErrNoUserChannel
	}
	if err != nil {
		return err
	}
	var challenge struct{ DigestChallenge string }
	if err := decodePlist(reply, &challenge); err != nil {
		return fmt.Errorf("reading DigestChallenge: %w", err)
	}
	if challenge.DigestChallenge != "" {
		return errors.New("the server asks the user for a password, which the simulated device does not know")
	}
	return nil
}
