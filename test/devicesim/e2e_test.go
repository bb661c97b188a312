package devicesim_test

import (
	"crypto/x509"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/test/devicesim"
)

func TestServerRunsEveryCommand(t *testing.T) {
	w := newWorld(t)
	mac, _ := w.enrolled(t, devicesim.Mac("E2E", 1), nil)
	phone, _ := w.enrolled(t, devicesim.IPhone("E2E", 2), nil)
	for name, test := range map[string]struct {
		device  *devicesim.Device
		command adminapi.AppleCommand
		body    string // in the answer
	}{
		"info":      {mac, adminapi.AppleCommand{RequestType: adminapi.AppleDeviceInformation}, mac.Hardware().SerialNumber},
		"profiles":  {mac, adminapi.AppleCommand{RequestType: adminapi.AppleProfileList}, "io.kubemdm.fleet.main.enroll"},
		"certs":     {mac, adminapi.AppleCommand{RequestType: adminapi.AppleCertificateList}, "IsIdentity"},
		"security":  {mac, adminapi.AppleCommand{RequestType: adminapi.AppleSecurityInfo}, "FDE_Enabled"},
		"apps":      {mac, adminapi.AppleCommand{RequestType: adminapi.AppleInstalledApplicationList}, "com.apple.Safari"},
		"lock":      {mac, adminapi.AppleCommand{RequestType: adminapi.AppleDeviceLock, GeneratePIN: true, Message: "Call us"}, ""},
		"package":   {mac, adminapi.AppleCommand{RequestType: adminapi.AppleInstallEnterpriseApp, ManifestURL: "https://example.test/a.plist"}, ""},
		"app":       {phone, adminapi.AppleCommand{RequestType: adminapi.AppleInstallApplication, ManifestURL: "https://example.test/b.plist"}, ""},
		"raw":       {mac, adminapi.AppleCommand{RequestType: adminapi.AppleRaw, Raw: encode(map[string]any{"RequestType": "ProfileList"})}, "ProfileList"},
		"phonelock": {phone, adminapi.AppleCommand{RequestType: adminapi.AppleDeviceLock}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			result := w.act(t, test.device, adminapi.Key("fleet/"+name), test.command)
			if result.State != adminapi.TargetSucceeded || !strings.Contains(string(result.Body), test.body) {
				t.Errorf("%+v: %s", result, result.Body)
			}
			if test.command.GeneratePIN && result.PIN != mac.Locked().PIN {
				t.Errorf("the Mac is locked with another PIN than the one told")
			}
		})
	}
	if phone.Locked() == nil {
		t.Fatal("the phone is not locked")
	}
	result := w.act(t, phone, "fleet/clear", adminapi.AppleCommand{RequestType: adminapi.AppleClearPasscode})
	if result.State != adminapi.TargetSucceeded || phone.Locked() != nil {
		t.Errorf("clearing the passcode with the stored unlock token: %+v", result)
	}
	result = w.act(t, mac, "fleet/off", adminapi.AppleCommand{RequestType: adminapi.AppleShutDownDevice})
	if err := mac.Idle(t.Context()); result.State != adminapi.TargetSucceeded || !errors.Is(err, devicesim.ErrPoweredOff) {
		t.Errorf("shutting down: %+v, %v", result, err)
	}
}

func TestServerTakesRefusals(t *testing.T) {
	w := newWorld(t)
	mac, device := w.enrolled(t, devicesim.Mac("E2E", 1), nil)
	coffee := adminapi.AppleCommand{RequestType: adminapi.AppleRaw, Raw: encode(map[string]any{"RequestType": "MakeCoffee"})}
	if result := w.act(t, mac, "fleet/coffee", coffee); result.State != adminapi.TargetFailed || !strings.Contains(result.Message, "MakeCoffee") {
		t.Errorf("an unknown command: %+v", result)
	}
	info := adminapi.AppleCommand{RequestType: adminapi.AppleDeviceInformation}
	mac.Script(devicesim.Rule{RequestType: "DeviceInformation", Times: 1, Do: devicesim.AnswerFormatError})
	if result := w.act(t, mac, "fleet/format", info); result.State != adminapi.TargetFailed {
		t.Errorf("CommandFormatError: %+v", result)
	}
	mac.Script(devicesim.Rule{RequestType: "DeviceInformation", Times: 1, Do: devicesim.AnswerNotNow})
	if result := w.act(t, mac, "fleet/later", info); result.State != adminapi.TargetNotNow {
		t.Errorf("NotNow: %+v", result)
	}
	fatal(t, mac.Idle(t.Context()))
	if result := w.outcome(t, mac, "fleet/later"); result.State != adminapi.TargetSucceeded {
		t.Errorf("after the next Idle: %+v", result)
	}
	w.publish(t, "dock", "d1", adminapi.ScopeSystem, device)
	mac.Script(devicesim.Rule{Identifier: "dock", Do: devicesim.AnswerError})
	for range 3 {
		fatal(t, mac.Idle(t.Context()))
	}
	if a := w.artifact(t, "dock"); a.Failed != 1 || len(a.Failing) != 1 || countAnswers(mac, "InstallProfile") != 1 {
		t.Errorf("asked %d times: %+v", countAnswers(mac, "InstallProfile"), a)
	}
	mac.ClearScript()
	w.publish(t, "dock", "d2", adminapi.ScopeSystem, device)
	fatal(t, mac.Idle(t.Context()))
	if a := w.artifact(t, "dock"); a.Installed != 1 || mac.Profiles()["dock"].Installs != 1 {
		t.Errorf("a new digest: %+v", a)
	}
}

func TestServerSurvivesBrokenConnections(t *testing.T) {
	for name, test := range map[string]struct {
		do    devicesim.Behaviour
		state adminapi.TargetState
		ran   int
	}{
		"answered twice": {devicesim.AnswerTwice, adminapi.TargetSucceeded, 1},
		"reply missed":   {devicesim.MissReply, adminapi.TargetSucceeded, 1},
		"crashed":        {devicesim.Crash, adminapi.TargetUnconfirmed, 1},
		"ignored":        {devicesim.Ignore, adminapi.TargetUnconfirmed, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			mac, device := w.enrolled(t, devicesim.Mac("E2E", 1), nil)
			w.publish(t, "dock", "d1", adminapi.ScopeSystem, device)
			mac.Script(devicesim.Rule{Times: 2, Do: test.do})
			w.order(t, device, "fleet/restart", adminapi.AppleCommand{RequestType: adminapi.AppleRestartDevice})
			for range 4 {
				if err := mac.Idle(t.Context()); err != nil && !errors.Is(err, devicesim.ErrInterrupted) {
					t.Fatal(err)
				}
			}
			w.pass(t, 6*time.Minute)
			if result := w.outcome(t, mac, "fleet/restart"); result.State != test.state || mac.Restarts() != test.ran {
				t.Errorf("restarted %d times: %+v", mac.Restarts(), result)
			}
			if a := w.artifact(t, "dock"); a.Installed != 1 || mac.Profiles()["dock"].Installs == 0 {
				t.Errorf("the profile: %+v", a)
			}
		})
	}
}

func TestServerWithFlakyNetwork(t *testing.T) {
	w := newWorld(t)
	w.network.LoseEvery(4, devicesim.LoseReply)
	mac := w.device(t, devicesim.Mac("E2E", 1), nil)
	for range 5 {
		if err := mac.Enroll(t.Context(), w.URL+"/enroll/any"); mac.Enrolled() {
			break
		} else if !errors.Is(err, devicesim.ErrNetwork) {
			t.Fatal(err)
		}
	}
	for i := range 10 {
		w.order(t, w.known(t, mac), adminapi.Key("fleet/"+string(rune('a'+i))), adminapi.AppleCommand{RequestType: adminapi.AppleDeviceInformation})
	}
	for range 20 {
		if err := mac.Idle(t.Context()); err != nil && !errors.Is(err, devicesim.ErrNetwork) {
			t.Fatal(err)
		}
	}
	for i := range 10 {
		if result := w.outcome(t, mac, adminapi.Key("fleet/"+string(rune('a'+i)))); result.State != adminapi.TargetSucceeded {
			t.Errorf("%+v", result)
		}
	}
}

func TestServerRenewsIdentities(t *testing.T) {
	w := newWorld(t)
	mac, before := w.enrolled(t, devicesim.Mac("E2E", 1), nil)
	fatal(t, mac.SetBootstrapToken(t.Context(), []byte("boot")))
	w.publish(t, "dock", "d1", adminapi.ScopeSystem, before)
	fatal(t, mac.Idle(t.Context()))
	old, forgotten := mac.Identity(), idle(t, mac)
	fatal(t, mac.Idle(t.Context()))
	if mac.Identity() != old {
		t.Fatal("renewed too early")
	}
	pushes := devicesim.NewPushes()
	w.pass(t, 35*time.Minute)
	if w.push(t, pushes) != 1 {
		t.Error("nothing wakes a quiet Mac for its renewal")
	}
	w.order(t, before, "fleet/open", adminapi.AppleCommand{RequestType: adminapi.AppleDeviceInformation})
	fatal(t, mac.Idle(t.Context()))
	after := w.known(t, mac)
	if mac.Identity() == old || after.EnrollmentID != before.EnrollmentID || !after.EnrolledAt.Equal(before.EnrolledAt) || !after.IdentityNotAfter.After(before.IdentityNotAfter) {
		t.Fatalf("before %+v, after %+v", before, after)
	}
	if result := w.outcome(t, mac, "fleet/open"); result.State != adminapi.TargetSucceeded {
		t.Errorf("an open action: %+v", result)
	}
	if token, err := mac.BootstrapToken(t.Context()); string(token) != "boot" || err != nil {
		t.Errorf("the bootstrap token is %q, %v", token, err)
	}
	if mac.Profiles()["dock"].Installs != 1 {
		t.Error("a renewal installed a profile again")
	}
	if status := send(t, w, forgotten); status != http.StatusOK {
		t.Errorf("the old certificate within its grace: %d", status)
	}
	w.pass(t, 11*time.Minute)
	if status := send(t, w, forgotten); status != http.StatusForbidden {
		t.Errorf("the old certificate after its grace: %d", status)
	}
	fatal(t, mac.Idle(t.Context()))
}

// idle is an idle message signed with the identity of now.
func idle(t testing.TB, device *devicesim.Device) devicesim.Message {
	t.Helper()
	message, err := device.PrepareIdle()
	fatal(t, err)
	return message
}

func TestServerManagesUsers(t *testing.T) {
	w := newWorld(t)
	mac, device := w.enrolled(t, devicesim.Mac("E2E", 1), nil)
	w.publish(t, "dock", "d1", adminapi.ScopeUser, device)
	ada, err := mac.Login(t.Context(), devicesim.User{ID: "U1", ShortName: "ada"})
	fatal(t, err)
	bob, err := mac.Login(t.Context(), devicesim.User{ID: "U2", ShortName: "bob", Network: true})
	fatal(t, err)
	fatal(t, mac.Idle(t.Context()))
	fatal(t, ada.Idle(t.Context()))
	if a := w.artifact(t, "dock"); len(mac.Profiles()) != 1 || len(ada.Profiles()) != 1 || a.Targeted != 1 || a.Installed != 0 {
		t.Errorf("with one of two users behind: %+v", a)
	}
	fatal(t, bob.Idle(t.Context()))
	if a := w.artifact(t, "dock"); len(bob.Profiles()) != 1 || a.Targeted != 1 || a.Installed != 1 || w.known(t, mac).Users != 2 {
		t.Errorf("with both: %+v", a)
	}
}

func TestServerManagesUserEnrollmentsAndSharedIPads(t *testing.T) {
	w := newWorld(t)
	phone, device := w.enrolled(t, devicesim.IPhone("E2E", 1), func(o *devicesim.Options) { o.UserEnrollment = true })
	if device.Kind != adminapi.EnrollmentUser || device.UDID != "" || device.SerialNumber != "" {
		t.Errorf("a user enrolment: %+v", device)
	}
	w.publish(t, "mail", "m1", adminapi.ScopeSystem, device)
	fatal(t, phone.Idle(t.Context()))
	if _, has := phone.Profiles()["mail"]; !has {
		t.Error("a user enrolment got no profile")
	}
	ipad, device := w.enrolled(t, devicesim.IPad("E2E", 2), nil)
	pupil, err := ipad.Login(t.Context(), devicesim.User{ID: devicesim.SharedIPadUserID, ShortName: "pupil@example.test"})
	fatal(t, err)
	w.publish(t, "web", "w1", adminapi.ScopeUser, device)
	fatal(t, pupil.Idle(t.Context()))
	if _, has := pupil.Profiles()["web"]; !has {
		t.Error("a user of a Shared iPad got no profile")
	}
}

func TestServerLetsADeviceLeaveAndComeBack(t *testing.T) {
	w := newWorld(t)
	mac, first := w.enrolled(t, devicesim.Mac("E2E", 1), nil)
	w.publish(t, "dock", "d1", adminapi.ScopeSystem, first)
	fatal(t, mac.Idle(t.Context()))
	wipe := w.act(t, mac, "fleet/wipe", adminapi.AppleCommand{RequestType: adminapi.AppleEraseDevice, GeneratePIN: true})
	if d := w.known(t, mac); wipe.State != adminapi.TargetSucceeded || d.State != adminapi.DeviceEnded || d.EndReason != adminapi.EndWiped || mac.Enrolled() {
		t.Fatalf("wiped: %+v, %+v", wipe, d)
	}
	fatal(t, mac.Enroll(t.Context(), w.URL+"/enroll/any"))
	second := w.known(t, mac)
	if second.EnrollmentID == first.EnrollmentID || second.State != adminapi.DeviceEnrolled || second.HasBootstrapToken {
		t.Errorf("enrolled again: %+v", second)
	}
	w.publish(t, "dock", "d1", adminapi.ScopeSystem, second)
	fatal(t, mac.Idle(t.Context()))
	if mac.Profiles()["dock"].Installs != 1 {
		t.Error("the wiped Mac did not get its profile again")
	}
	_, err := w.PutIntents(t.Context(), adminapi.IntentBatch{Intents: []adminapi.DeviceIntent{{
		DeviceID: second.ID, EnrollmentID: second.EnrollmentID, Intent: adminapi.IntentUnenroll,
	}}})
	fatal(t, err)
	fatal(t, mac.Idle(t.Context()))
	if d := w.known(t, mac); mac.Enrolled() || d.State != adminapi.DeviceEnded || d.EndReason != adminapi.EndUnenrolled {
		t.Errorf("unenrolled: %+v", d)
	}
}

func TestServerIssuesOneCertificateForAChallenge(t *testing.T) {
	w := newWorld(t)
	mac := w.device(t, devicesim.Mac("E2E", 1), nil)
	profile, err := mac.FetchEnrollment(t.Context(), w.URL+"/enroll/any")
	fatal(t, err)
	if anchors, err := profile.Anchors(); err != nil || len(anchors) != 1 || !profile.Verified {
		t.Errorf("anchors %v, %v, verified %v", anchors, err, profile.Verified)
	}
	client := &devicesim.SCEP{Payload: profile.SCEP, Client: &http.Client{Transport: w.network}}
	fatal(t, client.Discover(t.Context()))
	key, err := keys.Key()
	fatal(t, err)
	request := func() *x509.Certificate {
		certificate, err := client.Request(t.Context(), key)
		fatal(t, err)
		return certificate
	}
	if first := request(); !first.Equal(request()) {
		t.Error("the same key got another certificate")
	}
	if key, err = keys.Key(); err != nil {
		t.Fatal(err)
	}
	refused := new(devicesim.SCEPFailure)
	if _, err := client.Request(t.Context(), key); !errors.As(err, &refused) {
		t.Errorf("another key: %v", err)
	}
	tokens, err := w.ListTokens(t.Context(), "", 10)
	if err != nil || tokens.Items[0].Uses != 1 {
		t.Errorf("tokens: %+v, %v", tokens, err)
	}
}

func countAnswers(device *devicesim.Device, requestType string) int {
	n := 0
	for _, answer := range device.Answers() {
		if answer.RequestType == requestType {
			n++
		}
	}
	return n
}

// send sends a message and returns the status.
func send(t *testing.T, w *world, message devicesim.Message) int {
	t.Helper()
	status, _, err := message.Send(t.Context(), &http.Client{Transport: w.network})
	fatal(t, err)
	return status
}
