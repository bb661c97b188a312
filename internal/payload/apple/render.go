package apple

import (
	"strings"

	"github.com/google/uuid"
	"github.com/micromdm/plist"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/payload/content"
)

// format is part of every digest. A change of it reinstalls every profile of every fleet.
const format = "kubemdm.io/apple/1"

// identifiers of ours start with this.
const prefix = "io.kubemdm."

// space is the name space of all payload UUIDs (UUIDv5 of its DNS name).
var space = uuid.NewSHA1(uuid.NameSpaceDNS, []byte("payload.kubemdm.io"))

type (
	dict  = map[string]any
	array = []any
)

// References lists the keys of ConfigMaps and Secrets that a Profile for Apple devices is made of.
func References(p *v1alpha1.Profile) (refs content.References) {
	if m := p.Spec.Apple.Mobileconfig; m != nil {
		refs.Add(m)
	}
	if l := p.Spec.Apple.Payloads; l != nil {
		for _, item := range l.Items {
			for _, v := range item.SecretValues {
				refs.Secrets = append(refs.Secrets, v.SecretRef)
			}
		}
	}
	return refs
}

// Render makes the configuration profile of p (https://developer.apple.com/documentation/devicemanagement/toplevel). PayloadUUID and PayloadScope are
// always ours; a whole mobileconfig keeps all else. Every error is a *content.Error.
func Render(p *v1alpha1.Profile, from content.Sources) (*content.Rendered, error) {
	profile, err := compose(p, from)
	if err != nil {
		return nil, err
	}
	profile["PayloadUUID"] = durableUUID("profile", durableName(p))
	profile["PayloadScope"] = string(p.Spec.Scope)
	if err := errorsOf(profile); err != nil {
		return nil, err
	}
	template, err := plist.MarshalIndent(profile, "\t")
	if err != nil {
		return nil, content.Unreadable("writing the property list: %v", err)
	}
	return content.Render(profile["PayloadIdentifier"].(string), format, template)
}

func compose(p *v1alpha1.Profile, from content.Sources) (dict, error) {
	switch source := p.Spec.Apple; {
	case source.Mobileconfig != nil:
		return mobileconfig(source.Mobileconfig, durableName(p), from)
	case source.Payloads != nil:
		return fromPayloads(source.Payloads, p, from)
	}
	return nil, content.Unreadable("the Profile holds neither a mobileconfig nor payloads")
}

// durableName names a Profile for ever: neither a restored cluster nor a Profile that was deleted and applied again has another one.
func durableName(p *v1alpha1.Profile) string { return prefix + p.Namespace + "." + p.Name }

func durableUUID(kind, name string) string {
	return strings.ToUpper(uuid.NewSHA1(space, []byte(kind+" "+name)).String())
}
