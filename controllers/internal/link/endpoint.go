package link

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

const (
	// pollWait is how long a server may hold a poll when nothing happens; callTimeout bounds any call.
	pollWait    = 50 * time.Second
	callTimeout = pollWait + 20*time.Second
	// pingAfter and pingTimeout find out that a connection on which nothing moves is dead.
	pingAfter   = 15 * time.Second
	pingTimeout = 10 * time.Second
)

// Endpoint says how to reach one server's internal API.
type Endpoint struct {
	// URL is the base, such as https://mdm-admin.fleet.svc:9443.
	URL string
	// Cert and Key are the client's pair and CA the issuer of the server's certificate, all PEM.
	Cert, Key, CA []byte
}

// DialFunc opens the connection to a server.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// dialer is the usual one where none is given.
func dialer(given DialFunc) DialFunc {
	if given != nil {
		return given
	}
	return (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext
}

func (e Endpoint) equal(other Endpoint) bool {
	return e.URL == other.URL && bytes.Equal(e.Cert, other.Cert) && bytes.Equal(e.Key, other.Key) && bytes.Equal(e.CA, other.CA)
}

// to is the dialer that connects to an address whatever it is asked for: one of several servers that have the endpoint's name in common.
func (d DialFunc) to(address string) DialFunc {
	return func(ctx context.Context, network, _ string) (net.Conn, error) { return d(ctx, network, address) }
}

func (e Endpoint) client(dial DialFunc) (*http.Client, error) {
	pair, err := tls.X509KeyPair(e.Cert, e.Key)
	if err != nil {
		return nil, fmt.Errorf("reading the client certificate: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(e.CA) {
		return nil, errors.New("the CA of the internal API holds no certificate")
	}
	return &http.Client{Timeout: callTimeout, Transport: &http.Transport{
		DialContext:         dial,
		TLSClientConfig:     &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, MinVersion: tls.VersionTLS13},
		TLSHandshakeTimeout: 10 * time.Second,
		ForceAttemptHTTP2:   true,
		HTTP2:               &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		IdleConnTimeout:     2 * callTimeout,
	}}, nil
}
