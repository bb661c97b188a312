package windows

import (
	"context"
	"encoding/asn1"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

const (
	deviceType     = "CIMClient_Windows"
	requestVersion = "6.0"
)

// AuthPolicy is how a server lets devices authenticate.
type AuthPolicy string

// The policies that a PC offers.
const (
	PolicyOnPremise AuthPolicy = "OnPremise"
	PolicyFederated AuthPolicy = "Federated"
)

// Discovery is what a discovery service answered.
type Discovery struct {
	AuthPolicy        AuthPolicy
	EnrollmentVersion string
	// PolicyURL may be empty: then there is no policy service.
	PolicyURL, EnrollmentURL string
	// AuthenticationURL is the sign-in page; set if the policy is Federated.
	AuthenticationURL string
}

// discover first looks whether there is a service (GET), then asks it.
func (pc *PC) discover(ctx context.Context, discoveryURL, user string) (*Discovery, error) {
	probe, err := pc.Send(ctx, Message{Method: http.MethodGet, URL: discoveryURL, Header: http.Header{
		"Content-Type": {"unknown/unknown"}, "User-Agent": {"ENROLLClient"},
	}})
	if err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	if probe.Status != http.StatusOK {
		return nil, &HTTPError{Endpoint: "discovery", Status: probe.Status}
	}
	answer, err := pc.call(ctx, discoveryURL, nil, exchange{
		endpoint: "discovery", action: nsDiscovery + "/IDiscoveryService/Discover", reply: nsDiscovery + "/IDiscoveryService/DiscoverResponse",
		messageID: "urn:uuid:748132ec-a575-4329-b01b-6171a9cf8478",
		body: tag("Discover", attr("xmlns", nsDiscovery),
			tag("request", attr("xmlns:i", nsInstance),
				tag("EmailAddress", user), tag("RequestVersion", requestVersion), tag("DeviceType", deviceType),
				tag("ApplicationVersion", pc.opts.OSVersion), tag("OSEdition", pc.opts.OSEdition),
				tag("AuthPolicies", tag("AuthPolicy", string(PolicyOnPremise)), tag("AuthPolicy", string(PolicyFederated))))),
	})
	if err != nil {
		return nil, err
	}
	d, err := parseDiscovery(answer)
	if err != nil {
		return nil, malformed("discovery: %w", err)
	}
	return d, nil
}

func parseDiscovery(answer *element) (*Discovery, error) {
	result := answer.child("DiscoverResult")
	if answer.Local != "DiscoverResponse" || strings.TrimSuffix(answer.Space, "/") != nsDiscovery || result == nil {
		return nil, fmt.Errorf("<%s> of %s", answer.Local, answer.Space)
	}
	d := &Discovery{
		AuthPolicy: AuthPolicy(result.value("AuthPolicy")), EnrollmentVersion: result.value("EnrollmentVersion"),
		PolicyURL: result.value("EnrollmentPolicyServiceUrl"), EnrollmentURL: result.value("EnrollmentServiceUrl"),
		AuthenticationURL: result.value("AuthenticationServiceUrl"),
	}
	return d, d.check()
}

func (d *Discovery) check() error {
	if d.AuthPolicy != PolicyOnPremise && d.AuthPolicy != PolicyFederated {
		return fmt.Errorf("authentication policy %q was not offered", d.AuthPolicy)
	}
	if version, err := strconv.ParseFloat(d.EnrollmentVersion, 64); err != nil || version < 3 || version > 7 {
		return fmt.Errorf("enrolment version %q", d.EnrollmentVersion)
	}
	enrollment, err := httpsURL(d.EnrollmentURL)
	if err != nil {
		return fmt.Errorf("EnrollmentServiceUrl: %w", err)
	}
	if policy, err := httpsURL(d.PolicyURL); d.PolicyURL != "" && (err != nil || policy.Host != enrollment.Host) {
		return errors.New("the policy service is not on the enrolment service's host")
	}
	if _, err := httpsURL(d.AuthenticationURL); (d.AuthPolicy == PolicyFederated) != (err == nil) {
		return fmt.Errorf("policy %s with sign-in page %q", d.AuthPolicy, d.AuthenticationURL)
	}
	return nil
}

func httpsURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%q is no https URL", text)
	}
	return u, nil
}

// signInURL is the page that Windows opens in its browser.
func (d *Discovery) signInURL(appRU, user string) (string, error) {
	page, err := httpsURL(d.AuthenticationURL)
	if err != nil {
		return "", err
	}
	query := page.Query()
	query.Set("appru", appRU)
	query.Set("login_hint", user)
	page.RawQuery = query.Encode()
	return page.String(), nil
}

// Policy is what a certificate request has to be like (MS-XCEP).
type Policy struct {
	MinimalKeyLength int
	// Hash is the object identifier of the hash of requests.
	Hash asn1.ObjectIdentifier
	// ValiditySeconds and RenewalSeconds are those of the certificates.
	ValiditySeconds, RenewalSeconds int
}

// Without a policy service Windows makes keys of 2048 bits and signs with SHA-1 (MS-MDE2 section 3.3).
var defaultPolicy = Policy{MinimalKeyLength: 2048, Hash: oidSHA1}

func (pc *PC) getPolicy(ctx context.Context, d *Discovery, security *element) (*Policy, error) {
	if d.PolicyURL == "" {
		return &defaultPolicy, nil
	}
	null := attr("xsi:nil", "true")
	answer, err := pc.call(ctx, d.PolicyURL, nil, exchange{
		endpoint: "policy", action: nsPolicy + "/IPolicy/GetPolicies", reply: nsPolicy + "/IPolicy/GetPoliciesResponse",
		messageID: "urn:uuid:72048B64-0F19-448F-8C2E-B4C661860AA0", security: security,
		body: tag("GetPolicies", attr("xmlns", nsPolicy), attr("xmlns:xsi", nsInstance),
			tag("client", tag("lastUpdate", null), tag("preferredLanguage", null)), tag("requestFilter", null)),
	})
	if err != nil {
		return nil, err
	}
	p, err := parsePolicy(answer)
	if err != nil {
		return nil, malformed("policy: %w", err)
	}
	return p, nil
}

func parsePolicy(answer *element) (*Policy, error) {
	policies := answer.at("response/policies").all("policy")
	if answer.Local != "GetPoliciesResponse" || answer.Space != nsPolicy || len(policies) != 1 {
		return nil, fmt.Errorf("<%s> of %s with %d policies", answer.Local, answer.Space, len(policies))
	}
	attributes := policies[0].child("attributes")
	number := func(path string) int {
		n, err := strconv.Atoi(attributes.value(path))
		if err != nil {
			return -1
		}
		return n
	}
	p := &Policy{
		MinimalKeyLength: number("privateKeyAttributes/minimalKeyLength"),
		ValiditySeconds:  number("certificateValidity/validityPeriodSeconds"), RenewalSeconds: number("certificateValidity/renewalPeriodSeconds"),
	}
	if policies[0].value("policyOIDReference") != "0" || number("policySchema") != 3 {
		return nil, errors.New("policyOIDReference is not 0 or policySchema is not 3")
	}
	if attributes.value("permission/enroll") != "true" || attributes.value("permission/autoEnroll") != "false" {
		return nil, errors.New("nobody is permitted to enrol")
	}
	if attributes.at("privateKeyAttributes/provider") != nil {
		return nil, errors.New("a provider outside cryptoProviders")
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	var err error
	p.Hash, err = findOID(answer.child("oIDs"), attributes.value("hashAlgorithmOIDReference"))
	return p, err
}

func (p *Policy) check() error {
	if p.MinimalKeyLength < 1024 || p.ValiditySeconds < 1 || p.RenewalSeconds < 1 || p.RenewalSeconds >= p.ValiditySeconds {
		return fmt.Errorf("%+v", *p)
	}
	return nil
}

// findOID looks a reference to a hash up among the identifiers. Without a reference the hash is SHA-1.
func findOID(oids *element, reference string) (asn1.ObjectIdentifier, error) {
	if reference == "" {
		return oidSHA1, nil
	}
	for _, oid := range oids.all("oID") {
		if oid.value("oIDReferenceID") != reference {
			continue
		}
		switch value := oid.value("value"); value {
		case oidSHA256.String():
			return oidSHA256, nil
		case oidSHA1.String():
			return oidSHA1, nil
		default:
			return nil, fmt.Errorf("hash algorithm %q", value)
		}
	}
	return nil, fmt.Errorf("no identifier has the reference %q", reference)
}
