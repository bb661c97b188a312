package devicesim_test

import (
	"bytes"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/test/devicesim"
)

// mobileconfig is a profile with one payload.
func mobileconfig(identifier string) []byte {
	return encode(map[string]any{
		"PayloadType": "Configuration", "PayloadVersion": 1, "PayloadIdentifier": identifier, "PayloadUUID": identifier + "-0",
		"PayloadContent": []map[string]any{{
			"PayloadType": "com.apple.dock", "PayloadVersion": 1, "PayloadIdentifier": identifier + ".dock", "PayloadUUID": identifier + "-1",
		}},
	})
}

// run queues one command, lets the device connect and returns its answer.
func run(t *testing.T, s *server, device *devicesim.Device, requestType string, fields map[string]any) message {
	t.Helper()
	id := s.enqueue(device.Hardware().UDID, requestType, fields)
	if err := device.Idle(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range slices.Backward(s.messages) {
		if m.CommandUUID == id {
			return m
		}
	}
	t.Fatalf("no answer to %s", requestType)
	return message{}
}

func TestProfiles(t *testing.T) {
	s := newServer(t)
	mac := enrolled(t, s, nil)
	for range 2 {
		if m := run(t, s, mac, "InstallProfile", map[string]any{"Payload": s.sign(t, mobileconfig("dock"))}); m.Status != "Acknowledged" {
			t.Fatalf("installing: %+v", m)
		}
	}
	dock := mac.Profiles()["dock"]
	if dock.Installs != 2 || !dock.Verified || len(dock.Payloads) != 1 {
		t.Errorf("installed: %+v", dock)
	}
	list := run(t, s, mac, "ProfileList", nil).ProfileList
	if len(list) != 2 || list[0].PayloadIdentifier != "dock" || list[1].PayloadIdentifier != "test.enrol" {
		t.Errorf("listed: %v", list)
	}
	if m := run(t, s, mac, "RemoveProfile", map[string]any{"Identifier": "dock"}); m.Status != "Acknowledged" || len(mac.Profiles()) != 1 {
		t.Errorf("removing: %+v", m)
	}
	if m := run(t, s, mac, "RemoveProfile", map[string]any{"Identifier": "dock"}); m.Status != "Error" {
		t.Errorf("removing what is not there: %+v", m)
	}
}

func TestRefusedCommands(t *testing.T) {
	s := newServer(t)
	mac := enrolled(t, s, nil)
	for name, test := range map[string]struct {
		requestType string
		fields      map[string]any
		status      string
	}{
		"unknown":             {"MakeCoffee", nil, "Error"},
		"unreadable profile":  {"InstallProfile", map[string]any{"Payload": []byte("nonsense")}, "Error"},
		"profile without ids": {"InstallProfile", map[string]any{"Payload": encode(map[string]any{"PayloadType": "Configuration"})}, "Error"},
		"no profile":          {"InstallProfile", nil, "CommandFormatError"},
		"wrong type":          {"InstallProfile", map[string]any{"Payload": "text"}, "CommandFormatError"},
		"lock without PIN":    {"DeviceLock", nil, "Error"},
		"lock with short PIN": {"DeviceLock", map[string]any{"PIN": "123"}, "Error"},
		"erase without PIN":   {"EraseDevice", nil, "Error"},
		"unlock token of Mac": {"ClearPasscode", map[string]any{"UnlockToken": []byte("x")}, "Error"},
		"no manifest":         {"InstallEnterpriseApplication", nil, "Error"},
	} {
		t.Run(name, func(t *testing.T) {
			m := run(t, s, mac, test.requestType, test.fields)
			if m.Status != test.status || m.Status == "Error" && (len(m.ErrorChain) == 0 || m.ErrorChain[0].LocalizedDescription == "") {
				t.Errorf("answered %+v", m)
			}
		})
	}
	if len(mac.Profiles()) != 1 || mac.Locked() != nil {
		t.Error("a refused command had an effect")
	}
}

func TestInventory(t *testing.T) {
	s := newServer(t)
	mac := enrolled(t, s, nil)
	info := run(t, s, mac, "DeviceInformation", map[string]any{"Queries": []string{"SerialNumber", "OSVersion", "Bogus"}}).QueryResponses
	if len(info) != 2 || info["SerialNumber"] != "TEST00000001" {
		t.Errorf("DeviceInformation: %v", info)
	}
	if run(t, s, mac, "SecurityInfo", nil).SecurityInfo["FDE_Enabled"] != true {
		t.Error("SecurityInfo lacks FDE_Enabled")
	}
	certificates := run(t, s, mac, "CertificateList", nil).CertificateList
	if len(certificates) != 1 || certificates[0]["IsIdentity"] != true {
		t.Errorf("CertificateList: %v", certificates)
	}
	run(t, s, mac, "InstallEnterpriseApplication", map[string]any{"ManifestURL": "https://example.test/tool.plist"})
	if apps := run(t, s, mac, "InstalledApplicationList", nil).InstalledApplicationList; len(apps) != 2 {
		t.Errorf("InstalledApplicationList: %v", apps)
	}
}

func TestLockRestartShutDownErase(t *testing.T) {
	s := newServer(t)
	mac := enrolled(t, s, nil)
	run(t, s, mac, "DeviceLock", map[string]any{"PIN": "123456", "Message": "Call us"})
	if lock := mac.Locked(); lock == nil || lock.PIN != "123456" || lock.Message != "Call us" {
		t.Errorf("locked with %+v", lock)
	}
	run(t, s, mac, "RestartDevice", nil)
	if mac.Restarts() != 1 {
		t.Error("not restarted")
	}
	run(t, s, mac, "ShutDownDevice", nil)
	if err := mac.Idle(t.Context()); !errors.Is(err, devicesim.ErrPoweredOff) {
		t.Errorf("after shutting down: %v", err)
	}
	mac.PowerOn()
	if m := run(t, s, mac, "EraseDevice", map[string]any{"PIN": "123456"}); m.Status != "Acknowledged" {
		t.Errorf("erasing: %+v", m)
	}
	if mac.Enrolled() || mac.Locked() != nil {
		t.Error("erased, but still managed or locked")
	}
	if err := mac.Enroll(t.Context(), s.URL+"/enroll"); err != nil {
		t.Errorf("enrolling again: %v", err)
	}
}

func TestClearPasscode(t *testing.T) {
	s := newServer(t)
	phone := enrolled(t, s, func(o *devicesim.Options) { o.Hardware = devicesim.IPhone("TEST", 2) })
	token := s.last(t, "TokenUpdate").UnlockToken
	run(t, s, phone, "DeviceLock", nil)
	if m := run(t, s, phone, "ClearPasscode", map[string]any{"UnlockToken": []byte("wrong")}); m.Status != "Error" || phone.Locked() == nil {
		t.Errorf("a wrong token: %+v", m)
	}
	if m := run(t, s, phone, "ClearPasscode", map[string]any{"UnlockToken": token}); m.Status != "Acknowledged" || phone.Locked() != nil {
		t.Errorf("its token: %+v", m)
	}
}

func TestRenewal(t *testing.T) {
	s := newServer(t)
	mac := enrolled(t, s, nil)
	old, token := mac.Identity(), s.last(t, "TokenUpdate").PushMagic
	unlike := "new MDM payload does not match the old payload"
	another := bytes.Replace(s.enrolment(nil), []byte("test.enrol"), []byte("another"), 1)
	change := func(key string, value any) []byte {
		return s.enrolment(func(mdm, _ map[string]any) { mdm[key] = value })
	}
	for name, test := range map[string]struct {
		profile []byte
		reason  string
	}{
		"another identifier": {another, unlike},
		"another server":     {change("ServerURL", s.URL+"/mdm/"), unlike},
		"another check-in":   {change("CheckInURL", s.URL+"/mdm/"), unlike},
		"another topic":      {change("Topic", topic+"1"), unlike},
		"other rights":       {change("AccessRights", 1), unlike},
		"refused challenge":  {s.enrolment(func(_, scep map[string]any) { scep["Challenge"] = "used" }), "refused"},
	} {
		m := run(t, s, mac, "InstallProfile", map[string]any{"Payload": test.profile})
		if m.Status != "Error" || mac.Identity() != old || !strings.Contains(m.ErrorChain[0].LocalizedDescription, test.reason) {
			t.Errorf("%s: %+v", name, m)
		}
	}
	s.hears()
	m := run(t, s, mac, "InstallProfile", map[string]any{"Payload": s.enrolment(nil)})
	if m.Status != "Acknowledged" || s.hears() != "Idle Authenticate TokenUpdate Acknowledged" {
		t.Fatalf("renewing: %+v", m)
	}
	if mac.Identity() == old || !m.signer.Equal(mac.Identity().Certificate) {
		t.Error("the answer is not signed with the new identity")
	}
	if s.last(t, "TokenUpdate").PushMagic != token {
		t.Error("a renewal changed the push magic")
	}
}

func TestRenewalSurvivesALostTokenUpdate(t *testing.T) {
	s := newServer(t)
	mac := enrolled(t, s, nil)
	s.statuses["TokenUpdate"] = http.StatusServiceUnavailable
	if m := run(t, s, mac, "InstallProfile", map[string]any{"Payload": s.enrolment(nil)}); m.Status != "Error" {
		t.Errorf("without TokenUpdate: %+v", m)
	}
	delete(s.statuses, "TokenUpdate")
	s.hears()
	if err := mac.Idle(t.Context()); err != nil || s.hears() != "TokenUpdate Idle" {
		t.Errorf("the TokenUpdate is due: %v", err)
	}
}

func TestNoProfileReplacesTheEnrolmentProfile(t *testing.T) {
	s := newServer(t)
	mac := enrolled(t, s, nil)
	m := run(t, s, mac, "InstallProfile", map[string]any{"Payload": mobileconfig("test.enrol")})
	if m.Status != "Error" || len(mac.Profiles()["test.enrol"].Payloads) != 2 {
		t.Errorf("replaced: %+v", m)
	}
}

func TestNothingRunsAfterAnErasure(t *testing.T) {
	s := newServer(t)
	mac := enrolled(t, s, nil)
	s.enqueue(mac.Hardware().UDID, "EraseDevice", map[string]any{"PIN": "123456"})
	s.enqueue(mac.Hardware().UDID, "RestartDevice", nil)
	if err := mac.Idle(t.Context()); err != nil || s.hears() != "Idle Acknowledged" || mac.Restarts() != 0 {
		t.Errorf("after the erasure: %v, %d restarts", err, mac.Restarts())
	}
}

func TestRemovingTheEnrolmentProfile(t *testing.T) {
	s := newServer(t)
	mac := enrolled(t, s, nil)
	s.enqueue(mac.Hardware().UDID, "RemoveProfile", map[string]any{"Identifier": "test.enrol"})
	if err := mac.Idle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if heard := s.hears(); mac.Enrolled() || heard != "Idle CheckOut" {
		t.Errorf("heard %q, enrolled %v", heard, mac.Enrolled())
	}
}

func TestUserChannel(t *testing.T) {
	s := newServer(t)
	mac := enrolled(t, s, nil)
	user, err := mac.Login(t.Context(), devicesim.User{ID: "U1", ShortName: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	if m := s.last(t, "TokenUpdate"); m.UserID != "U1" || m.UserShortName != "ada" || m.UDID != mac.Hardware().UDID {
		t.Errorf("TokenUpdate says %+v", m)
	}
	s.enqueue(mac.Hardware().UDID+":U1", "InstallProfile", map[string]any{"Payload": mobileconfig("dock")})
	s.enqueue(mac.Hardware().UDID+":U1", "RestartDevice", nil)
	if err := user.Idle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(user.Profiles()) != 1 || len(mac.Profiles()) != 1 || mac.Restarts() != 0 {
		t.Error("a user's profile is the user's, and a restart is none of theirs")
	}
	s.statuses["UserAuthenticate"] = http.StatusGone
	_, err = mac.Login(t.Context(), devicesim.User{ID: "U2", ShortName: "eve", Network: true})
	if !errors.Is(err, devicesim.ErrNoUserChannel) {
		t.Errorf("410: %v", err)
	}
	delete(s.statuses, "UserAuthenticate")
	s.replies["UserAuthenticate"] = map[string]any{"DigestChallenge": ""}
	if _, err := mac.Login(t.Context(), devicesim.User{ID: "U2", ShortName: "eve", Network: true}); err != nil {
		t.Errorf("empty challenge: %v", err)
	}
}

func TestUserEnrollment(t *testing.T) {
	s := newServer(t)
	phone := enrolled(t, s, func(o *devicesim.Options) { o.Hardware, o.UserEnrollment = devicesim.IPhone("TEST", 3), true })
	m := s.last(t, "Authenticate")
	if m.UDID != "" || m.SerialNumber != "" || m.EnrollmentID == "" {
		t.Errorf("Authenticate says %+v", m)
	}
	s.enqueue(m.EnrollmentID, "DeviceInformation", map[string]any{"Queries": []string{"UDID", "OSVersion"}})
	if err := phone.Idle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if answer := s.last(t, "Acknowledged").QueryResponses; len(answer) != 1 {
		t.Errorf("DeviceInformation: %v", answer)
	}
	if _, err := phone.Login(t.Context(), devicesim.User{ID: "U"}); err != nil {
		t.Fatal(err)
	}
	if update := s.last(t, "TokenUpdate"); update.EnrollmentUserID != "U" || update.EnrollmentID != m.EnrollmentID {
		t.Errorf("TokenUpdate says %+v", update)
	}
}

func TestUnansweredNonsense(t *testing.T) {
	s := newServer(t)
	mac := enrolled(t, s, nil)
	s.queue[mac.Hardware().UDID] = [][]byte{[]byte("<html>")}
	if err := mac.Idle(t.Context()); err == nil || !strings.Contains(err.Error(), "not a command") {
		t.Errorf("nonsense: %v", err)
	}
}
