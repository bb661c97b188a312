package servers_test

import (
	"bytes"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/applepki"
	"github.com/kubemdm/kubemdm/test/pki"
)

// Whatever is given at a renewal in place of Apple's certificate is refused with the reason and the cure, and the pair in use stays.
func TestBadCertificatesLeaveThePairInUse(t *testing.T) {
	c := renewing(t, 50*day)
	live, status := c.keyring(), c.push().Status
	good := c.upload()
	block, _ := pem.Decode([]byte(good))
	vendor, _, err := c.apple.Vendor(applepki.VendorOptions{})
	c.must(err)
	vendorPEM := string(certificatePEM(vendor))
	_, elsewhere := c.requestElsewhere()
	otherKey, err := c.apple.Portal().Renew(status.Topic, elsewhere)
	c.must(err)
	otherTopic, err := c.apple.Portal().Create([]byte(status.PushCertificateRequest))
	c.must(err)
	forged, _ := pki.PEM(t, pki.NewCA(t, "Example").Issue(t, pki.Leaf{CN: "APSP", UID: status.Topic, NotAfter: c.clock.Now().AddDate(2, 0, 0)}))
	for _, tc := range []struct{ name, given, reason, cure string }{
		{"for another key", string(otherKey), "KeyMismatch", "for the newest request"},
		{"of another topic", string(otherTopic), "TopicChanged", "spec.acceptTopic"},
		{"the vendor's", vendorPEM, "WrongType", "identity.apple.com"},
		{"not Apple's", string(forged), "IssuerUnknown", "identity.apple.com"},
		{"the request", status.CertificateSigningRequest, "Malformed", "CERTIFICATE REQUEST"},
		{"cut off", good[:len(good)/2], "Malformed", "whole file"},
		{"words", "see attachment", "Malformed", "neither PEM nor DER"},
	} {
		c.give(tc.given)
		c.expect(c.push(), "Issued=False/"+tc.reason, "Ready=False/"+tc.reason, "Stalled=True/"+tc.reason)
		message := meta.FindStatusCondition(c.push().Status.Conditions, mdmv1alpha1.APNSCertificateIssued).Message
		if !strings.Contains(message, tc.cure) || !strings.Contains(message, "stays in use until") {
			t.Errorf("%s: the message %q lacks the cure %q or what serves meanwhile", tc.name, message, tc.cure)
		}
		c.says("Correct what was given")
		if now := c.keyring(); !bytes.Equal(now.Data["tls.crt"], live.Data["tls.crt"]) || !bytes.Equal(now.Data["tls.key"], live.Data["tls.key"]) || len(requestPart(now)) == 0 {
			t.Fatalf("%s: the pair in use or the request was touched", tc.name)
		}
		if got := c.push().Status; got.Fingerprint != status.Fingerprint || got.Topic != status.Topic || got.PushCertificateRequest != status.PushCertificateRequest {
			t.Errorf("%s: status %+v", tc.name, got)
		}
	}
	// Among other blocks, in the wrong order, in a Secret, in DER: it is found.
	c.secret("apple", map[string][]byte{"der": block.Bytes, "all": []byte(vendorPEM + string(live.Data["tls.crt"]) + good)})
	for _, key := range []string{"all", "der"} {
		c.change(func(s *mdmv1alpha1.APNSCertificateSpec) {
			s.Certificate, s.CertificateSecretRef = "", &mdmv1alpha1.KeyReference{Name: "apple", Key: key}
		})
		c.expect(c.push(), "Issued=True/Ready", "Ready=True/Ready")
	}
	if c.push().Status.Fingerprint == status.Fingerprint {
		t.Error("the good one was not taken")
	}
	older := string(live.Data["tls.crt"])
	c.change(func(s *mdmv1alpha1.APNSCertificateSpec) { s.Certificate, s.CertificateSecretRef = older, nil })
	c.expect(c.push(), "Issued=False/KeyMismatch") // its key is gone with it
}

func TestAnExpiredCertificateIsRenewed(t *testing.T) {
	c := renewing(t, -day)
	c.expect(c.push(), "Issued=False/Expired", "Ready=False/Expired", "NotExpiring=False/Expiring", "VendorSigned=True/Ready")
	c.says("choose Renew (never Create)")
	topic := c.push().Status.Topic
	c.give(c.upload())
	c.expect(c.push(), "Issued=True/Ready", "Ready=True/Ready")
	if c.push().Status.Topic != topic {
		t.Error("another topic")
	}
}

// What is wrong with the vendor's Secret is told before anybody goes to Apple in vain.
func TestBadVendorSecrets(t *testing.T) {
	c := newCustomer(t)
	c.apply(ownVendor())
	leaf, key, err := c.apple.Vendor(applepki.VendorOptions{})
	c.must(err)
	good := c.vendorData(leaf, key)
	with := func(file string, content []byte) map[string][]byte {
		data := map[string][]byte{}
		for name, b := range good {
			data[name] = b
		}
		data[file] = content
		return data
	}
	of := func(o applepki.VendorOptions) map[string][]byte {
		leaf, key, err := c.apple.Vendor(o)
		c.must(err)
		return c.vendorData(leaf, key)
	}
	other := of(applepki.VendorOptions{})
	locked := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")})
	now := c.clock.Now()
	c.secret("vendor", map[string][]byte{})
	for _, tc := range []struct {
		name   string
		data   map[string][]byte
		reason string
		cure   string
	}{
		{"empty", nil, "Malformed", "tls.crt"},
		{"another key", with("tls.key", other["tls.key"]), "VendorKeyMismatch", "with which the vendor certificate was requested"},
		{"encrypted key", with("tls.key", locked), "Malformed", "openssl pkey"},
		{"expired", of(applepki.VendorOptions{NotBefore: now.AddDate(-2, 0, 0), NotAfter: now.Add(-time.Hour)}), "VendorCertificateExpired", "developer.apple.com"},
		{"too early", of(applepki.VendorOptions{NotBefore: now.Add(time.Hour)}), "VendorCertificateNotYetValid", "clock"},
		{"for developers", of(applepki.VendorOptions{Ordinary: true}), "VendorCertificateWrongType", "MDM CSR"},
		{"no intermediate", with("ca.crt", c.apple.RootPEM()), "VendorChainUnknown", "https://www.apple.com/certificateauthority/"},
		{"another intermediate", with("ca.crt", append(c.apple.WWDRPEM(applepki.G6), c.apple.RootPEM()...)), "VendorChainUnknown", "G3"},
		{"no root", with("ca.crt", c.apple.WWDRPEM(applepki.G3)), "VendorChainUnknown", "Apple Root CA"},
	} {
		edit(c.bench, "vendor", &corev1.Secret{}, func(s *corev1.Secret) { s.Data = tc.data })
		c.reconcileCertificate()
		c.expect(c.push(), "VendorSigned=False/"+tc.reason, "CSRReady=True/Ready")
		c.says("Get the request signed", tc.cure)
		if request := c.push().Status.PushCertificateRequest; request != "" {
			t.Errorf("%s: there is something to upload", tc.name)
		}
	}
	// Apple's download is DER, and everything may stand in one file.
	edit(c.bench, "vendor", &corev1.Secret{}, func(s *corev1.Secret) {
		s.Data = with("tls.crt", leaf.Raw)
	})
	c.reconcileCertificate()
	c.expect(c.push(), "VendorSigned=True/Ready")
	c.upload()
}

func TestSignedByHand(t *testing.T) {
	c := newCustomer(t)
	c.apply(byHand())
	c.expect(c.push(), "VendorSigned=False/AwaitingVendor", "Ready=False/AwaitingCertificate")
	c.says("kubectl mdm apns request push --csr", "spec.vendor.manual.signedRequest")
	leaf, key, err := c.apple.Vendor(applepki.VendorOptions{})
	c.must(err)
	block, _ := pem.Decode([]byte(c.push().Status.CertificateSigningRequest))
	good, err := c.apple.SignRequest(leaf, key, block.Bytes)
	c.must(err)
	_, another := c.requestElsewhere()
	_, strange, err := c.apple.Vendor(applepki.VendorOptions{})
	c.must(err)
	wrong, err := c.apple.SignRequest(leaf, strange, block.Bytes)
	c.must(err)
	for _, tc := range []struct{ name, given, want string }{
		{"words", "will do tomorrow", "VendorSigned=False/RequestMalformed"},
		{"the request itself", c.push().Status.CertificateSigningRequest, "VendorSigned=False/RequestMalformed"},
		{"cut off", string(good[:len(good)/2]), "VendorSigned=False/RequestMalformed"},
		{"for another request", string(another), "VendorSigned=False/RequestForAnotherKey"},
		{"by another key", string(wrong), "VendorSigned=False/RequestSignatureInvalid"},
		{"good, with line breaks", strings.Join(strings.SplitAfter(string(good), "A"), "\r\n"), "VendorSigned=True/Ready"},
	} {
		c.change(func(s *mdmv1alpha1.APNSCertificateSpec) {
			s.Vendor = &mdmv1alpha1.PushVendor{Type: mdmv1alpha1.PushVendorManual, Manual: &mdmv1alpha1.ManualVendor{SignedRequest: tc.given}}
		})
		c.expect(c.push(), tc.want)
	}
	c.give(c.upload())
	c.expect(c.push(), "Issued=True/Ready")
	c.annotate(mdmv1alpha1.AnnotationRenew, "now") // the signed request of the last time is no mistake
	c.expect(c.push(), "VendorSigned=False/AwaitingVendor", "Ready=True/Ready")
}

// A vendor may upload the request itself and return what Apple returned.
func TestAVendorThatReturnsTheCertificate(t *testing.T) {
	c := newCustomer(t)
	c.apply(byHand())
	leaf, key, err := c.apple.Vendor(applepki.VendorOptions{})
	c.must(err)
	block, _ := pem.Decode([]byte(c.push().Status.CertificateSigningRequest))
	upload, err := c.apple.SignRequest(leaf, key, block.Bytes)
	c.must(err)
	certificate, err := c.apple.Portal().Create(upload)
	c.must(err)
	c.give(string(certificate))
	c.expect(c.push(), "Issued=True/Ready", "Ready=True/Ready")
}

// A Secret that is deleted under us: the pair in use comes back from the server's copy, the key of a request that waits cannot.
func TestADeletedSecret(t *testing.T) {
	c := issued(t)
	server := newServer()
	server.Spec.Apple.APNSCertificateRef = &mdmv1alpha1.LocalReference{Name: "push"}
	c.create(server)
	c.deploy()
	c.keep("mdm-push")
	before := c.keyring()
	c.annotate(mdmv1alpha1.AnnotationRenew, "now")
	waiting := c.keyring()
	edit(c.bench, "push-apns", &corev1.Secret{}, func(s *corev1.Secret) { delete(s.Data, "tls.key") }) // the pair alone
	c.reconcileCertificate()
	c.expect(c.push(), "KeyReady=True/Restored", "CSRReady=True/Ready", "VendorSigned=True/Ready", "Ready=True/Ready")
	if after := c.keyring(); !bytes.Equal(after.Data["tls.key"], before.Data["tls.key"]) || !bytes.Equal(after.Data["request.tls.key"], waiting.Data["request.tls.key"]) {
		t.Error("the pair did not come back, or the request that waits is lost with it")
	}
	c.remove("push-apns", &corev1.Secret{})
	c.told()
	c.reconcileCertificate()
	c.expect(c.push(), "KeyReady=False/KeyLost", "Issued=True/Ready", "Ready=False/KeyLost", "Stalled=True/KeyLost")
	c.says("restore the Secret from a backup", mdmv1alpha1.AnnotationRenew)
	if after := c.keyring(); !bytes.Equal(after.Data["tls.crt"], before.Data["tls.crt"]) || !bytes.Equal(after.Data["tls.key"], before.Data["tls.key"]) {
		t.Error("the pair in use did not come back")
	}
	c.annotate(mdmv1alpha1.AnnotationRenew, "again")
	c.expect(c.push(), "KeyReady=True/Ready", "VendorSigned=True/Ready", "Ready=True/Ready")
	c.clock.SetTime(c.clock.Now().Add(day))
	c.give(c.upload())
	c.expect(c.push(), "Ready=True/Ready")

	c.remove("push-apns", &corev1.Secret{}) // no server has this one yet
	c.reconcileCertificate()
	c.expect(c.push(), "KeyReady=False/KeyLost", "Ready=False/KeyLost")
	c.annotate(mdmv1alpha1.AnnotationRenew, "lost for good")
	c.expect(c.push(), "KeyReady=True/Ready", "VendorSigned=True/Ready", "Issued=False/AwaitingCertificate")
	c.reconcileCertificate()
	c.expect(c.push(), "KeyReady=True/Ready")
	c.says("choose Renew (never Create)")
	c.reconcileServer()
	if copied := c.keep("mdm-push"); !bytes.Equal(copied.Data["tls.crt"], before.Data["tls.crt"]) {
		t.Error("the server lost the pair that it had")
	}
}

func TestASecretOfSomebodyElse(t *testing.T) {
	c := newCustomer(t)
	c.secret("push-apns", map[string][]byte{"theirs": []byte("yes")})
	c.apply(byHand())
	c.expect(c.push(), "KeyReady=False/SecretTaken", "Ready=False/SecretTaken")
	if s := c.keyring(); len(s.Data) != 1 {
		t.Errorf("it was taken over: %v", s.Data)
	}
}

// A status that was lost, as in a restored cluster, is made again from the Secret; nothing is requested anew.
func TestALostStatus(t *testing.T) {
	c := renewing(t, 100*day)
	c.annotate(mdmv1alpha1.AnnotationRenew, "now")
	before, secret := c.push().Status, c.keyring().ResourceVersion
	again := newPush()
	again.Spec, again.Annotations = c.push().Spec, c.push().Annotations
	c.remove("push", &mdmv1alpha1.APNSCertificate{})
	c.create(again)
	c.reconcileCertificate()
	after := c.push().Status
	if after.CertificateSigningRequest != before.CertificateSigningRequest || after.Fingerprint != before.Fingerprint || after.Topic != before.Topic || c.keyring().ResourceVersion != secret {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
	c.give(c.upload())
	c.expect(c.push(), "Issued=True/Ready")
}
