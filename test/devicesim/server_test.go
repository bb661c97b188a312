package devicesim_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/micromdm/plist"
	"github.com/smallstep/pkcs7"
	"github.com/smallstep/scep"

	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/pki"
)

const topic = "com.apple.mgmt.External.00000000-0000-4000-8000-000000000001"

// keys are shared by all tests: making them is what takes time.
var keys = devicesim.NewKeyPool(3)

// server is the least MDM server that a device accepts: one challenge that is good for ever, a queue for each channel, no checks.
type server struct {
	*httptest.Server
	ca *pki.CA
	// profile builds the enrolment profile; tests spoil it.
	profile func() []byte
	// statuses answers a MessageType or "command" with another status than 200.
	statuses map[string]int
	// replies answers a MessageType.
	replies map[string]any
	// caps is the answer to GetCACaps; forge changes a SCEP request or the certificate before the reply is made.
	caps  string
	forge func(request *scep.PKIMessage, certificate *x509.Certificate)

	mu       sync.Mutex
	serial   int64
	issued   []*x509.Certificate
	queue    map[string][][]byte // by channel id
	heard    []string            // MessageType or Status, in order
	messages []message
}

// message is what a device sent, with the certificate that signed it.
type message struct {
	MessageType, Status, CommandUUID          string
	UDID, UserID, UserShortName               string
	EnrollmentID, EnrollmentUserID            string
	SerialNumber, Model, OSVersion, Topic     string
	PushMagic                                 string
	AwaitingConfiguration                     *bool
	Token, UnlockToken, BootstrapToken        []byte
	ErrorChain                                []struct{ ErrorDomain, LocalizedDescription string }
	QueryResponses, SecurityInfo              map[string]any
	ProfileList                               []struct{ PayloadIdentifier string }
	CertificateList, InstalledApplicationList []map[string]any

	signer      *x509.Certificate
	contentType string
}

func (m message) channel() string {
	return strings.Trim(m.UDID+m.EnrollmentID+":"+m.UserID+m.EnrollmentUserID, ":")
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{
		ca: pki.NewIdentityCA(t, "devices"), caps: "AES\nSHA-256\nPOSTPKIOperation\n",
		statuses: map[string]int{}, replies: map[string]any{}, queue: map[string][][]byte{},
		forge: func(*scep.PKIMessage, *x509.Certificate) {},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /enroll", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-apple-aspen-config")
		_, _ = w.Write(s.profile())
	})
	mux.HandleFunc("/scep", func(w http.ResponseWriter, r *http.Request) { s.scep(t, w, r) })
	mux.HandleFunc("PUT /mdm", func(w http.ResponseWriter, r *http.Request) { s.mdm(t, w, r) })
	s.Server = httptest.NewTLSServer(mux)
	t.Cleanup(s.Close)
	s.profile = func() []byte { return s.enrolment(nil) }
	return s
}

func (s *server) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return pool
}

// enrolment is a good enrolment profile, changed by spoil.
func (s *server) enrolment(spoil func(mdm, scep map[string]any)) []byte {
	mdm := map[string]any{
		"PayloadType": "com.apple.mdm", "PayloadVersion": 1, "PayloadIdentifier": "test.mdm", "PayloadUUID": "M",
		"ServerURL": s.URL + "/mdm", "CheckInURL": s.URL + "/mdm", "Topic": topic, "AccessRights": 8191,
		"IdentityCertificateUUID": "S", "SignMessage": true, "CheckOutWhenRemoved": true,
		"ServerCapabilities": []string{"com.apple.mdm.per-user-connections", "com.apple.mdm.bootstraptoken"},
	}
	content := map[string]any{
		"URL": s.URL + "/scep", "Challenge": "secret", "Key Type": "RSA", "Keysize": 2048, "Retries": 2, "RetryDelay": 5,
		"Subject": [][][]string{{{"O", "Test"}}, {{"CN", "device"}}},
	}
	if spoil != nil {
		spoil(mdm, content)
	}
	return encode(map[string]any{
		"PayloadType": "Configuration", "PayloadVersion": 1, "PayloadIdentifier": "test.enrol", "PayloadUUID": "E",
		"PayloadContent": []map[string]any{mdm, {
			"PayloadType": "com.apple.security.scep", "PayloadVersion": 1, "PayloadIdentifier": "test.scep", "PayloadUUID": "S", "PayloadContent": content,
		}},
	})
}

// sign signs a profile with the server's certificate.
func (s *server) sign(t *testing.T, content []byte) []byte {
	t.Helper()
	signed, err := pkcs7.NewSignedData(content)
	check(t, err)
	check(t, signed.AddSigner(s.Certificate(), s.TLS.Certificates[0].PrivateKey, pkcs7.SignerInfoConfig{}))
	der, err := signed.Finish()
	check(t, err)
	return der
}

func (s *server) scep(t *testing.T, w http.ResponseWriter, r *http.Request) {
	switch r.URL.Query().Get("operation") {
	case "GetCACaps":
		_, _ = io.WriteString(w, s.caps)
	case "GetCACert":
		w.Header().Set("Content-Type", "application/x-x509-ca-cert")
		_, _ = w.Write(s.ca.Cert.Raw)
	default:
		body, err := io.ReadAll(r.Body)
		if r.Method == http.MethodGet {
			body, err = base64.StdEncoding.DecodeString(r.URL.Query().Get("message"))
		}
		check(t, err)
		w.Header().Set("Content-Type", "application/x-pki-message")
		_, _ = w.Write(s.issue(t, body))
	}
}

func (s *server) issue(t *testing.T, body []byte) []byte {
	request, err := scep.ParsePKIMessage(body)
	check(t, err)
	check(t, request.DecryptPKIEnvelope(s.ca.Cert, s.ca.Key))
	if request.ChallengePassword != "secret" {
		reply, err := request.Fail(s.ca.Cert, s.ca.Key, scep.BadRequest)
		check(t, err)
		return reply.Raw
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(s.serial), Subject: request.CSR.Subject, PublicKey: request.CSR.PublicKey,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	s.forge(request, template)
	der, err := x509.CreateCertificate(rand.Reader, template, s.ca.Cert, template.PublicKey, s.ca.Key)
	check(t, err)
	certificate, err := x509.ParseCertificate(der)
	check(t, err)
	s.issued = append(s.issued, certificate)
	reply, err := request.Success(s.ca.Cert, s.ca.Key, certificate)
	check(t, err)
	return reply.Raw
}

func (s *server) mdm(t *testing.T, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	check(t, err)
	m := message{contentType: r.Header.Get("Content-Type"), signer: s.verify(t, r.Header.Get("Mdm-Signature"), body)}
	check(t, plist.Unmarshal(body, &m))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages, m)
	s.heard = append(s.heard, m.MessageType+m.Status)
	endpoint := m.MessageType
	if endpoint == "" {
		endpoint = "command"
	}
	if status := s.statuses[endpoint]; status != 0 {
		w.WriteHeader(status)
		return
	}
	if reply := s.replies[endpoint]; reply != nil {
		_, _ = w.Write(encode(reply))
	}
	if endpoint == "command" {
		_, _ = w.Write(s.next(m))
	}
}

// next takes the answered command out of the channel's queue and returns the next one; after NotNow there is none until Idle.
func (s *server) next(m message) []byte {
	queue := s.queue[m.channel()]
	if m.Status == "NotNow" {
		return nil
	}
	if m.Status != "Idle" && len(queue) > 0 && bytes.Contains(queue[0], []byte(">"+m.CommandUUID+"<")) {
		queue = queue[1:]
		s.queue[m.channel()] = queue
	}
	if len(queue) == 0 {
		return nil
	}
	return queue[0]
}

func (s *server) verify(t *testing.T, header string, body []byte) *x509.Certificate {
	der, err := base64.StdEncoding.DecodeString(header)
	check(t, err)
	signature, err := pkcs7.Parse(der)
	check(t, err)
	if len(signature.Content) != 0 {
		t.Error("the signature of a message is not detached")
	}
	signature.Content = body
	pool := x509.NewCertPool()
	pool.AddCert(s.ca.Cert)
	check(t, signature.VerifyWithChain(pool))
	return signature.GetOnlySigner()
}

// enqueue puts a command into the queue of a channel and returns its CommandUUID.
func (s *server) enqueue(channel, requestType string, fields map[string]any) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	id := fmt.Sprintf("command-%d", s.serial)
	command := map[string]any{"RequestType": requestType}
	for key, value := range fields {
		command[key] = value
	}
	s.queue[channel] = append(s.queue[channel], encode(map[string]any{"CommandUUID": id, "Command": command}))
	return id
}

// last returns the newest message with this MessageType or, for the command endpoint, this Status.
func (s *server) last(t *testing.T, kind string) message {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.messages) - 1; i >= 0; i-- {
		if m := s.messages[i]; m.MessageType+m.Status == kind {
			return m
		}
	}
	t.Fatalf("no %s came, only %v", kind, s.heard)
	return message{}
}

// hears returns what came since the last call, joined by blanks.
func (s *server) hears() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	heard := strings.Join(s.heard, " ")
	s.heard = nil
	return heard
}

func encode(v any) []byte {
	data, err := plist.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}
