package apple_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
)

// checkin is a check-in message of the device, with more pairs of keys and values.
func checkin(kind string, pairs ...string) string {
	return message(append([]string{"MessageType", str(kind), "UDID", str(udid)}, pairs...)...)
}

const push = "PushMagic"

var token = []string{"Token", "<data>dG9rZW4=</data>", push, str("magic"), "Topic", str(topic)}

func TestCheckinMessagesReachFleet(t *testing.T) {
	device := "enrollment-1 {" + udid + " " + udid + " Device}"
	for name, c := range map[string]struct {
		message string
		want    string
	}{
		"Authenticate":           {checkin("Authenticate", "Topic", str(topic)), "Authenticate " + device + " " + topic},
		"TokenUpdate":            {checkin("TokenUpdate", token...), "TokenUpdate " + device + " token magic " + topic + "  false"},
		"awaiting configuration": {checkin("TokenUpdate", slices.Concat(token, []string{"AwaitingConfiguration", "<true/>", "UnlockToken", "<data>dW5sb2Nr</data>"})...), "TokenUpdate " + device + " token magic " + topic + " unlock true"},
		"CheckOut":               {checkin("CheckOut"), "CheckOut " + device},
		"SetBootstrapToken":      {checkin("SetBootstrapToken", "BootstrapToken", "<data>dG9rZW4=</data>"), "SetBootstrapToken " + device + " token"},
		"deleting the token":     {checkin("SetBootstrapToken"), "SetBootstrapToken " + device + " "},
		"GetBootstrapToken":      {checkin("GetBootstrapToken"), "BootstrapToken " + device},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakeFleet{}
			res := send(t, f, "/apple/checkin", c.message)
			if body := res.Body.String(); res.Code != http.StatusOK || body != "" {
				t.Errorf("status %d, body %q", res.Code, body)
			}
			if !slices.Equal(f.calls, []string{c.want}) {
				t.Errorf("calls %q, want %q", f.calls, c.want)
			}
		})
	}
}

func TestChannels(t *testing.T) {
	for name, c := range map[string]struct {
		ids  []string
		want string
	}{
		"device":                 {[]string{"UDID", "A"}, "{A A Device}"},
		"user":                   {[]string{"UDID", "A", "UserID", "U", "UserShortName", "ann"}, "{A:U A User}"},
		"shared iPad":            {[]string{"UDID", "A", "UserID", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", "UserShortName", "ann"}, "{A:ann A SharedIPad}"},
		"user enrolment":         {[]string{"EnrollmentID", "E"}, "{E E UserEnrollmentDevice}"},
		"user of user enrolment": {[]string{"EnrollmentID", "E", "EnrollmentUserID", "U"}, "{E:U E UserEnrollment}"},
	} {
		t.Run(name, func(t *testing.T) {
			pairs := []string{"MessageType", str("CheckOut")}
			for i := 0; i < len(c.ids); i += 2 {
				pairs = append(pairs, c.ids[i], str(c.ids[i+1]))
			}
			f := &fakeFleet{}
			send(t, f, "/apple/checkin", message(pairs...))
			if want := []string{"CheckOut enrollment-1 " + c.want}; !slices.Equal(f.calls, want) {
				t.Errorf("calls %q, want %q", f.calls, want)
			}
		})
	}
}

func TestAuthenticateTellsTheDevicesFacts(t *testing.T) {
	f := &fakeFleet{}
	send(t, f, "/apple/checkin", checkin("Authenticate", "Topic", str(topic), "SerialNumber", str("C02MT66KFLHH"), "Model", str("MacBookPro18,1"),
		"ModelName", str("MacBook Pro"), "ProductName", str("MacBookPro18,1"), "OSVersion", str("26.1"), "BuildVersion", str("25B78"),
		"DeviceName", str("Ann &amp; "+strings.Repeat("é", 200))))
	want := fleet.DeviceFacts{
		UDID: udid, SerialNumber: "C02MT66KFLHH", Model: "MacBookPro18,1", ModelName: "MacBook Pro", ProductName: "MacBookPro18,1",
		OSVersion: "26.1", BuildVersion: "25B78", DeviceName: "Ann & " + strings.Repeat("é", 124),
	}
	if f.facts != want {
		t.Errorf("facts %+v, want %+v", f.facts, want)
	}
}

func TestBootstrapTokenIsReturned(t *testing.T) {
	res := send(t, &fakeFleet{bootstrap: []byte("token")}, "/apple/checkin", checkin("GetBootstrapToken"))
	if body := res.Body.String(); !strings.Contains(body, "<key>BootstrapToken</key><data>dG9rZW4=</data>") {
		t.Errorf("body %s", body)
	}
}

func TestAUserIsAdmittedInTwoSteps(t *testing.T) {
	user := []string{"UserID", str("U")}
	first := send(t, &fakeFleet{}, "/apple/checkin", checkin("UserAuthenticate", user...))
	if body := first.Body.String(); first.Code != http.StatusOK || !strings.Contains(body, "<key>DigestChallenge</key><string></string>") {
		t.Errorf("first: status %d, body %s", first.Code, body)
	}
	f := &fakeFleet{}
	second := send(t, f, "/apple/checkin", checkin("UserAuthenticate", append(user, "DigestResponse", str("response"))...))
	if body := second.Body.String(); second.Code != http.StatusOK || body != "" {
		t.Errorf("second: status %d, body %s", second.Code, body)
	}
	if want := "AllowUserChannel enrollment-1 {" + udid + ":U " + udid + " User}"; !slices.Equal(f.calls, []string{want}) {
		t.Errorf("calls %q, want %q", f.calls, want)
	}
}

func TestServicesThatAreNotOffered(t *testing.T) {
	for _, kind := range []string{"GetToken", "DeclarativeManagement"} {
		for err, status := range map[error]int{nil: http.StatusNotFound, fleet.ErrNotEnrolled: http.StatusForbidden} {
			f := &fakeFleet{err: err}
			res := send(t, f, "/apple/checkin", checkin(kind, "TokenServiceType", str("com.apple.maid"), "Endpoint", str("tokens")))
			if res.Code != status || len(f.calls) != 1 {
				t.Errorf("%s with error %v: status %d, calls %q", kind, err, res.Code, f.calls)
			}
		}
	}
}

func TestMalformedMessagesReachNobody(t *testing.T) {
	for name, body := range map[string]string{
		"empty":                     "",
		"not a property list":       "hello",
		"binary property list":      binaryMessage,
		"deeply nested":             deepMessage,
		"bomb":                      strings.Repeat("<array>", 100000),
		"unknown message type":      checkin("Knock"),
		"no device":                 message("MessageType", str("CheckOut")),
		"colon in the device's id":  message("MessageType", str("CheckOut"), "UDID", str("victim:user")),
		"endless id":                message("MessageType", str("CheckOut"), "UDID", str(strings.Repeat("A", 300))),
		"shared iPad without user":  checkin("CheckOut", "UserID", str("FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF")),
		"user that authenticates":   checkin("Authenticate", "UserID", str("U")),
		"device as user":            checkin("UserAuthenticate"),
		"facts of another type":     checkin("Authenticate", "OSVersion", "<integer>26</integer>"),
		"TokenUpdate without token": checkin("TokenUpdate", push, str("magic")),
		"TokenUpdate without magic": checkin("TokenUpdate", token[:2]...),
		"awaiting what":             checkin("TokenUpdate", slices.Concat(token, []string{"AwaitingConfiguration", str("yes")})...),
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakeFleet{}
			if res := send(t, f, "/apple/checkin", body); res.Code != http.StatusBadRequest || len(f.calls) > 0 {
				t.Errorf("status %d, calls %q", res.Code, f.calls)
			}
		})
	}
}

func TestErrorsOfFleetOnAppleEndpoints(t *testing.T) {
	for err, status := range map[error]int{
		fleet.ErrNotEnrolled:        http.StatusForbidden,
		fleet.ErrWrongIdentity:      http.StatusForbidden,
		fleet.ErrSuperseded:         http.StatusForbidden,
		fleet.ErrReenrolmentBlocked: http.StatusForbidden,
		fleet.ErrUnavailable:        http.StatusServiceUnavailable,
		errors.New("disk on fire"):  http.StatusInternalServerError,
	} {
		for path, body := range map[string]string{
			"/apple/checkin": checkin("Authenticate"),
			"/apple/command": report("Idle"),
		} {
			res := send(t, &fakeFleet{err: fmt.Errorf("storing: %w", err)}, path, body)
			if res.Code != status || (res.Header().Get("Retry-After") != "") != (status >= 500) {
				t.Errorf("%s with error %v: status %d, Retry-After %q", path, err, res.Code, res.Header().Get("Retry-After"))
			}
			if answer := res.Body.String(); strings.Contains(answer, "fire") {
				t.Errorf("the answer tells what happened inside: %q", answer)
			}
		}
	}
}

func TestAnotherCAsCertificateReachesNobody(t *testing.T) {
	for path, body := range map[string]string{"/apple/checkin": checkin("Authenticate"), "/apple/command": report("Idle")} {
		f := &fakeFleet{}
		r := httptest.NewRequest(http.MethodPut, path, strings.NewReader(body))
		r.Header.Set(identity.SignatureHeader, credentials().stranger.Sign(t, []byte(body)))
		if res := serve(t, server(), f, r); res.Code != http.StatusBadRequest || len(f.calls) > 0 {
			t.Errorf("%s: status %d, calls %q", path, res.Code, f.calls)
		}
	}
}
