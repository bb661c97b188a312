package mdmserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

const (
	headerTimeout = 10 * time.Second
	// readTimeout bounds the reading of a request, writeTimeout also its answer; a long poll of the internal API takes up to 55 s.
	readTimeout  = time.Minute
	writeTimeout = 2 * time.Minute
	idleTimeout  = 2 * time.Minute
	// maxHeader is in bytes: Mdm-Signature carries a CMS message with the device's certificate, several KiB of it.
	maxHeader = 64 << 10
)

// listener is one HTTP server on one address.
type listener struct {
	net.Listener
	name   string
	server *http.Server
}

// listen binds the three listeners. An error leaves those open that were bound.
func (s *Server) listen(devices, admin http.Handler) error {
	adminTLS := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.adminTLS(), nil },
	}
	var err error
	if s.devices, err = s.bind("devices", s.cfg.Listen.Devices, s.deviceTLS(), s.observe("devices", s.directed(devices))); err != nil {
		return err
	}
	// A device asks for one thing at a time: HTTP/2 would give it nothing, cost twice as much for a poll, and let strangers in on its complexity.
	s.devices.server.Protocols = new(http.Protocols)
	s.devices.server.Protocols.SetHTTP1(true)
	if s.admin, err = s.bind("admin", s.cfg.Listen.Admin, adminTLS, s.observe("admin", admin)); err != nil {
		return err
	}
	s.health, err = s.bind("health", s.cfg.Listen.Health, nil, s.healthHandler())
	return err
}

// deviceTLS asks for a client's certificate on the management host only: elsewhere browsers would ask their users for one.
func (s *Server) deviceTLS() *tls.Config {
	config := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.creds.Serving(), nil },
	}
	if name := s.managementName(); name != "" {
		config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if serverconfig.DNSName(hello.ServerName) != name {
				return nil, nil
			}
			return s.managementTLS(config), nil
		}
	}
	return config
}

// managementTLS is made for each connection, so that a new generation of the CA counts at once. A client without a certificate may prove itself
// otherwise, and what is shown is verified with each message. A ticket could carry over what was shown on another host, or nothing.
func (s *Server) managementTLS(base *tls.Config) *tls.Config {
	config := base.Clone()
	config.GetConfigForClient = nil
	config.NextProtos = []string{"http/1.1"}
	config.ClientAuth = tls.RequestClientCert
	config.SessionTicketsDisabled = true
	config.ClientCAs = x509.NewCertPool()
	for _, ca := range s.creds.WSTEPCAs() {
		config.ClientCAs.AddCert(ca.Cert)
	}
	return config
}

// managementName is the DNS name of the management host, "" if there is none of its own.
func (s *Server) managementName() string {
	if s.cfg.Windows == nil {
		return ""
	}
	return serverconfig.DNSName(s.cfg.Windows.ManagementHost)
}

// directed refuses a request for one of two hosts over a connection that was made to the other (RFC 9110, section 15.5.20): what was asked for in
// the handshake is not what that host asks for.
func (s *Server) directed(next http.Handler) http.Handler {
	hosts := []string{serverconfig.DNSName(s.cfg.Host), s.managementName()}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shaken, asked := serverconfig.DNSName(r.TLS.ServerName), serverconfig.DNSName(r.Host)
		if hosts[1] != "" && shaken != asked && slices.Contains(hosts, shaken) && slices.Contains(hosts, asked) {
			http.Error(w, "the connection was made to another host", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// adminTLS is made for each connection, so that reloaded credentials count at once. Session tickets would outlive them.
func (s *Server) adminTLS() *tls.Config {
	cert, clients := s.creds.Admin()
	return &tls.Config{
		MinVersion:             tls.VersionTLS12,
		NextProtos:             []string{"h2", "http/1.1"},
		Certificates:           []tls.Certificate{*cert},
		ClientAuth:             tls.RequireAndVerifyClientCert,
		ClientCAs:              clients,
		SessionTicketsDisabled: true,
		VerifyConnection: func(c tls.ConnectionState) error {
			return checkClient(c.PeerCertificates[0], s.cfg.AdminClient)
		},
	}
}

func checkClient(cert *x509.Certificate, want string) error {
	if cert.Subject.CommonName != want {
		return fmt.Errorf("the client's certificate is for %q, the internal API is for %q", cert.Subject.CommonName, want)
	}
	return nil
}

func (s *Server) bind(name, address string, config *tls.Config, handler http.Handler) (*listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("binding the %s listener: %w", name, err)
	}
	return &listener{Listener: l, name: name, server: &http.Server{
		Handler: handler, TLSConfig: config,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader,
		// Failed handshakes of strangers are their business.
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}}, nil
}

// listeners are those that are bound.
func (s *Server) listeners() []*listener {
	var bound []*listener
	for _, l := range []*listener{s.devices, s.admin, s.health} {
		if l != nil {
			bound = append(bound, l)
		}
	}
	return bound
}

// serve returns nil when the listener was shut down.
func (l *listener) serve() error {
	serve := func() error { return l.server.Serve(l) }
	if l.server.TLSConfig != nil {
		serve = func() error { return l.server.ServeTLS(l, "", "") }
	}
	if err := serve(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// close frees the address; one that is free already is no error.
func (l *listener) close() error {
	if err := l.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// leave goes on answering for the time that it takes until nobody sends new connections here, and ends each connection with its next answer: its device
// comes back to another replica.
func (s *Server) leave() {
	s.devices.server.SetKeepAlivesEnabled(false)
	s.admin.server.SetKeepAlivesEnabled(false)
	<-time.After(time.Duration(s.cfg.LeaveTime))
}

// drain lets the requests under way finish; the health listener answers until then.
func (s *Server) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	var both sync.WaitGroup
	both.Go(func() { s.shutdown(ctx, s.devices) })
	both.Go(func() { s.shutdown(ctx, s.admin) })
	both.Wait()
	s.shutdown(ctx, s.health)
}

func (s *Server) shutdown(ctx context.Context, l *listener) {
	if err := l.server.Shutdown(ctx); err != nil {
		s.log.Warn("requests were cut off", "listener", l.name, "error", err)
		_ = l.server.Close() // it is closing already
	}
}
