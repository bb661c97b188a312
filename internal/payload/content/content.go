package content

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"unicode/utf8"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// Error says why a Profile or a command cannot be rendered. Its text holds no value of a Secret.
type Error struct {
	// Reason is v1alpha1.ProfileUnreadable, ProfileForbiddenPayload or ProfileTooLarge.
	Reason string
	// Field is the path of the fault below the platform's member of the spec, such as settings[0].value; empty: it is about all of it.
	Field   string
	Message string
}

func (e *Error) Error() string {
	if e.Field == "" {
		return e.Message
	}
	return e.Field + ": " + e.Message
}

// Unreadable is an Error about something that is not what it should be.
func Unreadable(format string, args ...any) error {
	return &Error{Reason: v1alpha1.ProfileUnreadable, Message: fmt.Sprintf(format, args...)}
}

// Forbidden is an Error about something that has a safer way.
func Forbidden(format string, args ...any) error {
	return &Error{Reason: v1alpha1.ProfileForbiddenPayload, Message: fmt.Sprintf(format, args...)}
}

// References are the keys of ConfigMaps and Secrets that something is made of.
type References struct{ ConfigMaps, Secrets []v1alpha1.KeyReference }

// Add adds what a source refers to.
func (r *References) Add(source *v1alpha1.ContentSource) {
	if source.ConfigMapRef != nil {
		r.ConfigMaps = append(r.ConfigMaps, *source.ConfigMapRef)
	}
	if source.SecretRef != nil {
		r.Secrets = append(r.Secrets, *source.SecretRef)
	}
}

// Sources are the contents of what something refers to, one for each of its References.
type Sources struct {
	ConfigMaps map[v1alpha1.KeyReference][]byte
	Secrets    map[v1alpha1.KeyReference][]byte
}

// Of is the content of a source.
func (s Sources) Of(source *v1alpha1.ContentSource) ([]byte, error) {
	data, found := []byte(source.Inline), true
	switch {
	case source.ConfigMapRef != nil:
		data, found = s.ConfigMaps[*source.ConfigMapRef]
	case source.SecretRef != nil:
		data, found = s.Secrets[*source.SecretRef]
	}
	if !found {
		return nil, Unreadable("the source of the content is missing")
	}
	return data, nil
}

// Rendered is what a Profile becomes.
type Rendered struct {
	// Identifier is the one by which the server tells it from others: the PayloadIdentifier, or the durable name of a Profile for Windows.
	Identifier string
	// Digest is the lower-case hex SHA-256 over the format version and the template.
	Digest string
	// Template is at most adminapi.MaxArtifact bytes.
	Template []byte
}

// Render gives a template its digest. format is the platform and version of the rendering: a change of it reinstalls every profile of every fleet.
func Render(identifier, format string, template []byte) (*Rendered, error) {
	if len(template) > adminapi.MaxArtifact {
		return nil, &Error{
			Reason:  v1alpha1.ProfileTooLarge,
			Message: fmt.Sprintf("the profile has %d bytes, and at most %d are allowed: split it into several Profiles", len(template), adminapi.MaxArtifact),
		}
	}
	h := sha256.New()
	h.Write([]byte(format + "\n"))
	h.Write(template)
	return &Rendered{Identifier: identifier, Digest: hex.EncodeToString(h.Sum(nil)), Template: template}, nil
}

// CheckText refuses what XML cannot hold (the Char production of XML 1.0). The error repeats nothing, since the text may be a secret.
func CheckText(s string) error {
	if !utf8.ValidString(s) {
		return Unreadable("a text is not UTF-8: use the encoding Data (Apple) or the format b64 (Windows) for binary values")
	}
	for _, r := range s {
		if r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return Unreadable("a text holds the control character U+%04X, which XML cannot hold", r)
		}
	}
	return nil
}
