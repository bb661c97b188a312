package apple

import (
	"regexp"

	"github.com/kubemdm/kubemdm/internal/payload/content"
	"github.com/kubemdm/kubemdm/internal/xmlplist"
)

// enrolment matches the identifiers of enrolment profiles: a device would take a profile of that name for its enrolment.
var enrolment = regexp.MustCompile(`(?i)^io\.kubemdm\..+\.enroll$`)

// mdmPayload is the PayloadType of an enrolment.
const mdmPayload = "com.apple.mdm"

// maxIdentifier bounds a PayloadIdentifier, which becomes a key of the server's store.
const maxIdentifier = 1024

// check is one thing that must hold of a whole configuration profile.
type check func(profile dict) error

// checks in the order in which people should learn of faults.
var checks = []check{isConfiguration, isIdentified, hasTypedPayloads, isNoEnrolment, isWritable}

func errorsOf(profile dict) error {
	for _, holds := range checks {
		if err := holds(profile); err != nil {
			return err
		}
	}
	return nil
}

func isConfiguration(profile dict) error {
	if t, _ := profile["PayloadType"].(string); t != "Configuration" {
		return content.Unreadable("PayloadType is %q: a configuration profile has Configuration", t)
	}
	return nil
}

func isIdentified(profile dict) error {
	id, _ := profile["PayloadIdentifier"].(string)
	if id == "" || len(id) > maxIdentifier {
		return content.Unreadable("PayloadIdentifier must be a text of 1 to %d bytes: devices know the profile by it", maxIdentifier)
	}
	return nil
}

func hasTypedPayloads(profile dict) error {
	for i, payload := range profile["PayloadContent"].(array) {
		if t, _ := payload.(dict)["PayloadType"].(string); t == "" {
			return content.Unreadable("PayloadContent[%d] has no PayloadType", i)
		}
	}
	return nil
}

func isNoEnrolment(profile dict) error {
	if id := profile["PayloadIdentifier"].(string); enrolment.MatchString(id) {
		return content.Forbidden("the PayloadIdentifier %s belongs to an enrolment profile", id)
	}
	for i, payload := range profile["PayloadContent"].(array) {
		if payload.(dict)["PayloadType"] == mdmPayload {
			return content.Forbidden("PayloadContent[%d] is an MDM payload: enrolment is the server's business", i)
		}
	}
	return nil
}

// isWritable refuses what an XML property list cannot hold, which an encoder would replace silently, and what is nested more deeply than
// readers of ours accept.
func isWritable(profile dict) error { return writable(profile, 1) }

func writable(value any, depth int) error {
	if depth >= xmlplist.MaxDepth {
		return content.Unreadable("the profile is nested more than %d deep", xmlplist.MaxDepth)
	}
	switch v := value.(type) {
	case string:
		return content.CheckText(v)
	case array:
		for _, item := range v {
			if err := writable(item, depth+1); err != nil {
				return err
			}
		}
	case dict:
		for key, item := range v {
			if err := content.CheckText(key); err != nil {
				return err
			}
			if err := writable(item, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}
