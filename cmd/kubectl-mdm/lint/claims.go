package lint

import (
	"cmp"
	"fmt"
	"strings"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/payload"
	"github.com/kubemdm/kubemdm/internal/payload/content"
)

// claims are things that one object only may have.
type claims struct {
	*lint
	first map[string]one
}

// claim takes a thing for an object, or says who has it.
func (c *claims) claim(object one, field, what string, scope ...string) {
	key := strings.Join(append(scope, what), "\x00")
	if first, taken := c.first[key]; taken {
		c.contradiction(object.Object, field, fmt.Sprintf("%s is that of %s in %s already", what, nameOf(first.Object), first.place()))
		return
	}
	c.first[key] = object
}

func (c *claims) add(object one) {
	switch o := object.typed.(type) {
	case *mdmv1alpha1.MDMServer:
		c.claim(object, "spec.host", "the host "+o.Spec.Host)
	case *mdmv1alpha1.Device:
		c.device(object, o)
	case *mdmv1alpha1.EnrollmentToken:
		if name := cmp.Or(o.Spec.SecretName, o.Name+"-enrollment"); o.Name != "" || o.Spec.SecretName != "" {
			c.claim(object, "spec.secretName", "the Secret "+name, object.GetNamespace())
		}
	case *mdmv1alpha1.Profile:
		if identifier := identifierOf(o); identifier != "" {
			c.claim(object, "spec.apple", "the PayloadIdentifier "+identifier, object.GetNamespace(), o.Spec.ServerRef.Name, string(o.Spec.Scope))
		}
	}
}

func (c *claims) device(object one, o *mdmv1alpha1.Device) {
	for _, identity := range []struct{ field, what, value string }{
		{"serialNumber", "serial number", o.Spec.SerialNumber}, {"udid", "UDID", o.Spec.UDID}, {"enrollmentID", "EnrollmentID", o.Spec.EnrollmentID},
	} {
		if identity.value != "" {
			c.claim(object, "spec."+identity.field, "the "+identity.what+" "+identity.value, object.GetNamespace(), o.Spec.ServerRef.Name)
		}
	}
}

// identifierOf is the PayloadIdentifier of a Profile for Apple devices: "" if what it is rendered from is elsewhere.
func identifierOf(p *mdmv1alpha1.Profile) string {
	if p.Spec.Apple == nil {
		return ""
	}
	refs := payload.References(p)
	if source := p.Spec.Apple.Mobileconfig; source != nil && source.Inline == "" {
		return ""
	}
	sources := content.Sources{Secrets: map[mdmv1alpha1.KeyReference][]byte{}, ConfigMaps: map[mdmv1alpha1.KeyReference][]byte{}}
	for _, ref := range refs.Secrets {
		sources.Secrets[ref] = []byte("placeholder")
	}
	for _, ref := range refs.ConfigMaps {
		sources.ConfigMaps[ref] = []byte("placeholder")
	}
	rendered, err := payload.Render(p, sources)
	if err != nil {
		return ""
	}
	return rendered.Identifier
}
