package windows_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/devicesim/windows"
)

func TestPCsEnrol(t *testing.T) {
	s := newServer(t)
	s.notice = windows.Notifications{Enroll: true, DiscoveryURL: s.URL + "/EnrollmentServer/Discovery.svc"}
	for name, test := range map[string]struct {
		policy   string
		change   func(*windows.Options)
		enroll   func(context.Context, *windows.PC) error
		security string
	}{
		"by password": {"OnPremise", nil, func(ctx context.Context, pc *windows.PC) error {
			return pc.EnrollWithPassword(ctx, s.URL, "ada@example.test", "TOKEN")
		}, ">TOKEN<"},
		"with the CSR of older builds": {"OnPremise", func(o *windows.Options) { o.LegacyCSR = true }, func(ctx context.Context, pc *windows.PC) error {
			return pc.EnrollWithPassword(ctx, s.URL, "ada@example.test", "TOKEN")
		}, ">TOKEN<"},
		"by sign-in": {"Federated", nil, func(ctx context.Context, pc *windows.PC) error {
			return pc.EnrollFederated(ctx, s.URL, "ada@example.test", func(_ context.Context, page, appRU string) (string, error) {
				if !strings.HasPrefix(page, s.URL+"/signin?") || !strings.Contains(page, "tenant=1") || !strings.Contains(page, "login_hint=ada%40") {
					t.Errorf("the page is %s", page)
				}
				return "TICKET for " + appRU[:6], nil
			})
		}, base64.StdEncoding.EncodeToString([]byte("TICKET for ms-app"))},
		"by agent": {"OnPremise", nil, func(ctx context.Context, pc *windows.PC) error {
			return pc.EnrollByAgent(ctx, s.URL, "SECRET")
		}, base64.StdEncoding.EncodeToString([]byte(`{"type":1,"payload":{"orbit_node_key":"NODE-KEY","auth_token":""}}`))},
	} {
		t.Run(name, func(t *testing.T) {
			s.policy = test.policy
			pc := s.pc(test.change)
			fatal(t, test.enroll(t.Context(), pc))
			if !pc.Enrolled() || !strings.Contains(s.security, test.security) {
				t.Errorf("enrolled %v with %s", pc.Enrolled(), s.security)
			}
			if s.csr.SignatureAlgorithm != x509.SHA256WithRSA || !strings.Contains(s.csr.Subject.CommonName, "!"+pc.Hardware().DeviceID+"\x00") {
				t.Errorf("a request for %q with %s", s.csr.Subject.CommonName, s.csr.SignatureAlgorithm)
			}
			if err := pc.EnrollWithPassword(t.Context(), s.URL, "ada@example.test", "TOKEN"); !errors.Is(err, windows.ErrEnrolled) {
				t.Errorf("enrolling again: %v", err)
			}
		})
	}
}

// A policy without a hash makes Windows sign requests with SHA-1.
func TestWithoutAHashRequestsAreSignedWithSHA1(t *testing.T) {
	s := newServer(t)
	s.soap = func(body string) string {
		return strings.Replace(body, "<hashAlgorithmOIDReference>1<", "<hashAlgorithmOIDReference><", 1)
	}
	s.enrolled(func(o *windows.Options) { o.LegacyCSR = true })
	if s.csr.SignatureAlgorithm != x509.SHA1WithRSA {
		t.Errorf("signed with %s", s.csr.SignatureAlgorithm)
	}
}

func TestPCsRefuseBadEnrolments(t *testing.T) {
	replaces := func(old, by string) func(*server) {
		return func(s *server) { s.doc = func(doc string) string { return strings.Replace(doc, old, by, 1) } }
	}
	speaks := func(old, by string) func(*server) {
		return func(s *server) { s.soap = func(body string) string { return strings.Replace(body, old, by, 1) } }
	}
	for name, spoil := range map[string]func(*server){
		"chunked": func(s *server) {
			s.raw = func(w http.ResponseWriter, body string) {
				_, _ = io.WriteString(w, body[:1])
				w.(http.Flusher).Flush()
				_, _ = io.WriteString(w, body[1:])
			}
		},
		"compressed": func(s *server) {
			s.raw = func(w http.ResponseWriter, _ string) { w.Header().Set("Content-Encoding", "gzip") }
		},
		"not SOAP 1.2":                 speaks("http://www.w3.org/2003/05/soap-envelope", "http://schemas.xmlsoap.org/soap/envelope/"),
		"another action":               speaks("DiscoverResponse</a:Action>", "Discover</a:Action>"),
		"related to another message":   speaks("<a:RelatesTo>urn:uuid:7", "<a:RelatesTo>urn:uuid:8"),
		"an unknown authentication":    speaks("OnPremise", "Certificate"),
		"a sign-in page for passwords": speaks("</EnrollmentServiceUrl>", "</EnrollmentServiceUrl><AuthenticationServiceUrl>https://x/y</AuthenticationServiceUrl>"),
		"no enrolment service":         speaks("EnrollmentServiceUrl", "EnrolmentServiceUrl"),
		"a policy on another host":     speaks("<EnrollmentPolicyServiceUrl>https://127.0.0.1", "<EnrollmentPolicyServiceUrl>https://localhost"),
		"a document type definition":   speaks("<s:Envelope", "<!DOCTYPE x><s:Envelope"),
		"an unknown hash":              speaks("2.16.840.1.101.3.4.2.1", "1.2.840.113549.2.5"),
		"a hash that is missing":       speaks("<oIDReferenceID>1<", "<oIDReferenceID>2<"),
		"another policy schema":        speaks("<policySchema>3", "<policySchema>1"),
		"another ValueType":            speaks("DeviceEnrollmentProvisionDoc", "DeviceEnrollmentUserToken"),
		"another EncodingType":         speaks("#base64binary", "#Base64Binary"),
		"no RequestID":                 speaks("RequestID", "Request"),
		"no PrivateKeyContainer":       replaces(`<characteristic type="PrivateKeyContainer"/>`, ""),
		"APPLICATION in lower case":    replaces(`type="APPLICATION"`, `type="application"`),
		"a name in lower case":         replaces(`name="ADDR"`, `name="Addr"`),
		"one APPAUTH block":            replaces(`value="CLIENT"`, `value="APPSRV"`),
		"a basic CLIENT":               replaces(`value="DIGEST"`, `value="BASIC"`),
		"no nonce":                     replaces("bm9uY2UgMA==", ""),
		"no datatype":                  replaces(`value="42" datatype="integer"`, `value="42"`),
		"a retry later than renewal":   replaces(`value="7" datatype`, `value="43" datatype`),
		"line feeds in a certificate":  replaces(`value="MII`, "value=\"MI&#10;I"),
		"a certificate misfiled":       replaces(`<characteristic type="User"><characteristic type="`, `<characteristic type="User"><characteristic type="0`),
		"another store":                replaces(`<characteristic type="User">`, `<characteristic type="System">`),
		"criteria that find nothing":   replaces("Subject=CN%3d", "Subject=CN%3dx"),
		"a management URL over HTTP":   replaces(`name="ADDR" value="https`, `name="ADDR" value="http`),
		"DMClient of another provider": replaces(`<characteristic type="Test">`, `<characteristic type="TEST">`),
		"no poll schedule": func(s *server) {
			s.doc = strings.NewReplacer(`Retries" value="3"`, `Retries" value="0"`, `value="60"`, `value="0"`, `value="480"`, `value="0"`).Replace
		},
		"two endless poll sets": replaces(`name="NumberOfFirstRetries" value="2"`, `name="NumberOfFirstRetries" value="0"`),
		"a certificate for another key": func(s *server) {
			key, err := devicesim.NewKey()
			fatal(t, err)
			s.publicKey = &key.PublicKey
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			spoil(s)
			pc := s.pc(nil)
			if err := pc.EnrollWithPassword(t.Context(), s.URL, "ada@example.test", "TOKEN"); !errors.Is(err, windows.ErrMalformed) || pc.Enrolled() {
				t.Errorf("enrolled %v: %v", pc.Enrolled(), err)
			}
		})
	}
}

func TestFaultsHaveAnHRESULT(t *testing.T) {
	s := newServer(t)
	s.soap = func(string) string {
		return `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>s:Authorization</s:Value></s:Subcode></s:Code><s:Reason><s:Text>the token has expired</s:Text></s:Reason></s:Fault></s:Body></s:Envelope>`
	}
	err := s.pc(nil).EnrollWithPassword(t.Context(), s.URL, "ada@example.test", "TOKEN")
	fault := new(windows.FaultError)
	if !errors.As(err, &fault) || fault.HRESULT() != 0x80180003 || fault.Reason != "the token has expired" {
		t.Errorf("%v", err)
	}
}

func TestPCsRenew(t *testing.T) {
	s := newServer(t)
	pc := s.enrolled(nil)
	old := pc.Identity()
	foreign, err := devicesim.SelfSigned(old.Key, old.Certificate.Subject)
	fatal(t, err)
	fault := new(windows.FaultError)
	if _, err := pc.RequestRenewal(t.Context(), foreign, foreign.Key); !errors.As(err, &fault) || fault.HRESULT() != 0x80180016 || fault.TraceID != "T1" {
		t.Errorf("signed by another: %v", err)
	}
	fatal(t, pc.Renew(t.Context()))
	if pc.Identity().Certificate.Equal(old.Certificate) || pc.Identity().Key.Equal(old.Key) {
		t.Error("the identity is the old one")
	}
	if node, _ := pc.Node("./Vendor/MSFT/CertificateStore/My/WSTEP/CertThumbprint"); node.Data != thumbprint(pc.Identity().Certificate) {
		t.Errorf("the tree shows %s", node.Data)
	}
	s.publicKey = &old.Key.PublicKey
	if err := pc.Renew(t.Context()); !errors.Is(err, windows.ErrMalformed) {
		t.Errorf("a renewal for another key: %v", err)
	}
}

func TestAgentsRefuseBadAnswers(t *testing.T) {
	for name, body := range map[string]string{
		"no notifications": `{}`, "no object": `[]`, "no JSON": `{"notifications":`, "other settings": `{"notifications":{},"update_channels":{"orbit":"edge"}}`,
	} {
		s := newServer(t)
		pc := s.pc(nil)
		pc.InstallAgent(s.URL, "SECRET")
		_, err := pc.PollAgent(t.Context())
		fatal(t, err)
		s.raw = func(w http.ResponseWriter, _ string) {
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			_, _ = io.WriteString(w, body)
		}
		if _, err := pc.PollAgent(t.Context()); !errors.Is(err, windows.ErrMalformed) || pc.NodeKey() == "" {
			t.Errorf("%s: %v", name, err)
		}
		s.raw = func(w http.ResponseWriter, _ string) {
			w.Header().Set("Content-Length", "0")
			w.WriteHeader(http.StatusUnauthorized)
		}
		if _, err := pc.PollAgent(t.Context()); err == nil || pc.NodeKey() != "" {
			t.Errorf("a node key that is not known any more is kept: %v", err)
		}
	}
}

func TestNobodyIsSentToPlainHTTP(t *testing.T) {
	s := newServer(t)
	s.raw = func(w http.ResponseWriter, _ string) {
		w.Header().Set("Content-Length", "0")
		w.Header().Set("Location", "http://127.0.0.1/EnrollmentServer/Discovery.svc")
		w.WriteHeader(http.StatusTemporaryRedirect)
	}
	if err := s.pc(nil).EnrollWithPassword(t.Context(), s.URL, "ada@example.test", "TOKEN"); err == nil || !strings.Contains(err.Error(), "0x8018001a") {
		t.Errorf("%v", err)
	}
}

func TestAgentsObey(t *testing.T) {
	s := newServer(t)
	pc := s.pc(nil)
	if _, err := pc.PollAgent(t.Context()); err == nil {
		t.Error("an agent polls that is not there")
	}
	pc.InstallAgent(s.URL, "wrong")
	if _, err := pc.PollAgent(t.Context()); err == nil || pc.NodeKey() != "" {
		t.Errorf("a wrong secret: %v", err)
	}
	s.notice = windows.Notifications{Enroll: true, DiscoveryURL: s.URL + "/EnrollmentServer/Discovery.svc"}
	fatal(t, pc.EnrollByAgent(t.Context(), s.URL, "SECRET"))
	s.notice = windows.Notifications{Sync: true}
	_, err := pc.PollAgent(t.Context())
	fatal(t, err)
	if len(s.heard) != 1 {
		t.Errorf("%d messages after a request to sync", len(s.heard))
	}
	s.notice = windows.Notifications{Unenroll: true}
	_, err = pc.PollAgent(t.Context())
	fatal(t, err)
	if last := s.heard[len(s.heard)-1]; pc.Enrolled() || last.Alerts[2].Data != "1226" || last.Alerts[2].Type != windows.TypeUnenrol || last.Alerts[2].Item != "1" {
		t.Errorf("enrolled %v, alerts %+v", pc.Enrolled(), last.Alerts)
	}
}
