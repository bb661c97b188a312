package servers_test

import (
	"crypto/rand"
	"crypto/rsa"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/mdmcert"
	"github.com/kubemdm/kubemdm/internal/pushcert"
	"github.com/kubemdm/kubemdm/test/applepki"
	"github.com/kubemdm/kubemdm/test/mdmcertfake"
)

const (
	address  = "mdm@example.com"
	stranger = "other@example.com"
)

// subscriber is a customer of mdmcert.download.
type subscriber struct {
	*customer
	service *mdmcertfake.Fake
	client  mdmcert.Client
}

// newSubscriber starts the fake of the service and returns the spec that uses it.
func newSubscriber(t *testing.T, vendor applepki.VendorOptions) (*subscriber, mdmv1alpha1.APNSCertificateSpec) {
	t.Helper()
	c := newCustomer(t)
	service, err := mdmcertfake.New(mdmcertfake.Config{Apple: c.apple, Now: c.clock.Now, Vendor: vendor, APIKey: "ours", Registered: []string{address, stranger}})
	c.must(err)
	server := httptest.NewTLSServer(service)
	t.Cleanup(server.Close)
	c.create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "service"}, Data: map[string]string{"ca": string(certificatePEM(server.Certificate()))}})
	c.secret("mdmcert", map[string][]byte{"api": []byte("ours\n")})
	client := mdmcert.Client{URL: server.URL + mdmcertfake.Path, APIKey: "ours", HTTP: server.Client()}
	return &subscriber{c, service, client}, mdmv1alpha1.APNSCertificateSpec{Vendor: &mdmv1alpha1.PushVendor{Type: mdmv1alpha1.PushVendorMDMCert, MDMCert: &mdmv1alpha1.MDMCertVendor{
		Email: address, URL: client.URL, CAConfigMapRef: &mdmv1alpha1.KeyReference{Name: "service", Key: "ca"},
		APIKeySecretRef: mdmv1alpha1.KeyReference{Name: "mdmcert", Key: "api"}, ReplySecretRef: &mdmv1alpha1.KeyReference{Name: "reply", Key: "attachment"},
	}}}
}

// mails counts the mails and returns the newest attachment.
func (s *subscriber) mails() (int, string) {
	all := s.service.Mailbox(address)
	if len(all) == 0 {
		return 0, ""
	}
	return len(all), all[len(all)-1]
}

// strange is the reply to somebody else.
func (s *subscriber) strange() string {
	s.Helper()
	certificate, _, err := mdmcert.NewRecipient(s.clock.Now())
	s.must(err)
	chain, err := pushcert.ReadCertificates(certificate)
	s.must(err)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	s.must(err)
	csr, err := pushcert.NewCSR(key, pushcert.Subject{})
	s.must(err)
	s.must(s.client.Request(s.Context(), csr, stranger, chain[0]))
	return s.service.Mailbox(stranger)[0]
}

// reply puts an attachment into the Secret and has the object looked at.
func (s *subscriber) reply(attachment string) {
	s.Helper()
	data := map[string][]byte{"attachment": []byte(attachment)}
	if s.exists("reply", &corev1.Secret{}) {
		edit(s.bench, "reply", &corev1.Secret{}, func(secret *corev1.Secret) { secret.Data = data })
	} else {
		s.secret("reply", data)
	}
	s.reconcileCertificate()
}

func TestMDMCertDownload(t *testing.T) {
	s, spec := newSubscriber(t, applepki.VendorOptions{})
	s.apply(spec)
	s.expect(s.push(), "VendorSigned=False/AwaitingMail", "Issued=False/AwaitingCertificate", "Ready=False/AwaitingCertificate")
	s.says("Wait for the mail of mdmcert.download to "+address, "kubectl mdm apns mdmcert-download push --reply FILE")
	for range 3 {
		s.clock.SetTime(s.clock.Now().Add(time.Hour))
		s.reconcileCertificate()
	}
	n, attachment := s.mails()
	if n != 1 || s.push().Status.MDMCert.SentAt == nil {
		t.Fatalf("%d mails; status %+v", n, s.push().Status.MDMCert)
	}
	strange := s.strange()
	for name, c := range map[string]struct{ attachment, want string }{
		"for another key": {strange, "VendorSigned=False/ReplyForAnotherKey"},
		"truncated":       {attachment[:len(attachment)/2], "VendorSigned=False/ReplyMalformed"},
		"half a byte":     {attachment[:len(attachment)-1], "VendorSigned=False/ReplyMalformed"},
		"the mail itself": {"Dear customer, please find attached", "VendorSigned=False/ReplyMalformed"},
		"empty":           {"", "VendorSigned=False/ReplyMalformed"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &subscriber{&customer{&bench{T: t, ns: s.ns, clock: s.clock, events: s.events, certs: s.certs}, s.apple}, s.service, s.client}
			s.reply(c.attachment)
			s.expect(s.push(), c.want)
			s.says("Get the request signed")
		})
	}
	if n, _ := s.mails(); n != 1 {
		t.Errorf("%d mails", n)
	}
	s.reply(strings.ToUpper(strings.ReplaceAll(attachment, "3", " 3\r\n"))) // as mail programs leave it
	s.expect(s.push(), "VendorSigned=True/Ready", "Uploaded=Unknown/AwaitingUpload")
	s.give(s.upload())
	s.expect(s.push(), "Issued=True/Ready", "Ready=True/Ready")
	if s.push().Status.MDMCert != nil || len(requestPart(s.keyring())) != 0 {
		t.Error("the request is still there")
	}
	// A year later the old reply lies there still: the new request goes out all the same.
	s.clock.SetTime(s.push().Status.NotAfter.Add(-30 * day))
	s.reconcileCertificate()
	s.reconcileCertificate()
	s.expect(s.push(), "VendorSigned=False/AwaitingMail", "Issued=True/Ready", "Ready=True/Ready")
	if n, _ := s.mails(); n != 2 {
		t.Errorf("%d mails", n)
	}
}

func TestMDMCertDownloadIsAskedAgain(t *testing.T) {
	s, spec := newSubscriber(t, applepki.VendorOptions{})
	s.apply(spec)
	s.annotate(mdmv1alpha1.AnnotationResendRequest, "1")
	s.reconcileCertificate()
	if n, _ := s.mails(); n != 2 || s.push().Status.MDMCert.LastHandledResend != "1" {
		t.Errorf("%d mails", n)
	}
	first := s.push().Spec
	s.remove("push", &mdmv1alpha1.APNSCertificate{})
	push := newPush() // a restored cluster: the annotation comes back, the status does not
	push.Spec, push.Annotations = first, map[string]string{mdmv1alpha1.AnnotationResendRequest: "1"}
	s.create(push)
	s.reconcileCertificate()
	if n, _ := s.mails(); n != 2 {
		t.Errorf("a lost status made another mail: %d", n)
	}
	s.expect(s.push(), "VendorSigned=False/AwaitingMail")
}

func TestMDMCertDownloadFails(t *testing.T) {
	s, spec := newSubscriber(t, applepki.VendorOptions{})
	s.service.Fail(mdmcertfake.InternalError)
	s.apply(spec)
	for _, c := range []struct {
		fault mdmcertfake.Fault
		says  string
	}{
		{mdmcertfake.HTML, "web page"}, {mdmcertfake.Empty, "empty"}, {mdmcertfake.Refusal, mdmcertfake.RefusalReason}, {mdmcertfake.InternalError, "out of order"},
	} {
		s.service.Fail(c.fault)
		s.reconcileCertificate() // too early: what was said stands
		s.clock.SetTime(s.clock.Now().Add(11 * time.Minute))
		s.reconcileCertificate()
		s.expect(s.push(), "VendorSigned=False/ServiceFailed", "CSRReady=True/Ready")
		s.says(c.says)
	}
	s.service.Fail(mdmcertfake.None)
	s.reconcileCertificate()
	if n, _ := s.mails(); n != 0 {
		t.Error("asked again at once")
	}
	s.clock.SetTime(s.clock.Now().Add(11 * time.Minute))
	s.reconcileCertificate()
	s.expect(s.push(), "VendorSigned=False/AwaitingMail")
	s.change(func(spec *mdmv1alpha1.APNSCertificateSpec) { spec.Vendor.MDMCert.Email = "nobody@example.com" })
	s.expect(s.push(), "VendorSigned=False/ServiceFailed")
}

// The service's own vendor certificate has expired before: nobody is sent to Apple with such a request.
func TestMDMCertDownloadWithAnExpiredVendor(t *testing.T) {
	s, spec := newSubscriber(t, applepki.VendorOptions{NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().Add(-time.Hour)})
	s.apply(spec)
	_, attachment := s.mails()
	s.reply(attachment)
	s.expect(s.push(), "VendorSigned=False/VendorCertificateExpired")
	if s.push().Status.PushCertificateRequest != "" {
		t.Error("there is something to upload")
	}
}
