package windows_test

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/smallstep/pkcs7"

	"github.com/kubemdm/kubemdm/mdmserver/windows/csr"
	"github.com/kubemdm/kubemdm/mdmserver/windows/wire"
	"github.com/kubemdm/kubemdm/test/conformance"
)

// Our answers are what the published schemas say. Each is one element of the body, or, for MS-WSTEP, which has schemas for the leaves alone, of the
// answer's token response.
func TestAnswersFollowTheSchemas(t *testing.T) {
	schemas, ok := conformance.Path(t, "schemas")
	if !ok {
		return
	}
	federated := options()
	federated.Config.Windows.SignIn = signingIn()
	issued := post(t, options(), enrollPath, envelope(password("token"), tokenRequest("Issue", keys().request, "DeviceID", deviceID)))
	for name, c := range map[string]struct{ answer, element, schema string }{
		"discovery":             {post(t, options(), discoveryPath, envelope("", discoverBody)), "DiscoverResponse", "mde2-discovery.xsd"},
		"discovery, signing in": {post(t, federated, wellKnownPath, envelope("", discoverBody)), "DiscoverResponse", "mde2-discovery.xsd"},
		"policy":                {post(t, options(), policyPath, envelope(password("token"), policiesBody)), "GetPoliciesResponse", "xcep.xsd"},
		"disposition":           {issued, "DispositionMessage", "wstep.xsd"},
		"request id":            {issued, "RequestID", "wstep.xsd"},
	} {
		t.Run(name, func(t *testing.T) {
			element := regexp.MustCompile(`(?s)<` + c.element + ` .*</` + c.element + `>`).FindString(c.answer)
			command := exec.CommandContext(t.Context(), "xmllint", "--nonet", "--noout", "--schema", filepath.Join(schemas, c.schema), "-")
			command.Stdin = strings.NewReader(element)
			if output, err := command.CombinedOutput(); err != nil {
				t.Errorf("%v: %s\n%s", err, output, element)
			}
		})
	}
}

// repaired undoes what printing did to the samples (the folder's README says which): dashes before lines, lines broken inside of URIs, quotes and
// spaces that are missing. In place of what a sample only hints at, it gets a request and a token.
func repaired(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := regexp.MustCompile(`(?m)^- `).ReplaceAllString(string(raw), "")
	s = regexp.MustCompile(`(http://[^"\s<]*/)\s+([^"\s<])`).ReplaceAllString(s, "$1$2")
	s = regexp.MustCompile(`<<(\w+)>>`).ReplaceAllString(s, "$1")
	return strings.NewReplacer(
		`Referencexsi:nil`, `Reference xsi:nil`,
		`"true/>`, `"true"/>`,
		`SampleBinarySecurityToken"`, `SampleBinarySecurityToken`,
		`DER format PKCS#10 certificate request in Base64 encoding Insterted Here`, base64.StdEncoding.EncodeToString(keys().request),
	).Replace(s)
}

// The specifications' sample messages are answered; what is an answer itself, or of a part of MS-WSTEP that MDM does not use, is refused in words.
func TestTheSpecificationsSamples(t *testing.T) {
	examples, ok := conformance.Path(t, "examples")
	if !ok {
		return
	}
	const discovered, policies, granted = "<DiscoverResult>", "<GetPoliciesResponse ", "DeviceEnrollmentProvisionDoc"
	for name, c := range map[string]struct{ path, want string }{
		"mde2-4.1.1.1": {discoveryPath, discovered}, "mde2-4.1.1.2": {wellKnownPath, discovered}, "mde2-4.1.1.3": {wellKnownPath, discovered},
		"mde2-4.1.2.1": {discoveryPath, "s:messageformat"}, "mde2-4.1.2.2": {discoveryPath, "s:messageformat"}, "mde2-4.1.2.3": {discoveryPath, "s:messageformat"},
		"mde2-4.2.1.1": {policyPath, policies}, "mde2-4.2.1.2": {policyPath, policies}, "mde2-4.2.1.3": {policyPath, policies},
		"mde2-4.2.2": {policyPath, "s:messageformat"}, "mde2-4.2.3": {policyPath, "s:messageformat"},
		"mde2-4.3.1.1": {enrollPath, granted}, "mde2-4.3.1.2": {enrollPath, granted}, "mde2-4.3.1.3": {enrollPath, granted}, "mde2-4.3.1.4": {enrollPath, granted},
		"mde2-4.3.2": {enrollPath, "s:messageformat"},
		"wstep-4-0":  {enrollPath, "InvalidEnrollmentData"}, "wstep-4-6": {enrollPath, "a:invalidsecurity"},
		"wstep-4-2": {enrollPath, "NotSupported"}, "wstep-4-4": {enrollPath, "NotSupported"},
		"wstep-4-1": {enrollPath, "s:messageformat"}, "wstep-4-3": {enrollPath, "s:messageformat"},
		"wstep-4-5": {enrollPath, "s:messageformat"}, "wstep-4-7": {enrollPath, "s:messageformat"},
		"xcep-4-0": {policyPath, policies}, "xcep-4-1": {policyPath, "s:messageformat"}, "xcep-4-2": {policyPath, policies},
	} {
		t.Run(name, func(t *testing.T) {
			message := repaired(t, filepath.Join(examples, name+".xml"))
			wellFormed(t, message)
			if answer := post(t, options(), c.path, message); !strings.Contains(answer, c.want) {
				t.Errorf("no %s in\n%s", c.want, answer)
			}
		})
	}
}

func wellFormed(t *testing.T, message string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "xmllint", "--nonet", "--noout", "-")
	command.Stdin = strings.NewReader(message)
	if output, err := command.CombinedOutput(); err != nil {
		t.Errorf("the sample is still broken: %s", output)
	}
}

// MS-WSTEP has a request, and a renewal with another one inside, whose ValueTypes say the same.
func TestTheSpecificationsCertificateRequests(t *testing.T) {
	examples, ok := conformance.Path(t, "examples")
	if !ok {
		return
	}
	for name, signed := range map[string]bool{"wstep-4-0": false, "wstep-4-6": true} {
		r, err := wire.ParseRequest([]byte(repaired(t, filepath.Join(examples, name+".xml"))))
		if err != nil {
			t.Fatal(err)
		}
		message, err := r.TokenRequest.Token.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if csr.Signed(message) != signed {
			t.Errorf("%s: signed is %v", name, !signed)
		}
		if signed {
			message = contentOf(t, message)
		}
		if _, err := csr.Parse(message); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func contentOf(t *testing.T, message []byte) []byte {
	t.Helper()
	p7, err := pkcs7.Parse(message)
	if err != nil {
		t.Fatal(err)
	}
	if err := p7.Verify(); err != nil {
		t.Errorf("verifying: %v", err)
	}
	return p7.Content
}
