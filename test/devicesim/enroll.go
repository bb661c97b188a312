package devicesim

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/google/uuid"
)

// Enroll fetches the enrolment profile and installs it.
func (d *Device) Enroll(ctx context.Context, enrollURL string) error {
	profile, err := d.FetchEnrollment(ctx, enrollURL)
	if err != nil {
		return err
	}
	return d.InstallEnrollment(ctx, profile)
}

// FetchEnrollment gets an enrolment profile and checks it as a device does before it shows it.
func (d *Device) FetchEnrollment(ctx context.Context, enrollURL string) (*EnrollmentProfile, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, enrollURL, nil)
	if err != nil {
		return nil, fmt.Errorf("fetching enrolment profile: %w", err)
	}
	request.Header.Set("User-Agent", userAgent)
	answer, err := exchange(d.opts.Client, request)
	if err != nil {
		return nil, fmt.Errorf("fetching enrolment profile: %w", err)
	}
	return d.readEnrollment(answer)
}

// readEnrollment checks an answer that must be an enrolment profile.
func (d *Device) readEnrollment(answer *httpReply) (*EnrollmentProfile, error) {
	if answer.status != http.StatusOK {
		return nil, &StatusError{Endpoint: "enrolment profile", Code: answer.status}
	}
	if contentType, _, _ := mime.ParseMediaType(answer.header.Get("Content-Type")); contentType != typeProfile {
		return nil, fmt.Errorf("fetching enrolment profile: content type %q makes it a page, not a profile", contentType)
	}
	profile, err := ParseProfile(answer.body, d.opts.Roots)
	if err != nil {
		return nil, err
	}
	return ParseEnrollment(profile)
}

// InstallEnrollment enrols with a profile that was fetched: SCEP, Authenticate, TokenUpdate. When the certificate was issued and
// Authenticate got through, the device is enrolled even if TokenUpdate failed: it is sent again at the next connection.
func (d *Device) InstallEnrollment(ctx context.Context, profile *EnrollmentProfile) error {
	return d.install(ctx, profile, func(*enrollment) {})
}

// InstallEnrollmentAs is InstallEnrollment with an identity that the device has already, as from another server's CA. Renewals get one over SCEP.
func (d *Device) InstallEnrollmentAs(ctx context.Context, profile *EnrollmentProfile, identity *Identity) error {
	return d.install(ctx, profile, func(e *enrollment) { e.identity = identity })
}

// install is InstallEnrollment for an enrolment that is changed before the server hears of it.
func (d *Device) install(ctx context.Context, profile *EnrollmentProfile, change func(*enrollment)) error {
	d.conversation.Lock()
	defer d.conversation.Unlock()
	if err := d.powered(); err != nil {
		return err
	}
	if d.Enrolled() {
		return ErrEnrolled
	}
	e, err := d.newEnrollment(profile)
	if err != nil {
		return err
	}
	change(e)
	if err := d.authenticate(ctx, e); err != nil {
		return err
	}
	if err := e.device.tokenUpdate(ctx, e); err != nil {
		return err
	}
	d.event(EventEnrolled, "")
	return nil
}

func (d *Device) newEnrollment(profile *EnrollmentProfile) (*enrollment, error) {
	channel, err := d.newChannel(nil)
	if err != nil {
		return nil, err
	}
	channel.profiles[profile.Identifier] = &InstalledProfile{Profile: profile.Profile, Installs: 1}
	e := &enrollment{profile: profile, device: channel, client: d.opts.Client}
	if d.opts.Kind != KindMac { // macOS has no unlock token
		if e.unlockToken, err = d.random(unlockTokenLength); err != nil {
			return nil, err
		}
	}
	if d.opts.UserEnrollment {
		id, err := uuid.NewRandomFromReader(d.opts.Rand)
		if err != nil {
			return nil, fmt.Errorf("making enrolment id: %w", err)
		}
		e.id = strings.ToUpper(id.String())
	}
	return e, nil
}

// renew replaces the enrolment profile by one that matches it. Channels, profiles and tokens stay; the identity is new.
func (d *Device) renew(ctx context.Context, profile *EnrollmentProfile) error {
	old, err := d.current()
	if err != nil {
		return err
	}
	if err := profile.checkReplaces(old.profile); err != nil {
		return err
	}
	renewed := *old
	renewed.profile, renewed.identity = profile, nil
	if err := d.authenticate(ctx, &renewed); err != nil {
		return err
	}
	d.mu.Lock()
	installed := renewed.device.profiles[profile.Identifier]
	installed.Profile = profile.Profile
	installed.Installs++
	renewed.device.tokenPending = true
	d.mu.Unlock()
	if err := renewed.device.tokenUpdate(ctx, &renewed); err != nil {
		return err
	}
	d.event(EventRenewed, "")
	return nil
}

// authenticate gets the enrolment's identity, unless it has one, and introduces the device with it. From then on the enrolment is the device's.
func (d *Device) authenticate(ctx context.Context, e *enrollment) error {
	if e.identity == nil {
		identity, err := d.obtainIdentity(ctx, e)
		if err != nil {
			return err
		}
		e.identity = identity
	}
	h := d.Hardware()
	fields := map[string]any{
		"Topic": e.profile.MDM.Topic, "Model": h.Model, "ModelName": h.ModelName, "DeviceName": h.DeviceName,
		"ProductName": h.ProductName, "OSVersion": h.OSVersion, "BuildVersion": h.BuildVersion,
	}
	if !d.opts.UserEnrollment {
		fields["SerialNumber"] = h.SerialNumber
	}
	if err := e.device.insist(ctx, e, "Authenticate", fields); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.enrollment = e
	return nil
}

func (d *Device) obtainIdentity(ctx context.Context, e *enrollment) (*Identity, error) {
	key, err := d.opts.Key()
	if err != nil {
		return nil, fmt.Errorf("making key: %w", err)
	}
	keyOf := func(try int) (*rsa.PrivateKey, error) {
		if try > 0 && d.opts.NewKeyOnRetry {
			return d.opts.Key()
		}
		return key, nil
	}
	client := &SCEP{Payload: e.profile.SCEP, Client: e.client}
	return client.obtain(ctx, keyOf, d.wait)
}

// Unenroll removes the enrolment profile by hand, as a user may: everything that came with it goes, and the server is told if it asked
// to be. The device is out of management even if that message is lost. A setup-assistant profile may forbid it: ErrNotRemovable.
func (d *Device) Unenroll(ctx context.Context) error {
	d.conversation.Lock()
	defer d.conversation.Unlock()
	e, err := d.current()
	if err != nil {
		return err
	}
	if e.fixed() {
		return ErrNotRemovable
	}
	return d.leave(ctx, e)
}

// fixed says whether only the server can end the management.
func (e *enrollment) fixed() bool { return e.setup != nil && !e.setup.IsMDMRemovable }

func (d *Device) leave(ctx context.Context, e *enrollment) error {
	defer d.forget(EventUnmanaged, "")
	if !e.profile.MDM.CheckOutWhenRemoved {
		return nil
	}
	_, err := e.device.checkIn(ctx, e, "CheckOut", map[string]any{"Topic": e.profile.MDM.Topic})
	return err
}

// Wipe erases the device by hand, without a word to the server. It can enrol again.
func (d *Device) Wipe() {
	d.conversation.Lock()
	defer d.conversation.Unlock()
	d.forget(EventErased, "")
}

// SetBootstrapToken escrows the token with the server; an empty one takes it back.
func (d *Device) SetBootstrapToken(ctx context.Context, token []byte) error {
	_, err := d.CheckIn(ctx, "SetBootstrapToken", map[string]any{"BootstrapToken": token})
	return err
}

// BootstrapToken asks the server for the escrowed token; nil when it has none.
func (d *Device) BootstrapToken(ctx context.Context) ([]byte, error) {
	reply, err := d.CheckIn(ctx, "GetBootstrapToken", nil)
	if err != nil || len(reply) == 0 {
		return nil, err
	}
	var answer struct{ BootstrapToken []byte }
	if err := decodePlist(reply, &answer); err != nil {
		return nil, fmt.Errorf("reading bootstrap token: %w", err)
	}
	return answer.BootstrapToken, nil
}

// errNoBootstrapTokens says that a Mac keeps its bootstrap token to itself.
var errNoBootstrapTokens = errors.New("the enrolment profile does not declare that the server keeps bootstrap tokens")

// CheckIn sends any check-in message on the device channel, once, and returns the reply.
func (d *Device) CheckIn(ctx context.Context, messageType string, fields map[string]any) ([]byte, error) {
	d.conversation.Lock()
	defer d.conversation.Unlock()
	e, err := d.current()
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(messageType, "BootstrapToken") && !e.profile.MDM.can(capabilityBootstrapToken) {
		return nil, errNoBootstrapTokens
	}
	return e.device.checkIn(ctx, e, messageType, fields)
}
