package fleet

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// maxAccessRights has every bit that Apple defines.
const maxAccessRights = 8191

// judge says what is to become of the enrolment. What is known here already stands, whatever else is wrong with it.
func (in *imported) judge() adminapi.ImportResult {
	result := adminapi.ImportResult{DeviceID: in.Device.ID}
	if in.repeated {
		result.Outcome, result.Message = adminapi.ImportRefused, "the batch has this device, or its certificate, twice"
		return result
	}
	if message := in.stands(); message != "" {
		result.Outcome, result.Message = adminapi.ImportUnchanged, message
		return result
	}
	for _, check := range importChecks {
		if message := check(in); message != "" {
			result.Outcome, result.Message = adminapi.ImportRefused, message
			return result
		}
	}
	result.Outcome = adminapi.Imported
	return result
}

// stands says why the enrolment is this server's own matter by now, or "".
func (in *imported) stands() string {
	d := in.device
	switch {
	case d == nil:
		return ""
	case d.Platform != adminapi.PlatformApple:
		return ""
	case d.State == adminapi.DeviceEnded && in.known == nil && d.EndedAt.Before(in.Device.EnrolledAt):
		return "" // it left this server and enrolled there
	case d.State == adminapi.DeviceEnded:
		return fmt.Sprintf("it was enrolled here until %s (%s): to manage it again, enrol it", d.EndedAt.Format(time.DateOnly), d.EndReason)
	case in.known != nil && in.known.EnrollmentID == d.EnrollmentID:
		return "imported before"
	}
	return "it is enrolled here"
}

// importCheck is one reason to refuse an enrolment, in words that say what to do; "" is none.
type importCheck func(*imported) string

var importChecks = []importCheck{
	wrongName, wrongKind, wrongPlatform, wrongCertificate, expiredCertificate, foreignCertificate, takenCertificate, takenSerial,
	noIdentifier, wrongRights, wrongTopic, wrongURLs, noChannel, wrongChannel,
}

func wrongName(in *imported) string {
	switch {
	case in.Device.ID == "" || strings.Contains(in.Device.ID, ":"):
		return "it has no identifier of a device"
	case in.Device.Kind == adminapi.EnrollmentDevice && in.Device.UDID != in.Device.ID:
		return "its identifier is not its UDID"
	}
	return ""
}

func wrongKind(in *imported) string {
	if in.Device.Kind == adminapi.EnrollmentDevice || in.Device.Kind == adminapi.EnrollmentUser {
		return ""
	}
	return fmt.Sprintf("the kind of enrolment %.64q is not known: give Device or UserEnrollment", in.Device.Kind)
}

func wrongPlatform(in *imported) string {
	if in.device != nil && in.device.Platform != adminapi.PlatformApple {
		return "its identifier is that of a device of another platform here"
	}
	return ""
}

func wrongCertificate(in *imported) string {
	given := strings.ToLower(in.CertificateSHA256)
	digest, err := hex.DecodeString(in.fingerprint)
	switch {
	case in.malformed != nil:
		return "its certificate cannot be read: " + clip(in.malformed.Error(), maxMessage)
	case in.fingerprint == "":
		return "neither its certificate nor the fingerprint of that is known, so it could not be told from others: enrol it again"
	case err != nil || len(digest) != 32:
		return "the fingerprint of its certificate is no SHA-256 in hexadecimal"
	case given != "" && given != in.fingerprint:
		return "the fingerprint is not that of the certificate"
	}
	return ""
}

func expiredCertificate(in *imported) string {
	if in.cert == nil || in.now.Before(in.cert.NotAfter) {
		return ""
	}
	return fmt.Sprintf("its certificate ended on %s, so no server hears it any more: enrol it again", in.cert.NotAfter.UTC().Format(time.DateOnly))
}

func foreignCertificate(in *imported) string {
	if in.cert == nil || in.options.Verify == nil {
		return ""
	}
	if err := in.options.Verify(in.name, in.cert); err != nil {
		return fmt.Sprintf("the certificates of the import %s do not vouch for its certificate (%s): add the CA that issued it", in.name, clip(err.Error(), maxMessage))
	}
	return ""
}

func takenCertificate(in *imported) string {
	if in.known != nil {
		return "its certificate is that of another enrolment here"
	}
	return ""
}

func takenSerial(in *imported) string {
	if in.namesake != nil {
		return "a device with its serial number is enrolled here under another identifier: see which of the two is right, and release the other one"
	}
	return ""
}

func noIdentifier(in *imported) string {
	if in.PayloadIdentifier == "" {
		return "the PayloadIdentifier of its enrolment profile is missing, which a renewal repeats"
	}
	return ""
}

func wrongRights(in *imported) string {
	if in.AccessRights < 1 || in.AccessRights > maxAccessRights {
		return fmt.Sprintf("the AccessRights %d are no sum of Apple's bits", in.AccessRights)
	}
	return ""
}

func wrongTopic(in *imported) string {
	topic := ""
	if in.options.Topic != nil {
		topic = in.options.Topic()
	}
	switch {
	case topic == "":
		return "the server has no push certificate yet: give it the one of the other server first"
	case in.Topic != topic:
		return fmt.Sprintf("its topic is %.128s and the server's push certificate has %s: a device never changes its topic, so the server needs the push certificate "+
			"that the other one has, or its renewal", cmp.Or(in.Topic, "empty"), topic)
	}
	return ""
}

func wrongURLs(in *imported) string {
	for _, u := range []struct{ name, value, path string }{
		{"ServerURL", in.ServerURL, in.paths.ServerPath}, {"CheckInURL", in.CheckInURL, in.paths.CheckInPath},
	} {
		parsed, err := url.Parse(u.value)
		switch {
		case err != nil || parsed.Scheme != "https" || parsed.Host == "":
			return fmt.Sprintf("its %s is no https address", u.name)
		case hostOf(parsed.Host) != hostOf(in.options.Host):
			return fmt.Sprintf("its %s leads to the host %.255s and this server is %s: a device never changes its URLs, so the server must have the host of the other one",
				u.name, parsed.Host, in.options.Host)
		case parsed.Path != u.path:
			return fmt.Sprintf("the path of its %s is %.255q and that of the import %s is %s: correct the import", u.name, parsed.Path, in.name, u.path)
		}
	}
	return ""
}

// hostOf is a host with its port, in lower case.
func hostOf(host string) string { return strings.TrimSuffix(strings.ToLower(host), ":443") }

func noChannel(in *imported) string {
	for _, c := range in.Channels {
		if c.ID == in.Device.ID {
			return ""
		}
	}
	return "its own channel is missing"
}

func wrongChannel(in *imported) string {
	seen := map[string]bool{}
	for _, c := range in.Channels {
		name := fmt.Sprintf("the channel %.255q", c.ID)
		switch {
		case c.ID != in.Device.ID && !strings.HasPrefix(c.ID, in.Device.ID+":") || strings.HasSuffix(c.ID, ":"):
			return name + " is not one of the device"
		case seen[c.ID]:
			return name + " is there twice"
		case len(c.PushToken) == 0 || c.PushMagic == "":
			return name + " has no push token or no push magic, so it could not be woken"
		}
		seen[c.ID] = true
	}
	return ""
}
