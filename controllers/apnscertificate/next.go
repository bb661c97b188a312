package apnscertificate

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
)

// portal is where people upload requests.
const portal = "https://identity.apple.com/pushcert"

// next says in one sentence what a person does now, and ends the pass with the mistake that only a person can correct, if there is one.
func (r *Reconciler) next(_ context.Context, s *scope, _ *loop.Report) error {
	before := s.object.Status.NextStep
	s.object.Status.NextStep = s.nextStep()
	if now := s.object.Status.NextStep; now != before && now != "" {
		r.Events.Eventf(s.object, nil, corev1.EventTypeNormal, mdmv1alpha1.EventNextStep, "Reconcile", "%s", shortened(now))
	}
	for _, p := range []*problem{s.keyless, s.refused} {
		if p != nil && !mdmv1alpha1.Patience(p.reason) && p.reason != mdmv1alpha1.APNSCertificateKeyUnavailable {
			return loop.Stall(p.reason, "%s", p.message)
		}
	}
	return nil
}

// sentences say the next step: the first that applies is it.
var sentences = []func(s *scope) string{
	func(s *scope) string {
		if s.keyless == nil {
			return ""
		}
		return "See to the key: " + s.keyless.message
	},
	func(s *scope) string {
		if s.refused == nil || s.refused.reason == mdmv1alpha1.APNSCertificateExpired {
			return ""
		}
		return "Correct what was given: " + s.refused.message
	},
	(*scope).sentenceOfVendor,
	(*scope).sentenceOfUpload,
	(*scope).sentenceOfOthers,
	(*scope).sentenceOfServers,
}

func (s *scope) nextStep() string {
	for _, sentence := range sentences {
		if text := sentence(s); text != "" {
			return text
		}
	}
	return ""
}

// sentenceOfVendor leads to the vendor's signature.
func (s *scope) sentenceOfVendor() string {
	if s.csr == nil || s.unsigned == nil {
		return ""
	}
	switch s.unsigned.reason {
	case mdmv1alpha1.APNSCertificateAwaitingVendor:
		return fmt.Sprintf("Give status.certificateSigningRequest to your MDM vendor (kubectl mdm apns request %s --csr writes it to a file), and put the signed request that comes back into spec.vendor.manual.signedRequest.", s.object.Name)
	case mdmv1alpha1.APNSCertificateAwaitingMail:
		return fmt.Sprintf("Wait for the mail of mdmcert.download to %s, and hand its attachment over: kubectl mdm apns mdmcert-download %s --reply FILE.", s.object.Spec.Vendor.MDMCert.Email, s.object.Name)
	}
	return "Get the request signed: " + s.unsigned.message
}

// sentenceOfUpload leads through Apple's portal.
func (s *scope) sentenceOfUpload() string {
	if s.csr == nil {
		return ""
	}
	account := s.account()
	do := `choose "Create a Certificate"`
	if topic := s.object.Status.Topic; topic != "" {
		do = fmt.Sprintf("choose Renew (never Create) at the entry with the topic %s", topic)
	}
	step := fmt.Sprintf("Upload the request (kubectl mdm apns request %s writes the file) at %s with %s, %s, and hand over the PEM file that it returns: kubectl mdm apns import %s FILE", s.object.Name, portal, account, do, s.object.Name)
	if s.live != nil {
		step += "; no device can be woken after " + date(s.live.NotAfter)
	}
	return step + "."
}

// account names the Apple Account to sign in with.
func (s *scope) account() string {
	for _, known := range []string{s.object.Status.AppleAccount, s.object.Spec.AppleAccount} {
		if known != "" {
			return "the Apple Account " + known
		}
	}
	if s.object.Status.Topic != "" {
		return "the Apple Account that created it"
	}
	return "an Apple Account of your organisation (write it down in spec.appleAccount)"
}

// sentenceOfOthers reminds whoever looks after a pair that is not requested here.
func (s *scope) sentenceOfOthers() string {
	if s.object.Requests() || s.live == nil || !meta.IsStatusConditionFalse(s.object.Status.Conditions, mdmv1alpha1.APNSCertificateNotExpiring) {
		return ""
	}
	return fmt.Sprintf("Renew the certificate at %s with %s by Renew (never Create) before %s, and replace the Secret %s; or set spec.vendor to have the request made here.",
		portal, s.account(), date(s.live.NotAfter), s.object.Spec.SecretRef.Name)
}

// sentenceOfServers leads to the first push.
func (s *scope) sentenceOfServers() string {
	accepted := meta.FindStatusCondition(s.object.Status.Conditions, mdmv1alpha1.APNSCertificatePushAccepted)
	switch {
	case s.live == nil || accepted == nil:
		return ""
	case accepted.Reason == mdmv1alpha1.APNSCertificateNotUsed:
		return "Name it in spec.apple.apnsCertificateRef of an MDMServer."
	case accepted.Reason == mdmv1alpha1.APNSCertificatePushRefused:
		return "Find out why Apple refuses it: " + accepted.Message
	}
	return ""
}

// shortened keeps an event's note below its limit of 1 KiB.
func shortened(text string) string {
	const most = 1000
	if len(text) <= most {
		return text
	}
	return text[:most]
}
