package apple_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// report is an answer of the device, with more pairs of keys and values.
func report(status string, pairs ...string) string {
	return message(append([]string{"Status", str(status), "UDID", str(udid)}, pairs...)...)
}

var statuses = []fleet.Status{
	fleet.StatusIdle, fleet.StatusAcknowledged, fleet.StatusError, fleet.StatusCommandFormatError, fleet.StatusNotNow,
}

func TestReportsReachFleetAndTheNextCommandComesBack(t *testing.T) {
	for _, status := range statuses {
		f := &fakeFleet{next: []byte("<plist/>")}
		body := report(string(status), "CommandUUID", str("0E2B4A5C"))
		res := send(t, f, "/apple/command", body)
		if got := res.Body.String(); got != "<plist/>" || res.Header().Get("Content-Type") != "application/xml; charset=utf-8" {
			t.Errorf("%s: body %q, content type %q", status, got, res.Header().Get("Content-Type"))
		}
		if f.report.Status != status || f.report.CommandUUID != "0E2B4A5C" || string(f.report.Body) != body || f.report.Facts != nil {
			t.Errorf("%s: report %+v", status, f.report)
		}
	}
}

func TestAnIdleDeviceWithNothingToDoGetsAnEmptyBody(t *testing.T) {
	f := &fakeFleet{}
	res := send(t, f, "/apple/command", report("Idle"))
	if body := res.Body.String(); res.Code != http.StatusOK || body != "" || f.report.Status != fleet.StatusIdle {
		t.Errorf("status %d, body %q, report %+v", res.Code, body, f.report)
	}
}

func TestAnErrorChainBecomesWords(t *testing.T) {
	chain := func(code, domain, english, local string) string {
		return "<dict><key>ErrorCode</key><integer>" + code + "</integer><key>ErrorDomain</key>" + str(domain) +
			"<key>USEnglishDescription</key>" + str(english) + "<key>LocalizedDescription</key>" + str(local) + "</dict>"
	}
	for name, c := range map[string]struct{ chain, want string }{
		"two": {
			chain("4001", "MCInstallationErrorDomain", "Profile failed", "Profil ungültig") + chain("1005", "MCProfileErrorDomain", "", "Ungültig"),
			"Profile failed (MCInstallationErrorDomain 4001); Ungültig (MCProfileErrorDomain 1005)",
		},
		"without domain": {chain("1", "", "Failed", ""), "Failed"},
		"endless":        {chain("1", "", strings.Repeat("é", 1000), ""), strings.Repeat("é", 512)},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakeFleet{}
			send(t, f, "/apple/command", report("Error", "CommandUUID", str("0E2B4A5C"), "ErrorChain", "<array>"+c.chain+"</array>"))
			if f.report.Message != c.want {
				t.Errorf("message %q, want %q", f.report.Message, c.want)
			}
		})
	}
}

func TestDeviceInformationTellsFacts(t *testing.T) {
	f := &fakeFleet{}
	send(t, f, "/apple/command", report("Acknowledged", "CommandUUID", str("0E2B4A5C"),
		"QueryResponses", "<dict><key>OSVersion</key>"+str("26.2")+"<key>DeviceName</key>"+str("Ann")+"<key>BatteryLevel</key><real>0.5</real></dict>"))
	if want := (fleet.DeviceFacts{OSVersion: "26.2", DeviceName: "Ann"}); f.report.Facts == nil || *f.report.Facts != want {
		t.Errorf("facts %+v, want %+v", f.report.Facts, want)
	}
	f = &fakeFleet{}
	send(t, f, "/apple/command", report("Acknowledged", "CommandUUID", str("0E2B4A5C"),
		"QueryResponses", "<dict><key>OSVersion</key><integer>26</integer></dict>"))
	if f.report.Status != fleet.StatusAcknowledged || f.report.Facts != nil {
		t.Errorf("facts of a wrong type spoil the answer: %+v", f.report)
	}
}

// An answer that cannot be read is stored as it is and closes its command, whatever the device meant: refused, it would come again for ever.
func TestPoisonousAnswersCloseTheirCommand(t *testing.T) {
	id := "CommandUUID</key>" + str("0E2B4A5C")
	nested := "<key>List</key><array><dict><key>UDID</key>" + str("other") + "<key>CommandUUID</key>" + str("other") + "</dict></array>"
	for name, body := range map[string]string{
		"control character":     report("Acknowledged", "CommandUUID", str("0E2B4A5C"), "Name", str("a\x00b")),
		"not UTF-8":             report("Acknowledged", "Name", str("a\xff\xfeb"), "CommandUUID", str("0E2B4A5C")),
		"number too large":      report("Acknowledged", "Size", "<integer>99999999999999999999999</integer>", "CommandUUID", str("0E2B4A5C")),
		"unknown element":       report("Acknowledged", "CommandUUID", str("0E2B4A5C"), "Odd", "<uid>1</uid>"),
		"error code as text":    report("Error", "CommandUUID", str("0E2B4A5C"), "ErrorChain", "<array><dict><key>ErrorCode</key>"+str("x")+"</dict></array>"),
		"unknown status":        report("Perhaps", "CommandUUID", str("0E2B4A5C")),
		"no status":             message("UDID", str(udid), "CommandUUID", str("0E2B4A5C")),
		"cut off":               "<plist><dict><key>" + id + "<key>UDID</key>" + str(udid) + "<key>List</key><array><dict>",
		"deeply nested":         report("Acknowledged", "Deep", strings.Repeat("<array>", 100)+strings.Repeat("</array>", 100), "CommandUUID", str("0E2B4A5C")),
		"ids of nested objects": "<plist><dict>" + nested + "<key>" + id + "<key>UDID</key>" + str(udid) + nested + "<bad>",
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakeFleet{next: []byte("<plist/>")}
			res := send(t, f, "/apple/command", body)
			if res.Code != http.StatusOK || res.Body.String() != "<plist/>" {
				t.Fatalf("status %d; the device gets no next command", res.Code)
			}
			want := "Connect enrollment-1 {" + udid + " " + udid + " Device} Error 0E2B4A5C"
			if len(f.calls) != 1 || f.calls[0] != want || string(f.report.Body) != body || f.report.Message == "" {
				t.Errorf("calls %q, want %q; report %+v", f.calls, want, f.report)
			}
		})
	}
}

func TestReportsThatNameNothingAreRefused(t *testing.T) {
	for name, body := range map[string]string{
		"empty":                "",
		"not a property list":  "hello",
		"binary property list": binaryMessage,
		"deeply nested":        deepMessage,
		"bomb":                 strings.Repeat("<array>", 100000),
		"no status, no id":     message("UDID", str(udid)),
		"no device":            message("Status", str("Idle")),
		"poison of nobody":     message("CommandUUID", str("0E2B4A5C"), "Odd", "<uid>1</uid>"),
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakeFleet{}
			if res := send(t, f, "/apple/command", body); res.Code != http.StatusBadRequest || len(f.calls) > 0 {
				t.Errorf("status %d, calls %q", res.Code, f.calls)
			}
		})
	}
}

// FuzzReport sends what a device may send: every answer is 200 or 400, and fleet never hears of a status that it does not know.
func FuzzReport(f *testing.F) {
	f.Add(report("Idle"))
	f.Add(report("Error", "CommandUUID", str("0E2B4A5C"), "ErrorChain", "<array><dict></dict></array>"))
	f.Add(report("Acknowledged", "CommandUUID", str("0E2B4A5C"), "QueryResponses", "<dict></dict>", "Odd", "<uid/>"))
	f.Fuzz(func(t *testing.T, body string) {
		fake := &fakeFleet{}
		switch res := send(t, fake, "/apple/command", body); res.Code {
		case http.StatusBadRequest:
		case http.StatusOK:
			if !slices.Contains(statuses, fake.report.Status) {
				t.Fatalf("status %q reached fleet", fake.report.Status)
			}
		default:
			t.Fatalf("status %d for %q", res.Code, body)
		}
	})
}

// FuzzCheckin sends what a device may send as a check-in. nanomdm answers 500 to a GetToken that names no service.
func FuzzCheckin(f *testing.F) {
	f.Add(checkin("Authenticate", "Topic", str(topic)))
	f.Add(checkin("TokenUpdate", token...))
	f.Add(checkin("GetToken", "TokenServiceType", str("com.apple.maid")))
	f.Fuzz(func(t *testing.T, body string) {
		if res := send(t, &fakeFleet{}, "/apple/checkin", body); res.Code > 499 && !strings.Contains(body, "GetToken") {
			t.Fatalf("status %d for %q", res.Code, body)
		}
	})
}
