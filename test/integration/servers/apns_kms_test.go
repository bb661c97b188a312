package servers_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/test/apnsfake"
	"github.com/kubemdm/kubemdm/test/applepki"
	"github.com/kubemdm/kubemdm/test/awsfake"
	"github.com/kubemdm/kubemdm/test/devicesim"
)

// kmsWorld is a customer whose push key is in a KMS, with a server that runs, a push service and a Mac.
type kmsWorld struct {
	*customer
	apns *apnsfake.Fake
	mac  *devicesim.Device
	// outage takes the KMS away, and brings it back with false.
	outage func(away bool)
}

// newKMSWorld starts the server without a push certificate.
func newKMSWorld(t *testing.T, outage func(away bool)) *kmsWorld {
	t.Helper()
	b := newSerialBench(t)
	apple, err := applepki.New(b.clock.Now)
	b.must(err)
	w := &kmsWorld{customer: &customer{b, apple}, apns: apnsfake.New(apple.Pool()), outage: outage}
	w.vendor(applepki.VendorOptions{NotAfter: b.clock.Now().AddDate(3, 0, 0)})
	w.create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "apple-ca"}, Data: map[string]string{"root": string(apple.RootPEM())}})
	s := newServer()
	s.Spec.Apple.APNSCertificateRef = &mdmv1alpha1.LocalReference{Name: "push"}
	s.Spec.Apple.Push = mdmv1alpha1.ApplePush{URL: w.serveAPNs(), CAConfigMapRef: &mdmv1alpha1.KeyReference{Name: "apple-ca", Key: "root"}}
	w.run(s)
	return w
}

// serveAPNs starts the push service and returns its URL.
func (w *kmsWorld) serveAPNs() string {
	w.Helper()
	pair, err := w.apple.ServerPair("127.0.0.1")
	w.must(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	ended := make(chan error, 1)
	go func() { ended <- w.apns.Serve(w.Context(), l, pair) }()
	w.Cleanup(func() { w.must(<-ended) })
	return "https://" + l.Addr().String()
}

// enrol enrols a Mac.
func (w *kmsWorld) enrol() {
	w.Helper()
	w.create(newToken())
	w.reconcileToken("staff")
	token, serving := &corev1.Secret{}, &corev1.Secret{}
	w.get("staff-enrollment", token)
	w.get("mdm-serving", serving)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(serving.Data["ca.crt"])
	client := devicesim.NewClient(roots)
	client.Transport.(*http.Transport).DialContext = w.pod.DialDevices
	var err error
	w.mac, err = devicesim.New(devicesim.Options{Hardware: devicesim.Mac("KMS", 1), Client: client, Roots: roots, Key: devicesim.NewKeyPool(1).Key})
	w.must(err)
	w.must(w.mac.Enroll(w.Context(), string(token.Data["url"])))
}

// wakes gives the Mac something to do, for which Apple has to be asked to wake it.
func (w *kmsWorld) wakes(name string) {
	w.Helper()
	session, err := w.servers.Links.Server(w.key(serverName))
	w.must(err)
	devices, err := adminapi.All(w.Context(), session.Client().Devices)
	w.must(err)
	_, err = session.PutAction(w.Context(), adminapi.Action{Key: adminapi.Key(w.ns + "/" + name), SpecHash: "1", Apple: &adminapi.AppleCommand{RequestType: adminapi.AppleDeviceInformation},
		Targets: []adminapi.ActionTarget{{DeviceID: devices[0].ID, EnrollmentID: devices[0].EnrollmentID}}})
	w.must(err)
	w.must(w.apns.Wait(w.Context(), w.mac.Channel().PushToken()))
	w.must(w.mac.Idle(w.Context()))
}

// loaded waits until the server holds the certificate in use.
func (w *kmsWorld) loaded() {
	w.Helper()
	w.reconcileServer()
	w.pod.Mount()
	w.until("the server holds the certificate", func() bool {
		session, err := w.servers.Links.Server(w.key(serverName))
		return err == nil && session.Info().Push.Certificate.Fingerprint == w.push().Status.Fingerprint &&
			meta.IsStatusConditionTrue(w.mdmServer().Status.Conditions, mdmv1alpha1.MDMServerPushReady)
	})
}

// keyless fails if a Secret on the way of the push certificate holds a private key.
func (w *kmsWorld) keyless() {
	w.Helper()
	for _, name := range []string{"push-apns", "mdm-push"} {
		s := &corev1.Secret{}
		w.get(name, s)
		if len(s.Data["key.uri"]) == 0 || len(s.Data["tls.crt"]) == 0 {
			w.Errorf("the Secret %s lacks the certificate or the place of its key", name)
		}
		for file, content := range s.Data {
			if block, _ := pem.Decode(content); file == "tls.key" || block != nil && bytes.Contains([]byte(block.Type), []byte("KEY")) {
				w.Errorf("the Secret %s holds a key in %s", name, file)
			}
		}
	}
}

// walk is the whole way with a key that never leaves its KMS: request, signature, certificate, a Mac that is woken, outages, renewal.
func (w *kmsWorld) walk(kms mdmv1alpha1.KMSKey) {
	w.Helper()
	spec := ownVendor()
	spec.KeyStorage = mdmv1alpha1.KeyStorage{Type: mdmv1alpha1.KeyStorageKMS, KMS: &kms}
	w.outage(true)
	w.apply(spec)
	w.expect(w.push(), "KeyReady=False/KeyUnavailable", "Issued=False/AwaitingCertificate")
	w.says("See to the key")
	w.outage(false)
	w.reconcileCertificate()
	w.expect(w.push(), "KeyReady=True/Ready", "CSRReady=True/Ready", "VendorSigned=True/Ready")
	w.give(w.upload())
	w.expect(w.push(), "Issued=True/Ready", "Ready=True/Ready")
	w.loaded()
	w.keyless()
	w.enrol()
	w.wakes("first")

	// Away at start, and back.
	w.pod.Stop()
	w.outage(true)
	w.pod.Start()
	w.until("the server says what it lacks", func() bool {
		return meta.IsStatusConditionFalse(w.mdmServer().Status.Conditions, mdmv1alpha1.MDMServerPushReady)
	})
	w.outage(false)
	w.loaded()
	w.wakes("second")

	// The renewal begins when the KMS is back.
	topic := w.push().Status.Topic
	w.outage(true)
	w.annotate(mdmv1alpha1.AnnotationRenew, "now")
	w.expect(w.push(), "KeyReady=False/KeyUnavailable", "Issued=True/Ready", "Ready=True/Ready")
	w.outage(false)
	w.reconcileCertificate()
	w.expect(w.push(), "KeyReady=True/Ready", "VendorSigned=True/Ready")
	w.clock.SetTime(w.clock.Now().Add(day))
	w.give(w.upload())
	w.expect(w.push(), "Issued=True/Ready", "Ready=True/Ready")
	w.keyless()
	if w.push().Status.Topic != topic {
		w.Error("the topic changed")
	}
}

// A server in a cluster signs in to AWS with a token that is good for nothing else.
func TestAPushKeyInAWS(t *testing.T) {
	aws := awsfake.Start(t)
	awsfake.UseWebIdentity(t, "sts.amazonaws.com")
	aws.Put("0d6b1c1e-6d57-4f0e-9d2b-0a8f6f1f3c55", awsfake.SignVerify, awsfake.NewKey(t))
	w := newKMSWorld(t, func(away bool) {
		aws.Fail(map[bool]string{true: awsfake.Away}[away])
	})
	w.walk(mdmv1alpha1.KMSKey{
		URI: "awskms:region=" + awsfake.Region + ";key-id=0d6b1c1e-6d57-4f0e-9d2b-0a8f6f1f3c55",
		AWS: &mdmv1alpha1.AWSAccess{RoleARN: "arn:aws:iam::111122223333:role/push"},
	})
	// The role goes with the key: another storage counts for the next request.
	w.change(func(s *mdmv1alpha1.APNSCertificateSpec) {
		s.KeyStorage = mdmv1alpha1.KeyStorage{Type: mdmv1alpha1.KeyStorageSecret}
	})
	w.reconcileServer()
	set := &appsv1.StatefulSet{}
	w.get(serverName, set)
	pod := set.Spec.Template.Spec
	if *pod.AutomountServiceAccountToken {
		t.Error("the pod gets a token that the API server accepts")
	}
	var audiences []string
	for _, v := range pod.Volumes {
		if v.Projected == nil {
			continue
		}
		for _, source := range v.Projected.Sources {
			audiences = append(audiences, source.ServiceAccountToken.Audience)
		}
	}
	if len(audiences) != 1 || audiences[0] != "sts.amazonaws.com" {
		t.Errorf("tokens for %q", audiences)
	}
}

func TestAPushKeyInAWSThatIsRefused(t *testing.T) {
	aws := awsfake.Start(t)
	b := newSerialBench(t)
	apple, err := applepki.New(b.clock.Now)
	b.must(err)
	c := &customer{b, apple}
	spec := byHand()
	spec.KeyStorage = mdmv1alpha1.KeyStorage{Type: mdmv1alpha1.KeyStorageKMS, KMS: &mdmv1alpha1.KMSKey{URI: "awskms:region=" + awsfake.Region + ";key-id=1234abcd-12ab-34cd-56ef-1234567890ab"}}
	c.apply(spec)
	c.expect(c.push(), "KeyReady=False/KeyRefused", "Ready=False/KeyRefused", "Stalled=True/KeyRefused")
	aws.Put("1234abcd-12ab-34cd-56ef-1234567890ab", awsfake.SignVerify, awsfake.NewKey(t))
	c.reconcileCertificate()
	c.expect(c.push(), "KeyReady=True/Ready", "CSRReady=True/Ready")
	c.change(func(s *mdmv1alpha1.APNSCertificateSpec) {
		s.KeyStorage.KMS.URI = "pkcs11:module-path=/usr/lib/none.so;token=hsm;object=push;id=01?pin-source=/x"
	})
	c.expect(c.push(), "Ready=False/Invalid", "Stalled=True/Invalid")
}

// The vendor's key signs where it is, once for each request.
func TestAVendorKeyInAWS(t *testing.T) {
	aws := awsfake.Start(t)
	key := awsfake.NewKey(t)
	aws.Put("9a2b4c6d-8e0f-4a1b-9c3d-5e7f9a1b3c5d", awsfake.SignVerify, key)
	b := newSerialBench(t)
	apple, err := applepki.New(b.clock.Now)
	b.must(err)
	c := &customer{b, apple}
	leaf, _, err := apple.Vendor(applepki.VendorOptions{Key: key})
	b.must(err)
	data := c.vendorData(leaf, key)
	delete(data, "tls.key")
	data["key.uri"] = []byte("awskms:region=" + awsfake.Region + ";key-id=9a2b4c6d-8e0f-4a1b-9c3d-5e7f9a1b3c5d\n")
	c.secret("vendor", data)
	aws.Fail(awsfake.Away)
	c.apply(ownVendor())
	c.expect(c.push(), "CSRReady=True/Ready", "VendorSigned=False/KeyUnavailable")
	c.says("Get the request signed")
	aws.Fail("")
	c.reconcileCertificate()
	c.expect(c.push(), "VendorSigned=True/Ready")
	signatures := aws.Calls()["Sign"]
	for range 3 {
		c.reconcileCertificate()
	}
	if now := aws.Calls()["Sign"]; now != signatures {
		t.Errorf("signed %d times more without need", now-signatures)
	}
	c.give(c.upload())
	c.expect(c.push(), "Issued=True/Ready")
}
