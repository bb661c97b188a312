package devicesim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
)

// command is a command as it comes from a server, with the keys of every request type that the device knows.
type command struct {
	CommandUUID string
	Command     struct {
		RequestType string
		Payload     []byte
		Identifier  string
		Queries     []string
		PIN         string
		Message     string
		PhoneNumber string
		UnlockToken []byte
		ManifestURL string
	}
	malformed bool
	profile   *Profile // of an InstallProfile that can be read
	unread    error    // why it cannot
}

// errCommand is a reply that a device cannot even answer.
var errCommand = errors.New("the server sent what is not a command")

// decodeCommand reads a command. One whose keys have wrong types is marked as malformed; without a CommandUUID and RequestType there
// is nothing that could be answered.
func decodeCommand(data []byte) (*command, error) {
	cmd := &command{}
	if err := decodePlist(data, cmd); err != nil {
		var head struct {
			CommandUUID string
			Command     struct{ RequestType string }
		}
		if err := decodePlist(data, &head); err != nil {
			return nil, fmt.Errorf("%w: %w", errCommand, err)
		}
		cmd = &command{CommandUUID: head.CommandUUID, malformed: true}
		cmd.Command.RequestType = head.Command.RequestType
	}
	if cmd.CommandUUID == "" || cmd.Command.RequestType == "" {
		return nil, fmt.Errorf("%w: it lacks CommandUUID or RequestType", errCommand)
	}
	if cmd.Command.RequestType == "InstallProfile" {
		cmd.profile, cmd.unread = ParseProfile(cmd.Command.Payload, nil)
	}
	return cmd, nil
}

// identifier is the PayloadIdentifier that the command is about.
func (c *command) identifier() string {
	if c.profile != nil {
		return c.profile.Identifier
	}
	return c.Command.Identifier
}

// result is what came of a command.
type result struct {
	status string
	fields map[string]any
	// then happens once the answer is sent, or was meant to be.
	then func()
	// final ends the connection after the answer, silent without one. err is what the caller of a silent one hears.
	final, silent bool
	err           error
}

// errorKind is a code of Apple's with its domain.
type errorKind struct {
	domain string
	code   int
}

var (
	errorRequestType = errorKind{"MCMDMErrorDomain", 12021}
	errorProfile     = errorKind{"MCProfileErrorDomain", 1000}
	errorInstall     = errorKind{"MCInstallationErrorDomain", 4001}
	errorNotFound    = errorKind{"MDMClientError", 89}
	errorParameter   = errorKind{"MCMDMErrorDomain", 12026}
	errorScripted    = errorKind{"MCMDMErrorDomain", 12000}
	errorNotAwaiting = errorKind{"MDMDeviceEnrollment", 101}
)

func acknowledged(fields map[string]any) result {
	return result{status: statusAcknowledged, fields: fields}
}

func failed(kind errorKind, reason string) result {
	return result{status: statusError, fields: map[string]any{"ErrorChain": []map[string]any{{
		"ErrorDomain": kind.domain, "ErrorCode": kind.code, "LocalizedDescription": reason, "USEnglishDescription": reason,
	}}}}
}

// handlers are the request types that a device knows.
var handlers = map[string]func(*Channel, context.Context, *command) result{
	"InstallProfile":               (*Channel).installProfile,
	"RemoveProfile":                (*Channel).removeProfile,
	"ProfileList":                  (*Channel).profileList,
	"DeviceInformation":            (*Channel).deviceInformation,
	"SecurityInfo":                 (*Channel).securityInfo,
	"CertificateList":              (*Channel).certificateList,
	"InstalledApplicationList":     (*Channel).applicationList,
	"InstallApplication":           (*Channel).installApplication,
	"InstallEnterpriseApplication": (*Channel).installApplication,
	"RestartDevice":                (*Channel).restart,
	"ShutDownDevice":               (*Channel).shutDown,
	"DeviceLock":                   (*Channel).lockDevice,
	"EraseDevice":                  (*Channel).eraseDevice,
	"ClearPasscode":                (*Channel).clearPasscode,
	"DeviceConfigured":             (*Channel).deviceConfigured,
}

// userCommands are those that a user channel takes; all others are the device's.
var userCommands = map[string]bool{
	"InstallProfile": true, "RemoveProfile": true, "ProfileList": true, "CertificateList": true, "DeviceInformation": true,
}

// known says whether the channel takes the request type.
func (c *Channel) known(requestType string) bool {
	switch requestType {
	case "ClearPasscode":
		return c.user == nil && c.device.opts.Kind != KindMac
	case "InstallEnterpriseApplication":
		return c.user == nil && c.device.opts.Kind == KindMac
	}
	return handlers[requestType] != nil && (c.user == nil || userCommands[requestType])
}

// run does what the command says.
func (c *Channel) run(ctx context.Context, cmd *command) result {
	requestType := cmd.Command.RequestType
	if !c.known(requestType) {
		return failed(errorRequestType, fmt.Sprintf("%q is not a valid request type", requestType))
	}
	if cmd.malformed {
		return result{status: statusFormatError}
	}
	return handlers[requestType](c, ctx, cmd)
}

func (c *Channel) installProfile(ctx context.Context, cmd *command) result {
	if len(cmd.Command.Payload) == 0 {
		return result{status: statusFormatError}
	}
	if cmd.unread != nil {
		return failed(errorProfile, "The profile is not readable: "+cmd.unread.Error())
	}
	profile, err := ParseProfile(cmd.Command.Payload, c.device.opts.Roots)
	if err != nil {
		return failed(errorProfile, err.Error())
	}
	if len(profile.ofType(payloadMDM)) > 0 {
		return c.installEnrollment(ctx, profile)
	}
	c.device.mu.Lock()
	defer c.device.mu.Unlock()
	if old := c.profiles[profile.Identifier]; old != nil {
		if old.isEnrollment() {
			return failed(errorInstall, "The profile would replace the enrolment profile")
		}
		c.profiles[profile.Identifier] = &InstalledProfile{Profile: profile, Installs: old.Installs + 1}
	} else {
		c.profiles[profile.Identifier] = &InstalledProfile{Profile: profile, Installs: 1}
	}
	return acknowledgedThen(func() { c.device.event(EventProfileInstalled, profile.Identifier) })
}

// installEnrollment renews the device's identity; the enrolment profile that the device has must allow it.
func (c *Channel) installEnrollment(ctx context.Context, profile *Profile) result {
	enrollment, err := ParseEnrollment(profile)
	if err == nil && c.user != nil {
		err = errors.New("an MDM payload belongs on the device channel")
	}
	if err == nil {
		err = c.device.renew(ctx, enrollment)
	}
	if err != nil {
		return failed(errorInstall, err.Error())
	}
	return acknowledged(nil)
}

func (c *Channel) removeProfile(ctx context.Context, cmd *command) result {
	identifier := cmd.Command.Identifier
	c.device.mu.Lock()
	installed := c.profiles[identifier]
	delete(c.profiles, identifier)
	c.device.mu.Unlock()
	if installed == nil {
		return failed(errorNotFound, fmt.Sprintf("Profile with identifier %q not found", identifier))
	}
	if !installed.isEnrollment() {
		return acknowledgedThen(func() { c.device.event(EventProfileRemoved, identifier) })
	}
	// With the enrolment goes the identity: a device checks out, if asked to, and never answers the command.
	e, err := c.device.current()
	if err == nil {
		err = c.device.leave(ctx, e)
	}
	return result{silent: true, err: err}
}

func acknowledgedThen(then func()) result { return result{status: statusAcknowledged, then: then} }

func (c *Channel) restart(context.Context, *command) result {
	return acknowledgedThen(func() {
		c.device.mu.Lock()
		c.device.restarts++
		c.device.mu.Unlock()
		c.device.event(EventRestarted, "")
	})
}

func (c *Channel) shutDown(context.Context, *command) result {
	r := acknowledgedThen(func() {
		c.device.PowerOff()
		c.device.event(EventPoweredOff, "")
	})
	r.final = true
	return r
}

// sixDigits is the form of a PIN that a Mac asks for when it is locked or erased.
var sixDigits = regexp.MustCompile(`^[0-9]{6}$`)

func (c *Channel) pinMissing(cmd *command) bool {
	return c.device.opts.Kind == KindMac && !sixDigits.MatchString(cmd.Command.PIN)
}

func (c *Channel) lockDevice(_ context.Context, cmd *command) result {
	if c.pinMissing(cmd) {
		return failed(errorParameter, "A Mac needs a PIN of six digits")
	}
	c.device.mu.Lock()
	defer c.device.mu.Unlock()
	c.device.lock = &Lock{PIN: cmd.Command.PIN, Message: cmd.Command.Message, PhoneNumber: cmd.Command.PhoneNumber}
	return acknowledged(nil)
}

func (c *Channel) eraseDevice(_ context.Context, cmd *command) result {
	if c.pinMissing(cmd) {
		return failed(errorParameter, "A Mac needs a PIN of six digits")
	}
	r := acknowledgedThen(func() { c.device.forget(EventErased, "") })
	r.final = true
	return r
}

func (c *Channel) clearPasscode(_ context.Context, cmd *command) result {
	e, err := c.device.current()
	if err != nil || !bytes.Equal(cmd.Command.UnlockToken, e.unlockToken) {
		return failed(errorParameter, "The unlock token is not the one this device gave")
	}
	c.device.mu.Lock()
	defer c.device.mu.Unlock()
	c.device.lock = nil
	return acknowledged(nil)
}

// installApplication takes note of the application: it is not downloaded.
func (c *Channel) installApplication(_ context.Context, cmd *command) result {
	if !isHTTPS(cmd.Command.ManifestURL) {
		return failed(errorParameter, "ManifestURL must be an https URL")
	}
	c.device.mu.Lock()
	defer c.device.mu.Unlock()
	c.device.apps = append(c.device.apps, App{ManifestURL: cmd.Command.ManifestURL})
	return acknowledged(map[string]any{"State": "Installing"})
}

func (p *InstalledProfile) isEnrollment() bool { return len(p.ofType(payloadMDM)) > 0 }
