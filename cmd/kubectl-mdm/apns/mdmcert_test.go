package apns_test

import (
	"bytes"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

const email = "mdm@example.com"

// asks has mdmcert.download as its vendor, with settings of its own.
func asks(c *mdmv1alpha1.APNSCertificate) {
	c.Spec.Vendor = &mdmv1alpha1.PushVendor{Type: mdmv1alpha1.PushVendorMDMCert, MDMCert: &mdmv1alpha1.MDMCertVendor{
		Email: email, URL: "https://mdmcert.example.com", APIKeySecretRef: mdmv1alpha1.KeyReference{Name: "api", Key: "key"},
	}}
}

// took is what the operator writes once the service took the request.
func took(c *mdmv1alpha1.APNSCertificate) {
	at := metav1.NewTime(now)
	requested(c)
	c.Status.MDMCert = &mdmv1alpha1.MDMCertStatus{SentAt: &at, AttemptedAt: &at, Email: email, LastHandledResend: c.Annotations[mdmv1alpha1.AnnotationResendRequest]}
	c.Status.NextStep = "Wait for the mail."
	condition(mdmv1alpha1.APNSCertificateVendorSigned, metav1.ConditionFalse, mdmv1alpha1.APNSCertificateAwaitingMail, "it mails")(c)
}

func refused(c *mdmv1alpha1.APNSCertificate) {
	took(c)
	c.Status.MDMCert.SentAt, c.Status.MDMCert.Failure = nil, "it does not know the address"
	condition(mdmv1alpha1.APNSCertificateVendorSigned, metav1.ConditionFalse, mdmv1alpha1.APNSCertificateServiceFailed, "it does not know the address")(c)
}

func TestMDMCertDownload(t *testing.T) {
	const (
		annotations = `{"metadata":{"annotations":{`
		requestedAt = `"mdm.kubemdm.io/requested-at":"` + "2026-07-01T12:00:00Z" + `"`
		resent      = `,"mdm.kubemdm.io/resend-request":"` + "2026-07-01T12:00:00Z" + `"`
		first       = `}},"spec":{"vendor":{"manual":null,"mdmcert":{"apiKeySecretRef":{"name":"mdmcert","key":"token"},"email":"mdm@example.com"},"secret":null,"type":"MDMCert"}}}`
		vendor      = `}},"spec":{"vendor":{"manual":null,"mdmcert":{"email":"mdm@example.com"},"secret":null,"type":"MDMCert"}}}`
	)
	manual := func(c *mdmv1alpha1.APNSCertificate) {
		c.Spec.Vendor = &mdmv1alpha1.PushVendor{Type: mdmv1alpha1.PushVendorManual, Manual: &mdmv1alpha1.ManualVendor{SignedRequest: "x"}}
	}
	earlier := func(c *mdmv1alpha1.APNSCertificate) {
		took(c)
		c.Status.MDMCert.Email = "before@example.com"
	}
	anHourAgo := func(c *mdmv1alpha1.APNSCertificate) {
		took(c)
		at := metav1.NewTime(now.Add(-time.Hour))
		c.Status.MDMCert.SentAt, c.Status.MDMCert.LastHandledResend = &at, ""
	}
	for _, tc := range []struct {
		name     string
		push     *mdmv1alpha1.APNSCertificate
		operator []func(*mdmv1alpha1.APNSCertificate)
		args     []string
		patch    string
		want     []string
		errs     []string
	}{
		{name: "another vendor before", push: push(requested, manual), operator: []func(*mdmv1alpha1.APNSCertificate){took}, args: []string{"--email", email, "--api-key-secret", "mdmcert/token"},
			patch: annotations + requestedAt + first, want: []string{"mdmcert.download took the request at 2026-07-01 12:00 UTC and mails its reply to mdm@example.com.", "Next step: Wait for the mail."}},
		{name: "another address before", push: push(earlier, asks), operator: []func(*mdmv1alpha1.APNSCertificate){unavailable, took}, args: []string{"--email", email},
			patch: annotations + requestedAt + vendor, want: []string{"mails its reply to mdm@example.com"}},
		{name: "again", push: push(anHourAgo, asks), operator: []func(*mdmv1alpha1.APNSCertificate){all(anHourAgo, unavailable), took}, args: []string{"--resend"},
			patch: annotations + requestedAt + resent + vendor, want: []string{"took the request at 2026-07-01 12:00"}},
		{name: "refused", push: push(requested, asks), operator: []func(*mdmv1alpha1.APNSCertificate){refused}, args: []string{"--email", email},
			patch: annotations + requestedAt + vendor, errs: []string{"it does not know the address", "--resend"}},
		{name: "no request", push: push(asks), operator: []func(*mdmv1alpha1.APNSCertificate){inUse(issued(t, rsaKey().Public(), topic, now.AddDate(1, 0, 0)))}, args: []string{"--email", email},
			patch: annotations + requestedAt + vendor, want: []string{"No request waits", "--renew"}},
		{name: "signed already", push: push(asks), operator: []func(*mdmv1alpha1.APNSCertificate){signed}, args: []string{"--resend"},
			patch: annotations + requestedAt + resent + vendor, want: []string{"signed already"}},
		{name: "no API key", push: push(requested, manual), args: []string{"--email", email}, errs: []string{"--api-key-secret"}},
		{name: "again without an address", push: push(requested, manual), args: []string{"--resend"}, errs: []string{"--email ADDRESS"}},
		{name: "nothing asked for", push: push(), errs: []string{"at least one of the flags in the group [email resend reply] is required"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, tc.push)
			w.operator = tc.operator
			w.wantError(w.run(append([]string{"mdmcert-download", "push"}, tc.args...)...), tc.errs...)
			w.wantOutput(tc.want...)
			if w.patches["push"] != tc.patch {
				t.Errorf("patched %s", w.patches["push"])
			}
		})
	}
}

// What else the spec says of the service stays.
func TestMDMCertDownloadKeepsItsSettings(t *testing.T) {
	w := newWorld(t, push(took, asks))
	w.operator = []func(*mdmv1alpha1.APNSCertificate){took}
	w.wantError(w.run("mdmcert-download", "push", "--email", email))
	got := w.push().Spec.Vendor.MDMCert
	if got.URL != "https://mdmcert.example.com" || got.APIKeySecretRef.Name != "api" {
		t.Errorf("%+v", got)
	}
}

func TestMDMCertDownloadReply(t *testing.T) {
	reply := []byte("30820000\n")
	wrong := all(took, condition(mdmv1alpha1.APNSCertificateVendorSigned, metav1.ConditionFalse, mdmv1alpha1.APNSCertificateReplyForAnotherKey, "it answers an earlier request"))
	for _, tc := range []struct {
		name     string
		push     *mdmv1alpha1.APNSCertificate
		operator func(*mdmv1alpha1.APNSCertificate)
		given    []byte
		want     []string
		errs     []string
		kept     bool
	}{
		{name: "good", push: push(took, asks), operator: signed, given: reply, want: []string{"The request is signed.", "Next step: " + next}, kept: true},
		{name: "wrong", push: push(took, asks), operator: wrong, given: reply, errs: []string{"ReplyForAnotherKey", "it answers an earlier request"}, kept: true},
		{name: "another vendor", push: push(requested), given: reply, errs: []string{"--email ADDRESS"}},
		{name: "another file", push: push(took, asks), given: bytes.Repeat(reply, 1<<16), errs: []string{"it is another file"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, tc.push)
			if tc.operator != nil {
				w.operator = []func(*mdmv1alpha1.APNSCertificate){tc.operator}
			}
			w.wantError(w.run("mdmcert-download", "push", "--reply", w.file("reply.p7", tc.given)), tc.errs...)
			w.wantOutput(tc.want...)
			secret := &corev1.Secret{}
			err := w.client.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: "push-mdmcert-reply"}, secret)
			if kept := err == nil && bytes.Equal(secret.Data["reply"], tc.given); kept != tc.kept {
				t.Errorf("kept: %v, %v", kept, err)
			}
			ref := w.push().Spec.Vendor
			if named := ref != nil && ref.MDMCert != nil && ref.MDMCert.ReplySecretRef != nil; named != tc.kept || named && ref.MDMCert.Email != email {
				t.Errorf("spec.vendor is %+v", ref)
			}
		})
	}
}
