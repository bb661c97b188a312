package importer

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/smallstep/pkcs7"

	"github.com/kubemdm/kubemdm/internal/ber"
	"github.com/kubemdm/kubemdm/internal/xmlplist"
)

// maxProfile bounds an enrolment profile, in bytes.
const maxProfile = 4 << 20

// Profile is what devices remember of the enrolment profile that they were enrolled with.
type Profile struct {
	Identifier   string
	ServerURL    string
	CheckInURL   string
	Topic        string
	AccessRights int
	SignMessage  bool
}

// ReadProfile reads an enrolment profile, signed or not.
func ReadProfile(content []byte) (*Profile, error) {
	if !bytes.HasPrefix(bytes.TrimSpace(content), []byte("<")) {
		unsigned, err := openSignature(content)
		if err != nil {
			return nil, fmt.Errorf("it is neither a profile nor a signed one: %w", err)
		}
		content = unsigned
	}
	var top struct {
		PayloadType       string
		PayloadIdentifier string
		PayloadContent    []struct {
			PayloadType  string
			ServerURL    string
			CheckInURL   string
			Topic        string
			AccessRights int
			SignMessage  bool
		}
	}
	if err := xmlplist.Unmarshal(content, &top); err != nil {
		return nil, fmt.Errorf("it is no profile: %w", err)
	}
	if top.PayloadIdentifier == "" {
		return nil, errors.New("it has no PayloadIdentifier")
	}
	for _, p := range top.PayloadContent {
		if p.PayloadType != "com.apple.mdm" {
			continue
		}
		found := &Profile{
			Identifier: top.PayloadIdentifier, ServerURL: p.ServerURL, CheckInURL: p.CheckInURL, Topic: p.Topic, AccessRights: p.AccessRights, SignMessage: p.SignMessage,
		}
		if found.CheckInURL == "" { // then devices check in at ServerURL
			found.CheckInURL = found.ServerURL
		}
		return found, nil
	}
	return nil, errors.New("it has no payload com.apple.mdm: give the profile that devices were enrolled with")
}

// openSignature returns what was signed. Whose signature it is does not matter: the profile is the administrator's own file.
func openSignature(content []byte) ([]byte, error) {
	der, err := ber.Normalize(content)
	if err != nil {
		return nil, err
	}
	message, err := pkcs7.Parse(der)
	if err != nil {
		return nil, err
	}
	return message.Content, nil
}
