package devicesim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/micromdm/plist"
)

// Media type of signed machine info in a request, and the header that carries it into a web view.
const (
	typeMachineInfo   = "application/pkcs7-signature"
	headerMachineInfo = "X-Apple-Aspen-Deviceinfo"
)

// ErrInSetupAssistant says that nobody can log in: the device awaits its configuration.
var ErrInSetupAssistant = errors.New("the device awaits its configuration in Setup Assistant")

// ErrNotRemovable says that the setup-assistant profile does not let people end the management.
var ErrNotRemovable = errors.New("the management cannot be removed by hand")

// Signer makes the CMS SignedData of a document; applepki.DeviceIdentity is one.
type Signer interface {
	Sign(document []byte) ([]byte, error)
}

// SetupAssistant is what a device goes through that belongs to an organisation. Identity is needed, and one of Profile and Activation.
type SetupAssistant struct {
	// Profile is the setup-assistant profile in JSON, as activation at Apple gives it to the device.
	Profile []byte
	// Activation is the URL to get it from, in which {serial} stands for the serial number.
	Activation string
	// Identity signs the machine info.
	Identity Signer
	// Language is what the person chose first of all, such as en-GB.
	Language string
	// NoUpdates makes the device an old one that cannot be asked to update first.
	NoUpdates bool
	// OnUpdate is told of the version that the server asks for before the device installs it; an error keeps the device from it.
	OnUpdate func(OSUpdate) error
	// SignIn is the person at configuration_web_url: it returns what to fill into the form of a page, which is posted to the page's own address.
	SignIn func(ctx context.Context, page *url.URL, html []byte) (url.Values, error)
}

// EnrollAutomated goes through Setup Assistant: the device asks the server that the setup-assistant profile names, with nothing to show but its signed machine
// info, installs an update first if the server wants one, and enrols. With await_device_configured it then stays there until a DeviceConfigured came: see Configured.
func (d *Device) EnrollAutomated(ctx context.Context, s SetupAssistant) error {
	if err := d.powered(); err != nil {
		return err
	}
	if d.Enrolled() {
		return ErrEnrolled
	}
	if d.opts.UserEnrollment || s.Identity == nil {
		return errors.New("an automated enrolment needs an identity of Apple's, and is none of a user's")
	}
	setup, err := s.profile(ctx, d.opts.SerialNumber)
	if err != nil {
		return err
	}
	profile, err := d.fetchAutomated(ctx, &s, setup)
	if err != nil {
		return err
	}
	client, err := d.clientFor(profile)
	if err != nil {
		return err
	}
	return d.install(ctx, profile, func(e *enrollment) {
		e.client, e.setup, e.awaiting = client, setup, setup.AwaitDeviceConfigured
	})
}

// SetupProfile returns the setup-assistant profile that the device enrolled with, nil when it did not by itself.
func (d *Device) SetupProfile() *SetupProfile {
	e, err := d.current()
	if err != nil {
		return nil
	}
	return e.setup
}

// Configured says whether the device is enrolled and does not await DeviceConfigured in Setup Assistant.
func (d *Device) Configured() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.enrollment != nil && !d.enrollment.awaiting
}

// awaits says whether the enrolment's device is kept in Setup Assistant.
func (d *Device) awaits(e *enrollment) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return e.awaiting
}

// deviceConfigured lets the device out of Setup Assistant once the answer is sent.
func (c *Channel) deviceConfigured(context.Context, *command) result {
	e, err := c.device.current()
	if err != nil || !c.device.awaits(e) {
		return failed(errorNotAwaiting, "Device is not AwaitingConfiguration")
	}
	return acknowledgedThen(func() {
		c.device.mu.Lock()
		e.awaiting = false
		c.device.mu.Unlock()
		c.device.event(EventConfigured, "")
	})
}

// fetchAutomated gets the enrolment profile for the machine info. A server may ask once for another version of the system.
func (d *Device) fetchAutomated(ctx context.Context, s *SetupAssistant, setup *SetupProfile) (*EnrollmentProfile, error) {
	for updated := false; ; updated = true {
		cms, err := d.signMachineInfo(s)
		if err != nil {
			return nil, err
		}
		answer, err := d.present(ctx, s, setup, cms)
		if err != nil {
			return nil, fmt.Errorf("fetching enrolment profile: %w", err)
		}
		update, err := answer.requiredUpdate()
		switch {
		case err != nil:
			return nil, fmt.Errorf("fetching enrolment profile: %w", err)
		case update == nil || s.NoUpdates:
			return d.readEnrollment(answer)
		case updated:
			return nil, fmt.Errorf("the server asks for %s after %s was installed", update.OSVersion, d.Hardware().OSVersion)
		}
		if err := d.update(s, *update); err != nil {
			return nil, err
		}
	}
}

// present shows the machine info to the server: in the body, or to the web page of a sign-in.
func (d *Device) present(ctx context.Context, s *SetupAssistant, setup *SetupProfile, cms []byte) (*httpReply, error) {
	if setup.ConfigurationWebURL != "" {
		return d.signIn(ctx, s, setup, cms)
	}
	client := d.opts.Client
	if len(setup.anchors) > 0 { // they take the place of what the device trusts otherwise
		var err error
		if client, err = trusting(client, poolOf(setup.anchors)); err != nil {
			return nil, err
		}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, setup.URL, bytes.NewReader(cms))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", typeMachineInfo)
	request.Header.Set("User-Agent", userAgent)
	return exchange(client, request)
}

// signMachineInfo makes the device's MachineInfo (Apple, "MachineInfo" of Device Management).
func (d *Device) signMachineInfo(s *SetupAssistant) ([]byte, error) {
	h := d.Hardware()
	info := map[string]any{
		"SERIAL": h.SerialNumber, "UDID": h.UDID, "PRODUCT": h.ProductName, "OS_VERSION": h.OSVersion, "VERSION": h.BuildVersion,
		"SOFTWARE_UPDATE_DEVICE_ID": h.ProductName,
	}
	if !s.NoUpdates {
		info["MDM_CAN_REQUEST_SOFTWARE_UPDATE"] = true
	}
	if s.Language != "" {
		info["LANGUAGE"] = s.Language
	}
	document, err := plist.MarshalIndent(info, "\t")
	if err != nil {
		return nil, fmt.Errorf("encoding machine info: %w", err)
	}
	return s.Identity.Sign(document)
}
