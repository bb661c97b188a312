package apns

import (
	"fmt"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

// printer writes about push certificates.
type printer struct{ *look.Printer }

// facts are those of the certificate in use.
func (p *printer) facts(c *mdmv1alpha1.APNSCertificate, all bool) {
	status := &c.Status
	p.Line("Certificate in use")
	if status.NotAfter == nil {
		p.Line("  none yet")
		return
	}
	p.Fact("Topic", status.Topic)
	p.Fact("Apple Account", account(c))
	p.Fact("Ends", fmt.Sprintf("%s, %s", look.Date(status.NotAfter.Time), look.Days(status.NotAfter.Sub(p.Now))))
	if !all {
		return
	}
	if status.NotBefore != nil {
		p.Fact("Begins", look.Date(status.NotBefore.Time))
	}
	p.Fact("Issuer", status.Issuer)
	p.Fact("Serial number", status.SerialNumber)
	p.Fact("Fingerprint", status.Fingerprint)
	if status.SecretRef != nil {
		p.Fact("Secret", status.SecretRef.Name+", back it up: nothing can replace it")
	}
}

// account is the Apple Account of the certificate in use, or how to write it down.
func account(c *mdmv1alpha1.APNSCertificate) string {
	for _, known := range []string{c.Status.AppleAccount, c.Spec.AppleAccount} {
		if known != "" {
			return known
		}
	}
	return "not written down: put it into spec.appleAccount, since only that account can renew the certificate"
}

// servers are those that push with the certificate.
func (p *printer) servers(c *mdmv1alpha1.APNSCertificate, u users) {
	p.Line("")
	p.Line("Servers that use it")
	switch {
	case u.unknown != "":
		p.Text("  ", "not known: "+u.unknown)
	case len(u.servers) == 0:
		p.Line("  none: name it in spec.apple.apnsCertificateRef of an MDMServer")
	}
	for i := range u.servers {
		state, text := loaded(&u.servers[i], c)
		p.Line("  %s %s", p.Mark(state), u.servers[i].Name)
		p.Text("    ", text)
	}
}
