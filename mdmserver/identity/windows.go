package identity

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"

	"github.com/smallstep/pkcs7"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// MicrosoftSignatureHeader carries what SignatureHeader does, under the name that MS-MDM section 2.1 gives it; the documentation of the DMClient CSP
// has the other name.
const MicrosoftSignatureHeader = "MS-Signature"

// Evidence is what a message of a Windows device brings to tell who sent it.
type Evidence struct {
	// Header and Body are those of the request; Peer is the address that it came from.
	Header http.Header
	Body   []byte
	Peer   netip.Addr
	// TLS is the certificate that the client showed in the handshake on the management host; nil: none.
	TLS *x509.Certificate
	// Cred is that of the message; nil: none. Credentials are those of the device that the message names; nil: it is not enrolled.
	Cred        *Cred
	Credentials *fleet.DigestCredentials
}

// Windows tells which Windows device sent a message.
type Windows struct {
	options Options
	require serverconfig.Require
	proxies []netip.Prefix
}

// NewWindows refuses trusted proxies that are no networks.
func NewWindows(o Options, a serverconfig.Authentication) (*Windows, error) {
	proxies, err := parseProxies(a.TrustedProxies)
	if err != nil {
		return nil, fmt.Errorf("authentication.trustedProxies: %w", err)
	}
	return &Windows{options: o, require: a.Require, proxies: proxies}, nil
}

// layer is a way to prove an identity. A proof that is absent gives nil, one that is wrong an error.
type layer struct {
	name  adminapi.ManagementAuthentication
	prove func(*Windows, Evidence) (*fleet.Identity, error)
}

// layers are all there are, the strongest first.
var layers = []layer{
	{adminapi.AuthSignature, (*Windows).signature},
	{adminapi.AuthMutualTLS, (*Windows).mutualTLS},
	{adminapi.AuthForwarded, (*Windows).forwarded},
	{adminapi.AuthDigest, (*Windows).digest},
}

// enough are the layers that a requirement accepts.
var enough = map[serverconfig.Require][]adminapi.ManagementAuthentication{
	serverconfig.RequireDigest:      {adminapi.AuthDigest, adminapi.AuthForwarded, adminapi.AuthMutualTLS, adminapi.AuthSignature},
	serverconfig.RequireCertificate: {adminapi.AuthForwarded, adminapi.AuthMutualTLS, adminapi.AuthSignature},
	serverconfig.RequireSignature:   {adminapi.AuthSignature},
}

var (
	errNoProof   = errors.New("the message does not prove who sent it")
	errDisagree  = errors.New("the message's proofs are of different enrolments")
	errTooWeak   = errors.New("the proof is weaker than the server requires")
	errWeakHash  = errors.New("the signature's digest is not of the SHA-2 family")
	errStranger  = errors.New("a digest for a device that is not enrolled")
	errSignature = errors.New("the message has more than one signature")
)

// Identify returns the identity that the strongest proof shows. A proof that is present and wrong is an error whatever else there is: nobody
// chooses a weaker layer by spoiling a stronger one. Whether the identity's enrolment is that of the device which the message names is fleet's to decide.
func (w *Windows) Identify(e Evidence) (fleet.Identity, adminapi.ManagementAuthentication, error) {
	var id *fleet.Identity
	var by adminapi.ManagementAuthentication
	for _, l := range layers {
		found, err := l.prove(w, e)
		switch {
		case err != nil:
			return fleet.Identity{}, "", fmt.Errorf("%s: %w", l.name, err)
		case found == nil:
		case id == nil:
			id, by = found, l.name
		case found.EnrollmentID != id.EnrollmentID:
			return fleet.Identity{}, "", errDisagree
		}
	}
	if id == nil {
		return fleet.Identity{}, "", errNoProof
	}
	if !slices.Contains(enough[w.require], by) {
		return fleet.Identity{}, "", fmt.Errorf("%s: %w", by, errTooWeak)
	}
	return *id, by, nil
}

// signature verifies the detached signature over the body, under either name of its header.
func (w *Windows) signature(e Evidence) (*fleet.Identity, error) {
	headers := slices.Concat(e.Header.Values(MicrosoftSignatureHeader), e.Header.Values(SignatureHeader))
	switch len(headers) {
	case 0:
		return nil, nil
	case 1:
	default:
		return nil, errSignature
	}
	p7, cert, err := w.options.detached(headers[0])
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(sha2, p7.Signers[0].DigestAlgorithm.Algorithm.Equal) {
		return nil, errWeakHash
	}
	if err := verify(p7, e.Body); err != nil {
		return nil, err
	}
	id := w.options.of(cert)
	return &id, nil
}

var sha2 = []asn1.ObjectIdentifier{pkcs7.OIDDigestAlgorithmSHA256, pkcs7.OIDDigestAlgorithmSHA384, pkcs7.OIDDigestAlgorithmSHA512}

func (w *Windows) mutualTLS(e Evidence) (*fleet.Identity, error) {
	if e.TLS == nil {
		return nil, nil
	}
	return w.certificate(e.TLS)
}

func (w *Windows) forwarded(e Evidence) (*fleet.Identity, error) {
	values := e.Header.Values(ForwardedHeader)
	if len(values) == 0 {
		return nil, nil
	}
	if !slices.ContainsFunc(w.proxies, func(p netip.Prefix) bool { return p.Contains(e.Peer) }) {
		return nil, errProxy
	}
	cert, err := parseForwarded(values)
	if err != nil {
		return nil, err
	}
	return w.certificate(cert)
}

// certificate is for one whose key the peer, or the proxy before it, was seen to hold.
func (w *Windows) certificate(cert *x509.Certificate) (*fleet.Identity, error) {
	if _, err := w.options.vouched(cert); err != nil {
		return nil, fmt.Errorf("verifying the certificate: %w", err)
	}
	id := w.options.of(cert)
	return &id, nil
}

func (w *Windows) digest(e Evidence) (*fleet.Identity, error) {
	switch {
	case e.Cred == nil:
		return nil, nil
	case e.Credentials == nil:
		return nil, errStranger
	}
	if err := e.Cred.verify(*e.Credentials, w.options.Now()); err != nil {
		return nil, err
	}
	return &e.Credentials.Identity, nil
}
