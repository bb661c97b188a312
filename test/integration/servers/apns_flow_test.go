package servers_test

import (
	"bytes"
	"crypto/tls"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/applepki"
)

func TestFromNothingToAPushCertificate(t *testing.T) {
	c := newCustomer(t)
	c.apply(ownVendor())
	c.expect(c.push(), "KeyReady=True/Ready", "CSRReady=True/Ready", "VendorSigned=False/SecretNotFound", "Uploaded=Unknown/Pending", "Issued=False/AwaitingCertificate",
		"TopicUnchanged=Unknown/Pending", "NotExpiring=Unknown/Pending", "Ready=False/AwaitingCertificate", "Reconciling=True/AwaitingCertificate")
	c.says("create the Secret vendor")
	if csr := c.push().Status.CertificateSigningRequest; !strings.HasPrefix(csr, "-----BEGIN CERTIFICATE REQUEST-----") {
		t.Errorf("request %q", csr)
	}
	c.vendor(applepki.VendorOptions{})
	c.reconcileCertificate()
	c.expect(c.push(), "VendorSigned=True/Ready", "Uploaded=Unknown/AwaitingUpload", "Issued=False/AwaitingCertificate")
	c.says("https://identity.apple.com/pushcert", "mdm@example.com", "Create a Certificate", "kubectl mdm apns import push FILE")

	c.give(c.upload())
	c.expect(c.push(), "KeyReady=True/Ready", "CSRReady=True/NotNeeded", "VendorSigned=True/NotNeeded", "Uploaded=True/NotNeeded", "Issued=True/Ready",
		"TopicUnchanged=True/Ready", "NotExpiring=True/Ready", "Ready=True/Ready")
	c.says("spec.apple.apnsCertificateRef")
	status := c.push().Status
	if !strings.HasPrefix(status.Topic, "com.apple.mgmt.") || status.AppleAccount != "mdm@example.com" || status.CertificateSigningRequest != "" || status.PushCertificateRequest != "" {
		t.Errorf("status %+v", status)
	}
	s := c.keyring()
	if _, err := tls.X509KeyPair(s.Data["tls.crt"], s.Data["tls.key"]); err != nil || len(requestPart(s)) != 0 || len(s.OwnerReferences) != 0 {
		t.Errorf("the Secret holds no pair alone (%v): %v, owned by %v", err, requestPart(s), s.OwnerReferences)
	}
}

func TestSettledPushCertificateIsNotWritten(t *testing.T) {
	for name, c := range map[string]*customer{"issued": nil, "waiting": nil} {
		t.Run(name, func(t *testing.T) {
			c = newCustomer(t)
			c.vendor(applepki.VendorOptions{})
			c.apply(ownVendor())
			if name == "issued" {
				c.give(c.upload())
			}
			object, secret := c.push().ResourceVersion, c.keyring().ResourceVersion
			c.told()
			for range 3 {
				c.reconcileCertificate()
			}
			if c.push().ResourceVersion != object || c.keyring().ResourceVersion != secret || len(c.told()) != 0 {
				t.Error("written or told without need")
			}
		})
	}
}

func TestRenewalBeginsByItself(t *testing.T) {
	c := renewing(t, 61*day)
	if status := c.push().Status; status.CertificateSigningRequest != "" {
		t.Fatal("too early")
	}
	first, live := c.push().Status, c.keyring()
	c.clock.SetTime(first.NotAfter.Add(-59 * day))
	c.reconcileCertificate()
	c.expect(c.push(), "CSRReady=True/Ready", "VendorSigned=True/Ready", "Uploaded=Unknown/AwaitingUpload", "Issued=True/Ready", "NotExpiring=False/Expiring", "Ready=True/Ready")
	c.says("choose Renew (never Create)", first.Topic, "the Apple Account mdm@example.com")
	waiting := c.keyring()
	if !bytes.Equal(waiting.Data["tls.key"], live.Data["tls.key"]) || !bytes.Equal(waiting.Data["tls.crt"], live.Data["tls.crt"]) || bytes.Equal(waiting.Data["request.tls.key"], live.Data["tls.key"]) {
		t.Error("the pair in use is not left alone, or its key is used again")
	}
	c.give(c.upload())
	c.expect(c.push(), "Issued=True/Ready", "NotExpiring=True/Ready", "CSRReady=True/NotNeeded")
	renewed := c.push().Status
	if renewed.Topic != first.Topic || renewed.Fingerprint == first.Fingerprint || !renewed.NotAfter.After(first.NotAfter.Time) {
		t.Errorf("renewed as %+v", renewed)
	}
	if bytes.Equal(c.keyring().Data["tls.key"], live.Data["tls.key"]) || !bytes.Equal(c.keyring().Data["tls.key"], waiting.Data["request.tls.key"]) {
		t.Error("the renewed certificate has another key than the request's")
	}
}

func TestARenewalCanBeAskedFor(t *testing.T) {
	c := issued(t)
	c.annotate(mdmv1alpha1.AnnotationRenew, "1")
	first := c.push().Status
	if first.CertificateSigningRequest == "" || first.LastHandledRenew != "1" {
		t.Fatalf("status %+v", first)
	}
	c.annotate(mdmv1alpha1.AnnotationRenew, "2") // the first request is given up
	second := c.push().Status
	if second.CertificateSigningRequest == first.CertificateSigningRequest || second.LastHandledRenew != "2" {
		t.Errorf("status %+v", second)
	}
	c.expect(c.push(), "Issued=True/Ready", "VendorSigned=True/Ready")
	c.annotate(mdmv1alpha1.AnnotationRenew, "") // taken off
	if third := c.push().Status; third.CertificateSigningRequest != second.CertificateSigningRequest {
		t.Error("the request was given up")
	}
}

// A renewal with the key of the certificate in use is a renewal too: some people keep their key.
func TestARenewalWithTheOldKeyIsTaken(t *testing.T) {
	c := issued(t)
	first := c.push().Status
	old := c.keyring()
	pair, err := tls.X509KeyPair(old.Data["tls.crt"], old.Data["tls.key"])
	c.must(err)
	leaf, key, err := c.apple.Vendor(applepki.VendorOptions{NotAfter: c.clock.Now().AddDate(3, 0, 0)})
	c.must(err)
	c.clock.SetTime(first.NotAfter.Add(-30 * day))
	c.reconcileCertificate()
	upload, err := c.apple.SignRequest(leaf, key, requestOf(t, pair.PrivateKey))
	c.must(err)
	renewed, err := c.apple.Portal().Renew(first.Topic, upload)
	c.must(err)
	c.give(string(renewed))
	c.expect(c.push(), "Issued=True/Ready", "CSRReady=True/NotNeeded")
	if s := c.keyring(); !bytes.Equal(s.Data["tls.key"], old.Data["tls.key"]) || bytes.Equal(s.Data["tls.crt"], old.Data["tls.crt"]) || len(requestPart(s)) != 0 {
		t.Error("the pair is not the renewed certificate with the old key alone")
	}
}

// A pair that was brought is used at once, and renewed here once there is a vendor.
func TestAPairThatWasBroughtIsRenewedHere(t *testing.T) {
	c := newCustomer(t)
	key, upload := c.requestElsewhere()
	first, err := c.apple.Portal().Create(upload)
	c.must(err)
	c.secret("brought", map[string][]byte{"tls.crt": first, "tls.key": key})
	spec := mdmv1alpha1.APNSCertificateSpec{SecretRef: &mdmv1alpha1.LocalReference{Name: "brought"}}
	c.apply(spec)
	c.expect(c.push(), "Issued=True/Ready", "CSRReady=True/NotRequested", "Ready=True/Ready")
	status := c.push().Status
	c.clock.SetTime(status.NotAfter.Add(-20 * day))
	c.reconcileCertificate()
	c.says("replace the Secret brought", "set spec.vendor")

	c.vendor(applepki.VendorOptions{})
	c.change(func(s *mdmv1alpha1.APNSCertificateSpec) { s.Vendor = ownVendor().Vendor })
	c.expect(c.push(), "VendorSigned=True/Ready", "Issued=True/Ready")
	c.give(c.upload())
	c.reconcileCertificate() // the pair that was brought is older now
	c.expect(c.push(), "Issued=True/Ready", "CSRReady=True/NotNeeded", "Ready=True/Ready")
	if renewed := c.push().Status; renewed.Topic != status.Topic || renewed.Fingerprint == status.Fingerprint {
		t.Errorf("renewed as %+v", renewed)
	}
}

// A pair that was brought is there when the operator's own Secret is not: it was deleted, or the object is of a version that had none.
func TestAPairThatWasBroughtIsTakenUpAgain(t *testing.T) {
	c := newCustomer(t)
	key, upload := c.requestElsewhere()
	certificate, err := c.apple.Portal().Create(upload)
	c.must(err)
	c.secret("brought", map[string][]byte{"tls.crt": certificate, "tls.key": key})
	c.apply(mdmv1alpha1.APNSCertificateSpec{SecretRef: &mdmv1alpha1.LocalReference{Name: "brought"}})
	before := c.push().Status
	c.remove("push-apns", &corev1.Secret{})
	c.reconcileCertificate()
	c.reconcileCertificate()
	c.expect(c.push(), "KeyReady=True/Ready", "Issued=True/Ready", "Ready=True/Ready")
	if after := c.push().Status; after.Fingerprint != before.Fingerprint || after.CertificateSigningRequest != "" {
		t.Errorf("status %+v", after)
	}
}

// The server gets the renewed pair in one piece, with its pod untouched.
func TestAServerTakesUpARenewedPair(t *testing.T) {
	c := &customer{bench: running(t)}
	var err error
	c.apple, err = applepki.New(c.clock.Now)
	c.must(err)
	c.vendor(applepki.VendorOptions{NotAfter: c.clock.Now().AddDate(3, 0, 0)})
	c.apply(ownVendor())
	c.give(c.upload())
	edit(c.bench, serverName, &mdmv1alpha1.MDMServer{}, func(s *mdmv1alpha1.MDMServer) {
		s.Spec.Apple.APNSCertificateRef = &mdmv1alpha1.LocalReference{Name: "push"}
	})
	loaded := func(fingerprint string) {
		t.Helper()
		c.pod.Mount()
		c.until("the server holds the certificate", func() bool {
			session, err := c.servers.Links.Server(c.key(serverName))
			return err == nil && session.Info().Push.Certificate.Fingerprint == fingerprint &&
				meta.IsStatusConditionTrue(c.mdmServer().Status.Conditions, mdmv1alpha1.MDMServerPushReady)
		})
	}
	c.reconcileServer()
	loaded(c.push().Status.Fingerprint)
	c.annotate(mdmv1alpha1.AnnotationRenew, "now")
	c.clock.SetTime(c.clock.Now().Add(day))
	c.give(c.upload())
	c.reconcileServer()
	served := c.keep("mdm-push")
	if _, err := tls.X509KeyPair(served.Data["tls.crt"], served.Data["tls.key"]); err != nil {
		t.Errorf("the server's copy is no pair: %v", err)
	}
}
