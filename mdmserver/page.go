package mdmserver

import (
	"net/http"
	"time"

	"github.com/kubemdm/kubemdm/mdmserver/apple"
	"github.com/kubemdm/kubemdm/mdmserver/enroll"
	"github.com/kubemdm/kubemdm/mdmserver/seal"
)

// servePage adds the page that people see at the server's address. macs is nil on a server without Apple devices.
func (s *Server) servePage(mux *http.ServeMux, macs *apple.Apple) error {
	options := enroll.Options{
		Config: s.cfg, Fleet: s.fleet, Topic: s.topic, SignInSecret: s.creds.AppleSignInSecret, Seal: seal.New(s.creds.Sealing), Now: time.Now, Log: s.log,
	}
	if macs != nil {
		invitations := macs.Invitations(s.fleet)
		options.Apple, options.Tools = invitations, invitations.Handler()
	}
	page, err := enroll.New(options)
	if err != nil {
		return err
	}
	page.Register(mux)
	return nil
}
