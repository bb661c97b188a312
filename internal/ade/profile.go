package ade

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
)

// Profile is what Setup Assistant does on a device. Devices are assigned to it with Assign. The type of nanodep is not used: it cannot say that
// pairing is not allowed.
type Profile struct {
	ProfileName string `json:"profile_name,omitempty"`
	// URL is where the device asks for its enrolment profile.
	URL                   string `json:"url,omitempty"`
	AwaitDeviceConfigured bool   `json:"await_device_configured"`
	IsMandatory           bool   `json:"is_mandatory"`
	// IsMDMRemovable can be false with IsSupervised only.
	IsMDMRemovable      bool   `json:"is_mdm_removable"`
	IsSupervised        bool   `json:"is_supervised"`
	AllowPairing        bool   `json:"allow_pairing"`
	IsMultiUser         bool   `json:"is_multi_user"`
	AutoAdvanceSetup    bool   `json:"auto_advance_setup"`
	Department          string `json:"department,omitempty"`
	OrgMagic            string `json:"org_magic,omitempty"`
	SupportPhoneNumber  string `json:"support_phone_number,omitempty"`
	SupportEmailAddress string `json:"support_email_address,omitempty"`
	Language            string `json:"language,omitempty"`
	Region              string `json:"region,omitempty"`
	// ConfigurationWebURL is the page where a person signs in before enrolment.
	ConfigurationWebURL string `json:"configuration_web_url,omitempty"`
	// AnchorCerts are certificates (DER) that the device trusts when it asks URL.
	AnchorCerts    [][]byte `json:"anchor_certs,omitempty"`
	SkipSetupItems []string `json:"skip_setup_items,omitempty"`
}

// Digest names the content of a profile: the SHA-256, in hexadecimal, of its canonical JSON. The order of what is skipped is no part of it.
func (p Profile) Digest() string {
	p.SkipSetupItems = slices.Compact(slices.Sorted(slices.Values(p.SkipSetupItems)))
	canonical, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings, bools and bytes always encode
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:])
}

// Define makes a profile at Apple. A profile can neither be changed nor be deleted there: another content is another profile.
func (c *Client) Define(ctx context.Context, p Profile) (uuid string, err error) {
	const what = "defining a profile"
	var out struct {
		UUID text `json:"profile_uuid"`
	}
	if err := c.call(ctx, what, http.MethodPost, "/profile", p, &out); err != nil {
		return "", err
	}
	if out.UUID == "" {
		const wrong = ": Apple's answer does not name the profile; it is defined again later"
		return "", &Failure{Kind: Unavailable, Status: http.StatusOK, Message: what + wrong}
	}
	return string(out.UUID), nil
}

// Profile returns a profile as Apple has it.
func (c *Client) Profile(ctx context.Context, uuid string) (Profile, error) {
	var p Profile
	if err := c.call(ctx, "asking for a profile", http.MethodGet, "/profile?"+url.Values{"profile_uuid": {uuid}}.Encode(), nil, &p); err != nil {
		return Profile{}, err
	}
	return p, nil
}
