package windows_test

import (
	"bytes"
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
	"github.com/kubemdm/kubemdm/mdmserver/identity/identitytest"
	"github.com/kubemdm/kubemdm/mdmserver/seal"
	"github.com/kubemdm/kubemdm/mdmserver/windows"
	"github.com/kubemdm/kubemdm/mdmserver/windows/csr/csrtest"
)

const (
	discoveryPath = "/api/mdm/microsoft/discovery"
	wellKnownPath = "/EnrollmentServer/Discovery.svc"
	policyPath    = "/api/mdm/microsoft/policy"
	enrollPath    = "/api/mdm/microsoft/enroll"

	deviceID = "7BA748C8-703E-4DF2-A74A-92984117346A"
	day      = 24 * time.Hour
)

var inSpring = identitytest.Epoch.AddDate(0, 3, 0)

// enroller is a fleet that grants everything, or nothing when err is set, and writes down what it is asked.
type enroller struct {
	windows.Fleet
	err error
	// earlier is the certificate that was issued to this key already.
	earlier []byte

	calls  []string
	cred   fleet.WindowsCredential
	claim  fleet.WindowsClaim
	signer fleet.Identity
	upn    string
}

func (f *enroller) CheckWindows(_ context.Context, cred fleet.WindowsCredential) error {
	f.calls, f.cred = append(f.calls, "check"), cred
	return f.err
}

func (f *enroller) EnrollWindows(_ context.Context, cred fleet.WindowsCredential, claim fleet.WindowsClaim, issue func(fleet.Grant) ([]byte, error)) (*fleet.WindowsEnrollment, error) {
	f.calls, f.cred, f.claim = append(f.calls, "enroll"), cred, claim
	return f.grant(issue)
}

func (f *enroller) RenewWindows(_ context.Context, signer fleet.Identity, claim fleet.WindowsClaim, issue func(fleet.Grant) ([]byte, error)) (*fleet.WindowsEnrollment, error) {
	f.calls, f.signer, f.claim = append(f.calls, "renew"), signer, claim
	return f.grant(issue)
}

func (f *enroller) IssueTicket(_ context.Context, token adminapi.Key, upn string) (fleet.Challenge, error) {
	f.calls, f.upn = append(f.calls, "ticket "+string(token)), upn
	return fleet.Challenge{Secret: `ticket"<1>`}, f.err
}

func (f *enroller) grant(issue func(fleet.Grant) ([]byte, error)) (*fleet.WindowsEnrollment, error) {
	if f.err != nil {
		return nil, f.err
	}
	der := f.earlier
	if der == nil {
		var err error
		if der, err = issue(fleet.Grant{EnrollmentID: "enrollment-1"}); err != nil {
			return nil, err
		}
	}
	return &fleet.WindowsEnrollment{EnrollmentID: "enrollment-1", Certificate: der, DigestSecret: "digest-secret"}, nil
}

// keys are made once: RSA keys take their time.
var keys = sync.OnceValue(func() (k struct {
	old, active, next, strange identity.CA
	device, fresh              identitytest.Device
	request                    []byte
	newKey                     *rsa.PrivateKey
}) {
	t := new(testing.T)
	k.old, k.active = identitytest.CA(t, 1, serverconfig.RoleRetired), identitytest.CA(t, 2, serverconfig.RoleActive)
	k.next, k.strange = identitytest.CA(t, 3, serverconfig.RoleNext), identitytest.CA(t, 2, serverconfig.RoleActive)
	k.device, k.fresh = identitytest.Issue(t, k.old, "enrollment-1"), identitytest.Issue(t, k.active, "enrollment-1")
	k.newKey = identitytest.Key(t)
	k.request = csrtest.Windows10(t, k.newKey)
	return k
})

// options are those of a server that can do everything but sign people in.
func options() windows.Options {
	k := keys()
	return windows.Options{
		Config: serverconfig.Config{
			Namespace: "fleet", Name: "server", Host: "mdm.example.com", Organization: "Example & Sons",
			Windows: &serverconfig.Windows{
				Identity:       serverconfig.Identity{Validity: serverconfig.Duration(365 * day), RenewBefore: serverconfig.Duration(42 * day)},
				Authentication: serverconfig.Authentication{Require: serverconfig.RequireDigest},
				PollEvery:      serverconfig.Duration(8 * time.Hour),
			},
		},
		CAs:          func() []identity.CA { return []identity.CA{k.old, k.active, k.next} },
		SignInSecret: func() string { return "client-secret" },
		Seal: seal.New(func() seal.Keyring {
			return seal.Keyring{Primary: "k1", Keys: map[string][]byte{"k1": make([]byte, 32)}}
		}),
		Fleet: &enroller{},
		Now:   func() time.Time { return inSpring },
		Log:   slog.New(slog.DiscardHandler),
	}
}

func enrollmentHandler(t testing.TB, o windows.Options) http.Handler {
	t.Helper()
	w, err := windows.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return w.EnrollmentHandler()
}

func serve(t testing.TB, o windows.Options, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	rec := httptest.NewRecorder()
	enrollmentHandler(t, o).ServeHTTP(rec, r)
	return rec
}

// post sends a SOAP message and returns the answer, which has a length and the right type.
func post(t testing.TB, o windows.Options, path, message string) string {
	t.Helper()
	rec := serve(t, o, httptest.NewRequest(http.MethodPost, path, strings.NewReader(message)))
	if rec.Code != http.StatusOK || rec.Header().Get("Content-Type") != "application/soap+xml; charset=utf-8" {
		t.Fatalf("status %d, %v: %s", rec.Code, rec.Header(), rec.Body)
	}
	if length := rec.Header().Get("Content-Length"); length != strconv.Itoa(rec.Body.Len()) {
		t.Errorf("Content-Length %q for %d bytes", length, rec.Body.Len())
	}
	return rec.Body.String()
}

// envelope is a message as Windows writes it. security is what stands in the header's Security.
func envelope(security, body string) string {
	return `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing"
xmlns:wsse="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd" xmlns:wst="http://docs.oasis-open.org/ws-sx/ws-trust/200512"
xmlns:ac="http://schemas.xmlsoap.org/ws/2006/12/authorization"><s:Header><a:MessageID>urn:uuid:72048B64-0F19-448F-8C2E-B4C661860AA0</a:MessageID>
<wsse:Security s:mustUnderstand="1">` + security + `</wsse:Security></s:Header><s:Body>` + body + `</s:Body></s:Envelope>`
}

const (
	discoverBody = `<Discover xmlns="http://schemas.microsoft.com/windows/management/2012/01/enrollment/"><request><EmailAddress></EmailAddress>
<RequestVersion>5.0</RequestVersion><AuthPolicies><AuthPolicy>OnPremise</AuthPolicy><AuthPolicy>Federated</AuthPolicy></AuthPolicies></request></Discover>`
	policiesBody = `<GetPolicies xmlns="http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy"/>`
)

func password(token string) string {
	return `<wsse:UsernameToken><wsse:Username>joe@example.com</wsse:Username><wsse:Password>` + token + `</wsse:Password></wsse:UsernameToken>`
}

func binary(token string) string {
	return `<wsse:BinarySecurityToken>` + base64.StdEncoding.EncodeToString([]byte(token)) + `</wsse:BinarySecurityToken>`
}

// tokenRequest asks for a certificate; items are names and values of the context.
func tokenRequest(requestType string, message []byte, items ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<wst:RequestSecurityToken><wst:RequestType>http://docs.oasis-open.org/ws-sx/ws-trust/200512/%s</wst:RequestType>
<wsse:BinarySecurityToken ValueType="whatever">%s</wsse:BinarySecurityToken><ac:AdditionalContext>`, requestType, base64.StdEncoding.EncodeToString(message))
	for i := 0; i < len(items); i += 2 {
		fmt.Fprintf(&b, `<ac:ContextItem Name="%s"><ac:Value>%s</ac:Value></ac:ContextItem>`, items[i], items[i+1])
	}
	b.WriteString(`</ac:AdditionalContext></wst:RequestSecurityToken>`)
	return b.String()
}

// section is a characteristic of a provisioning document.
type section struct {
	Type  string `xml:"type,attr"`
	Parms []struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	} `xml:"parm"`
	Sections []section `xml:"characteristic"`
}

// at returns the section below this one with those types; an empty type is any.
func (s *section) at(path ...string) *section {
	for _, name := range path {
		var found *section
		if s != nil {
			for i := range s.Sections {
				if found == nil && (name == "" || s.Sections[i].Type == name) {
					found = &s.Sections[i]
				}
			}
		}
		s = found
	}
	return s
}

func (s *section) parm(name string) string {
	if s != nil {
		for _, p := range s.Parms {
			if p.Name == name {
				return p.Value
			}
		}
	}
	return ""
}

// provisioned reads the document out of an answer.
func provisioned(t testing.TB, answer string) *section {
	t.Helper()
	var token struct {
		Value []byte `xml:"Body>RequestSecurityTokenResponseCollection>RequestSecurityTokenResponse>RequestedSecurityToken>BinarySecurityToken"`
	}
	if err := xml.Unmarshal([]byte(answer), &token); err != nil {
		t.Fatal(err)
	}
	document, err := base64.StdEncoding.DecodeString(string(token.Value))
	if err != nil || !bytes.HasPrefix(document, []byte("<wap-provisioningdoc")) {
		t.Fatalf("no document in\n%s", answer)
	}
	s := &section{}
	if err := xml.Unmarshal(document, s); err != nil {
		t.Fatal(err)
	}
	return s
}

// faultOf reads a fault: subcode, error type and trace id; all empty when the answer is none.
func faultOf(t testing.TB, answer string) (subcode, errorType, trace string) {
	t.Helper()
	var f struct {
		Subcode   string `xml:"Body>fault>code>subcode>value"`
		ErrorType string `xml:"Body>fault>detail>deviceenrollmentserviceerror>errortype"`
		Trace     string `xml:"Body>fault>detail>deviceenrollmentserviceerror>traceid"`
	}
	if err := xml.Unmarshal([]byte(answer), &f); err != nil {
		t.Fatal(err)
	}
	return f.Subcode, f.ErrorType, f.Trace
}
