package devicesim_test

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/test/devicesim"
)

// Every forged message is refused with the status that tells what is wrong, never with 401, and changes nothing for the device.
func TestServerRefusesForgedMessages(t *testing.T) {
	w := newWorld(t)
	victim, before := w.enrolled(t, devicesim.Mac("E2E", 1), nil)
	attacker, _ := w.enrolled(t, devicesim.Mac("E2E", 2), nil)
	good, err := attacker.PrepareCheckIn("TokenUpdate", map[string]any{"Topic": topic, "Token": []byte("token"), "PushMagic": "magic"})
	fatal(t, err)
	asVictim := bytes.ReplaceAll(good.Body, []byte(attacker.Hardware().UDID), []byte(victim.Hardware().UDID))
	asUser := bytes.Replace(asVictim, []byte("<dict>"), []byte("<dict><key>UserID</key><string>U1</string>"), 1)
	binary, err := devicesim.EncodeBinary(map[string]any{"MessageType": "CheckOut", "UDID": attacker.Hardware().UDID})
	fatal(t, err)
	stranger, err := devicesim.SelfSigned(attacker.Identity().Key, attacker.Identity().Certificate.Subject)
	fatal(t, err)
	// A CA of the same name with another key.
	fake, err := devicesim.SelfSigned(attacker.Identity().Key, pkix.Name{CommonName: "device identity 1"})
	fatal(t, err)

	signed := func(identity *devicesim.Identity, body []byte) devicesim.Message {
		message, err := good.SignedBy(identity, body)
		fatal(t, err)
		return message
	}
	altered := good
	altered.Body = asVictim
	unsigned := good
	unsigned.Signature = ""
	nested := good
	nested.Signature = base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0x30, 0x80}, 20000))
	for name, test := range map[string]struct {
		message devicesim.Message
		status  int
	}{
		"another device":              {signed(attacker.Identity(), asVictim), http.StatusForbidden},
		"a user of another device":    {signed(attacker.Identity(), asUser), http.StatusForbidden},
		"taking over by Authenticate": {signed(attacker.Identity(), bytes.ReplaceAll(asVictim, []byte("TokenUpdate"), []byte("Authenticate"))), http.StatusForbidden},
		"own certificate":             {signed(stranger, good.Body), http.StatusBadRequest},
		"own CA":                      {signed(fake, asVictim), http.StatusBadRequest},
		"body changed after signing":  {altered, http.StatusBadRequest},
		"no signature":                {unsigned, http.StatusBadRequest},
		"deep signature":              {nested, http.StatusBadRequest},
		"binary plist":                {signed(attacker.Identity(), binary), http.StatusBadRequest},
		"deep plist":                  {signed(attacker.Identity(), []byte("<plist>"+strings.Repeat("<array>", 100000))), http.StatusBadRequest},
		"nonsense":                    {signed(attacker.Identity(), []byte("nonsense")), http.StatusBadRequest},
		"unknown MessageType":         {signed(attacker.Identity(), bytes.Replace(good.Body, []byte("TokenUpdate"), []byte("Tokens"), 1)), http.StatusBadRequest},
		"no device":                   {signed(attacker.Identity(), bytes.Replace(good.Body, []byte("<key>UDID</key>"), []byte("<key>X</key>"), 1)), http.StatusBadRequest},
	} {
		if status := send(t, w, test.message); status != test.status {
			t.Errorf("%s: %d, not %d", name, status, test.status)
		}
	}
	huge := good
	huge.Body = make([]byte, 50<<20)
	if status, _, err := huge.Send(t.Context(), &http.Client{Transport: w.network}); err == nil && status != http.StatusRequestEntityTooLarge {
		t.Errorf("50 MB: %d", status)
	}
	pushes := devicesim.NewPushes()
	fatal(t, w.WakeNow(t.Context(), []string{before.ID}))
	if w.push(t, pushes) != 1 {
		t.Fatal("the victim is not woken")
	}
	if magic, err := pushes.Wait(t.Context(), victim.Channel().PushToken()); err != nil || magic != victim.Channel().PushMagic() {
		t.Error("the victim's pushes go elsewhere")
	}
	fatal(t, victim.Idle(t.Context()))
	if after := w.known(t, victim); after.EnrollmentID != before.EnrollmentID || after.State != adminapi.DeviceEnrolled || after.Users != 0 {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

func TestServerTakesNoAnswerThatItDidNotAskFor(t *testing.T) {
	w := newWorld(t)
	mac, _ := w.enrolled(t, devicesim.Mac("E2E", 1), nil)
	for _, fields := range []map[string]any{
		{"Status": "Acknowledged", "CommandUUID": "unknown"},
		{"Status": "Error", "CommandUUID": ""},
		{"Status": "Delighted", "CommandUUID": "unknown"},
	} {
		message, err := mac.PrepareReport(fields)
		fatal(t, err)
		if status := send(t, w, message); status != http.StatusOK && status != http.StatusBadRequest {
			t.Errorf("%v: %d", fields, status)
		}
	}
	fatal(t, mac.Idle(t.Context()))
	if len(mac.Answers()) != 0 {
		t.Errorf("answered %v", mac.Answers())
	}
}

// What a device can no longer prove keeps its place for nobody: only a token for this very device replaces a live enrolment.
func TestServerBlocksTakeover(t *testing.T) {
	w := newWorld(t)
	hardware := devicesim.Mac("E2E", 1)
	mac, before := w.enrolled(t, hardware, nil)
	twin := w.device(t, hardware, nil)
	status := new(devicesim.StatusError)
	err := twin.Enroll(t.Context(), w.URL+"/enroll/any")
	if !errors.As(err, &status) || status.Code != http.StatusForbidden || twin.Enrolled() {
		t.Fatalf("the twin: %v", err)
	}
	fatal(t, mac.Idle(t.Context()))
	if d := w.known(t, mac); d.EnrollmentID != before.EnrollmentID || d.Blocked == nil || d.Blocked.Token != "fleet/any" {
		t.Errorf("after the attempt: %+v", d)
	}
	stale, elsewhere := idle(t, mac), w.token(t, adminapi.Token{Key: "fleet/elsewhere", SerialNumber: "ANOTHER"})
	if err := twin.Enroll(t.Context(), elsewhere); err == nil {
		t.Error("a token for another device")
	}
	fatal(t, twin.Enroll(t.Context(), w.token(t, adminapi.Token{Key: "fleet/bound", SerialNumber: hardware.SerialNumber})))
	w.pass(t, 11*time.Minute)
	if code := send(t, w, stale); code != http.StatusForbidden {
		t.Errorf("the replaced enrolment: %d", code)
	}
	fatal(t, twin.Idle(t.Context()))
	if d := w.known(t, twin); d.EnrollmentID == before.EnrollmentID || d.Blocked != nil {
		t.Errorf("after the replacement: %+v", d)
	}
}

func TestServerRefusesTokens(t *testing.T) {
	w := newWorld(t)
	once := w.token(t, adminapi.Token{Key: "fleet/once", MaxUses: 1})
	fatal(t, w.device(t, devicesim.Mac("E2E", 1), nil).Enroll(t.Context(), once))
	for name, test := range map[string]struct {
		url    string
		status int
	}{
		"unknown": {w.URL + "/enroll/guess", http.StatusNotFound},
		"expired": {w.token(t, adminapi.Token{Key: "fleet/old", ExpiresAt: w.now().Add(-time.Second)}), http.StatusGone},
		"used up": {once, http.StatusGone},
	} {
		err := w.device(t, devicesim.Mac("E2E", 2), nil).Enroll(t.Context(), test.url)
		if status := new(devicesim.StatusError); !errors.As(err, &status) || status.Code != test.status {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Profiles fetched while a token had uses left do not all get in.
func TestServerCountsUsesAtIssuance(t *testing.T) {
	w := newWorld(t)
	once := w.token(t, adminapi.Token{Key: "fleet/once", MaxUses: 1})
	first, second := w.device(t, devicesim.Mac("E2E", 1), nil), w.device(t, devicesim.Mac("E2E", 2), nil)
	profile, err := first.FetchEnrollment(t.Context(), once)
	fatal(t, err)
	late, err := second.FetchEnrollment(t.Context(), once)
	fatal(t, err)
	fatal(t, first.InstallEnrollment(t.Context(), profile))
	refused := new(devicesim.SCEPFailure)
	if err := second.InstallEnrollment(t.Context(), late); !errors.As(err, &refused) {
		t.Errorf("a second device: %v", err)
	}
	w.pass(t, 11*time.Minute)
	if err := second.InstallEnrollment(t.Context(), profile); !errors.As(err, &refused) {
		t.Errorf("a challenge from yesterday: %v", err)
	}
}

func TestServerReportsUnreadableProfiles(t *testing.T) {
	w := newWorld(t)
	mac, device := w.enrolled(t, devicesim.Mac("E2E", 1), nil)
	_, err := w.PutArtifact(t.Context(), adminapi.Artifact{
		Key: "fleet/broken", Scope: adminapi.ScopeSystem, Identifier: "broken", Digest: "b1", Template: encode(map[string]any{"PayloadType": "Configuration"}),
	})
	fatal(t, err)
	_, err = w.PutAssignments(t.Context(), adminapi.AssignmentBatch{Assignments: []adminapi.Assignment{{
		DeviceID: device.ID, EnrollmentID: device.EnrollmentID, Artifacts: []adminapi.Key{"fleet/broken"},
	}}})
	fatal(t, err)
	for range 2 {
		fatal(t, mac.Idle(t.Context()))
	}
	if a := w.artifact(t, "broken"); a.Failed != 1 || !strings.Contains(a.Failing[0].Message, "not readable") || countAnswers(mac, "InstallProfile") != 1 {
		t.Errorf("%+v", a)
	}
}
