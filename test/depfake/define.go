package depfake

import (
	"crypto/x509"
	"encoding/base64"
	"net/url"
	"regexp"
	"unicode/utf8"
)

// profile is the body of "Define a Profile"; a nil pointer is a field that is not there.
type profile struct {
	AllowPairing          *bool    `json:"allow_pairing,omitempty"`
	AnchorCerts           []string `json:"anchor_certs,omitempty"`
	AutoAdvanceSetup      *bool    `json:"auto_advance_setup,omitempty"`
	AwaitDeviceConfigured *bool    `json:"await_device_configured,omitempty"`
	ConfigurationWebURL   *string  `json:"configuration_web_url,omitempty"`
	Department            *string  `json:"department,omitempty"`
	Devices               []string `json:"devices,omitempty"`
	NoProfileFromBackup   *bool    `json:"do_not_use_profile_from_backup,omitempty"`
	IsMandatory           *bool    `json:"is_mandatory,omitempty"`
	IsMDMRemovable        *bool    `json:"is_mdm_removable,omitempty"`
	IsMultiUser           *bool    `json:"is_multi_user,omitempty"`
	IsReturnToService     *bool    `json:"is_return_to_service,omitempty"`
	IsSupervised          *bool    `json:"is_supervised,omitempty"`
	Language              *string  `json:"language,omitempty"`
	OrgMagic              *string  `json:"org_magic,omitempty"`
	ProfileName           *string  `json:"profile_name,omitempty"`
	Region                *string  `json:"region,omitempty"`
	SkipSetupItems        []string `json:"skip_setup_items,omitempty"`
	SupervisingHostCerts  []string `json:"supervising_host_certs,omitempty"`
	SupportEmailAddress   *string  `json:"support_email_address,omitempty"`
	SupportPhoneNumber    *string  `json:"support_phone_number,omitempty"`
	URL                   *string  `json:"url,omitempty"`
}

var (
	language = regexp.MustCompile(`^[a-z]{2,3}(-[A-Za-z0-9]+)*$`)
	region   = regexp.MustCompile(`^[A-Z]{2}$`)
)

// check returns Apple's code for what is wrong, or "".
func (p *profile) check() string {
	switch {
	case p.ProfileName == nil:
		return "CONFIG_NAME_REQUIRED"
	case !within(p.ProfileName, 125):
		return "CONFIG_NAME_INVALID"
	case p.URL == nil:
		return "CONFIG_URL_REQUIRED"
	case !isURL(p.URL):
		return "CONFIG_URL_INVALID"
	}
	return p.checkOptional()
}

func (p *profile) checkOptional() string {
	isFalse := func(b *bool) bool { return b == nil || !*b }
	for _, c := range []struct {
		right bool
		code  string
	}{
		{within(p.Department, 125), "DEPARTMENT_INVALID"},
		{within(p.OrgMagic, 256), "MAGIC_INVALID"},
		{within(p.SupportEmailAddress, 250), "SUPPORT_EMAIL_INVALID"},
		{within(p.SupportPhoneNumber, 50), "SUPPORT_PHONE_INVALID"},
		{p.Language == nil || language.MatchString(*p.Language), "LOCALE_INVALID"},
		{p.Region == nil || region.MatchString(*p.Region), "LOCALE_INVALID"},
		{p.IsMDMRemovable == nil || *p.IsMDMRemovable || !isFalse(p.IsSupervised), "FLAGS_INVALID"},
		{isURL(p.ConfigurationWebURL), "CONFIG_URL_INVALID"},
		{areCertificates(p.AnchorCerts) && areCertificates(p.SupervisingHostCerts), "MALFORMED_REQUEST_BODY"},
	} {
		if !c.right {
			return c.code
		}
	}
	return ""
}

// within says whether a field is not there, or neither empty nor too long.
func within(field *string, most int) bool {
	return field == nil || *field != "" && utf8.RuneCountInString(*field) <= most
}

// isURL wants an absolute URL of https, for devices talk to no other.
func isURL(field *string) bool {
	if field == nil {
		return true
	}
	u, err := url.Parse(*field)
	return err == nil && u.Scheme == "https" && u.Host != "" && len(*field) <= 2000
}

// areCertificates wants DER in base64 without line breaks.
func areCertificates(texts []string) bool {
	for _, text := range texts {
		der, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil || base64.StdEncoding.EncodeToString(der) != text {
			return false
		}
		if _, err := x509.ParseCertificate(der); err != nil {
			return false
		}
	}
	return true
}
