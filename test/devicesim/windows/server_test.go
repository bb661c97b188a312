package windows_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"

	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/devicesim/windows"
	"github.com/kubemdm/kubemdm/test/pki"
)

// keys are shared by all tests: making them is what takes time.
var keys = devicesim.NewKeyPool(3)

const (
	user, secret = "enrolment-1", "digest secret"
	firstNonce   = "nonce 0"
)

// server is the least management server that a PC accepts. Tests spoil what it says.
type server struct {
	*httptest.Server
	t   *testing.T
	ca  *pki.CA
	web *pki.CA
	// policy is the answer of discovery; soap rewrites the body of each SOAP answer, doc the provisioning document, sync each SyncML answer.
	policy          string
	soap, doc, sync func(string) string
	// raw writes an answer in another way than with Content-Length.
	raw func(w http.ResponseWriter, body string)
	// validity is that of certificates; publicKey replaces the key that is certified.
	validity  time.Duration
	publicKey *rsa.PublicKey
	// demand is the status that a message without a good digest gets; 0: none is asked for.
	demand int

	mu       sync.Mutex
	csr      *x509.CertificateRequest
	security string // header of the last enrolment
	issued   []*x509.Certificate
	nonces   int
	queue    []string // bodies of SyncML answers, one for each message
	heard    []message
	notice   windows.Notifications
}

// message is what a PC sent in a session.
type message struct {
	SessionID string   `xml:"SyncHdr>SessionID"`
	MsgID     string   `xml:"SyncHdr>MsgID"`
	Source    string   `xml:"SyncHdr>Source>LocURI"`
	Cred      string   `xml:"SyncHdr>Cred>Data"`
	Statuses  []status `xml:"SyncBody>Status"`
	Results   []result `xml:"SyncBody>Results"`
	Alerts    []struct {
		Data string
		Type string `xml:"Item>Meta>Type"`
		Item string `xml:"Item>Data"`
	} `xml:"SyncBody>Alert"`
	Replace struct{ CmdID string } `xml:"SyncBody>Replace"`
	Final   *struct{}              `xml:"SyncBody>Final"`

	header      http.Header
	certificate *x509.Certificate
	signer      *x509.Certificate
}

type status struct {
	CmdID, MsgRef, CmdRef, Cmd string
	Data                       struct {
		Code  int    `xml:",chardata"`
		Error string `xml:"originalerror,attr"`
	}
}

type result struct {
	CmdID, MsgRef, CmdRef string
	LocURI                string    `xml:"Item>Source>LocURI"`
	Format                string    `xml:"Item>Meta>Format"`
	Size                  int       `xml:"Item>Meta>Size"`
	Data                  string    `xml:"Item>Data"`
	MoreData              *struct{} `xml:"Item>MoreData"`
}

func same(text string) string { return text }

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{
		t: t, ca: pki.NewIdentityCA(t, "wstep 1"), web: pki.NewCA(t, "web"), policy: "OnPremise",
		soap: same, doc: same, sync: same, validity: 24 * time.Hour, demand: 407,
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/EnrollmentServer/Discovery.svc", s.discover)
	mux.HandleFunc("POST /policy", func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, policyReply) })
	mux.HandleFunc("POST /enroll", s.enrol)
	mux.HandleFunc("POST /management", s.manage)
	mux.HandleFunc("POST /api/fleet/orbit/{call}", s.agent)
	s.Server = httptest.NewUnstartedServer(mux)
	s.TLS = tlsConfig(s.web.Issue(t, pki.Leaf{CN: "server", Names: []string{"127.0.0.1"}}))
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func (s *server) pc(change func(*windows.Options)) *windows.PC {
	s.t.Helper()
	opts := windows.Options{Hardware: windows.Laptop("PC", 1), Roots: s.web.Pool(), Key: keys.Key, After: atOnce}
	if change != nil {
		change(&opts)
	}
	pc, err := windows.New(opts)
	fatal(s.t, err)
	return pc
}

// enrolled is a PC that is enrolled by a password.
func (s *server) enrolled(change func(*windows.Options)) *windows.PC {
	s.t.Helper()
	pc := s.pc(change)
	fatal(s.t, pc.EnrollWithPassword(s.t.Context(), s.URL, "ada@example.test", "TOKEN"))
	return pc
}

func atOnce(time.Duration) <-chan time.Time {
	c := make(chan time.Time, 1)
	c <- time.Time{}
	return c
}

// write writes a body with its length, unless the test wants it otherwise.
func (s *server) write(w http.ResponseWriter, contentType, body string) {
	w.Header().Set("Content-Type", contentType)
	if s.raw != nil {
		s.raw(w, body)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = io.WriteString(w, body)
}

// answer is a SOAP answer to a request.
func (s *server) answer(w http.ResponseWriter, r *http.Request, body string) {
	request, err := io.ReadAll(r.Body)
	check(s.t, err)
	var envelope struct {
		Action    string `xml:"Header>Action"`
		MessageID string `xml:"Header>MessageID"`
	}
	check(s.t, xml.Unmarshal(request, &envelope))
	action := envelope.Action + "Response"
	if strings.HasSuffix(envelope.Action, "/RST/wstep") {
		action = strings.Replace(envelope.Action, "RST/", "RSTRC/", 1)
	}
	s.write(w, "application/soap+xml; charset=utf-8", s.soap(fmt.Sprintf(
		`<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing"><s:Header><a:Action s:mustUnderstand="1">%s</a:Action><a:RelatesTo>%s</a:RelatesTo></s:Header><s:Body>%s</s:Body></s:Envelope>`,
		action, envelope.MessageID, body)))
}

func (s *server) discover(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		w.Header().Set("Content-Length", "0")
		return
	}
	page := ""
	if s.policy == "Federated" {
		page = "<AuthenticationServiceUrl>" + s.URL + "/signin?tenant=1</AuthenticationServiceUrl>"
	}
	s.answer(w, r, fmt.Sprintf(`<DiscoverResponse xmlns="http://schemas.microsoft.com/windows/management/2012/01/enrollment"><DiscoverResult><AuthPolicy>%s</AuthPolicy><EnrollmentVersion>4.0</EnrollmentVersion><EnrollmentPolicyServiceUrl>%s/policy</EnrollmentPolicyServiceUrl><EnrollmentServiceUrl>%[2]s/enroll</EnrollmentServiceUrl>%s</DiscoverResult></DiscoverResponse>`, s.policy, s.URL, page))
}

const policyReply = `<GetPoliciesResponse xmlns="http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy"><response><policies><policy><policyOIDReference>0</policyOIDReference><attributes><policySchema>3</policySchema><certificateValidity><validityPeriodSeconds>31536000</validityPeriodSeconds><renewalPeriodSeconds>3628800</renewalPeriodSeconds></certificateValidity><permission><enroll>true</enroll><autoEnroll>false</autoEnroll></permission><privateKeyAttributes><minimalKeyLength>2048</minimalKeyLength></privateKeyAttributes><hashAlgorithmOIDReference>1</hashAlgorithmOIDReference></attributes></policy></policies></response><oIDs><oID><value>2.16.840.1.101.3.4.2.1</value><group>1</group><oIDReferenceID>1</oIDReferenceID><defaultName>SHA256</defaultName></oID></oIDs></GetPoliciesResponse>`

// enrol certifies what a request asks for, a renewal if it is signed by what was issued last.
func (s *server) enrol(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	check(s.t, err)
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	var request struct {
		Security struct {
			Text string `xml:",innerxml"`
		} `xml:"Header>Security"`
		Type  string `xml:"Body>RequestSecurityToken>RequestType"`
		Token string `xml:"Body>RequestSecurityToken>BinarySecurityToken"`
	}
	check(s.t, xml.Unmarshal(body, &request))
	der, err := base64.StdEncoding.DecodeString(request.Token)
	check(s.t, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.security = request.Security.Text
	renewal := strings.HasSuffix(request.Type, "/Renew")
	if renewal {
		signed, err := pkcs7.Parse(der)
		check(s.t, err)
		check(s.t, signed.Verify())
		if !signed.GetOnlySigner().Equal(s.issued[len(s.issued)-1]) {
			s.answer(w, r, `<s:fault><s:code><s:value>s:receiver</s:value><s:subcode><s:value>s:authorization</s:value></s:subcode></s:code><s:reason><s:text xml:lang="en-us">another signer</s:text></s:reason><s:detail><deviceenrollmentserviceerror xmlns="http://schemas.microsoft.com/windows/pki/2009/01/enrollment"><errortype>NotEligibleToRenew</errortype><traceid>T1</traceid></deviceenrollmentserviceerror></s:detail></s:fault>`)
			return
		}
		der = signed.Content
	}
	doc := s.doc(s.provisioning(s.issue(der), renewal))
	s.answer(w, r, `<RequestSecurityTokenResponseCollection xmlns="http://docs.oasis-open.org/ws-sx/ws-trust/200512"><RequestSecurityTokenResponse><TokenType>http://schemas.microsoft.com/5.0.0.0/ConfigurationManager/Enrollment/DeviceEnrollmentToken</TokenType><DispositionMessage xmlns="http://schemas.microsoft.com/windows/pki/2009/01/enrollment"/><RequestedSecurityToken><BinarySecurityToken ValueType="http://schemas.microsoft.com/5.0.0.0/ConfigurationManager/Enrollment/DeviceEnrollmentProvisionDoc" EncodingType="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd#base64binary" xmlns="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd">`+
		base64.StdEncoding.EncodeToString([]byte(doc))+`</BinarySecurityToken></RequestedSecurityToken><RequestID xmlns="http://schemas.microsoft.com/windows/pki/2009/01/enrollment">0</RequestID></RequestSecurityTokenResponse></RequestSecurityTokenResponseCollection>`)
}

// issue certifies the key of a PKCS#10 request, whose name Go's parser may not like.
func (s *server) issue(der []byte) *x509.Certificate {
	s.csr = parseCSR(s.t, der)
	public := s.csr.PublicKey
	if s.publicKey != nil {
		public = s.publicKey
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(len(s.issued) + 1)), Subject: pkix.Name{CommonName: user, Organization: []string{"Test"}},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(s.validity), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	issued, err := x509.CreateCertificate(rand.Reader, template, s.ca.Cert, public, s.ca.Key)
	check(s.t, err)
	certificate, err := x509.ParseCertificate(issued)
	check(s.t, err)
	s.issued = append(s.issued, certificate)
	return certificate
}

func (s *server) provisioning(certificate *x509.Certificate, renewal bool) string {
	own := fmt.Sprintf(`<characteristic type="My"><characteristic type="User"><characteristic type="%s"><parm name="EncodedCertificate" value="%s"/><characteristic type="PrivateKeyContainer"/></characteristic></characteristic>`, thumbprint(certificate), base64.StdEncoding.EncodeToString(certificate.Raw))
	if renewal {
		return `<wap-provisioningdoc version="1.1"><characteristic type="CertificateStore">` + own + `</characteristic></characteristic><characteristic type="APPLICATION"><parm name="PROVIDER-ID" value="Test"/></characteristic></wap-provisioningdoc>`
	}
	return fmt.Sprintf(provisioningDoc, thumbprint(s.ca.Cert), base64.StdEncoding.EncodeToString(s.ca.Cert.Raw), own, s.URL,
		user, secret, base64.StdEncoding.EncodeToString([]byte(firstNonce)))
}

const provisioningDoc = `<wap-provisioningdoc version="1.1"><characteristic type="CertificateStore"><characteristic type="Root"><characteristic type="System"><characteristic type="%s"><parm name="EncodedCertificate" value="%s"/></characteristic></characteristic></characteristic>%s<characteristic type="WSTEP"><characteristic type="Renew"><parm name="ROBOSupport" value="true" datatype="boolean"/><parm name="RenewPeriod" value="42" datatype="integer"/><parm name="RetryInterval" value="7" datatype="integer"/></characteristic></characteristic></characteristic></characteristic><characteristic type="APPLICATION"><parm name="APPID" value="w7"/><parm name="PROVIDER-ID" value="Test"/><parm name="NAME" value="Test"/><parm name="ADDR" value="%s/management"/><parm name="CONNRETRYFREQ" value="2"/><parm name="INITIALBACKOFFTIME" value="30000"/><parm name="MAXBACKOFFTIME" value="120000"/><parm name="BACKCOMPATRETRYDISABLED"/><parm name="DEFAULTENCODING" value="application/vnd.syncml.dm+xml"/><parm name="SSLCLIENTCERTSEARCHCRITERIA" value="Subject=CN%%3d%[5]s&amp;Stores=My%%5CUser"/><characteristic type="APPAUTH"><parm name="AAUTHLEVEL" value="CLIENT"/><parm name="AAUTHTYPE" value="DIGEST"/><parm name="AAUTHSECRET" value="x"/><parm name="AAUTHDATA" value="bm9uY2U="/></characteristic><characteristic type="APPAUTH"><parm name="AAUTHLEVEL" value="APPSRV"/><parm name="AAUTHTYPE" value="DIGEST"/><parm name="AAUTHNAME" value="%[5]s"/><parm name="AAUTHSECRET" value="%[6]s"/><parm name="AAUTHDATA" value="%[7]s"/></characteristic></characteristic><characteristic type="DMClient"><characteristic type="Provider"><characteristic type="Test"><parm name="EntDMID" value="%[5]s" datatype="string"/><characteristic type="Poll"><parm name="NumberOfFirstRetries" value="2" datatype="integer"/><parm name="IntervalForFirstSetOfRetries" value="3" datatype="integer"/><parm name="NumberOfSecondRetries" value="1" datatype="integer"/><parm name="IntervalForSecondSetOfRetries" value="60" datatype="integer"/><parm name="NumberOfRemainingScheduledRetries" value="0" datatype="integer"/><parm name="IntervalForRemainingScheduledRetries" value="480" datatype="integer"/><parm name="PollOnLogin" value="true" datatype="boolean"/></characteristic></characteristic></characteristic></characteristic></wap-provisioningdoc>`

func thumbprint(certificate *x509.Certificate) string {
	sum := sha1.Sum(certificate.Raw)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// agent gives every agent the same node key.
func (s *server) agent(w http.ResponseWriter, r *http.Request) {
	var question map[string]string
	check(s.t, json.NewDecoder(r.Body).Decode(&question))
	s.mu.Lock()
	defer s.mu.Unlock()
	var answer any = map[string]any{"notifications": s.notice}
	switch {
	case r.PathValue("call") == "enroll" && question["enroll_secret"] == "SECRET":
		answer = map[string]string{"orbit_node_key": "NODE-KEY"}
	case question["orbit_node_key"] != "NODE-KEY":
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	body, err := json.Marshal(answer)
	check(s.t, err)
	s.write(w, "application/json", string(body))
}
