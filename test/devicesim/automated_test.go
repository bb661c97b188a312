package devicesim_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/test/devicesim"
)

// A Mac of an organisation stays in Setup Assistant until it is configured.
func TestSetupAssistantAwaitsConfiguration(t *testing.T) {
	s := newServer(t)
	o := newOrganisation(t, s)
	var seen events
	mac := o.enroll(t, func(o *devicesim.Options) { o.OnEvent = seen.add })
	h := mac.Hardware()
	want := machineInfo{Serial: h.SerialNumber, UDID: h.UDID, Product: h.ProductName, OSVersion: h.OSVersion, Build: h.BuildVersion, CanUpdate: true}
	if !reflect.DeepEqual(o.asked, []machineInfo{want}) {
		t.Errorf("the device said %+v", o.asked)
	}
	if a := s.last(t, "TokenUpdate").AwaitingConfiguration; a == nil || !*a {
		t.Error("the TokenUpdate does not say that the device awaits")
	}
	if p := mac.SetupProfile(); mac.Configured() || p == nil || !reflect.DeepEqual(p.SkipSetupItems, []string{"Siri", "AppleID"}) || !p.IsMandatory {
		t.Errorf("configured %t by %+v", mac.Configured(), p)
	}
	if _, err := mac.Login(t.Context(), devicesim.User{ID: "U"}); !errors.Is(err, devicesim.ErrInSetupAssistant) {
		t.Errorf("a login: %v", err)
	}
	s.enqueue(h.UDID, "InstallProfile", map[string]any{"Payload": mobileconfig("test.wifi")})
	s.enqueue(h.UDID, "DeviceInformation", map[string]any{"Queries": []string{"AwaitingConfiguration", "IsSupervised"}})
	s.enqueue(h.UDID, "SecurityInfo", nil)
	check(t, mac.Idle(t.Context()))
	if _, installed := mac.Profiles()["test.wifi"]; !installed || mac.Configured() || seen.has("left Setup Assistant") {
		t.Errorf("installed %t, configured %t", installed, mac.Configured())
	}
	for _, m := range s.messages {
		if m.QueryResponses != nil && !reflect.DeepEqual(m.QueryResponses, map[string]any{"AwaitingConfiguration": true, "IsSupervised": true}) {
			t.Errorf("the device says %v", m.QueryResponses)
		}
		if status, ok := m.SecurityInfo["ManagementStatus"].(map[string]any); ok && status["EnrolledViaDEP"] != true {
			t.Errorf("the device says %v", status)
		}
	}
	s.enqueue(h.UDID, "DeviceConfigured", nil)
	check(t, mac.Idle(t.Context()))
	if !mac.Configured() || !seen.has("left Setup Assistant") {
		t.Error("the device stays in Setup Assistant")
	}
	if _, err := mac.Login(t.Context(), devicesim.User{ID: "U"}); err != nil {
		t.Errorf("a login: %v", err)
	}
	checkNotAwaiting(t, s, mac)
}

// checkNotAwaiting wants the device to refuse DeviceConfigured.
func checkNotAwaiting(t *testing.T, s *server, mac *devicesim.Device) {
	t.Helper()
	s.enqueue(mac.Hardware().UDID, "DeviceConfigured", nil)
	check(t, mac.Idle(t.Context()))
	if m := s.last(t, "Error"); m.ErrorChain[0].ErrorDomain != "MDMDeviceEnrollment" {
		t.Errorf("the device answers %+v", m.ErrorChain)
	}
}

func TestWithoutAwaitNothingHolds(t *testing.T) {
	s := newServer(t)
	o := newOrganisation(t, s)
	o.setup["await_device_configured"] = false
	mac := o.enroll(t, nil)
	if s.last(t, "TokenUpdate").AwaitingConfiguration != nil || !mac.Configured() {
		t.Error("the device awaits")
	}
	checkNotAwaiting(t, s, mac)
	if plain := enrolled(t, s, func(o *devicesim.Options) { o.Hardware = devicesim.Mac("TEST", 2) }); !plain.Configured() || plain.SetupProfile() != nil {
		t.Error("a device that enrolled by hand is in Setup Assistant")
	}
}

// An answer that gets lost keeps the device in Setup Assistant no longer than an answer that arrives.
func TestDeviceConfiguredIsDoneThoughTheAnswerIsLost(t *testing.T) {
	s := newServer(t)
	mac := newOrganisation(t, s).enroll(t, nil)
	mac.Script(devicesim.Rule{RequestType: "DeviceConfigured", Do: devicesim.AnswerNotNow, Times: 1})
	s.enqueue(mac.Hardware().UDID, "DeviceConfigured", nil)
	check(t, mac.Idle(t.Context()))
	if mac.Configured() {
		t.Error("NotNow configured the device")
	}
	mac.Script(devicesim.Rule{RequestType: "DeviceConfigured", Do: devicesim.Crash, Times: 1})
	if err := mac.Idle(t.Context()); !errors.Is(err, devicesim.ErrInterrupted) || !mac.Configured() {
		t.Errorf("configured %t: %v", mac.Configured(), err)
	}
}

// An erased device goes through Setup Assistant again.
func TestErasedDeviceStartsAnew(t *testing.T) {
	s := newServer(t)
	o := newOrganisation(t, s)
	mac := o.enroll(t, nil)
	s.enqueue(mac.Hardware().UDID, "DeviceConfigured", nil)
	check(t, mac.Idle(t.Context()))
	if err := mac.EnrollAutomated(t.Context(), o.assistant(t, mac.Hardware())); !errors.Is(err, devicesim.ErrEnrolled) {
		t.Errorf("while it is enrolled: %v", err)
	}
	mac.Wipe()
	if mac.Configured() || mac.SetupProfile() != nil {
		t.Error("the erased device is configured")
	}
	check(t, mac.EnrollAutomated(t.Context(), o.assistant(t, mac.Hardware())))
	if a := s.last(t, "TokenUpdate").AwaitingConfiguration; mac.Configured() || a == nil || !*a {
		t.Error("the second enrolment does not await")
	}
}

func TestManagementThatPeopleCannotRemove(t *testing.T) {
	s := newServer(t)
	o := newOrganisation(t, s)
	o.setup["is_mdm_removable"] = false
	mac := o.enroll(t, nil)
	if err := mac.Unenroll(t.Context()); !errors.Is(err, devicesim.ErrNotRemovable) || !mac.Enrolled() {
		t.Errorf("by hand: %v", err)
	}
	s.enqueue(mac.Hardware().UDID, "RemoveProfile", map[string]any{"Identifier": "test.enrol"})
	check(t, mac.Idle(t.Context()))
	if mac.Enrolled() {
		t.Error("the server cannot remove it either")
	}
}

func TestBadSetupProfiles(t *testing.T) {
	s := newServer(t)
	o := newOrganisation(t, s)
	for name, c := range map[string]struct {
		key   string
		value any
	}{
		"no name":            {"profile_name", ""},
		"plain http":         {"url", "http://example.test/ade"},
		"plain web":          {"configuration_web_url", "http://example.test/ade"},
		"no URL":             {"url", nil},
		"anchor":             {"anchor_certs", []string{"AAAA"}},
		"anchor in PEM":      {"anchor_certs", []string{string(o.ca.CertPEM())}},
		"fixed unsupervised": {"is_supervised", nil},
		"nowhere":            {"auto_advance_setup", true},
		"text for truth":     {"await_device_configured", "true"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := changed(changed(o.setup, "is_mdm_removable", false), c.key, c.value)
			if c.value == nil {
				delete(changed, c.key)
			}
			profile, err := json.Marshal(changed)
			check(t, err)
			if _, err := devicesim.ParseSetupProfile(profile); err == nil {
				t.Error("it is good enough")
			}
		})
	}
	p, err := devicesim.ParseSetupProfile([]byte(`{"profile_name":"x","url":"https://example.test"}`))
	if err != nil || !p.IsMDMRemovable || !p.AllowPairing || p.AwaitDeviceConfigured {
		t.Errorf("the least: %+v: %v", p, err)
	}
}

// Activation gives each device its own profile.
func TestActivation(t *testing.T) {
	s := newServer(t)
	o := newOrganisation(t, s)
	mac := newDevice(t, s, nil)
	assistant := o.assistant(t, mac.Hardware())
	profile := assistant.Profile
	assistant.Profile = nil
	status := http.StatusNotFound
	apple := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/activation/TEST00000001" || r.Method != http.MethodGet {
			t.Errorf("asked for %s %s", r.Method, r.URL)
		}
		w.WriteHeader(status)
		_, _ = w.Write(profile)
	}))
	defer apple.Close()
	if err := mac.EnrollAutomated(t.Context(), assistant); err == nil {
		t.Error("enrolled without a profile")
	}
	assistant.Activation = apple.URL + "/activation/{serial}"
	if err := mac.EnrollAutomated(t.Context(), assistant); !errors.Is(err, devicesim.ErrNoSetupProfile) {
		t.Errorf("404: %v", err)
	}
	status = http.StatusInternalServerError
	var refused *devicesim.StatusError
	if err := mac.EnrollAutomated(t.Context(), assistant); !errors.As(err, &refused) || refused.Code != status {
		t.Errorf("500: %v", err)
	}
	status = http.StatusOK
	check(t, mac.EnrollAutomated(t.Context(), assistant))
	if !mac.Enrolled() {
		t.Error("not enrolled")
	}
}

func TestWhatTheServerRefuses(t *testing.T) {
	s := newServer(t)
	o := newOrganisation(t, s)
	for name, c := range map[string]struct {
		status            int
		contentType, want string
	}{
		"forbidden": {http.StatusForbidden, "text/plain", "403"},
		"out":       {http.StatusServiceUnavailable, "text/plain", "503"},
		"a page":    {http.StatusOK, "text/html", "page"},
		"no JSON":   {http.StatusForbidden, "application/json", "reading"},
	} {
		t.Run(name, func(t *testing.T) {
			o.refuse = func(w http.ResponseWriter, _ machineInfo) bool {
				w.Header().Set("Content-Type", c.contentType)
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, "no")
				return true
			}
			mac := newDevice(t, s, nil)
			if err := mac.EnrollAutomated(t.Context(), o.assistant(t, mac.Hardware())); err == nil || !strings.Contains(err.Error(), c.want) || mac.Enrolled() {
				t.Error(err)
			}
		})
	}
	user := newDevice(t, s, func(o *devicesim.Options) { o.UserEnrollment = true })
	if err := user.EnrollAutomated(t.Context(), o.assistant(t, user.Hardware())); err == nil {
		t.Error("a user's device enrolled by itself")
	}
	off := newDevice(t, s, nil)
	off.PowerOff()
	if err := off.EnrollAutomated(t.Context(), o.assistant(t, off.Hardware())); !errors.Is(err, devicesim.ErrPoweredOff) {
		t.Errorf("off: %v", err)
	}
}

// anchor_certs are trusted where the profile leads to, in the place of what is trusted otherwise; the rest needs the enrolment profile's.
func TestAnchors(t *testing.T) {
	s := newServer(t)
	o := newOrganisation(t, s)
	strangers := func(o *devicesim.Options) { o.Roots = x509.NewCertPool() }
	refused := func(name string, change func(*devicesim.Options)) {
		t.Helper()
		mac := newDevice(t, s, change)
		if err := mac.EnrollAutomated(t.Context(), o.assistant(t, mac.Hardware())); err == nil || !strings.Contains(err.Error(), "unknown authority") || mac.Enrolled() {
			t.Errorf("%s: %v", name, err)
		}
	}
	refused("without the anchor of the MDM server", strangers)
	plain := s.profile
	s.profile = func() []byte {
		return with(t, plain(), map[string]any{
			"PayloadType": "com.apple.security.root", "PayloadVersion": 1, "PayloadIdentifier": "test.root", "PayloadUUID": "R", "PayloadContent": s.Certificate().Raw,
		})
	}
	check(t, o.enroll(t, strangers).Idle(t.Context()))
	network := &devicesim.Network{Next: devicesim.NewClient(x509.NewCertPool()).Transport}
	o.enroll(t, func(o *devicesim.Options) { strangers(o); o.Client = &http.Client{Transport: network} })
	delete(o.setup, "anchor_certs")
	refused("without the anchor of the organisation", nil)
	o.setup["anchor_certs"] = [][]byte{s.Certificate().Raw}
	refused("with another anchor", func(opts *devicesim.Options) { opts.Roots = o.ca.Pool() })
}

func updateTo(version, build string) string {
	return fmt.Sprintf(`{"code":"com.apple.softwareupdate.required","description":"too old","message":"Please update","details":{"OSVersion":%q,"BuildVersion":%q}}`, version, build)
}

// A device that is too old installs the version that it is asked for, and asks once more.
func TestRequiredUpdate(t *testing.T) {
	s := newServer(t)
	o := newOrganisation(t, s)
	refused := errors.New("no room")
	for name, c := range map[string]struct {
		body   string
		always bool
		change func(*devicesim.SetupAssistant)
		want   string // of the error
		build  string
	}{
		"newer":         {body: updateTo("26.3", "25D100"), build: "25D100"},
		"any build":     {body: updateTo("27", ""), build: "99Z999"},
		"for ever":      {body: updateTo("26.3", ""), always: true, want: "after 26.3 was installed"},
		"the same":      {body: updateTo("26.1.0", ""), want: "the device has 26.1"},
		"older":         {body: updateTo("9.9", ""), want: "the device has 26.1"},
		"no version":    {body: updateTo("", ""), want: "no version"},
		"other code":    {body: `{"code":"com.apple.wellknown.failed"}`, want: "com.apple.wellknown.failed"},
		"no words":      {body: `{"code":"com.apple.softwareupdate.required","details":{"OSVersion":"27"}}`, want: "description"},
		"an old device": {body: updateTo("26.3", ""), change: func(s *devicesim.SetupAssistant) { s.NoUpdates = true }, want: "403"},
		"not wanted": {body: updateTo("26.3", ""), want: "no room", change: func(s *devicesim.SetupAssistant) {
			s.OnUpdate = func(devicesim.OSUpdate) error { return refused }
		}},
	} {
		t.Run(name, func(t *testing.T) {
			o.asked = nil
			o.refuse = func(w http.ResponseWriter, info machineInfo) bool {
				refuses := info.OSVersion == "26.1" || c.always
				if refuses {
					w.Header().Set("Content-Type", "application/json")
					w.WriteHeader(http.StatusForbidden)
					_, _ = io.WriteString(w, c.body)
				}
				return refuses
			}
			mac := newDevice(t, s, nil)
			assistant := o.assistant(t, mac.Hardware())
			if c.change != nil {
				c.change(&assistant)
			}
			err := mac.EnrollAutomated(t.Context(), assistant)
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) || mac.Enrolled() {
					t.Error(err)
				}
				return
			}
			check(t, err)
			if version := s.last(t, "Authenticate").OSVersion; len(o.asked) != 2 || version != o.asked[1].OSVersion || version == "26.1" || o.asked[1].Build != c.build {
				t.Errorf("asked with %+v, enrolled with %s", o.asked, version)
			}
		})
	}
}

// The person signs in on pages of others, which learn nothing of the device.
func TestSignIn(t *testing.T) {
	s := newServer(t)
	o := newOrganisation(t, s)
	o.setup["configuration_web_url"] = o.URL + "/signin"
	s.Config.Handler.(*http.ServeMux).HandleFunc("/issuer", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Apple-Aspen-Deviceinfo") != "" {
			t.Error("the issuer sees what is not for it")
		}
		switch {
		case r.Method == http.MethodPost && r.FormValue("password") == "right":
			http.Redirect(w, r, o.URL+"/signin?code=good", http.StatusFound)
		case r.Method == http.MethodPost && r.FormValue("password") == "plain":
			http.Redirect(w, r, "http://example.test/", http.StatusFound)
		default:
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, "<form>")
		}
	})
	password := func(passwords ...string) func(context.Context, *url.URL, []byte) (url.Values, error) {
		return func(_ context.Context, page *url.URL, html []byte) (url.Values, error) {
			if page.Path != "/issuer" || string(html) != "<form>" {
				t.Errorf("the page %s says %q", page, html)
			}
			if len(passwords) == 0 {
				return nil, errors.New("forgotten")
			}
			next := passwords[0]
			passwords = append(passwords[1:], passwords[0])
			return url.Values{"password": {next}}, nil
		}
	}
	for name, c := range map[string]struct {
		signIn func(context.Context, *url.URL, []byte) (url.Values, error)
		want   string
	}{
		"nobody":       {nil, "nobody"},
		"forgotten":    {password(), "forgotten"},
		"wrong":        {password("wrong"), "10 pages"},
		"second try":   {password("wrong", "right"), ""},
		"right":        {password("right"), ""},
		"to plain web": {password("plain"), "not https"},
	} {
		t.Run(name, func(t *testing.T) {
			o.asked = nil
			mac := newDevice(t, s, nil)
			assistant := o.assistant(t, mac.Hardware())
			assistant.SignIn = c.signIn
			err := mac.EnrollAutomated(t.Context(), assistant)
			if c.want == "" {
				check(t, err)
				if len(o.asked) != 1 || o.asked[0].Serial != mac.Hardware().SerialNumber || !mac.Enrolled() {
					t.Errorf("asked with %+v", o.asked)
				}
			} else if err == nil || !strings.Contains(err.Error(), c.want) || mac.Enrolled() {
				t.Error(err)
			}
		})
	}
}
