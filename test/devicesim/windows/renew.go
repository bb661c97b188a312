package windows

import (
	"context"
	"crypto/rsa"
	"fmt"
	"time"

	"github.com/smallstep/pkcs7"

	"github.com/kubemdm/kubemdm/test/devicesim"
)

// Renew gets a new certificate for a new key, which the old key signs for (ROBO, MS-MDE2 section 3.5).
func (pc *PC) Renew(ctx context.Context) error {
	pc.conversation.Lock()
	defer pc.conversation.Unlock()
	e, err := pc.current()
	if err != nil {
		return err
	}
	key, err := pc.newKey(e.policy)
	if err != nil {
		return err
	}
	p, err := pc.requestRenewal(ctx, e, e.identity, key)
	if err != nil {
		return err
	}
	renewed, err := e.renewed(p, key, pc.opts.EnrollmentType)
	if err != nil {
		return err
	}
	pc.mu.Lock()
	pc.enrollment = renewed
	pc.tree.certify(renewed)
	pc.mu.Unlock()
	pc.event(devicesim.EventRenewed, "")
	pc.Sync()
	return nil
}

// RequestRenewal asks for a certificate for key in a request that signer signed, and changes nothing: it also forges renewals.
func (pc *PC) RequestRenewal(ctx context.Context, signer *devicesim.Identity, key *rsa.PrivateKey) (*Provisioning, error) {
	pc.conversation.Lock()
	defer pc.conversation.Unlock()
	e, err := pc.current()
	if err != nil {
		return nil, err
	}
	return pc.requestRenewal(ctx, e, signer, key)
}

func (pc *PC) requestRenewal(ctx context.Context, e *enrollment, signer *devicesim.Identity, key *rsa.PrivateKey) (*Provisioning, error) {
	discovery, err := pc.discover(ctx, e.discoveryURL, "")
	if err != nil {
		return nil, err
	}
	csr, err := pc.certificateRequest(key, e.policy.Hash)
	if err != nil {
		return nil, err
	}
	signed, err := pkcs7.NewSignedData(csr)
	if err != nil {
		return nil, fmt.Errorf("signing renewal: %w", err)
	}
	if err := signed.AddSigner(signer.Certificate, signer.Key, pkcs7.SignerInfoConfig{}); err != nil {
		return nil, fmt.Errorf("signing renewal: %w", err)
	}
	content, err := signed.Finish()
	if err != nil {
		return nil, fmt.Errorf("signing renewal: %w", err)
	}
	pc.mu.Lock()
	emmDeviceID := pc.tree.value(e.dmClient("EntDMID"))
	pc.mu.Unlock()
	document, err := pc.requestToken(ctx, discovery, tokenRequest{
		security: renewing(pc.opts.Now()), kind: "Renew", valueType: nsSecurity + "#PKCS7", content: content,
		identity: e.identity, emmDeviceID: emmDeviceID,
	})
	if err != nil {
		return nil, err
	}
	return ParseProvisioning(document)
}

// renewed is the enrolment with the certificate of a renewal, which has to fit to what the enrolment gave.
func (e *enrollment) renewed(p *Provisioning, key *rsa.PrivateKey, kind EnrollmentType) (*enrollment, error) {
	next := *e.provisioning
	next.Certificate, next.Store = p.Certificate, p.Store
	if p.Root != nil {
		next.Root = p.Root
	}
	if p.ProviderID != next.ProviderID {
		return nil, malformed("a renewal by the provider %q", p.ProviderID)
	}
	identity, err := next.accept(key, kind)
	if err != nil {
		return nil, err
	}
	renewed := *e
	renewed.provisioning, renewed.identity = &next, identity
	return &renewed, nil
}

// renewalDue says whether the certificate ends within the renewal period.
func (pc *PC) renewalDue() bool {
	pc.mu.Lock()
	defer pc.mu.Unlock()
	if pc.enrollment == nil {
		return false
	}
	period := time.Duration(pc.tree.number(renewal+"RenewPeriod")) * day
	return !pc.opts.Now().Before(pc.enrollment.identity.Certificate.NotAfter.Add(-period))
}
