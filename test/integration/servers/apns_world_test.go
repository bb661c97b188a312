package servers_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/applepki"
)

const day = 24 * time.Hour

// customer is an organisation that gets its push certificate from the fake of Apple, and is an MDM vendor itself.
type customer struct {
	*bench
	apple *applepki.Apple
}

func newCustomer(t *testing.T) *customer {
	t.Helper()
	b := newBench(t)
	apple, err := applepki.New(b.clock.Now)
	b.must(err)
	return &customer{b, apple}
}

// apply declares the APNSCertificate "push" and has it looked at.
func (c *customer) apply(spec mdmv1alpha1.APNSCertificateSpec) {
	c.Helper()
	push := newPush()
	push.Spec = spec
	c.create(push)
	c.reconcileCertificate()
}

// change edits the spec and has it looked at.
func (c *customer) change(change func(*mdmv1alpha1.APNSCertificateSpec)) {
	c.Helper()
	edit(c.bench, "push", &mdmv1alpha1.APNSCertificate{}, func(p *mdmv1alpha1.APNSCertificate) { change(&p.Spec) })
	c.reconcileCertificate()
}

// annotate sets an annotation and has the object looked at.
func (c *customer) annotate(key, value string) {
	c.Helper()
	edit(c.bench, "push", &mdmv1alpha1.APNSCertificate{}, func(p *mdmv1alpha1.APNSCertificate) {
		if p.Annotations == nil {
			p.Annotations = map[string]string{}
		}
		p.Annotations[key] = value
	})
	c.reconcileCertificate()
}

// vendor makes the Secret "vendor".
func (c *customer) vendor(o applepki.VendorOptions) (*x509.Certificate, crypto.Signer) {
	c.Helper()
	leaf, key, err := c.apple.Vendor(o)
	c.must(err)
	c.secret("vendor", c.vendorData(leaf, key))
	return leaf, key
}

func (c *customer) vendorData(leaf *x509.Certificate, key crypto.Signer) map[string][]byte {
	c.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	c.must(err)
	return map[string][]byte{
		"tls.crt": certificatePEM(leaf),
		"tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		"ca.crt":  c.apple.AuthoritiesPEM(),
	}
}

// ownVendor is a spec with the Secret "vendor".
func ownVendor() mdmv1alpha1.APNSCertificateSpec {
	return mdmv1alpha1.APNSCertificateSpec{
		Vendor:       &mdmv1alpha1.PushVendor{Type: mdmv1alpha1.PushVendorSecret, Secret: &mdmv1alpha1.LocalReference{Name: "vendor"}},
		AppleAccount: "mdm@example.com",
	}
}

// byHand is a spec without a vendor: a person carries the request to one.
func byHand() mdmv1alpha1.APNSCertificateSpec {
	return mdmv1alpha1.APNSCertificateSpec{AppleAccount: "mdm@example.com"}
}

// upload is the person at Apple's portal: the certificate for the request in the status.
func (c *customer) upload() string {
	c.Helper()
	status := c.push().Status
	portal := c.apple.Portal()
	var returned []byte
	var err error
	if status.Topic == "" {
		returned, err = portal.Create([]byte(status.PushCertificateRequest))
	} else {
		returned, err = portal.Renew(status.Topic, []byte(status.PushCertificateRequest))
	}
	c.must(err)
	return string(returned)
}

// give puts a certificate into the spec.
func (c *customer) give(certificate string) {
	c.Helper()
	c.change(func(s *mdmv1alpha1.APNSCertificateSpec) { s.Certificate = certificate })
}

// issued is a customer with its first certificate in use.
func issued(t *testing.T) *customer {
	t.Helper()
	c := newCustomer(t)
	c.vendor(applepki.VendorOptions{NotAfter: c.clock.Now().AddDate(3, 0, 0)})
	c.apply(ownVendor())
	c.give(c.upload())
	c.expect(c.push(), "Ready=True/Ready", "Issued=True/Ready")
	return c
}

// renewing is a customer whose certificate has so much left.
func renewing(t *testing.T, left time.Duration) *customer {
	t.Helper()
	c := issued(t)
	c.clock.SetTime(c.push().Status.NotAfter.Add(-left))
	c.reconcileCertificate()
	return c
}

// keys returns the Secret push-apns.
func (b *bench) keyring() *corev1.Secret {
	b.Helper()
	s := &corev1.Secret{}
	b.get("push-apns", s)
	return s
}

// says fails unless the next step has all these words.
func (c *customer) says(words ...string) {
	c.Helper()
	next := c.push().Status.NextStep
	for _, word := range words {
		if !strings.Contains(next, word) {
			c.Errorf("the next step is %q, without %q", next, word)
		}
	}
}

func requestPart(s *corev1.Secret) []string {
	var names []string
	for name := range s.Data {
		if strings.HasPrefix(name, "request.") {
			names = append(names, name)
		}
	}
	return names
}

// requestOf is a certificate request of a key, in DER.
func requestOf(t *testing.T, key crypto.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "push"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// requestElsewhere is what another MDM server did before: the key (PEM) and the file to upload.
func (c *customer) requestElsewhere() (keyPEM, upload []byte) {
	c.Helper()
	leaf, vendor, err := c.apple.Vendor(applepki.VendorOptions{})
	c.must(err)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	c.must(err)
	upload, err = c.apple.SignRequest(leaf, vendor, requestOf(c.T, key))
	c.must(err)
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), upload
}

func certificatePEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}
