package harness

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/applepki"
)

// Names of what stands in for Apple and the vendor.
const (
	PushName   = "push"
	vendorName = "push-vendor"
)

// fakeApple runs the stand-in for Apple's push service, with certificates of a stand-in for Apple's own authorities.
func (w *Walk) fakeApple(ctx context.Context) error {
	clock := w.AppleClock
	if clock == nil {
		clock = time.Now
	}
	var err error
	if w.Apple, err = applepki.New(clock); err != nil {
		return err
	}
	if err := w.certify(ctx, "apnsfake", w.Apple.PushCAPEM()); err != nil {
		return err
	}
	err = w.Create(ctx, &corev1.ConfigMap{ObjectMeta: w.meta(fakeAppleCA), Data: map[string]string{caKey: string(w.Apple.RootPEM())}})
	if err != nil {
		return err
	}
	if err := w.vouch(ctx, clock); err != nil {
		return err
	}
	return w.ApplyFile(ctx, w.Namespace, "apns.yaml", nil)
}

// certify makes the Secret with the certificate of a service of Apple's, of the same name, and a CA for what the service trusts.
func (w *Walk) certify(ctx context.Context, service string, ca []byte) error {
	pair, err := w.Apple.ServerPair(service, service+"."+w.Namespace+".svc")
	if err != nil {
		return err
	}
	key, err := keyPEM(pair.PrivateKey)
	if err != nil {
		return err
	}
	return w.Create(ctx, &corev1.Secret{ObjectMeta: w.meta(service), Type: corev1.SecretTypeTLS, Data: map[string][]byte{
		corev1.TLSCertKey: certPEM(pair.Certificate...), corev1.TLSPrivateKeyKey: key, caKey: ca,
	}})
}

// vouch makes the authority that Macs have their certificates of: whole for the Macs, its root alone for the server.
func (w *Walk) vouch(ctx context.Context, clock func() time.Time) error {
	ca, err := applepki.NewDeviceCA(clock)
	if err != nil {
		return err
	}
	files, err := ca.Files()
	if err != nil {
		return err
	}
	w.Devices = ca
	err = w.Create(ctx, &corev1.Secret{ObjectMeta: w.meta(fakeDeviceCA), Type: corev1.SecretTypeTLS, Data: files})
	if err != nil {
		return err
	}
	return w.Create(ctx, &corev1.ConfigMap{ObjectMeta: w.meta(fakeDeviceCA), Data: map[string]string{caKey: string(ca.RootPEM())}})
}

// becomeVendor makes the Secret of an organisation that is an MDM vendor itself.
func (w *Walk) becomeVendor(ctx context.Context) error {
	leaf, key, err := w.Apple.Vendor(applepki.VendorOptions{})
	if err != nil {
		return err
	}
	private, err := keyPEM(key)
	if err != nil {
		return err
	}
	return w.Create(ctx, &corev1.Secret{ObjectMeta: w.meta(vendorName), Type: corev1.SecretTypeTLS, Data: map[string][]byte{
		corev1.TLSCertKey: certPEM(leaf.Raw), corev1.TLSPrivateKeyKey: private, caKey: w.Apple.AuthoritiesPEM(),
	}})
}

// requestPush is what a person does who follows status.nextStep: the request is uploaded to Apple's portal, and what Apple returns goes into the spec.
func (w *Walk) requestPush(ctx context.Context) error {
	if err := w.becomeVendor(ctx); err != nil {
		return err
	}
	if err := w.ApplyFile(ctx, w.Namespace, "push.yaml", nil); err != nil {
		return err
	}
	push := &mdmv1alpha1.APNSCertificate{ObjectMeta: w.meta(PushName)}
	if err := w.Wait(ctx, "the signed request", w.Satisfied(push, mdmv1alpha1.APNSCertificateVendorSigned)); err != nil {
		return err
	}
	returned, err := w.Apple.Portal().Create([]byte(push.Status.PushCertificateRequest))
	if err != nil {
		return fmt.Errorf("uploading status.pushCertificateRequest: %w", err)
	}
	if err := w.Import(ctx, returned); err != nil {
		return err
	}
	return w.Wait(ctx, "the push certificate", w.Satisfied(push, mdmv1alpha1.ConditionReady))
}

// Import puts what Apple returned into spec.certificate.
func (w *Walk) Import(ctx context.Context, returned []byte) error {
	push := &mdmv1alpha1.APNSCertificate{ObjectMeta: w.meta(PushName)}
	return w.Patch(ctx, push, client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec": {"certificate": %q}}`, returned)))
}

// Pushes counts the pushes that the stand-in for Apple's push service has accepted, by the device's token in hexadecimal.
func (w *Walk) Pushes(ctx context.Context) (accepted map[string]int, err error) {
	b, err := w.control(ctx, "apnsfake", http.MethodGet, "/control/accepted", nil)
	if err != nil {
		return nil, err
	}
	return accepted, json.Unmarshal(b, &accepted)
}

func certPEM(chain ...[]byte) []byte {
	var all []byte
	for _, der := range chain {
		all = append(all, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return all
}

func keyPEM(key any) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}
