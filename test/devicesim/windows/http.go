package windows

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/kubemdm/kubemdm/test/devicesim"
)

const (
	// maxReply is far above any answer: a longer one is the server's mistake.
	maxReply       = 8 << 20
	requestTimeout = time.Minute
)

// Content types of the protocols.
const (
	typeSOAP   = "application/soap+xml"
	typeSyncML = "application/vnd.syncml.dm+xml"
	typeJSON   = "application/json"
)

// Message is one HTTP request as it is about to leave the PC. Forge functions change it.
type Message struct {
	Method string
	URL    string
	Header http.Header
	Body   []byte
	// Identity is the certificate that TLS presents if the server asks for one; nil: none.
	Identity *devicesim.Identity
}

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// HTTPError is an HTTP status that ends what the PC was doing.
type HTTPError struct {
	// Endpoint is what was asked: "discovery", "policy", "enrolment", "management" or "agent".
	Endpoint string
	Status   int
}

// Error names the endpoint, the status and the HRESULT by which Windows reports it.
func (e *HTTPError) Error() string {
	return fmt.Sprintf("%s answered %d %s (%#x)", e.Endpoint, e.Status, http.StatusText(e.Status), 0x80190000+e.Status)
}

// ErrMalformed is in every error about an answer that Windows would not take.
var ErrMalformed = errors.New("an answer that Windows refuses")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrMalformed, fmt.Errorf(format, args...))
}

// Send sends a message over a connection of its own and returns the answer if it has a form that Windows reads: with Content-Length, neither
// chunked nor compressed (MS-MDE2 section 3.1; Microsoft's enrolment guide says so three times).
func (pc *PC) Send(ctx context.Context, m Message) (*Answer, error) {
	l := &line{pc: pc}
	defer l.hangUp()
	return l.send(ctx, m)
}

// line keeps a connection open from message to message while the identity is the same.
type line struct {
	pc        *PC
	identity  *devicesim.Identity
	transport *http.Transport // nil before the first message
}

func (l *line) hangUp() {
	if l.transport != nil {
		l.transport.CloseIdleConnections()
	}
}

func (l *line) send(ctx context.Context, m Message) (*Answer, error) {
	if l.transport == nil || l.identity != m.Identity {
		l.hangUp()
		l.identity, l.transport = m.Identity, l.pc.transport(m.Identity)
	}
	request, err := http.NewRequestWithContext(ctx, m.Method, m.URL, strings.NewReader(string(m.Body)))
	if err != nil {
		return nil, fmt.Errorf("making request: %w", err)
	}
	request.Header = m.Header
	request.Header.Set("Accept-Encoding", "gzip, deflate")
	client := &http.Client{Transport: l.pc.opts.Network.Over(l.transport), Timeout: requestTimeout, CheckRedirect: toHTTPSOnly}
	response, err := client.Do(request)
	if failed := new(url.Error); errors.As(err, &failed) {
		err = failed.Err
	}
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if err := readable(response); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxReply+1))
	if err != nil {
		return nil, fmt.Errorf("reading answer: %w", err)
	}
	if len(body) > maxReply {
		return nil, malformed("it is longer than %d bytes", maxReply)
	}
	return &Answer{Status: response.StatusCode, Header: response.Header, Body: body}, nil
}

func toHTTPSOnly(next *http.Request, _ []*http.Request) error {
	if next.URL.Scheme != "https" {
		return errors.New("a redirect to plain HTTP (0x8018001a)")
	}
	return nil
}

func readable(response *http.Response) error {
	switch {
	case slices.Contains(response.TransferEncoding, "chunked"):
		return malformed("it is chunked")
	case response.ContentLength < 0:
		return malformed("it has no Content-Length")
	case response.Header.Get("Content-Encoding") != "":
		return malformed("it is compressed")
	}
	return nil
}

// hasType says whether the answer has this content type.
func (a *Answer) hasType(want string) bool {
	got, _, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
	return err == nil && got == want
}

// transport presents the identity if the server asks for a certificate of its issuer, as Schannel does.
func (pc *PC) transport(identity *devicesim.Identity) *http.Transport {
	config := &tls.Config{RootCAs: pc.opts.Roots, MinVersion: tls.VersionTLS12}
	config.GetClientCertificate = func(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		nothing := &tls.Certificate{}
		if identity == nil {
			return nothing, nil
		}
		certificate := &tls.Certificate{Certificate: [][]byte{identity.Certificate.Raw}, PrivateKey: identity.Key}
		if unwanted := asked.SupportsCertificate(certificate); unwanted != nil && len(asked.AcceptableCAs) > 0 {
			return nothing, nil
		}
		return certificate, nil
	}
	return &http.Transport{TLSClientConfig: config, DialContext: pc.opts.Dial, TLSHandshakeTimeout: requestTimeout}
}
