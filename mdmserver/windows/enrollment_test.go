package windows_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
	"github.com/kubemdm/kubemdm/mdmserver/windows"
)

func hashOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func signingIn() *serverconfig.SignIn {
	return &serverconfig.SignIn{IssuerURL: "https://login.example.com", ClientID: "kubemdm", Token: "fleet/people"}
}

func TestWindowsLooksWhetherThereIsAServer(t *testing.T) {
	for _, path := range []string{discoveryPath, wellKnownPath} {
		rec := serve(t, options(), httptest.NewRequest(http.MethodGet, path, nil))
		if rec.Code != http.StatusOK || rec.Body.Len() != 0 || rec.Header().Get("Content-Length") != "0" {
			t.Errorf("%s: %d %v %q", path, rec.Code, rec.Header(), rec.Body)
		}
	}
}

func TestDiscovery(t *testing.T) {
	federated := options()
	federated.Config.Windows.SignIn = signingIn()
	const page = "<AuthenticationServiceUrl>https://mdm.example.com/api/mdm/microsoft/signin</AuthenticationServiceUrl>"
	showsNoPage := strings.Replace(discoverBody, "<AuthPolicy>Federated</AuthPolicy>", "", 1)
	for name, c := range map[string]struct {
		options windows.Options
		path    string
		body    string
		policy  string
	}{
		"an agent":                        {options(), discoveryPath, discoverBody, "OnPremise"},
		"a person with a token":           {options(), wellKnownPath, discoverBody, "OnPremise"},
		"an agent, people sign in":        {federated, discoveryPath, discoverBody, "OnPremise"},
		"a person, and people do sign in": {federated, wellKnownPath, discoverBody, "Federated"},
		"a client that shows no page":     {federated, wellKnownPath, showsNoPage, "OnPremise"},
	} {
		t.Run(name, func(t *testing.T) {
			answer := post(t, c.options, c.path, envelope("", c.body))
			for _, want := range []string{
				"<AuthPolicy>" + c.policy + "</AuthPolicy>",
				"<EnrollmentPolicyServiceUrl>https://mdm.example.com" + policyPath + "</EnrollmentPolicyServiceUrl>",
				"<EnrollmentServiceUrl>https://mdm.example.com" + enrollPath + "</EnrollmentServiceUrl>",
				"<a:RelatesTo>urn:uuid:72048B64-0F19-448F-8C2E-B4C661860AA0</a:RelatesTo>",
				"IDiscoveryService/DiscoverResponse",
			} {
				if !strings.Contains(answer, want) {
					t.Errorf("no %s in\n%s", want, answer)
				}
			}
			if strings.Contains(answer, page) != (c.policy == "Federated") {
				t.Errorf("the page belongs to Federated:\n%s", answer)
			}
		})
	}
}

func TestPolicyTellsTheHashAndTheKey(t *testing.T) {
	o := options()
	answer := post(t, o, policyPath, envelope(password("token"), policiesBody))
	for _, want := range []string{
		"<minimalKeyLength>2048</minimalKeyLength>", "<hashAlgorithmOIDReference>0</hashAlgorithmOIDReference>", "<value>2.16.840.1.101.3.4.2.1</value>",
		"<validityPeriodSeconds>31536000</validityPeriodSeconds>", "<renewalPeriodSeconds>3628800</renewalPeriodSeconds>",
	} {
		if !strings.Contains(answer, want) {
			t.Errorf("no %s in\n%s", want, answer)
		}
	}
	if f := o.Fleet.(*enroller); len(f.calls) != 1 || f.cred.TokenHash != hashOf("token") {
		t.Errorf("the token was not checked: %v", f.calls)
	}
}

// A device that renews goes through discovery and policy again, and has no credential any more.
func TestPolicyNeedsNoCredential(t *testing.T) {
	for name, security := range map[string]string{"nothing": "", "an empty password": password("")} {
		o := options()
		answer := post(t, o, policyPath, envelope(security, policiesBody))
		if !strings.Contains(answer, "GetPoliciesResponse>") || len(o.Fleet.(*enroller).calls) != 0 {
			t.Errorf("%s: %v\n%s", name, o.Fleet.(*enroller).calls, answer)
		}
	}
}

func TestCredentials(t *testing.T) {
	agent := `{"type":1,"payload":{"orbit_node_key":"node-key","auth_token":""}}`
	raw := func(encoded string) string {
		return "<wsse:BinarySecurityToken>" + encoded + "</wsse:BinarySecurityToken>"
	}
	for name, c := range map[string]struct {
		security string
		want     fleet.WindowsCredential
	}{
		"a token as password":             {password("token"), fleet.WindowsCredential{TokenHash: hashOf("token")}},
		"a password with white space":     {password("\n token\n"), fleet.WindowsCredential{TokenHash: hashOf("token")}},
		"an agent":                        {binary(agent), fleet.WindowsCredential{NodeKeyHash: hashOf("node-key")}},
		"an agent, base64 for URLs":       {raw(base64.RawURLEncoding.EncodeToString([]byte(agent))), fleet.WindowsCredential{NodeKeyHash: hashOf("node-key")}},
		"a ticket":                        {binary("the-ticket"), fleet.WindowsCredential{Ticket: "the-ticket"}},
		"a ticket, and a useless account": {password("") + binary("the-ticket"), fleet.WindowsCredential{Ticket: "the-ticket"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			post(t, o, policyPath, envelope(c.security, policiesBody))
			if f := o.Fleet.(*enroller); f.cred != c.want {
				t.Errorf("got %+v", f.cred)
			}
			post(t, o, enrollPath, envelope(c.security, tokenRequest("Issue", keys().request, "DeviceID", deviceID)))
			if f := o.Fleet.(*enroller); f.cred != c.want {
				t.Errorf("enrolled with %+v", f.cred)
			}
		})
	}
}

func TestCredentialsThatAreNone(t *testing.T) {
	for name, security := range map[string]string{
		"an empty token":              binary(""),
		"an empty token and password": binary("") + password("token"),
		"a token that is no base64":   "<wsse:BinarySecurityToken>%%%</wsse:BinarySecurityToken>",
		"a user, not an agent":        binary(`{"type":2,"payload":{"orbit_node_key":"node-key","auth_token":"x"}}`),
		"an agent without a key":      binary(`{"type":1,"payload":{}}`),
		"JSON that breaks off":        binary(`{"type":1,`),
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			for path, body := range map[string]string{policyPath: policiesBody, enrollPath: tokenRequest("Issue", keys().request, "DeviceID", deviceID)} {
				if subcode, _, _ := faultOf(t, post(t, o, path, envelope(security, body))); subcode != "s:authentication" {
					t.Errorf("%s: fault %q", path, subcode)
				}
			}
			if calls := o.Fleet.(*enroller).calls; len(calls) != 0 {
				t.Errorf("the fleet was asked: %v", calls)
			}
		})
	}
	answer := post(t, options(), enrollPath, envelope("", tokenRequest("Issue", keys().request, "DeviceID", deviceID)))
	if subcode, _, _ := faultOf(t, answer); subcode != "s:authentication" {
		t.Errorf("without any credential: fault %q", subcode)
	}
}

func TestFaults(t *testing.T) {
	for _, c := range []struct {
		err                error
		subcode, errorType string
	}{
		{fleet.ErrTokenUnknown, "s:authentication", ""},
		{fleet.ErrChallenge, "s:authentication", ""},
		{fleet.ErrTokenExpired, "s:authorization", "CustomServerError"},
		{fleet.ErrTokenExhausted, "s:authorization", "CustomServerError"},
		{fleet.ErrTokenPlatform, "s:authorization", "CustomServerError"},
		{fleet.ErrTokenDevice, "s:authorization", "CustomServerError"},
		{fleet.ErrReenrolmentBlocked, "s:authorization", "CustomServerError"},
		{fleet.ErrNotEnrolled, "s:authorization", ""},
		{fleet.ErrWrongIdentity, "s:authorization", ""},
		{fleet.ErrSuperseded, "s:authorization", ""},
		{fleet.ErrNotDue, "s:authorization", "NotEligibleToRenew"},
		{fleet.ErrKeyReused, "s:certificaterequest", ""},
		{fleet.ErrUnavailable, "s:enrollmentserver", "InMaintenance"},
		{identity.ErrNoCA, "s:enrollmentserver", "InMaintenance"},
		{errors.New("token digest-secret is broken"), "a:internalservicefault", ""},
	} {
		t.Run(c.err.Error(), func(t *testing.T) {
			o, log := options(), &bytes.Buffer{}
			o.Log, o.Fleet = slog.New(slog.NewTextHandler(log, nil)), &enroller{err: c.err}
			answer := post(t, o, enrollPath, envelope(password("typed-token"), tokenRequest("Issue", keys().request, "DeviceID", deviceID)))
			subcode, errorType, trace := faultOf(t, answer)
			if subcode != c.subcode || errorType != c.errorType {
				t.Errorf("fault %q %q in\n%s", subcode, errorType, answer)
			}
			if trace == "" || !strings.Contains(log.String(), trace) || strings.Contains(answer, "digest-secret") {
				t.Errorf("trace %q, log %s, answer\n%s", trace, log, answer)
			}
			if strings.Contains(log.String(), "typed-token") || strings.Contains(log.String(), deviceID) {
				t.Errorf("the log names what it must not: %s", log)
			}
		})
	}
}

// Who reads the trace id in Windows' event log sees at once which token or enrolment to look at.
func TestTheTraceIDNamesWhatTheFaultIsAbout(t *testing.T) {
	o, log := options(), &bytes.Buffer{}
	o.Log = slog.New(slog.NewTextHandler(log, nil))
	o.Fleet = &enroller{err: fmt.Errorf("enrolling: %w", &fleet.About{Subject: "token fleet/staff", Err: fleet.ErrTokenExpired})}
	answer := post(t, o, enrollPath, envelope(password("typed-token"), tokenRequest("Issue", keys().request, "DeviceID", deviceID)))
	_, errorType, trace := faultOf(t, answer)
	id, named := strings.CutPrefix(trace, "token fleet/staff ")
	if errorType != "CustomServerError" || !named || id == "" || !strings.Contains(log.String(), id) {
		t.Errorf("error type %q, trace %q, log %s", errorType, trace, log)
	}
}

func TestMessagesThatAreNone(t *testing.T) {
	enrol := tokenRequest("Issue", keys().request, "DeviceID", deviceID)
	for name, c := range map[string]struct {
		path, message      string
		subcode, errorType string
	}{
		"nothing":                  {discoveryPath, "", "s:messageformat", ""},
		"no XML":                   {wellKnownPath, "hello", "s:messageformat", ""},
		"a document type":          {policyPath, "<!DOCTYPE x>" + envelope("", policiesBody), "s:messageformat", ""},
		"an entity bomb":           {enrollPath, `<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>` + envelope("", "&b;"), "s:messageformat", ""},
		"deeply nested":            {enrollPath, envelope("", strings.Repeat("<a>", 1e5)), "s:messageformat", ""},
		"discovery at policy":      {policyPath, envelope("", discoverBody), "s:messageformat", ""},
		"policy at discovery":      {discoveryPath, envelope("", policiesBody), "s:messageformat", ""},
		"policy at the well-known": {wellKnownPath, envelope("", policiesBody), "s:messageformat", ""},
		"discovery at enrolment":   {enrollPath, envelope("", discoverBody), "s:messageformat", ""},
		"no device id":             {enrollPath, envelope(password("t"), tokenRequest("Issue", keys().request)), "s:messageformat", "InvalidEnrollmentData"},
		"a user's device id":       {enrollPath, envelope(password("t"), tokenRequest("Issue", keys().request, "DeviceID", "a:user")), "s:messageformat", "InvalidEnrollmentData"},
		"a long device id":         {enrollPath, envelope(password("t"), tokenRequest("Issue", keys().request, "DeviceID", strings.Repeat("a", 300))), "s:messageformat", "InvalidEnrollmentData"},
		"a lost key":               {enrollPath, envelope(password("t"), strings.Replace(enrol, "Issue", "Recovery", 1)), "s:messageformat", "NotSupported"},
		"no certificate request":   {enrollPath, envelope(password("t"), tokenRequest("Issue", nil, "DeviceID", deviceID)), "s:certificaterequest", ""},
		"a broken request":         {enrollPath, envelope(password("t"), tokenRequest("Issue", keys().request[:100], "DeviceID", deviceID)), "s:certificaterequest", ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			subcode, errorType, _ := faultOf(t, post(t, o, c.path, c.message))
			if subcode != c.subcode || errorType != c.errorType {
				t.Errorf("fault %q %q", subcode, errorType)
			}
			if calls := o.Fleet.(*enroller).calls; len(calls) != 0 {
				t.Errorf("the fleet was asked: %v", calls)
			}
		})
	}
}

func TestBodiesOverTheLimit(t *testing.T) {
	huge := "<a>" + strings.Repeat("a", 4<<20)
	for name, body := range map[string]io.Reader{"announced": strings.NewReader(huge), "not announced": io.MultiReader(strings.NewReader(huge))} {
		rec := serve(t, options(), httptest.NewRequest(http.MethodPost, enrollPath, body))
		if rec.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: status %d", name, rec.Code)
		}
	}
}

func TestOtherMethods(t *testing.T) {
	for method, path := range map[string]string{http.MethodPut: discoveryPath, http.MethodGet: enrollPath, http.MethodDelete: policyPath} {
		if rec := serve(t, options(), httptest.NewRequest(method, path, nil)); rec.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s %s: status %d", method, path, rec.Code)
		}
	}
}

func TestTheLogDoesNotQuoteWhatIsMalformed(t *testing.T) {
	var log bytes.Buffer
	o := options()
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	post(t, o, enrollPath, envelope(password("s3cret&topsecret"), tokenRequest("Issue", keys().request, "DeviceID", deviceID)))
	if !strings.Contains(log.String(), "messageformat") || strings.Contains(log.String(), "secret") {
		t.Errorf("the log says %s", log.String())
	}
}
