package ade

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"time"

	depclient "github.com/micromdm/nanodep/client"
)

const (
	// maxBody bounds an answer in bytes. A page of a thousand devices has less than one million.
	maxBody = 32 << 20
	// maxHeader bounds the header of an answer in bytes.
	maxHeader = 64 << 10
	// protocol is the X-Server-Protocol-Version from which on Apple says how long to wait with devices whose assignment it throttles
	// (https://developer.apple.com/documentation/devicemanagement/assign-profile); nanodep's own is 7.
	protocol = "10"
)

var errTooLong = errors.New("the answer is too long")

// exchange is the last answer in a call. A call has up to three: nanodep renews the session on the way.
type exchange struct {
	status int
	header http.Header
	body   []byte
	path   string
	// session is the secret that the call was made with.
	session string
}

type exchangeKey struct{}

// transport sends one request of nanodep. It reads the whole answer within bounds, since nanodep has none, and keeps it for the error that is made of
// it, since those of nanodep have no headers.
type transport struct{ next http.RoundTripper }

// newHTTPClient returns a client that follows no redirect: it would take the session to another host.
func newHTTPClient(roots *x509.CertPool) *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: transport{&http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
			MaxIdleConns: 1, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 20 * time.Second, MaxResponseHeaderBytes: maxHeader,
		}},
	}
}

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	last, _ := req.Context().Value(exchangeKey{}).(*exchange)
	*last = exchange{path: req.URL.Path, session: req.Header.Get(depclient.ADMAuthSession)}
	sent := req.Clone(req.Context())
	sent.Header.Set(depclient.ServerProtocolVersion, protocol)
	res, err := t.next.RoundTrip(sent)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, err
	case len(body) > maxBody:
		return nil, errTooLong
	}
	last.status, last.header, last.body = res.StatusCode, res.Header, body
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}

// credentials are what nanodep asks for at each call.
type credentials struct {
	tokens  depclient.OAuth1Tokens
	baseURL string
}

// RetrieveAuthTokens implements nanodep's AuthTokensRetriever.
func (c *credentials) RetrieveAuthTokens(context.Context, string) (*depclient.OAuth1Tokens, error) {
	return &c.tokens, nil
}

// RetrieveConfig implements nanodep's ConfigRetriever.
func (c *credentials) RetrieveConfig(context.Context, string) (*depclient.Config, error) {
	return &depclient.Config{BaseURL: c.baseURL}, nil
}
