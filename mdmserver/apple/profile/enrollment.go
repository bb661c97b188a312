package profile

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/micromdm/plist"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
)

// Values of the SCEP payload (apple/device-management, com.apple.security.scep).
const (
	keySize = 2048
	// signing and encipherment: a device signs its messages and opens the SCEP reply with the key.
	keyUsage = 5
	// retries and retryDelay, in seconds, ride out a restart of the server.
	retries    = 3
	retryDelay = 10
)

// Enrollment is all that an enrolment profile says. Rendering equal values gives equal bytes, and a renewal differs from the first
// profile in Challenge alone.
type Enrollment struct {
	// Params are what the device remembers; it refuses a renewal in which one of them differs.
	Params fleet.EnrollmentParams
	// Organization is shown to people.
	Organization string
	SCEPURL      string
	// EnrollmentID is asked for as the common name; the server issues it whatever the request says.
	EnrollmentID string
	Challenge    string
	// Anchors are trusted by the device once the profile is installed.
	Anchors []*x509.Certificate
}

// payload is what every payload has (apple/device-management, CommonPayloadKeys).
type payload struct {
	PayloadType         string
	PayloadIdentifier   string
	PayloadUUID         string
	PayloadVersion      int
	PayloadDisplayName  string
	PayloadOrganization string `plist:",omitempty"`
}

type configuration struct {
	payload
	PayloadDescription string
	PayloadScope       string
	PayloadContent     []any
}

type scepPayload struct {
	payload
	PayloadContent scepContent
}

type scepContent struct {
	URL        string
	Subject    [][][]string
	Challenge  string
	KeyType    string `plist:"Key Type"`
	Keysize    int
	KeyUsage   int `plist:"Key Usage"`
	Retries    int
	RetryDelay int
}

type certificatePayload struct {
	payload
	PayloadContent []byte
}

type mdmPayload struct {
	payload
	IdentityCertificateUUID string
	ServerURL               string
	CheckInURL              string
	Topic                   string
	AccessRights            int
	CheckOutWhenRemoved     bool
	SignMessage             bool
	ServerCapabilities      []string
}

// Render returns the unsigned profile, an XML plist.
func (e Enrollment) Render() ([]byte, error) {
	scep := scepPayload{
		payload: e.payload("com.apple.security.scep", ".scep", "Device identity"),
		PayloadContent: scepContent{
			URL:        e.SCEPURL,
			Subject:    [][][]string{{{"O", identity.Organization}}, {{"CN", e.EnrollmentID}}},
			Challenge:  e.Challenge,
			KeyType:    "RSA",
			Keysize:    keySize,
			KeyUsage:   keyUsage,
			Retries:    retries,
			RetryDelay: retryDelay,
		},
	}
	mdm := mdmPayload{
		payload:                 e.payload("com.apple.mdm", ".mdm", "Device management"),
		IdentityCertificateUUID: scep.PayloadUUID,
		ServerURL:               e.Params.ServerURL,
		CheckInURL:              e.Params.CheckInURL,
		Topic:                   e.Params.Topic,
		AccessRights:            e.Params.AccessRights,
		CheckOutWhenRemoved:     true,
		SignMessage:             true,
		ServerCapabilities:      []string{"com.apple.mdm.per-user-connections", "com.apple.mdm.bootstraptoken"},
	}
	top := configuration{
		payload:            e.payload("Configuration", "", "Device management"),
		PayloadDescription: "Lets " + cmp.Or(e.Organization, "your organisation") + " manage this device.",
		PayloadScope:       "System",
		PayloadContent:     append(e.anchors(), scep, mdm),
	}
	out, err := plist.MarshalIndent(top, "\t")
	if err != nil {
		return nil, fmt.Errorf("rendering the enrolment profile: %w", err)
	}
	return out, nil
}

func (e Enrollment) anchors() []any {
	var out []any
	for i, cert := range e.Anchors {
		kind := "com.apple.security.pkcs1"
		if bytes.Equal(cert.RawIssuer, cert.RawSubject) {
			kind = "com.apple.security.root"
		}
		out = append(out, certificatePayload{
			payload:        e.payload(kind, ".anchor"+strconv.Itoa(i), "Server certificate authority"),
			PayloadContent: cert.Raw,
		})
	}
	return out
}

// payload names a payload below the profile. Its UUID follows from its identifier, so that a renewal and a restored server name the
// same payloads.
func (e Enrollment) payload(kind, suffix, displayName string) payload {
	identifier := e.Params.PayloadIdentifier + suffix
	return payload{
		PayloadType:         kind,
		PayloadIdentifier:   identifier,
		PayloadUUID:         strings.ToUpper(uuid.NewSHA1(uuid.NameSpaceDNS, []byte(identifier)).String()),
		PayloadVersion:      1,
		PayloadDisplayName:  displayName,
		PayloadOrganization: e.Organization,
	}
}
