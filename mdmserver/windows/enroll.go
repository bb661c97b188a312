package windows

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
	"github.com/kubemdm/kubemdm/mdmserver/windows/csr"
	"github.com/kubemdm/kubemdm/mdmserver/windows/wire"
)

// renewalSlack is how long before its time a renewal is still taken: clocks and whole days differ.
const renewalSlack = 24 * time.Hour

// maxRetryDays is how long a device waits after a renewal that failed, in days.
const maxRetryDays = 7

// Bounds of what a device sends, in bytes: its id, what else it says of itself, and its request. A renewal with its chain takes six thousand.
const (
	maxID      = 255
	maxFact    = 256
	maxRequest = 64 << 10
)

var (
	errDeviceID    = errors.New("the request names no valid device")
	errRequestType = errors.New("the request is neither for a first certificate nor for another one")
	errRequest     = errors.New("the certificate request cannot be granted")
	errSigner      = errors.New("the renewal is not signed with a certificate of ours")
)

// enroll answers a request for a first certificate, or, if the request is signed with one of ours, for another one. The credential in the header
// counts only for the first.
func (w *Windows) enroll(ctx context.Context, r *wire.Request) (wire.Body, error) {
	request := r.TokenRequest
	if request == nil {
		return nil, fmt.Errorf("%w: it is no RequestSecurityToken", errMalformed)
	}
	if request.RequestType != wire.RequestIssue && request.RequestType != wire.RequestRenew {
		return nil, errRequestType
	}
	claim, err := claimOf(request)
	if err != nil {
		return nil, err
	}
	message, err := request.Token.Bytes()
	if err != nil || len(message) > maxRequest {
		return nil, fmt.Errorf("%w: it is too large, or no base64", errRequest)
	}
	store := wire.StoreUser
	if request.Item("EnrollmentType") == "Device" {
		store = wire.StoreSystem
	}
	var p *wire.Provisioning
	switch {
	case csr.Signed(message):
		p, err = w.renew(ctx, claim, message)
	case request.RequestType == wire.RequestRenew:
		err = fmt.Errorf("%w: it is not signed at all", errSigner)
	default:
		p, err = w.issue(ctx, r.Security, claim, message)
	}
	if err != nil {
		return nil, err
	}
	p.ProviderID, p.Store = adminapi.WindowsProviderID, store
	document, err := p.Encode()
	return &wire.Issued{Provisioning: document, At: w.Now()}, err
}

// claimOf reads what the device says of itself. Only its id is needed, and that only the first time.
func claimOf(r *wire.TokenRequest) (fleet.WindowsClaim, error) {
	id := r.Item("DeviceID")
	unfit := func(c rune) bool { return c == ':' || c > unicode.MaxASCII || !unicode.IsGraphic(c) }
	if len(id) > maxID || strings.ContainsFunc(id, unfit) { // a colon would make it the user channel of another device
		return fleet.WindowsClaim{}, errDeviceID
	}
	return fleet.WindowsClaim{
		DeviceID: id,
		Facts: fleet.DeviceFacts{
			UDID: id, DeviceName: clip(r.Item("DeviceName"), maxFact), OSVersion: clip(r.Item("OSVersion"), maxFact),
		},
	}, nil
}

// issue enrols a device.
func (w *Windows) issue(ctx context.Context, s wire.Security, claim fleet.WindowsClaim, message []byte) (*wire.Provisioning, error) {
	if claim.DeviceID == "" {
		return nil, errDeviceID
	}
	cred, err := credential(s)
	if err != nil {
		return nil, err
	}
	request, err := csr.Parse(message)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRequest, err)
	}
	claim.PublicKeySHA256 = request.PublicKeySHA256
	enrollment, err := w.Fleet.EnrollWindows(ctx, cred, claim, func(g fleet.Grant) ([]byte, error) {
		ca, err := identity.Active(w.CAs())
		if err != nil {
			return nil, err
		}
		return w.certify(ca, request, g)
	})
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(enrollment.Certificate)
	if err != nil {
		return nil, fmt.Errorf("reading an issued certificate: %w", err)
	}
	// Windows takes one root. The CA of the server's own certificate it trusts already, or it would not have come here.
	p := &wire.Provisioning{Certificate: cert.Raw, Account: w.account(enrollment, cert)}
	if ca := w.issuer(cert); ca != nil {
		trust(p, ca.Cert)
	}
	return p, nil
}

// renew gives a device another certificate. Whoever signed the request holds the key of a certificate of ours, which is all the proof that it takes, also
// behind a proxy that ends TLS.
func (w *Windows) renew(ctx context.Context, claim fleet.WindowsClaim, message []byte) (*wire.Provisioning, error) {
	content, signer, err := identity.Options{CAs: w.CAs, Now: w.Now, Log: w.Log}.Signed(message)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSigner, err)
	}
	p, err := w.renewSigned(ctx, claim, content, signer)
	if err != nil {
		return nil, &fleet.About{Subject: "enrolment " + signer.EnrollmentID, Err: err}
	}
	return p, nil
}

func (w *Windows) renewSigned(ctx context.Context, claim fleet.WindowsClaim, content []byte, signer *identity.Signer) (*wire.Provisioning, error) {
	request, err := csr.Parse(content)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRequest, err)
	}
	claim.PublicKeySHA256 = request.PublicKeySHA256
	before := w.issuer(signer.Cert)
	enrollment, err := w.Fleet.RenewWindows(ctx, signer.Identity, claim, func(g fleet.Grant) ([]byte, error) {
		ca, err := identity.Active(w.CAs())
		if err != nil {
			return nil, err
		}
		if before != nil && before.Generation == ca.Generation && w.Now().Before(w.due(signer.Cert)) {
			return nil, fleet.ErrNotDue
		}
		return w.certify(ca, request, g)
	})
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(enrollment.Certificate)
	if err != nil {
		return nil, fmt.Errorf("reading a renewed certificate: %w", err)
	}
	p := &wire.Provisioning{Certificate: cert.Raw}
	if ca := w.issuer(cert); ca != nil && (before == nil || ca.Generation != before.Generation) {
		trust(p, ca.Cert)
	}
	return p, nil
}

func (w *Windows) due(cert *x509.Certificate) time.Time {
	return cert.NotAfter.Add(-time.Duration(w.Config.Windows.Identity.RenewBefore) - renewalSlack)
}

func (w *Windows) certify(ca identity.CA, request *csr.Request, g fleet.Grant) ([]byte, error) {
	return ca.Issue(request.PublicKey, g.EnrollmentID, w.Now(), time.Duration(w.Config.Windows.Identity.Validity))
}

// issuer returns the generation that issued a certificate, nil if it is not loaded any more.
func (w *Windows) issuer(cert *x509.Certificate) *identity.CA {
	for _, ca := range w.CAs() {
		if cert.CheckSignatureFrom(ca.Cert) == nil {
			return &ca
		}
	}
	return nil
}

func trust(p *wire.Provisioning, cert *x509.Certificate) {
	if bytes.Equal(cert.RawIssuer, cert.RawSubject) {
		p.Roots = append(p.Roots, cert.Raw)
	} else {
		p.Intermediates = append(p.Intermediates, cert.Raw)
	}
}

func (w *Windows) account(e *fleet.WindowsEnrollment, cert *x509.Certificate) *wire.Account {
	c := w.Config.Windows
	renewDays := max(1, int(time.Duration(c.Identity.RenewBefore)/(24*time.Hour)))
	return &wire.Account{
		Name:                  w.Config.Organization,
		ManagementURL:         w.managementURL(),
		Subject:               cert.Subject.String(),
		EnrollmentID:          e.EnrollmentID,
		Secret:                e.DigestSecret,
		Nonce:                 identity.DigestNonce(e.DigestSecret, w.Now()),
		RequireMessageSigning: c.Authentication.Require == serverconfig.RequireSignature,
		RenewDays:             renewDays,
		RetryDays:             min(renewDays, maxRetryDays),
		PollEvery:             time.Duration(c.PollEvery),
	}
}

func (w *Windows) managementURL() string {
	return "https://" + cmp.Or(w.Config.Windows.ManagementHost, w.Config.Host) + pathManagement
}
