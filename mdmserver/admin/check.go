package admin

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// Names as Kubernetes makes them (RFC 1123 label and subdomain).
var (
	namespacePattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	namePattern      = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)
)

const (
	// maxID bounds an identifier of a device or an enrolment, maxText other short texts, in bytes.
	maxID   = 255
	maxText = 1024
	// tokenHashSize is that of SHA-256, in bytes.
	tokenHashSize = 32
)

func invalid(format string, args ...any) error {
	return &adminapi.Error{Code: adminapi.CodeInvalid, Message: fmt.Sprintf(format, args...)}
}

// pathKey returns the key that a path names.
func pathKey(r *http.Request) (adminapi.Key, error) {
	namespace, name := r.PathValue("namespace"), r.PathValue("name")
	if !namespacePattern.MatchString(namespace) || !namePattern.MatchString(name) {
		return "", invalid("the path must end with a namespace and a name as Kubernetes has them")
	}
	return adminapi.Key(namespace + "/" + name), nil
}

// sameKey says whether a body is about the key that the path names.
func sameKey(r *http.Request, body adminapi.Key) error {
	key, err := pathKey(r)
	if err != nil {
		return err
	}
	if key != body {
		return invalid("the path names %s and the body %q", key, body)
	}
	return nil
}

func short(field, value string, limit int) error {
	if value == "" || len(value) > limit {
		return invalid("%s must have 1 to %d bytes", field, limit)
	}
	return nil
}

func atMost(field string, n, limit int) error {
	if n > limit {
		return &adminapi.Error{Code: adminapi.CodeTooLarge, Message: fmt.Sprintf("%s has %d items or bytes, the limit is %d", field, n, limit)}
	}
	return nil
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// each returns the first error that check has for an item.
func each[T any](items []T, check func(T) error) error {
	for _, item := range items {
		if err := check(item); err != nil {
			return err
		}
	}
	return nil
}

func checkArtifact(r *http.Request, a adminapi.Artifact) error {
	if a.Scope != adminapi.ScopeSystem && a.Scope != adminapi.ScopeUser {
		return invalid("scope must be %s or %s", adminapi.ScopeSystem, adminapi.ScopeUser)
	}
	return first(
		sameKey(r, a.Key),
		checkPlatform(cmp.Or(a.Platform, adminapi.PlatformApple)),
		short("identifier", a.Identifier, maxText),
		short("digest", a.Digest, maxID),
		atMost("template", len(a.Template), adminapi.MaxArtifact),
	)
}

func checkAssignments(_ *http.Request, b adminapi.AssignmentBatch) error {
	return first(
		atMost("assignments", len(b.Assignments), adminapi.MaxBatch),
		each(b.Assignments, func(a adminapi.Assignment) error {
			return first(checkEnrollment(a.DeviceID, a.EnrollmentID), atMost("artifacts", len(a.Artifacts), adminapi.MaxBatch))
		}),
	)
}

func checkAction(r *http.Request, a adminapi.Action) error {
	if len(a.Targets) == 0 {
		return invalid("targets must not be empty")
	}
	if a.Apple == nil && a.Windows == nil {
		return invalid("apple or windows must be set: an action needs a command")
	}
	return first(
		sameKey(r, a.Key),
		short("specHash", a.SpecHash, maxID),
		checkApple(a.Apple),
		checkWindows(a.Windows),
		each(a.Targets, func(t adminapi.ActionTarget) error { return checkEnrollment(t.DeviceID, t.EnrollmentID) }),
	)
}

func checkApple(c *adminapi.AppleCommand) error {
	if c == nil {
		return nil
	}
	return first(short("apple.requestType", c.RequestType, maxID), atMost("apple.raw", len(c.Raw), adminapi.MaxArtifact))
}

func checkWindows(c *adminapi.WindowsCommand) error {
	if c == nil {
		return nil
	}
	return first(short("windows.requestType", c.RequestType, maxID), atMost("windows.commands", len(c.Commands), adminapi.MaxBatch))
}

func checkToken(r *http.Request, t adminapi.Token) error {
	if hash, err := hex.DecodeString(t.Hash); err != nil || len(hash) != tokenHashSize || hex.EncodeToString(hash) != t.Hash {
		return invalid("hash must be the lower-case hexadecimal SHA-256 of the token")
	}
	if t.MaxUses < 0 {
		return invalid("maxUses must not be negative")
	}
	return first(sameKey(r, t.Key), each(t.Platforms, checkPlatform))
}

func checkPlatform(p adminapi.Platform) error {
	if p != adminapi.PlatformApple && p != adminapi.PlatformWindows {
		return invalid("a platform is %s or %s", adminapi.PlatformApple, adminapi.PlatformWindows)
	}
	return nil
}

func checkIntents(_ *http.Request, b adminapi.IntentBatch) error {
	return first(
		atMost("intents", len(b.Intents), adminapi.MaxBatch),
		each(b.Intents, func(i adminapi.DeviceIntent) error { return checkEnrollment(i.DeviceID, i.EnrollmentID) }),
	)
}

func checkPush(_ *http.Request, p adminapi.PushRequest) error {
	return atMost("deviceIDs", len(p.DeviceIDs), adminapi.MaxBatch)
}

func checkResultRequest(_ *http.Request, q adminapi.ResultRequest) error {
	return short("deviceID", q.DeviceID, maxID)
}

func checkDetailRequest(_ *http.Request, q adminapi.DetailRequest) error {
	return short("deviceID", q.DeviceID, maxID)
}

func checkAcks(_ *http.Request, a adminapi.Acks) error {
	return first(
		short("storeEpoch", a.StoreEpoch, maxID),
		atMost("acks", len(a.Acks), adminapi.MaxPage),
		atMost("nacks", len(a.Nacks), adminapi.MaxPage),
		each(a.Nacks, func(n adminapi.Nack) error {
			if n.RetryAfterSeconds < 0 {
				return invalid("retryAfterSeconds must not be negative")
			}
			return nil
		}),
	)
}

func checkEnrollment(deviceID, enrollmentID string) error {
	return first(short("deviceID", deviceID, maxID), short("enrollmentID", enrollmentID, maxID))
}
