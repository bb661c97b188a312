package windows

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/payload/content"
)

// maxLocURI bounds a path, in bytes.
const maxLocURI = 1024

// roots are the first names of the management tree of a PC.
var roots = []string{"Device", "User", "Vendor", "DevDetail", "DevInfo", "SyncML", "cimv2"}

// unwritable are ASCII characters that stand in a path in their percent-encoded form only.
const unwritable = ` "<>\^` + "`" + `|#?`

// checkLocURI goes by OMA-DM 1.2 (Tree and Description, section 6): "./" first, names percent-encoded, no empty and no relative ones.
func checkLocURI(uri string) error {
	path, found := strings.CutPrefix(uri, "./")
	if !found {
		return errors.New("it must start with ./")
	}
	if len(uri) > maxLocURI {
		return fmt.Errorf("it is longer than %d bytes", maxLocURI)
	}
	names := strings.Split(path, "/")
	for _, name := range names {
		if err := checkName(name); err != nil {
			return err
		}
	}
	if !slices.ContainsFunc(roots, func(root string) bool { return strings.EqualFold(root, names[0]) }) {
		return fmt.Errorf("it is outside the management tree, which begins with ./%s", strings.Join(roots, ", ./"))
	}
	return nil
}

func checkName(name string) error {
	plain, err := url.PathUnescape(name)
	switch {
	case err != nil:
		return errors.New("a % in it is not followed by two hexadecimal digits")
	case name == "":
		return errors.New("a name in it is empty")
	case plain == "." || plain == "..":
		return errors.New("a name in it is . or .., which would lead elsewhere")
	case strings.ContainsFunc(name, func(r rune) bool { return r <= 0x20 || r >= 0x7F }) || strings.ContainsAny(name, unwritable):
		return errors.New("a character in it must be percent-encoded: a blank, one beyond ASCII, or one of " + strings.TrimSpace(unwritable))
	}
	return content.CheckText(plain)
}

// protected are nodes that neither a Profile nor a raw command may change, below and at the path, each with the reason. A * is any name. They are
// compared in lower case, decoded, and without the root ./Device or ./User.
var protected = []struct {
	path   []string
	reason string
}{
	{[]string{"vendor", "msft", "remotewipe"}, "it erases the device: a DeviceCommand of type Wipe does that, which confirms the one enrolment it is for"},
	{[]string{"vendor", "msft", "cleanpc"}, "it erases the device: a DeviceCommand of type Wipe does that, which confirms the one enrolment it is for"},
	{[]string{"vendor", "msft", "dmclient", "provider", "*", "unenroll"}, "it ends the enrolment: a DeviceCommand of type Unenroll does that"},
	{[]string{"vendor", "msft", "dmclient", "unenroll"}, "it ends the enrolment: a DeviceCommand of type Unenroll does that"},
	{[]string{"vendor", "msft", "reboot", "rebootnow"}, "a DeviceCommand of type Restart does that, and never twice"},
	{[]string{"vendor", "msft", "certificatestore", "my"}, "it holds the identity of the device: without it the enrolment is lost"},
	{[]string{"syncml", "dmacc"}, "it is the account by which the device reaches its server: without it the enrolment is lost"},
}

// checkAllowed refuses to change a protected node, and to delete what one is below.
func checkAllowed(verb adminapi.SyncMLVerb, uri string) error {
	if verb == adminapi.VerbGet {
		return nil
	}
	path := namesOf(uri)
	for _, p := range protected {
		shared := min(len(path), len(p.path))
		reaches := len(path) >= len(p.path) || verb == adminapi.VerbDelete
		if reaches && slices.EqualFunc(path[:shared], p.path[:shared], matches) {
			return content.Forbidden("%s", p.reason)
		}
	}
	return nil
}

func matches(name, pattern string) bool { return pattern == "*" || name == pattern }

// namesOf is a path as protected has it. Names are decoded until nothing is left to decode, since nobody knows how often a device does.
func namesOf(uri string) []string {
	var names []string
	for name := range strings.SplitSeq(strings.ToLower(uri), "/") {
		for plain, err := url.PathUnescape(name); err == nil && plain != name; plain, err = url.PathUnescape(name) {
			name = strings.ToLower(plain)
		}
		names = append(names, strings.Split(name, "/")...)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return name == "" || name == "." })
	if len(names) > 0 && (names[0] == "device" || names[0] == "user") {
		return names[1:]
	}
	return names
}

// checkScope sees that a node below ./User is in a Profile for users, and every other one in a Profile for devices.
func checkScope(scope v1alpha1.ProfileScope, uri string) error {
	root, _, _ := strings.Cut(strings.TrimPrefix(uri, "./"), "/")
	ofUser := strings.EqualFold(root, "User")
	switch {
	case ofUser && scope != v1alpha1.ProfileScopeUser:
		return errors.New("it is of the user who is logged in: that needs spec.scope User")
	case !ofUser && scope == v1alpha1.ProfileScopeUser:
		return errors.New("it is of the device: with spec.scope User every path starts with ./User/")
	}
	return nil
}
