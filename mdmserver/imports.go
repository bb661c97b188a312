package mdmserver

import (
	"crypto/x509"
	"time"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
)

// imports says which enrolments of other servers can be taken over.
func (s *Server) imports() fleet.ImportOptions {
	o := fleet.ImportOptions{Host: s.cfg.Host, Topic: s.topic, Paths: map[string]fleet.ImportPaths{},
		Verify: func(name string, cert *x509.Certificate) error {
			return identity.Vouched(cert, s.creds.ImportCA(name), time.Now())
		}}
	for _, i := range s.cfg.Apple.Imports {
		o.Paths[i.Name] = fleet.ImportPaths{ServerPath: i.ServerPath, CheckInPath: i.CheckInPath}
	}
	return o
}

// importCAs is nil without imports: then the name in every certificate that is trusted is this server's.
func (s *Server) importCAs() func() []*x509.Certificate {
	if len(s.cfg.Apple.Imports) == 0 {
		return nil
	}
	return s.creds.ImportCAs
}
