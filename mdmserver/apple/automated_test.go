package apple_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/apple"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/test/applepki"
)

const automatedURL = "/ade/fleet/business"

// factory is where devices get their certificates; another one is not trusted.
var factory = sync.OnceValue(func() (f struct {
	root            *x509.Certificate
	device, foreign *applepki.DeviceIdentity
}) {
	for _, device := range []**applepki.DeviceIdentity{&f.foreign, &f.device} {
		ca, err := applepki.NewDeviceCA(time.Now)
		if err != nil {
			panic(err)
		}
		if *device, err = ca.Issue(udid, applepki.DeviceOptions{}); err != nil {
			panic(err)
		}
		f.root = ca.Root()
	}
	return f
})

// setupServer trusts the factory.
func setupServer() apple.Options {
	o := server()
	o.DeviceRoots = []*x509.Certificate{factory().root}
	return o
}

func machine(product, version string, canUpdate bool) string {
	return message("SERIAL", str("C02"), "UDID", str(udid), "PRODUCT", str(product), "OS_VERSION", str(version),
		"MDM_CAN_REQUEST_SOFTWARE_UPDATE", fmt.Sprintf("<%v/>", canUpdate))
}

// ask sends the document as the device signs it.
func ask(t *testing.T, o apple.Options, f *fakeFleet, device *applepki.DeviceIdentity, document string) *httptest.ResponseRecorder {
	t.Helper()
	signed, err := device.Sign([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, automatedURL, bytes.NewReader(signed))
	r.Header.Set("Content-Type", "application/pkcs7-signature")
	return serve(t, o, f, r)
}

func TestADeviceInSetupAssistantGetsItsProfile(t *testing.T) {
	f := &fakeFleet{}
	res := ask(t, setupServer(), f, factory().device, machine("Mac15,3", "15.4", true))
	if res.Code != http.StatusOK || res.Header().Get("Content-Type") != "application/x-apple-aspen-config" || res.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("status %d, headers %v: %s", res.Code, res.Header(), res.Body)
	}
	p7, err := pkcs7.Parse(res.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(credentials().other.Cert)
	if err := p7.VerifyWithChain(roots); err != nil {
		t.Error(err)
	}
	byToken := get(t, server(), &fakeFleet{}, http.MethodGet, enrollURL+"?unsigned=1").Body.String()
	if string(p7.Content) != byToken {
		t.Errorf("the profile differs from that of a token:\n%s", p7.Content)
	}
	if want := []string{"AutomatedProfile fleet/business C02", `IssueAutomated fleet/business C02 ""`}; !reflect.DeepEqual(f.calls, want) {
		t.Errorf("calls %q", f.calls)
	}
}

func TestAnOutdatedDeviceIsToldToUpdate(t *testing.T) {
	minimum := map[string]adminapi.OSVersion{
		"Mac": {Version: "15.4.1", Build: "24E263"}, "iPhone": {Version: "18"}, "iPad": {Version: "18.0.0"}, "AppleTV": {Version: "18.2"},
	}
	for name, tc := range map[string]struct {
		product, version string
		cannot           bool
		update           string
	}{
		"an old Mac":            {"Mac15,3", "15.4", false, "15.4.1 24E263"},
		"an older one":          {"MacBookPro18,1", "9.10.10", false, "15.4.1 24E263"},
		"as a machine":          {"VirtualMac2,1", "15.3.99", false, "15.4.1 24E263"},
		"that says what is new": {"Mac15,3", "15.4 (a)", false, "15.4.1 24E263"},
		"just new enough":       {"Mac15,3", "15.4.1", false, ""},
		"a response later":      {"iMac21,1", "15.4.1 (a)", false, ""},
		"newer":                 {"Macmini9,1", "15.10", false, ""},
		"that cannot update":    {"Mac15,3", "14.0", true, ""},
		"that does not say":     {"Mac15,3", "", false, ""},
		"that says nothing":     {"Mac15,3", "a.b", false, ""},
		"an old iPhone":         {"iPhone14,2", "17.7.2", false, "18 "},
		"an iPhone":             {"iPhone14,2", "18.0", false, ""},
		"an iPad":               {"iPad13,4", "18", false, ""},
		"an old Apple TV":       {"AppleTV11,1", "18.1", false, "18.2 "},
		"what has no minimum":   {"RealityDevice14,1", "1.0", false, ""},
		"what nobody knows":     {"Xserve3,1", "1.0", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakeFleet{setup: adminapi.AutomatedProfile{MinimumOS: minimum}}
			res := ask(t, setupServer(), f, factory().device, machine(tc.product, tc.version, !tc.cannot))
			if tc.update == "" {
				if res.Code != http.StatusOK || len(f.calls) != 2 {
					t.Errorf("status %d, calls %q: %s", res.Code, f.calls, res.Body)
				}
				return
			}
			var answer struct {
				Code, Description, Message string
				Details                    struct{ OSVersion, BuildVersion string }
			}
			if err := json.Unmarshal(res.Body.Bytes(), &answer); err != nil {
				t.Fatalf("status %d: %v", res.Code, err)
			}
			if res.Code != http.StatusForbidden || res.Header().Get("Content-Type") != "application/json" || answer.Code != "com.apple.softwareupdate.required" ||
				answer.Description == "" || answer.Message == "" || answer.Details.OSVersion+" "+answer.Details.BuildVersion != tc.update {
				t.Errorf("status %d, answer %+v", res.Code, answer)
			}
			if len(f.calls) != 1 {
				t.Errorf("a device that is to update costs a challenge: %q", f.calls)
			}
		})
	}
}

// Whoever asks must not learn which serial numbers are listed, and the log must not either.
func TestRefusalsInSetupAssistant(t *testing.T) {
	noPush, noServing := setupServer(), setupServer()
	noPush.Topic = func() string { return "" }
	noServing.Serving = func() *tls.Certificate { return nil }
	mac := machine("Mac15,3", "15.4", true)
	const nobody = "This device may not enrol here. Ask your administrator.\n"
	for name, tc := range map[string]struct {
		options  apple.Options
		fleet    fakeFleet
		foreign  bool
		document string
		status   int
		says     string
	}{
		"not listed":             {setupServer(), fakeFleet{err: &fleet.About{Subject: "automated enrolment fleet/business", Err: fleet.ErrNotListed}}, false, mac, 403, nobody},
		"no device":              {setupServer(), fakeFleet{}, true, mac, 403, nobody},
		"Apple's alone":          {server(), fakeFleet{}, false, mac, 403, nobody},
		"no machine info":        {setupServer(), fakeFleet{}, false, "<plist/>", 400, "did not say what it is"},
		"nobody has signed in":   {setupServer(), fakeFleet{setup: adminapi.AutomatedProfile{SignIn: true}}, false, mac, 403, "sign in"},
		"no push certificate":    {noPush, fakeFleet{}, false, mac, 503, "Try again"},
		"no serving certificate": {noServing, fakeFleet{}, false, mac, 503, "Try again"},
		"store unavailable":      {setupServer(), fakeFleet{err: fleet.ErrUnavailable}, false, mac, 503, "Try again"},
		"store broken":           {setupServer(), fakeFleet{err: errors.New("disk on fire")}, false, mac, 500, "Internal Server Error"},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			tc.options.Log = slog.New(slog.NewTextHandler(&log, nil))
			device := factory().device
			if tc.foreign {
				device = factory().foreign
			}
			res := ask(t, tc.options, &tc.fleet, device, tc.document)
			body := res.Body.String()
			if res.Code != tc.status || !strings.Contains(body, tc.says) || tc.says == nobody && body != nobody || res.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("status %d, headers %v, body %q", res.Code, res.Header(), body)
			}
			if log.Len() == 0 || strings.Contains(log.String()+body, "C02") || strings.Contains(log.String(), udid) {
				t.Errorf("log %q", log.String())
			}
			for _, call := range tc.fleet.calls {
				if strings.HasPrefix(call, "IssueAutomated") && tc.status != http.StatusServiceUnavailable {
					t.Errorf("a challenge was minted: %q", tc.fleet.calls)
				}
			}
		})
	}
}

func TestWhatIsNoMessageOfADevice(t *testing.T) {
	for name, tc := range map[string]struct {
		method, url, body string
		status            int
	}{
		"unsigned":         {http.MethodPost, automatedURL, machine("Mac15,3", "15.4", true), http.StatusForbidden},
		"empty":            {http.MethodPost, automatedURL, "", http.StatusForbidden},
		"large":            {http.MethodPost, automatedURL, strings.Repeat("x", 64<<10+1), http.StatusBadRequest},
		"a browser":        {http.MethodGet, automatedURL, "", http.StatusMethodNotAllowed},
		"no name":          {http.MethodPost, "/ade/fleet", "", http.StatusNotFound},
		"another question": {http.MethodPost, automatedURL + "/more", "", http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakeFleet{}
			res := serve(t, setupServer(), f, httptest.NewRequest(tc.method, tc.url, strings.NewReader(tc.body)))
			if res.Code != tc.status || len(f.calls) > 0 {
				t.Errorf("status %d, calls %q: %s", res.Code, f.calls, res.Body)
			}
		})
	}
}

func TestALongPathNamesNothing(t *testing.T) {
	signed, err := factory().device.Sign([]byte(machine("Mac15,3", "15.4", true)))
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeFleet{}
	r := httptest.NewRequest(http.MethodPost, "/ade/fleet/"+strings.Repeat("x", 400), bytes.NewReader(signed))
	if res := serve(t, setupServer(), f, r); res.Code != http.StatusForbidden || len(f.calls) > 0 {
		t.Errorf("status %d, calls %q", res.Code, f.calls)
	}
}
