package devicesim_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/test/devicesim"
)

// at once is a clock on which no time passes.
func atOnce(time.Duration) <-chan time.Time {
	c := make(chan time.Time, 1)
	c <- time.Time{}
	return c
}

func newDevice(t *testing.T, s *server, change func(*devicesim.Options)) *devicesim.Device {
	t.Helper()
	opts := devicesim.Options{Hardware: devicesim.Mac("TEST", 1), Roots: s.roots(), Key: keys.Key, After: atOnce}
	if change != nil {
		change(&opts)
	}
	device, err := devicesim.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return device
}

func enrolled(t *testing.T, s *server, change func(*devicesim.Options)) *devicesim.Device {
	t.Helper()
	device := newDevice(t, s, change)
	if err := device.Enroll(t.Context(), s.URL+"/enroll"); err != nil {
		t.Fatal(err)
	}
	s.hears()
	return device
}

func TestEnroll(t *testing.T) {
	s := newServer(t)
	mac := newDevice(t, s, nil)
	if err := mac.Enroll(t.Context(), s.URL+"/enroll"); err != nil {
		t.Fatal(err)
	}
	if heard := s.hears(); heard != "Authenticate TokenUpdate" {
		t.Errorf("heard %q", heard)
	}
	authenticate, update := s.last(t, "Authenticate"), s.last(t, "TokenUpdate")
	if authenticate.SerialNumber != "TEST00000001" || authenticate.Topic != topic || authenticate.Model == "" || authenticate.OSVersion == "" {
		t.Errorf("Authenticate says %+v", authenticate)
	}
	if authenticate.contentType != "application/x-apple-aspen-mdm-checkin" || !authenticate.signer.Equal(mac.Identity().Certificate) {
		t.Error("Authenticate is not a check-in signed with the new identity")
	}
	if len(update.Token) != 32 || update.PushMagic == "" || !bytes.Equal(update.Token, mac.Channel().PushToken()) {
		t.Errorf("TokenUpdate says %+v", update)
	}
	if update.UnlockToken != nil {
		t.Error("a Mac has no unlock token")
	}
	if subject := mac.Identity().Certificate.Subject; subject.CommonName != "device" || subject.Organization[0] != "Test" {
		t.Errorf("the request asked for %v", subject)
	}
	if err := mac.Enroll(t.Context(), s.URL+"/enroll"); !errors.Is(err, devicesim.ErrEnrolled) {
		t.Errorf("a second enrolment: %v", err)
	}
}

func TestEnrollSigned(t *testing.T) {
	s := newServer(t)
	good := s.sign(t, s.enrolment(nil))
	spoilt := bytes.Replace(good, []byte("test.enrol"), []byte("evil.enrol"), 1)

	s.profile = func() []byte { return spoilt }
	mac := newDevice(t, s, nil)
	if err := mac.Enroll(t.Context(), s.URL+"/enroll"); err == nil || !strings.Contains(err.Error(), "signature") {
		t.Fatalf("a changed profile: %v", err)
	}
	s.profile = func() []byte { return good }
	if err := mac.Enroll(t.Context(), s.URL+"/enroll"); err != nil {
		t.Fatal(err)
	}
	if p := mac.Profiles()["test.enrol"]; !p.Verified || p.Signer == nil {
		t.Error("the signature is not verified")
	}
}

func TestEnrollRefusesBadProfiles(t *testing.T) {
	s := newServer(t)
	for name, spoil := range map[string]func(mdm, scep map[string]any){
		"plain http":         func(mdm, _ map[string]any) { mdm["ServerURL"] = "http://example.test" },
		"topic":              func(mdm, _ map[string]any) { mdm["Topic"] = "com.example" },
		"rights":             func(mdm, _ map[string]any) { mdm["AccessRights"] = 8192 },
		"no signed messages": func(mdm, _ map[string]any) { mdm["SignMessage"] = false },
		"no identity":        func(mdm, _ map[string]any) { mdm["IdentityCertificateUUID"] = "X" },
		"doubled UUID":       func(mdm, _ map[string]any) { mdm["PayloadUUID"] = "S" },
		"elliptic key":       func(_, scep map[string]any) { scep["Key Type"] = "ECSECPrimeRandom" },
		"other CA":           func(_, scep map[string]any) { scep["CAFingerprint"] = make([]byte, 32) },
		"wrong challenge":    func(_, scep map[string]any) { scep["Challenge"] = "guess" },
	} {
		t.Run(name, func(t *testing.T) {
			s.profile = func() []byte { return s.enrolment(spoil) }
			mac := newDevice(t, s, nil)
			if err := mac.Enroll(t.Context(), s.URL+"/enroll"); err == nil {
				t.Error("enrolled")
			}
			if mac.Enrolled() || len(s.hears()) > 0 {
				t.Error("the device spoke to the server")
			}
		})
	}
}

func TestCheckInRetries(t *testing.T) {
	s := newServer(t)
	network := &devicesim.Network{Next: devicesim.NewClient(s.roots()).Transport}
	mac := newDevice(t, s, func(o *devicesim.Options) { o.Client = &http.Client{Transport: network} })
	s.statuses["TokenUpdate"] = http.StatusServiceUnavailable
	err := mac.Enroll(t.Context(), s.URL+"/enroll")
	if status := new(devicesim.StatusError); !errors.As(err, &status) || status.Code != http.StatusServiceUnavailable {
		t.Fatal(err)
	}
	delete(s.statuses, "TokenUpdate")
	if err := mac.Idle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if heard := s.hears(); heard != "Authenticate TokenUpdate TokenUpdate TokenUpdate TokenUpdate Idle" {
		t.Errorf("heard %q", heard)
	}
	network.LoseEvery(1, devicesim.LoseRequest)
	if err := mac.Idle(t.Context()); !errors.Is(err, devicesim.ErrNetwork) || s.hears() != "" {
		t.Errorf("without a network: %v", err)
	}
}

func TestRefusedCheckInIsNotRepeated(t *testing.T) {
	s := newServer(t)
	mac := newDevice(t, s, nil)
	s.statuses["Authenticate"] = http.StatusForbidden
	err := mac.Enroll(t.Context(), s.URL+"/enroll")
	if status := new(devicesim.StatusError); !errors.As(err, &status) || s.hears() != "Authenticate" || mac.Enrolled() {
		t.Errorf("403: %v", err)
	}
}

func TestErrorsHoldNoToken(t *testing.T) {
	s := newServer(t)
	mac := newDevice(t, s, nil)
	s.Close()
	if err := mac.Enroll(t.Context(), s.URL+"/enroll/TOKEN"); err == nil || strings.Contains(err.Error(), "TOKEN") {
		t.Error(err)
	}
}

func TestCapabilities(t *testing.T) {
	s := newServer(t)
	s.profile = func() []byte {
		return s.enrolment(func(mdm, _ map[string]any) { mdm["ServerCapabilities"] = []string{} })
	}
	mac := enrolled(t, s, nil)
	if _, err := mac.Login(t.Context(), devicesim.User{ID: "U"}); !errors.Is(err, devicesim.ErrNoUserChannel) {
		t.Errorf("a user: %v", err)
	}
	if err := mac.SetBootstrapToken(t.Context(), []byte("boot")); err == nil {
		t.Error("a Mac gives its bootstrap token only to a server that keeps it")
	}
	if heard := s.hears(); heard != "" {
		t.Errorf("heard %q", heard)
	}
}

func TestUnauthorizedEndsManagement(t *testing.T) {
	s := newServer(t)
	mac := enrolled(t, s, nil)
	s.statuses["command"] = http.StatusForbidden
	if err := mac.Idle(t.Context()); err == nil || !mac.Enrolled() {
		t.Fatalf("403: %v, enrolled %v", err, mac.Enrolled())
	}
	s.statuses["command"] = http.StatusUnauthorized
	if err := mac.Idle(t.Context()); err == nil || mac.Enrolled() {
		t.Fatalf("401: %v, enrolled %v", err, mac.Enrolled())
	}
}

func TestUnenrollAndWipe(t *testing.T) {
	s := newServer(t)
	mac := enrolled(t, s, nil)
	if err := mac.Unenroll(t.Context()); err != nil || mac.Enrolled() || s.hears() != "CheckOut" {
		t.Fatalf("unenrolling: %v", err)
	}
	if err := mac.Idle(t.Context()); !errors.Is(err, devicesim.ErrNotEnrolled) {
		t.Errorf("idle: %v", err)
	}
	if err := mac.Enroll(t.Context(), s.URL+"/enroll"); err != nil {
		t.Fatal(err)
	}
	first := s.last(t, "TokenUpdate")
	s.hears()
	mac.Wipe()
	if mac.Enrolled() || s.hears() != "" {
		t.Error("a wiped device is silent and unmanaged")
	}
	if err := mac.Enroll(t.Context(), s.URL+"/enroll"); err != nil {
		t.Fatal(err)
	}
	if again := s.last(t, "TokenUpdate"); again.UDID != first.UDID || bytes.Equal(again.Token, first.Token) {
		t.Error("a wiped device comes back with its UDID and a new push token")
	}
}

func TestBootstrapToken(t *testing.T) {
	s := newServer(t)
	mac := enrolled(t, s, nil)
	if err := mac.SetBootstrapToken(t.Context(), []byte("boot")); err != nil {
		t.Fatal(err)
	}
	if m := s.last(t, "SetBootstrapToken"); string(m.BootstrapToken) != "boot" {
		t.Errorf("escrowed %q", m.BootstrapToken)
	}
	if token, err := mac.BootstrapToken(t.Context()); err != nil || token != nil {
		t.Errorf("none: %q, %v", token, err)
	}
	s.replies["GetBootstrapToken"] = map[string]any{"BootstrapToken": []byte("boot")}
	if token, err := mac.BootstrapToken(t.Context()); err != nil || string(token) != "boot" {
		t.Errorf("got %q, %v", token, err)
	}
}

func TestPowerOff(t *testing.T) {
	s := newServer(t)
	mac := enrolled(t, s, nil)
	mac.PowerOff()
	if err := mac.Idle(context.Background()); !errors.Is(err, devicesim.ErrPoweredOff) || s.hears() != "" {
		t.Errorf("off: %v", err)
	}
	mac.PowerOn()
	if err := mac.Idle(context.Background()); err != nil || s.hears() != "Idle" {
		t.Errorf("on: %v", err)
	}
}
