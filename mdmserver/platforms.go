package mdmserver

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/kubemdm/kubemdm/internal/agentapi"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/agent"
	"github.com/kubemdm/kubemdm/mdmserver/apple"
	"github.com/kubemdm/kubemdm/mdmserver/config"
	"github.com/kubemdm/kubemdm/mdmserver/push"
	"github.com/kubemdm/kubemdm/mdmserver/seal"
	"github.com/kubemdm/kubemdm/mdmserver/windows"
)

func (s *Server) newApple() (*apple.Apple, error) {
	roots, err := config.DeviceRoots(*s.cfg.Apple)
	if err != nil {
		return nil, err
	}
	return apple.New(apple.Options{
		Config: s.cfg, CAs: s.creds.IdentityCAs, Serving: s.creds.Serving, ServingCA: s.creds.ServingCAPEM, Topic: s.topic, Now: time.Now, Log: s.log,
		ImportCAs: s.importCAs(), DeviceRoots: roots, SignInSecret: s.creds.AppleSignInSecret, Seal: seal.New(s.creds.Sealing),
	})
}

// serveApple adds the endpoints of Apple devices, and the pusher that wakes them.
func (s *Server) serveApple(mux *http.ServeMux, macs *apple.Apple) error {
	apns, err := newAPNs(s.cfg.Apple.Push, s.creds)
	if err != nil {
		return err
	}
	s.pusher = push.New(push.Options{Fleet: s.fleet, Service: apns, Log: s.log, Now: time.Now, Observe: s.metrics.Push})
	mux.Handle("/", macs.Handler(s.fleet))
	return nil
}

// serveWindows adds the endpoints of Windows devices and of their agents.
func (s *Server) serveWindows(mux *http.ServeMux) error {
	pcs, err := windows.New(windows.Options{
		Config: s.cfg, CAs: s.creds.WSTEPCAs, SignInSecret: s.creds.SignInSecret, Seal: seal.New(s.creds.Sealing), Fleet: s.fleet, Now: time.Now, Log: s.log,
	})
	if err != nil {
		return err
	}
	mux.Handle(agentapi.PathPrefix, agent.New(agent.Options{Fleet: s.fleet, DiscoveryURL: pcs.DiscoveryURL(), Log: s.log}).Handler())
	return pcs.Register(mux)
}

func newAPNs(cfg serverconfig.Push, creds *config.Credentials) (*push.APNs, error) {
	service, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("apple.push.url: %w", err)
	}
	var roots *x509.CertPool // nil: the system's
	if cfg.CAFile != "" {
		pem, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, fmt.Errorf("apple.push.caFile: %w", err)
		}
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("apple.push.caFile: %s holds no PEM certificate", cfg.CAFile)
		}
	}
	return push.NewAPNs(service, roots, creds, time.Now), nil
}

// topic is that of the push certificate, empty while there is none.
func (s *Server) topic() string {
	_, topic, _ := s.creds.Push()
	return topic
}
