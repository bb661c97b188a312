package devicesim

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/micromdm/plist"
	"github.com/smallstep/pkcs7"

	"github.com/kubemdm/kubemdm/internal/ber"
)

// The payload types that a device looks into.
const (
	payloadConfiguration = "Configuration"
	payloadMDM           = "com.apple.mdm"
	payloadSCEP          = "com.apple.security.scep"
	payloadRoot          = "com.apple.security.root"
	payloadPKCS1         = "com.apple.security.pkcs1"
	payloadPEM           = "com.apple.security.pem"
)

// Profile is a configuration profile as a device reads it.
type Profile struct {
	Identifier   string
	UUID         string
	DisplayName  string
	Description  string
	Organization string
	Payloads     []Payload
	// Content is the plist without its signature.
	Content []byte
	// Signer is the certificate of the signature, nil when there is none. Verified says that it is trusted.
	Signer   *x509.Certificate
	Verified bool
}

// Payload is one payload of a profile.
type Payload struct {
	Type       string
	Identifier string
	UUID       string
	// Fields is the whole dictionary.
	Fields map[string]any
}

// profilePlist and payloadPlist are the keys that every profile and payload has (apple/device-management, mdm/profiles/TopLevel).
type profilePlist struct {
	PayloadType         string
	PayloadVersion      int
	PayloadIdentifier   string
	PayloadUUID         string
	PayloadDisplayName  string
	PayloadDescription  string
	PayloadOrganization string
	PayloadContent      []map[string]any
}

type payloadPlist struct {
	PayloadType       string
	PayloadVersion    int
	PayloadIdentifier string
	PayloadUUID       string
}

// ParseProfile reads a profile, signed or not. A signature must be valid; roots decide whether its signer is trusted, which a
// device shows as "Verified" but does not ask for.
func ParseProfile(data []byte, roots *x509.CertPool) (*Profile, error) {
	p := &Profile{Content: data}
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("<")) {
		if err := p.openSignature(data, roots); err != nil {
			return nil, err
		}
	}
	var top profilePlist
	if err := decodePlist(p.Content, &top); err != nil {
		return nil, fmt.Errorf("reading profile: %w", err)
	}
	if top.PayloadType != payloadConfiguration || top.PayloadVersion != 1 || top.PayloadIdentifier == "" || top.PayloadUUID == "" {
		return nil, errors.New("the profile lacks PayloadType Configuration, PayloadVersion 1, PayloadIdentifier or PayloadUUID")
	}
	p.Identifier, p.UUID = top.PayloadIdentifier, top.PayloadUUID
	p.DisplayName, p.Description, p.Organization = top.PayloadDisplayName, top.PayloadDescription, top.PayloadOrganization
	return p, p.readPayloads(top)
}

func (p *Profile) openSignature(data []byte, roots *x509.CertPool) error {
	message, err := parseCMS(data)
	if err != nil {
		return fmt.Errorf("reading profile: it is neither a plist nor signed: %w", err)
	}
	if err := message.Verify(); err != nil {
		return fmt.Errorf("checking the profile's signature: %w", err)
	}
	p.Content, p.Signer = message.Content, message.GetOnlySigner()
	if p.Signer == nil {
		return errors.New("checking the profile's signature: it has no single signer")
	}
	p.Verified = message.VerifyWithChain(roots) == nil && roots != nil
	return nil
}

func (p *Profile) readPayloads(top profilePlist) error {
	seen := map[string]bool{top.PayloadUUID: true}
	for i, fields := range top.PayloadContent {
		var head payloadPlist
		if err := convert(fields, &head); err != nil {
			return fmt.Errorf("reading payload %d: %w", i, err)
		}
		if head.PayloadType == "" || head.PayloadVersion == 0 || head.PayloadIdentifier == "" || head.PayloadUUID == "" {
			return fmt.Errorf("payload %d lacks PayloadType, PayloadVersion, PayloadIdentifier or PayloadUUID", i)
		}
		if seen[head.PayloadUUID] {
			return fmt.Errorf("payload %d repeats a PayloadUUID", i)
		}
		seen[head.PayloadUUID] = true
		p.Payloads = append(p.Payloads, Payload{
			Type: head.PayloadType, Identifier: head.PayloadIdentifier, UUID: head.PayloadUUID, Fields: fields,
		})
	}
	return nil
}

// ofType returns the profile's payloads of one type.
func (p *Profile) ofType(payloadType string) []Payload {
	var found []Payload
	for _, payload := range p.Payloads {
		if payload.Type == payloadType {
			found = append(found, payload)
		}
	}
	return found
}

// parseCMS reads a signed message. The library's own reader panics on input that is not first brought into shape.
func parseCMS(data []byte) (*pkcs7.PKCS7, error) {
	der, err := ber.Normalize(data)
	if err != nil {
		return nil, err
	}
	return pkcs7.Parse(der)
}

// decodePlist reads an XML plist, which is what servers send, into a struct or map.
func decodePlist(data []byte, into any) error {
	if len(bytes.TrimSpace(data)) == 0 {
		return errors.New("the plist is empty")
	}
	return plist.NewXMLDecoder(bytes.NewReader(data)).Decode(into)
}

// convert reads a dictionary that was decoded without a type into a struct.
func convert(from, into any) error {
	data, err := plist.Marshal(from)
	if err != nil {
		return err
	}
	return plist.Unmarshal(data, into)
}
