package status

import (
	"fmt"
	"math"
	"time"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

const (
	day = 24 * time.Hour
	// soon is when people are warned of the end of a certificate.
	soon = 30 * day
	// tooLate is when a certificate that cert-manager renews should have been renewed: it does so with a third of its time left, and a certificate that
	// public CAs issue lives for 47 days or more.
	tooLate = 7 * day
)

// certificate adds one, with the days that are left.
func (s *Status) certificate(c Certificate) {
	left := c.NotAfter.Sub(s.Time)
	c.DaysLeft = int(math.Floor(left.Hours() / 24))
	c.Soon = left < soon && c.Role != string(mdmv1alpha1.CARoleRetired)
	s.Certificates = append(s.Certificates, c)
}

// serverCertificates adds those of a server. That of the internal API looks after itself, and the push certificate is shown by the object that it belongs to.
func (s *Status) serverCertificates(server *mdmv1alpha1.MDMServer) {
	for _, c := range server.Status.Certificates {
		if c.NotAfter == nil || c.Name == "Admin" || c.Name == "Push" {
			continue
		}
		s.certificate(Certificate{Kind: "MDMServer", Namespace: server.Namespace, Name: server.Name, What: c.Name, Role: string(c.Role), NotAfter: *c.NotAfter})
		if c.Name == "Serving" {
			s.serving(server, c)
		}
	}
}

// serving adds a need if the serving certificate ends soon and no condition says so yet.
func (s *Status) serving(server *mdmv1alpha1.MDMServer, c mdmv1alpha1.ServerCertificate) {
	limit, advice := tooLate, "cert-manager should have renewed it: see its Certificate and the issuer"
	if server.Spec.TLS.Type == mdmv1alpha1.TLSSecret {
		limit, advice = soon, "put the next one into the Secret "+server.Spec.TLS.SecretRef.Name
	}
	left := c.NotAfter.Sub(s.Time)
	known := false
	for _, n := range s.Needs {
		known = known || n.Kind == "MDMServer" && n.Namespace == server.Namespace && n.Name == server.Name && n.Condition == mdmv1alpha1.MDMServerCertificatesReady
	}
	if left >= limit || known {
		return
	}
	s.Needs = append(s.Needs, look.Need{
		Kind: "MDMServer", Namespace: server.Namespace, Name: server.Name, Reason: "CertificateExpiring",
		Message: fmt.Sprintf("the serving certificate ends at %s, %s: %s; devices refuse the server after that", look.Date(c.NotAfter.Time), look.Days(left), advice),
	})
}
