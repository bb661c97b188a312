package push

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

const (
	// expiration is how long Apple keeps a push for a device that is offline. Without it a push to a sleeping device is lost.
	expiration = 7 * 24 * time.Hour
	// pushTimeout bounds one push, maxAnswer its answer in bytes.
	pushTimeout = 20 * time.Second
	maxAnswer   = 4096
	// tries is how often a push is sent when its connection ends under it, as Apple's do from time to time.
	tries = 2
	// Pings find out that a connection died silently, as it does behind a firewall that forgets it.
	pingAfter   = 2 * time.Minute
	pingTimeout = 15 * time.Second
	// diagnoseTimeout bounds the search for why a connection failed.
	diagnoseTimeout = 5 * time.Second
)

// Certificates gives the push certificate in use.
type Certificates interface {
	// Push returns the certificate and its topic; ok is false while there is none.
	Push() (cert *tls.Certificate, topic string, ok bool)
	PushChanged() <-chan struct{}
}

// APNs is Apple's push service for MDM over HTTP/2 with a client certificate ("Sending notification requests to APNs", Apple
// Developer Documentation).
type APNs struct {
	url   *url.URL
	roots *x509.CertPool
	certs Certificates
	now   func() time.Time

	mu     sync.Mutex
	cert   *tls.Certificate
	client *client

	diagnosing sync.Mutex
}

// NewAPNs returns the client of a service, such as https://api.push.apple.com. roots verify its certificate; nil means the system's.
func NewAPNs(service *url.URL, roots *x509.CertPool, certs Certificates, now func() time.Time) *APNs {
	return &APNs{url: service, roots: roots, certs: certs, now: now}
}

// Changed tells of another push certificate.
func (a *APNs) Changed() <-chan struct{} { return a.certs.PushChanged() }

// Ready says whether there is a certificate that Apple can accept.
func (a *APNs) Ready() *Problem {
	cert, _, ok := a.certs.Push()
	if !ok {
		return &Problem{Reason: ReasonNoCertificate, Pauses: true, Message: "there is no push certificate: set spec.apple.apnsCertificateRef of the MDMServer to an APNSCertificate that is Ready"}
	}
	if a.now().After(cert.Leaf.NotAfter) {
		return &Problem{Reason: ReasonCertificateExpired, Pauses: true,
			Message: "the push certificate expired at " + cert.Leaf.NotAfter.Format(time.RFC3339) + ": renew it at identity.apple.com with the same Apple ID"}
	}
	return nil
}

// Push asks Apple to wake one channel.
func (a *APNs) Push(ctx context.Context, w fleet.Wake) Answer {
	cert, topic, ok := a.certs.Push()
	if !ok {
		return Answer{Outcome: fleet.WakeRetry, Problem: a.Ready()}
	}
	if w.Topic != topic {
		return Answer{Outcome: fleet.WakeRetry, Problem: &Problem{Reason: ReasonTopicMismatch,
			Message: fmt.Sprintf("there are devices that enrolled with the topic %s, and the push certificate has %s: use a certificate renewed with the same Apple ID, or enrol these devices again", w.Topic, topic)}}
	}
	ctx, cancel := context.WithTimeout(ctx, pushTimeout)
	defer cancel()
	client := a.clientFor(cert)
	failures := client.key.failures()
	var failure error
	for range tries {
		req, err := a.request(ctx, w)
		if err != nil {
			return Answer{Outcome: fleet.WakeRejected}
		}
		res, err := client.Do(req)
		if err == nil {
			defer res.Body.Close()
			return answerOf(res.StatusCode, readReason(res.Body))
		}
		failure = err
		if err := client.key.failedSince(failures); err != nil {
			return Answer{Outcome: fleet.WakeRetry, Problem: keyProblem(err)}
		}
	}
	return Answer{Outcome: fleet.WakeRetry, Problem: a.diagnose(ctx, client.cert, failure)}
}

// request makes a request that net/http cannot send again by itself: it answers GOAWAY with new connections without end.
func (a *APNs) request(ctx context.Context, w fleet.Wake) (*http.Request, error) {
	body, err := json.Marshal(map[string]string{"mdm": w.Magic})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url.JoinPath("3/device", hex.EncodeToString(w.Token)).String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.GetBody = nil
	req.Header.Set("apns-topic", w.Topic)
	req.Header.Set("apns-push-type", "mdm")
	req.Header.Set("apns-priority", "10")
	req.Header.Set("apns-expiration", strconv.FormatInt(a.now().Add(expiration).Unix(), 10))
	return req, nil
}

// client presents a certificate.
type client struct {
	*http.Client
	// cert is the certificate with key in the place of its private key.
	cert *tls.Certificate
	key  *signer
}

// clientFor returns a client that presents cert. Pushes that are under way with an earlier certificate end on their own connection.
func (a *APNs) clientFor(cert *tls.Certificate) *client {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.cert == cert {
		return a.client
	}
	if a.client != nil {
		defer a.client.CloseIdleConnections()
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	presented, key := watched(cert)
	a.cert, a.client = cert, &client{cert: presented, key: key, Client: &http.Client{Transport: &http.Transport{
		Proxy:     http.ProxyFromEnvironment,
		Protocols: protocols,
		// Apple wants few connections that stay open; one carries many pushes at once.
		MaxConnsPerHost: 1,
		HTTP2:           &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		TLSClientConfig: a.tlsConfig(presented),
	}}}
	return a.client
}

func (a *APNs) tlsConfig(cert *tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		RootCAs:    a.roots,
		// Unlike Certificates, this presents the certificate even if the service does not list its issuer.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil },
	}
}

// diagnose finds out whether a push failed because a certificate was refused. In TLS 1.3 a server refuses the client's certificate after
// the client has begun to send, and a failed write often hides the refusal; so a connection is made that only listens.
func (a *APNs) diagnose(ctx context.Context, cert *tls.Certificate, failure error) *Problem {
	if problem := problemOf(failure); problem != nil || !a.diagnosing.TryLock() {
		return problem
	}
	defer a.diagnosing.Unlock()
	ctx, cancel := context.WithTimeout(ctx, diagnoseTimeout)
	defer cancel()
	config := a.tlsConfig(cert)
	config.NextProtos = []string{"h2"}
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", a.address())
	if err != nil {
		return problemOf(err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	_, err = conn.Read(make([]byte, 1))
	return problemOf(err)
}

// address is the host and port of the service's URL.
func (a *APNs) address() string {
	host, port := a.url.Hostname(), a.url.Port()
	if port == "" {
		port = "443"
	}
	return net.JoinHostPort(host, port)
}

// reason is the body of an answer that is not 200.
type reason struct {
	Reason string `json:"reason"`
	// Timestamp is in milliseconds since 1970.
	Timestamp int64 `json:"timestamp"`
}

// readReason returns what it can: an unreadable body is an unknown reason.
func readReason(body io.Reader) reason {
	var r reason
	b, err := io.ReadAll(io.LimitReader(body, maxAnswer))
	if err != nil || json.Unmarshal(b, &r) != nil {
		return reason{}
	}
	return r
}
