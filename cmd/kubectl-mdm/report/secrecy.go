package report

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

// removed stands for what was taken out.
const removed = "<removed>"

// shortest is how long an identifier is at least that is replaced wherever it stands in a text; a shorter one could be any word.
const shortest = 5

// names are what fields with secrets are called.
const names = `password|passwd|secret|pin-value|push-?magic|challenge|api-?key|private-?key|token`

// patterns are what must not be seen in a text, and what stands in its place.
var patterns = []struct {
	what *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)`), removed},
	{regexp.MustCompile(`(?i)\b(bearer|basic|digest)\s+[A-Za-z0-9+/=._~-]{8,}`), "$1 " + removed},
	{regexp.MustCompile(`(://)[^/\s:@"']+:[^/\s@"']+@`), "$1" + removed + "@"},
	{regexp.MustCompile(`(?i)([?&;](?:[a-z_-]*token|key|secret|password|pin-value|code|challenge|sig|signature)=)[^&\s;"'<>]+`), "$1" + removed},
	{regexp.MustCompile(`(?i)(\b[a-z_-]*(?:` + names + `)\\?"?\s*[=:]\s*\\?"?)[^\s",;&\\<>]+`), "$1" + removed},
	{regexp.MustCompile(`\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*`), removed},
}

// secrecy takes out of objects and texts what must not leave the cluster.
type secrecy struct {
	redact bool
	// key makes pseudonyms of this bundle that nobody can try out.
	key []byte
	// known are the identifiers of devices and their pseudonyms.
	known map[string]string
}

func newSecrecy(redact bool) *secrecy {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return &secrecy{redact: redact, key: key, known: map[string]string{}}
}

// know remembers what identifies a device and the person who uses it, to find it in texts. The name that a person gave a device is no such thing: many are
// called what their model is called.
func (s *secrecy) know(d *mdmv1alpha1.Device) {
	identifiers := []string{look.Serial(d), d.Spec.SerialNumber, d.Spec.UDID, d.Spec.EnrollmentID, d.Status.UserPrincipalName}
	if h := d.Status.Hardware; h != nil {
		identifiers = append(identifiers, h.UDID)
	}
	for _, identifier := range identifiers {
		if len(identifier) >= shortest {
			s.known[identifier] = s.pseudonym(identifier)
		}
	}
}

// pseudonym is the same for an identifier in whatever case it is written.
func (s *secrecy) pseudonym(identifier string) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(strings.ToLower(identifier)))
	return "device-" + hex.EncodeToString(mac.Sum(nil)[:4])
}

// replacer replaces what is known of devices, the longest first.
func (s *secrecy) replacer() *strings.Replacer {
	var pairs []string
	if s.redact {
		all := make([]string, 0, len(s.known))
		for identifier := range s.known {
			all = append(all, identifier)
		}
		slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
		for _, identifier := range all {
			for _, written := range []string{identifier, strings.ToLower(identifier), strings.ToUpper(identifier)} {
				pairs = append(pairs, written, s.known[identifier])
			}
		}
	}
	return strings.NewReplacer(pairs...)
}

// text takes out what looks like a secret.
func (s *secrecy) text(text string) string {
	for _, p := range patterns {
		text = p.what.ReplaceAllString(text, p.with)
	}
	return text
}

// object clears an object of a kind.
func (s *secrecy) object(kind string, object map[string]any) {
	s.metadata(object)
	spec, _ := object["spec"].(map[string]any)
	switch kind {
	case "Profile":
		for _, platform := range []string{"apple", "windows"} {
			if content, is := spec[platform]; is {
				spec[platform] = blank(content, fieldsOfProfiles)
			}
		}
	case "DeviceCommand":
		if action, is := spec["action"]; is {
			spec["action"] = blank(action, fieldsOfActions)
		}
		s.results(object)
	}
	s.strings(object)
	if s.redact {
		s.identifiers(object)
	}
}

// results takes the words of devices out that answer a command of a person's own making: they may hold what it asked for.
func (s *secrecy) results(object map[string]any) {
	status, _ := object["status"].(map[string]any)
	results, _ := status["results"].([]any)
	for _, result := range results {
		if one, is := result.(map[string]any); is && one["message"] != nil {
			one["message"] = removed
		}
	}
}

// metadata leaves of an object's annotations those of KubeMDM, and nothing of who wrote which field.
func (s *secrecy) metadata(object map[string]any) {
	metadata, _ := object["metadata"].(map[string]any)
	delete(metadata, "managedFields")
	annotations, _ := metadata["annotations"].(map[string]any)
	for key := range annotations {
		if !strings.HasPrefix(key, mdmv1alpha1.GroupVersion.Group+"/") {
			delete(annotations, key)
		}
	}
}

// fieldsOfProfiles and fieldsOfActions are the fields whose values stay, below what people write into profiles and commands. All others go, also those that
// this version does not know.
var (
	fieldsOfProfiles = []string{"type", "name", "key", "path", "encoding", "identifier", "locURI", "format", "mimeType", "verification"}
	fieldsOfActions  = []string{"type", "name", "key", "kind", "method", "locURI", "verb", "format", "store"}
)

// blank takes the values out of what people wrote, and leaves the names of fields and the values of some. Below the settings of a payload, whose fields are
// Apple's, none stays.
func blank(value any, keep []string) any {
	switch value := value.(type) {
	case map[string]any:
		cleared := map[string]any{}
		for key, below := range value {
			_, payload := below.(map[string]any)
			text, leaf := below.(string)
			switch {
			case leaf && slices.Contains(keep, key):
				cleared[key] = text
			case key == "settings" && payload:
				cleared[key] = blank(below, nil)
			default:
				cleared[key] = blank(below, keep)
			}
		}
		return cleared
	case []any:
		cleared := make([]any, len(value))
		for i := range value {
			cleared[i] = blank(value[i], keep)
		}
		return cleared
	case nil:
		return nil
	}
	return removed
}

// strings takes out of all texts of an object what looks like a secret.
func (s *secrecy) strings(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key, below := range value {
			value[key] = s.strings(below)
		}
	case []any:
		for i, below := range value {
			value[i] = s.strings(below)
		}
	case string:
		return s.text(value)
	}
	return value
}

// identifying are the fields that identify a device or a person, also where the value is too short to be looked for in texts.
var identifying = []string{"serialNumber", "udid", "enrollmentID", "deviceName", "userPrincipalName", "phoneNumber"}

// identifiers replaces what identifies a device or a person by a pseudonym.
func (s *secrecy) identifiers(value any) {
	switch value := value.(type) {
	case map[string]any:
		for key, below := range value {
			value[key] = s.identifier(key, below)
		}
	case []any:
		for _, below := range value {
			s.identifiers(below)
		}
	}
}

// identifier is what stands in a field in place of its value.
func (s *secrecy) identifier(key string, value any) any {
	if text, leaf := value.(string); leaf && slices.Contains(identifying, key) && text != removed {
		return s.pseudonym(text)
	}
	list, several := value.([]any)
	if !several || key != "serialNumbers" {
		s.identifiers(value)
		return value
	}
	pseudonyms := make([]any, len(list))
	for i := range list {
		pseudonyms[i] = s.pseudonym(fmt.Sprint(list[i]))
	}
	return pseudonyms
}
