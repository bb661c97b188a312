package devicesim

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Errors of a device that cannot do what it is asked to.
var (
	ErrNotEnrolled = errors.New("the device is not enrolled")
	ErrEnrolled    = errors.New("the device is enrolled already")
	ErrPoweredOff  = errors.New("the device is powered off")
)

// Options make a device. Hardware is needed, all else has a default.
type Options struct {
	Hardware
	// UserEnrollment makes the device call itself by an EnrollmentID and hide its UDID and serial number.
	UserEnrollment bool
	// Client carries the device's requests; it trusts Roots unless it is given. Devices may share one.
	Client *http.Client
	// Roots are trusted for TLS and for signatures of profiles; nil are the system's for TLS and none for signatures.
	Roots *x509.CertPool
	// Key makes the key of each identity: NewKey, or Key of a KeyPool.
	Key func() (*rsa.PrivateKey, error)
	// Rand is the source of push tokens, magic and unlock tokens.
	Rand io.Reader
	// NewKeyOnRetry asks SCEP with another key after a lost reply, as a device does that was restarted in between.
	NewKeyOnRetry bool
	// Waker brings pushes. Without one the device connects only when it polls or is told to.
	Waker Waker
	// PollInterval makes Run connect this often without a push; 0 is never.
	PollInterval time.Duration
	// RetryInterval is how long the device waits to send a message again after the network failed, and to connect again after NotNow.
	RetryInterval time.Duration
	// After is the clock.
	After func(time.Duration) <-chan time.Time
	// OnEvent is called for each event, also concurrently; it must not call the device.
	OnEvent func(Event)
}

const defaultRetryInterval = 30 * time.Second

// Device is one simulated device. All methods may be called concurrently; the device has one conversation with its server at a time.
type Device struct {
	opts   Options
	script script

	conversation sync.Mutex // held through a whole enrolment or connection

	mu         sync.Mutex // guards what follows
	off        bool
	enrollment *enrollment // nil: not managed
	lock       *Lock
	answers    []Answer
	restarts   int
	system     OSUpdate // what it updated itself to in Setup Assistant, if it did
	apps       []App
}

// enrollment is what a device keeps of being managed. It is replaced as a whole by a renewal.
type enrollment struct {
	profile     *EnrollmentProfile
	identity    *Identity
	id          string // EnrollmentID of a User Enrollment
	unlockToken []byte
	device      *Channel
	users       []*Channel
	client      *http.Client  // carries the requests of this enrolment
	setup       *SetupProfile // nil: not an automated enrolment
	awaiting    bool          // in Setup Assistant, for DeviceConfigured; guarded by Device.mu
}

// Answer is one command as the device answered it.
type Answer struct {
	CommandUUID string
	RequestType string
	// Identifier is set for InstallProfile and RemoveProfile.
	Identifier string
	Status     string
}

// Lock is what DeviceLock left.
type Lock struct{ PIN, Message, PhoneNumber string }

// App is an application that the server asked to install.
type App struct{ ManifestURL string }

// New makes a device that is switched on and not enrolled.
func New(opts Options) (*Device, error) {
	if opts.SerialNumber == "" || opts.UDID == "" || opts.Kind == "" {
		return nil, errors.New("a device needs a kind, a UDID and a serial number")
	}
	if opts.Client == nil {
		opts.Client = NewClient(opts.Roots)
	}
	if opts.Key == nil {
		opts.Key = NewKey
	}
	if opts.Rand == nil {
		opts.Rand = rand.Reader
	}
	if opts.RetryInterval == 0 {
		opts.RetryInterval = defaultRetryInterval
	}
	if opts.After == nil {
		opts.After = time.After
	}
	if opts.OnEvent == nil {
		opts.OnEvent = func(Event) {}
	}
	return &Device{opts: opts}, nil
}

// Hardware is what the device is, with the system that it has by now.
func (d *Device) Hardware() Hardware {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.opts.Hardware
	if d.system.OSVersion != "" {
		h.OSVersion, h.BuildVersion = d.system.OSVersion, d.system.BuildVersion
	}
	return h
}

// Script adds rules; the first that matches a command decides.
func (d *Device) Script(rules ...Rule) { d.script.add(rules) }

// ClearScript forgets all rules.
func (d *Device) ClearScript() { d.script.clear() }

// PowerOff makes the device silent: it neither connects nor hears pushes until PowerOn.
func (d *Device) PowerOff() { d.setPower(true) }

// PowerOn switches the device on again.
func (d *Device) PowerOn() { d.setPower(false) }

func (d *Device) setPower(off bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off = off
}

// Enrolled says whether the device is managed.
func (d *Device) Enrolled() bool {
	_, err := d.current()
	return err == nil
}

// Identity returns the current certificate and key, nil when the device is not enrolled.
func (d *Device) Identity() *Identity {
	e, err := d.current()
	if err != nil {
		return nil
	}
	return e.identity
}

// Enrollment returns the profile that the device is enrolled with, nil when it is not.
func (d *Device) Enrollment() *EnrollmentProfile {
	e, err := d.current()
	if err != nil {
		return nil
	}
	return e.profile
}

// Channel returns the device channel, nil when the device is not enrolled.
func (d *Device) Channel() *Channel {
	e, err := d.current()
	if err != nil {
		return nil
	}
	return e.device
}

// Profiles returns what is installed on the device channel, by PayloadIdentifier.
func (d *Device) Profiles() map[string]InstalledProfile { return d.Channel().Profiles() }

// Answers returns every command that was answered, in order, through all enrolments.
func (d *Device) Answers() []Answer {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.answers)
}

// Restarts counts the restarts that the server asked for.
func (d *Device) Restarts() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.restarts
}

// Locked returns what the last DeviceLock left, nil when the device is not locked.
func (d *Device) Locked() *Lock {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lock
}

// Apps returns the applications that the server asked to install.
func (d *Device) Apps() []App {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.apps)
}

// current returns the enrolment, or ErrNotEnrolled.
func (d *Device) current() (*enrollment, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.enrollment == nil {
		return nil, ErrNotEnrolled
	}
	return d.enrollment, nil
}

func (d *Device) powered() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off {
		return ErrPoweredOff
	}
	return nil
}

// forget leaves management: all that came from the server goes.
func (d *Device) forget(kind EventKind, detail string) {
	d.mu.Lock()
	d.enrollment, d.lock, d.apps = nil, nil, nil
	d.mu.Unlock()
	d.event(kind, detail)
}

func (d *Device) event(kind EventKind, detail string) {
	d.opts.OnEvent(Event{Serial: d.opts.SerialNumber, Kind: kind, Detail: detail})
}

// wait waits on the device's clock.
func (d *Device) wait(ctx context.Context, pause time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-d.opts.After(pause):
		return nil
	}
}

func (d *Device) random(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(d.opts.Rand, b); err != nil {
		return nil, fmt.Errorf("reading random bytes: %w", err)
	}
	return b, nil
}
