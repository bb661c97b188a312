package devicesim

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// SetupProfile is the setup-assistant profile that a device gets from Apple when it is activated (Apple, "Profile" of Device Assignment).
type SetupProfile struct {
	ProfileName         string `json:"profile_name"`
	URL                 string `json:"url"`
	ConfigurationWebURL string `json:"configuration_web_url"`
	// AnchorCerts are DER.
	AnchorCerts           [][]byte `json:"anchor_certs"`
	SkipSetupItems        []string `json:"skip_setup_items"`
	AwaitDeviceConfigured bool     `json:"await_device_configured"`
	IsMandatory           bool     `json:"is_mandatory"`
	IsMDMRemovable        bool     `json:"is_mdm_removable"`
	IsSupervised          bool     `json:"is_supervised"`
	IsMultiUser           bool     `json:"is_multi_user"`
	AllowPairing          bool     `json:"allow_pairing"`
	AutoAdvanceSetup      bool     `json:"auto_advance_setup"`
	Department            string   `json:"department"`
	OrgMagic              string   `json:"org_magic"`
	SupportPhoneNumber    string   `json:"support_phone_number"`
	SupportEmailAddress   string   `json:"support_email_address"`
	Language              string   `json:"language"`
	Region                string   `json:"region"`

	anchors []*x509.Certificate
}

// ErrNoSetupProfile says that the organisation gave the device no profile: Setup Assistant goes on as on anybody's device.
var ErrNoSetupProfile = errors.New("the device has no setup-assistant profile")

// ParseSetupProfile reads a setup-assistant profile in JSON, or says why a device would not enrol with it. Keys that are not known are left alone.
func ParseSetupProfile(data []byte) (*SetupProfile, error) {
	p := &SetupProfile{IsMDMRemovable: true, AllowPairing: true} // Apple's defaults
	if err := json.Unmarshal(data, p); err != nil {
		return nil, fmt.Errorf("reading setup-assistant profile: %w", err)
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("reading setup-assistant profile: %w", err)
	}
	for i, der := range p.AnchorCerts {
		anchor, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("reading setup-assistant profile: anchor_certs[%d]: %w", i, err)
		}
		p.anchors = append(p.anchors, anchor)
	}
	return p, nil
}

func (p *SetupProfile) check() error {
	switch {
	case p.ProfileName == "":
		return errors.New("profile_name is missing")
	case !isHTTPS(p.URL):
		return fmt.Errorf("url %q is not https", p.URL)
	case p.ConfigurationWebURL != "" && !isHTTPS(p.ConfigurationWebURL):
		return fmt.Errorf("configuration_web_url %q is not https", p.ConfigurationWebURL)
	case !p.IsMDMRemovable && !p.IsSupervised:
		return errors.New("is_mdm_removable can be false on supervised devices only")
	case p.AutoAdvanceSetup && (p.Language == "" || p.Region == ""):
		return errors.New("auto_advance_setup needs language and region")
	}
	return nil
}

// placeholder stands for the serial number in the URL of an activation service.
const placeholder = "{serial}"

// profile is the given profile, or what the activation service has for the serial number.
func (s *SetupAssistant) profile(ctx context.Context, serial string) (*SetupProfile, error) {
	if s.Profile != nil {
		return ParseSetupProfile(s.Profile)
	}
	if !strings.Contains(s.Activation, placeholder) {
		return nil, fmt.Errorf("activating: there is no profile, and the activation URL %q lacks %s", s.Activation, placeholder)
	}
	address := strings.ReplaceAll(s.Activation, placeholder, url.PathEscape(serial))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("activating: %w", err)
	}
	status, body, _, err := roundTrip(&http.Client{Timeout: requestTimeout}, request)
	if err != nil {
		return nil, fmt.Errorf("activating: %w", err)
	}
	switch status {
	case http.StatusOK:
		return ParseSetupProfile(body)
	case http.StatusNoContent, http.StatusNotFound:
		return nil, ErrNoSetupProfile
	}
	return nil, &StatusError{Endpoint: "activation", Code: status}
}
