package importer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/doing"
)

// target is the server that takes the devices over.
type target struct {
	server *mdmv1alpha1.MDMServer
	from   mdmv1alpha1.AppleImport
	// topic is that of the server's push certificate, and certificate the APNSCertificate's name.
	topic, certificate string
}

// target reads the server, its import and its push certificate.
func (n *nano) target(ctx context.Context, s *cli.Session) (*target, error) {
	t := &target{server: &mdmv1alpha1.MDMServer{}}
	err := s.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: n.server}, t.server)
	if doing.Absent(err) {
		return nil, fmt.Errorf("there is no MDMServer %s in the namespace %s", n.server, s.Namespace)
	}
	if err != nil {
		return nil, err
	}
	apple := t.server.Spec.Apple
	if apple == nil {
		return nil, fmt.Errorf("the MDMServer %s has no Apple devices: add spec.apple", n.server)
	}
	var names []string
	for _, i := range apple.Imports {
		if names = append(names, i.Name); i.Name == n.name {
			t.from = i
		}
	}
	if t.from.Name == "" {
		return nil, fmt.Errorf("the MDMServer %s has no import %s (there is: %s): add it to spec.apple.imports with NanoMDM's paths and CA", n.server, n.name,
			cmp.Or(strings.Join(names, ", "), "none"))
	}
	if apple.APNSCertificateRef == nil {
		return nil, fmt.Errorf("the MDMServer %s has no push certificate: put NanoMDM's into an APNSCertificate and name it in spec.apple.apnsCertificateRef", n.server)
	}
	t.certificate = apple.APNSCertificateRef.Name
	c := &mdmv1alpha1.APNSCertificate{}
	if err := s.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: t.certificate}, c); err != nil && !apierrors.IsNotFound(err) {
		return nil, err
	}
	if t.topic = c.Status.Topic; t.topic == "" {
		return nil, fmt.Errorf("the APNSCertificate %s has no certificate in use yet: kubectl mdm apns status %s says what comes next", t.certificate, t.certificate)
	}
	return t, nil
}

// check compares what all devices have in common with the server, so that a mistake is one error and not one for each device.
func (t *target) check(p *Profile) error {
	if !p.SignMessage {
		return errors.New("the enrolment profile does not have SignMessage: its devices show their identity only in TLS, to the proxy before NanoMDM, and this " +
			"server knows devices by their signatures alone. Install the profile with SignMessage on them by NanoMDM first (InstallProfile), then move")
	}
	if p.Topic != t.topic {
		return fmt.Errorf("the enrolment profile has the topic %s and the APNSCertificate %s has %s: a device never changes its topic, so the server needs NanoMDM's "+
			"push certificate or its renewal (in the same Apple Account)", p.Topic, t.certificate, t.topic)
	}
	for _, u := range []struct{ name, value, path, field string }{
		{"ServerURL", p.ServerURL, t.from.ServerPath, "serverPath"}, {"CheckInURL", p.CheckInURL, t.from.CheckInPath, "checkInPath"},
	} {
		parsed, err := url.Parse(u.value)
		switch {
		case err != nil || parsed.Scheme != "https" || parsed.Host == "":
			return fmt.Errorf("the %s of the enrolment profile, %q, is no https address", u.name, u.value)
		case !strings.EqualFold(strings.TrimSuffix(parsed.Host, ":443"), strings.TrimSuffix(t.server.Spec.Host, ":443")):
			return fmt.Errorf("the %s of the enrolment profile leads to %s and spec.host of the MDMServer %s is %s: a device never changes its addresses, so the MDMServer needs NanoMDM's host",
				u.name, parsed.Host, t.server.Name, t.server.Spec.Host)
		case parsed.Path != u.path:
			return fmt.Errorf("the path of the %s of the enrolment profile is %q and spec.apple.imports[%s].%s is %s: correct that", u.name, parsed.Path, t.from.Name, u.field, u.path)
		}
	}
	return nil
}
