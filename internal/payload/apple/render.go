package apple

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/micromdm/plist"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/adminapi"
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

// Error says why a Profile makes no configuration profile. Its text holds no value of a Secret.
type Error struct {
	// Reason is v1alpha1.ProfileUnreadable, ProfileForbiddenPayload or ProfileTooLarge.
	Reason  string
	Message string
}

func (e *Error) Error() string { return e.Message }

func unreadable(format string, args ...any) error {
	return &Error{Reason: v1alpha1.ProfileUnreadable, Message: fmt.Sprintf(format, args...)}
}

func forbidden(format string, args ...any) error {
	return &Error{Reason: v1alpha1.ProfileForbiddenPayload, Message: fmt.Sprintf(format, args...)}
}

// Sources are the contents of what a Profile refers to, one for each of its References.
type Sources struct {
	ConfigMaps map[v1alpha1.KeyReference][]byte
	Secrets    map[v1alpha1.KeyReference][]byte
}

// References lists the keys of ConfigMaps and Secrets that a Profile is made of.
func References(p *v1alpha1.Profile) (configMaps, secrets []v1alpha1.KeyReference) {
	if m := p.Spec.Apple.Mobileconfig; m != nil {
		if m.ConfigMapRef != nil {
			configMaps = append(configMaps, *m.ConfigMapRef)
		}
		if m.SecretRef != nil {
			secrets = append(secrets, *m.SecretRef)
		}
	}
	if l := p.Spec.Apple.Payloads; l != nil {
		for _, item := range l.Items {
			for _, v := range item.SecretValues {
				secrets = append(secrets, v.SecretRef)
			}
		}
	}
	return configMaps, secrets
}

// Rendered is the configuration profile of a Profile.
type Rendered struct {
	// Identifier is its PayloadIdentifier.
	Identifier string
	// Digest is the lower-case hex SHA-256 over the format version and the template.
	Digest string
	// Template is an XML property list with sorted keys, at most adminapi.MaxArtifact bytes.
	Template []byte
}

// Render makes the configuration profile of p (https://developer.apple.com/documentation/devicemanagement/toplevel). PayloadUUID and PayloadScope are
// always ours; a whole mobileconfig keeps all else. Every error is an *Error.
func Render(p *v1alpha1.Profile, from Sources) (*Rendered, error) {
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
		return nil, unreadable("writing the property list: %v", err)
	}
	if len(template) > adminapi.MaxArtifact {
		return nil, &Error{
			Reason:  v1alpha1.ProfileTooLarge,
			Message: fmt.Sprintf("the profile has %d bytes, and at most %d are allowed: split it into several Profiles", len(template), adminapi.MaxArtifact),
		}
	}
	return &Rendered{Identifier: profile["PayloadIdentifier"].(string), Digest: digest(template), Template: template}, nil
}

func compose(p *v1alpha1.Profile, from Sources) (dict, error) {
	switch source := p.Spec.Apple; {
	case source.Mobileconfig != nil:
		return mobileconfig(source.Mobileconfig, durableName(p), from)
	case source.Payloads != nil:
		return fromPayloads(source.Payloads, p, from)
	}
	return nil, unreadable("the Profile holds neither a mobileconfig nor payloads")
}

// durableName names a Profile for ever: neither a restored cluster nor a Profile that was deleted and applied again has another one.
func durableName(p *v1alpha1.Profile) string { return prefix + p.Namespace + "." + p.Name }

func durableUUID(kind, name string) string {
	return strings.ToUpper(uuid.NewSHA1(space, []byte(kind+" "+name)).String())
}

func digest(template []byte) string {
	h := sha256.New()
	h.Write([]byte(format + "\n"))
	h.Write(template)
	return hex.EncodeToString(h.Sum(nil))
}
