package mdmserver

import (
	"crypto/x509"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/certs"
)

// note lists a certificate in the status, in the place of one of the same name.
func (s *scope) note(name string, role mdmv1alpha1.CARole, c *x509.Certificate) {
	end := metav1.NewTime(c.NotAfter)
	entry := mdmv1alpha1.ServerCertificate{Name: name, Role: role, Fingerprint: certs.Fingerprint(c), NotAfter: &end}
	list := slices.DeleteFunc(s.server.Status.Certificates, func(e mdmv1alpha1.ServerCertificate) bool { return e.Name == name })
	s.server.Status.Certificates = append(list, entry)
	slices.SortFunc(s.server.Status.Certificates, func(a, b mdmv1alpha1.ServerCertificate) int { return strings.Compare(a.Name, b.Name) })
}

// forget takes the certificates with a prefix off the status.
func (s *scope) forget(prefix string) {
	s.server.Status.Certificates = slices.DeleteFunc(s.server.Status.Certificates, func(e mdmv1alpha1.ServerCertificate) bool {
		return strings.HasPrefix(e.Name, prefix)
	})
}
