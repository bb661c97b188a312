package depfake

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"testing"
	"time"
)

// Server is a fake that runs.
type Server struct {
	*Fake
	URL   string
	CAPEM []byte
	Roots *x509.CertPool
}

// Start runs a fake on a loopback port until the test ends. Its server certificate is of a CA of its own.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	f, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ca, cert, err := Certificates("127.0.0.1", "localhost")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Serve(ctx, l, cert) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	return &Server{Fake: f, URL: "https://" + l.Addr().String(), CAPEM: ca, Roots: roots}
}

// Serve answers on l until ctx ends.
func (f *Fake) Serve(ctx context.Context, l net.Listener, cert tls.Certificate) error {
	s := &http.Server{Handler: f, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
