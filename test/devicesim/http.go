package devicesim

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Media types of the protocol.
const (
	typeProfile = "application/x-apple-aspen-config"
	typeCheckIn = "application/x-apple-aspen-mdm-checkin"
	typeCommand = "application/x-apple-aspen-mdm"
)

const (
	userAgent = "MDM/1.0"
	// signatureHeader carries the signature of a message.
	signatureHeader = "Mdm-Signature"
	// maxReply is far above any command: a longer reply is the server's mistake.
	maxReply       = 32 << 20
	requestTimeout = time.Minute
)

// StatusError is an HTTP answer other than 200.
type StatusError struct {
	// Endpoint is what was asked: a check-in's MessageType, "command", "SCEP" or "enrolment profile".
	Endpoint string
	Code     int
}

// Error names the endpoint and the status.
func (e *StatusError) Error() string {
	return fmt.Sprintf("%s answered %d %s", e.Endpoint, e.Code, http.StatusText(e.Code))
}

// temporary says whether a device sends the same message again.
func temporary(err error) bool {
	var status *StatusError
	if errors.As(err, &status) {
		return status.Code >= http.StatusInternalServerError || status.Code == http.StatusTooManyRequests
	}
	return !errors.Is(err, context.Canceled)
}

// NewClient returns the client of a device that trusts these roots (nil: the system's). Devices may share it.
func NewClient(roots *x509.CertPool) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	transport.MaxIdleConnsPerHost = 64
	return &http.Client{Transport: transport, Timeout: requestTimeout}
}

func roundTrip(client *http.Client, request *http.Request) (status int, body []byte, header http.Header, err error) {
	request.Header.Set("User-Agent", userAgent)
	r, err := exchange(client, request)
	if err != nil {
		return 0, nil, nil, err
	}
	return r.status, r.body, r.header, nil
}

// httpReply is what came of a request; url is where it came from after redirects.
type httpReply struct {
	status int
	body   []byte
	header http.Header
	url    *url.URL
}

func exchange(client *http.Client, request *http.Request) (*httpReply, error) {
	response, err := client.Do(request)
	if failed := new(url.Error); errors.As(err, &failed) {
		err = failed.Err // the URL may hold a token
	}
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxReply+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxReply {
		return nil, fmt.Errorf("the reply is longer than %d bytes", maxReply)
	}
	return &httpReply{status: response.StatusCode, body: body, header: response.Header, url: response.Request.URL}, nil
}

// ErrNetwork is what a device sees of a request or reply that Network lost.
var ErrNetwork = errors.New("the network failed")

// Loss says at which end of a request the network fails.
type Loss int

// The losses: before the server saw the request, or after it handled it.
const (
	LoseRequest Loss = iota
	LoseReply
)

// Network is an http.RoundTripper between devices and a server that loses what it is told to. The zero value loses nothing.
type Network struct {
	// Next carries what is not lost.
	Next http.RoundTripper
	// Around, if it is set, carries what is not lost by way of next, which is Next or what Over was given: as often as it likes.
	Around func(request *http.Request, next http.RoundTripper) (*http.Response, error)

	mu      sync.Mutex
	every   int
	loss    Loss
	count   int
	pending []*expectedLoss
}

type expectedLoss struct {
	match func(*http.Request) bool
	loss  Loss
	times int
}

// LoseEvery loses each k-th request from now on; 0 ends that.
func (n *Network) LoseEvery(k int, loss Loss) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.every, n.loss, n.count = k, loss, 0
}

// LoseNext loses the next requests that match, as many as times.
func (n *Network) LoseNext(times int, loss Loss, match func(*http.Request) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pending = append(n.pending, &expectedLoss{match: match, loss: loss, times: times})
}

// RoundTrip implements http.RoundTripper. A loss is ErrNetwork.
func (n *Network) RoundTrip(request *http.Request) (*http.Response, error) {
	return n.carry(request, n.Next)
}

// Over returns a RoundTripper that loses what n is told to and has next carry the rest: for devices that share a network but no connections.
func (n *Network) Over(next http.RoundTripper) http.RoundTripper {
	return overNetwork{network: n, next: next}
}

type overNetwork struct {
	network *Network
	next    http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (o overNetwork) RoundTrip(request *http.Request) (*http.Response, error) {
	return o.network.carry(request, o.next)
}

func (n *Network) carry(request *http.Request, next http.RoundTripper) (*http.Response, error) {
	loss, lost := n.lose(request)
	if lost && loss == LoseRequest {
		return nil, ErrNetwork
	}
	carry := next.RoundTrip
	if n.Around != nil {
		carry = func(request *http.Request) (*http.Response, error) { return n.Around(request, next) }
	}
	response, err := carry(request)
	if lost && err == nil {
		_, err = io.Copy(io.Discard, response.Body)
		return nil, errors.Join(ErrNetwork, err, response.Body.Close())
	}
	return response, err
}

func (n *Network) lose(request *http.Request) (Loss, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.pending {
		if p.times > 0 && p.match(request) {
			p.times--
			return p.loss, true
		}
	}
	n.count++
	return n.loss, n.every > 0 && n.count%n.every == 0
}
