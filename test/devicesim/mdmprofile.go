package devicesim

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Server capabilities that an enrolment profile may declare (apple/device-management, mdm/profiles/com.apple.mdm).
const (
	capabilityUsers          = "com.apple.mdm.per-user-connections"
	capabilityBootstrapToken = "com.apple.mdm.bootstraptoken"
)

// allAccessRights is the sum of every right an MDM payload can ask for.
const allAccessRights = 8191

// EnrollmentProfile is a profile that puts a device under management.
type EnrollmentProfile struct {
	*Profile
	MDM  MDMPayload
	SCEP SCEPPayload
}

// MDMPayload is the payload com.apple.mdm.
type MDMPayload struct {
	ServerURL               string
	CheckInURL              string
	Topic                   string
	AccessRights            int
	IdentityCertificateUUID string
	SignMessage             bool
	CheckOutWhenRemoved     bool
	ServerCapabilities      []string
}

// SCEPPayload is the content of the payload com.apple.security.scep.
type SCEPPayload struct {
	URL        string
	Name       string
	Subject    [][][]string
	Challenge  string
	KeyType    string `plist:"Key Type"`
	KeySize    int    `plist:"Keysize"`
	KeyUsage   int    `plist:"Key Usage"`
	Retries    int
	RetryDelay int
	// CAFingerprint is the SHA-256, SHA-1 or MD5 of the CA certificate; empty trusts whichever the server gives.
	CAFingerprint []byte
}

// Defaults of the SCEP payload.
const (
	defaultRetries    = 3
	defaultRetryDelay = 10 // seconds
)

// ParseEnrollment reads the MDM and SCEP payloads of a profile, or says why a device would not enrol with it.
func ParseEnrollment(p *Profile) (*EnrollmentProfile, error) {
	e := &EnrollmentProfile{Profile: p, SCEP: SCEPPayload{Retries: defaultRetries, RetryDelay: defaultRetryDelay}}
	mdm := p.ofType(payloadMDM)
	if len(mdm) != 1 {
		return nil, fmt.Errorf("the profile has %d MDM payloads, not one", len(mdm))
	}
	if err := convert(mdm[0].Fields, &e.MDM); err != nil {
		return nil, fmt.Errorf("reading MDM payload: %w", err)
	}
	if e.MDM.CheckInURL == "" {
		e.MDM.CheckInURL = e.MDM.ServerURL
	}
	if err := e.MDM.check(); err != nil {
		return nil, err
	}
	for _, payload := range p.ofType(payloadSCEP) {
		if payload.UUID != e.MDM.IdentityCertificateUUID {
			continue
		}
		if err := convert(payload.Fields["PayloadContent"], &e.SCEP); err != nil {
			return nil, fmt.Errorf("reading SCEP payload: %w", err)
		}
		return e, e.SCEP.check()
	}
	return nil, errors.New("IdentityCertificateUUID names no SCEP payload of the profile")
}

func (m *MDMPayload) check() error {
	switch {
	case !isHTTPS(m.ServerURL) || !isHTTPS(m.CheckInURL):
		return errors.New("ServerURL and CheckInURL must be https")
	case !strings.HasPrefix(m.Topic, "com.apple.mgmt."):
		return fmt.Errorf("the topic %q is not one for device management", m.Topic)
	case m.AccessRights < 1 || m.AccessRights > allAccessRights:
		return fmt.Errorf("AccessRights %d are not between 1 and %d", m.AccessRights, allAccessRights)
	case !m.SignMessage:
		return errors.New("SignMessage is not set: the simulated device has no other way to show its identity")
	}
	return nil
}

// checkReplaces says why a device refuses the profile in the place of the one that it is enrolled with
// (facts of the protocol: all of these must be equal).
func (e *EnrollmentProfile) checkReplaces(old *EnrollmentProfile) error {
	if e.Identifier != old.Identifier || e.MDM.ServerURL != old.MDM.ServerURL || e.MDM.CheckInURL != old.MDM.CheckInURL ||
		e.MDM.Topic != old.MDM.Topic || e.MDM.AccessRights != old.MDM.AccessRights {
		return errors.New("new MDM payload does not match the old payload")
	}
	return nil
}

func (m *MDMPayload) can(capability string) bool {
	return slices.Contains(m.ServerCapabilities, capability)
}

func (s *SCEPPayload) check() error {
	switch {
	case !isHTTPS(s.URL) && !strings.HasPrefix(s.URL, "http://"):
		return fmt.Errorf("the SCEP payload's URL %q is not one", s.URL)
	case s.KeyType != "" && s.KeyType != "RSA":
		return fmt.Errorf("the SCEP payload asks for a %s key: devices have RSA", s.KeyType)
	case s.KeySize != 0 && s.KeySize != keyBits:
		return fmt.Errorf("the SCEP payload asks for %d bits: the simulated device has %d", s.KeySize, keyBits)
	}
	return nil
}

func (s *SCEPPayload) retryDelay() time.Duration { return time.Duration(s.RetryDelay) * time.Second }

// subject is the requested name of the certificate; attributes other than these are left out.
func (s *SCEPPayload) subject() pkix.Name {
	var name pkix.Name
	for _, set := range s.Subject {
		for _, pair := range set {
			if len(pair) != 2 {
				continue
			}
			switch pair[0] {
			case "CN":
				name.CommonName = pair[1]
			case "O":
				name.Organization = append(name.Organization, pair[1])
			case "OU":
				name.OrganizationalUnit = append(name.OrganizationalUnit, pair[1])
			}
		}
	}
	return name
}

// Anchors returns the certificates that the profile makes the device trust.
func (p *Profile) Anchors() ([]*x509.Certificate, error) {
	var anchors []*x509.Certificate
	for _, payload := range slices.Concat(p.ofType(payloadRoot), p.ofType(payloadPKCS1), p.ofType(payloadPEM)) {
		der, _ := payload.Fields["PayloadContent"].([]byte)
		if block, _ := pem.Decode(der); block != nil {
			der = block.Bytes
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("reading certificate payload: %w", err)
		}
		anchors = append(anchors, certificate)
	}
	return anchors, nil
}

func isHTTPS(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "https" && u.Host != ""
}
