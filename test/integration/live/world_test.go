package live_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/apnsfake"
	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/pki"
	"github.com/kubemdm/kubemdm/test/standin"
)

const (
	serverName = "mdm"
	topic      = "com.apple.mgmt.External.00000000-0000-4000-8000-000000000001"
	patience   = 2 * time.Minute
)

var (
	keys = devicesim.NewKeyPool(2) // RSA keys take time
	team = map[string]string{"example.com/team": "sim"}
)

// world is a namespace with an MDMServer that is Ready.
type world struct {
	*testing.T
	ns        string
	cluster   *standin.Cluster
	pod       *standin.Pod
	pushes    *devicesim.Pushes
	roots     *x509.CertPool
	devices   *http.Client
	enrollURL string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ns := shared.take(t)
	w := &world{T: t, ns: ns, cluster: standin.New(t, shared.api, ns), pushes: devicesim.NewPushes()}
	w.pod = w.cluster.Pod(serverName, logs)
	shared.mu.Lock()
	shared.pods[ns] = w.pod
	shared.mu.Unlock()
	w.declare()
	w.eventually("the pod can start", func() bool {
		w.cluster.Issue()
		return w.exists(serverName, &appsv1.StatefulSet{}) && w.exists("mdm-push", &corev1.Secret{})
	})
	w.pod.Start()
	w.cluster.Available(serverName)
	w.await(serverName, &mdmv1alpha1.MDMServer{}, mdmv1alpha1.ConditionReady)
	w.invite()
	return w
}

// declare applies what an administrator does.
func (w *world) declare() {
	w.Helper()
	apple := pki.NewAppleCA(w)
	apns, url := apnsfake.Start(w, apple)
	apns.OnPush(w.pushes.Push)
	cert, key := pki.PEM(w, apple.Issue(w, pki.Leaf{CN: "APSP:1", UID: topic, NotAfter: time.Now().AddDate(1, 0, 0)}))
	w.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "apns"}, Data: map[string][]byte{"tls.crt": cert, "tls.key": key}})
	w.create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "apple-ca"}, Data: map[string]string{"root": string(apple.CertPEM())}})
	w.create(&mdmv1alpha1.APNSCertificate{ObjectMeta: metav1.ObjectMeta{Name: "push"}, Spec: mdmv1alpha1.APNSCertificateSpec{
		SecretRef: &mdmv1alpha1.LocalReference{Name: "apns"},
	}})
	w.create(&mdmv1alpha1.MDMServer{ObjectMeta: metav1.ObjectMeta{Name: serverName}, Spec: mdmv1alpha1.MDMServerSpec{
		Host: w.ns + ".example.com", Organization: "Example Ltd", Apple: &mdmv1alpha1.AppleServer{
			APNSCertificateRef: &mdmv1alpha1.LocalReference{Name: "push"},
			Push:               mdmv1alpha1.ApplePush{URL: url, CAConfigMapRef: &mdmv1alpha1.KeyReference{Name: "apple-ca", Key: "root"}},
		},
	}})
	w.create(&mdmv1alpha1.EnrollmentToken{ObjectMeta: metav1.ObjectMeta{Name: "all"}, Spec: mdmv1alpha1.EnrollmentTokenSpec{
		ServerRef: mdmv1alpha1.LocalReference{Name: serverName}, Labels: team,
	}})
}

// invite reads what people get who enrol a device.
func (w *world) invite() {
	w.Helper()
	token := &mdmv1alpha1.EnrollmentToken{}
	w.await("all", token, mdmv1alpha1.ConditionReady)
	secret := &corev1.Secret{}
	w.get(token.Status.SecretRef.Name, secret)
	w.enrollURL = string(secret.Data["url"])
	w.get("mdm-serving", secret)
	w.roots = x509.NewCertPool()
	w.roots.AppendCertsFromPEM(secret.Data["ca.crt"])
	w.devices = devicesim.NewClient(w.roots)
	w.devices.Transport.(*http.Transport).DialContext = w.pod.DialDevices
}

// mac declares a Device, enrols a Mac as it, and waits until the Device shows the enrolment.
func (w *world) mac(name string) *devicesim.Device {
	w.Helper()
	hardware := devicesim.Mac(strings.ToUpper(strings.ReplaceAll(w.ns, "-", ""))+strings.ToUpper(name), 1)
	w.create(&mdmv1alpha1.Device{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: mdmv1alpha1.DeviceSpec{
		ServerRef: mdmv1alpha1.LocalReference{Name: serverName}, SerialNumber: hardware.SerialNumber,
	}})
	d, err := devicesim.New(devicesim.Options{Hardware: hardware, Client: w.devices, Roots: w.roots, Key: keys.Key, Waker: w.pushes, RetryInterval: time.Second})
	w.must(err)
	w.must(d.Enroll(w.Context(), w.enrollURL))
	w.await(name, &mdmv1alpha1.Device{}, mdmv1alpha1.ConditionReady)
	return d
}

// idle lets a Mac call until a condition holds.
func (w *world) idle(d *devicesim.Device, what string, holds func() bool) {
	w.Helper()
	w.eventually(what, func() bool {
		w.must(d.Idle(w.Context()))
		return holds()
	})
}

// wifi is a Profile for the whole team.
func (w *world) wifi(name string) {
	w.Helper()
	w.create(&mdmv1alpha1.Profile{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: mdmv1alpha1.ProfileSpec{
		ServerRef: mdmv1alpha1.LocalReference{Name: serverName}, Selector: &metav1.LabelSelector{MatchLabels: team},
		Apple: &mdmv1alpha1.AppleProfile{Type: mdmv1alpha1.ApplePayloads, Payloads: &mdmv1alpha1.PayloadList{
			Items: []mdmv1alpha1.Payload{{Type: "com.apple.wifi.managed", Settings: raw(`{"SSID_STR": %q}`, name)}},
		}},
	}})
	w.await(name, &mdmv1alpha1.Profile{}, mdmv1alpha1.ConditionReady)
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) create(obj client.Object) {
	w.Helper()
	obj.SetNamespace(w.ns)
	w.must(shared.api.Create(w.Context(), obj))
}

func (w *world) exists(name string, obj client.Object) bool {
	w.Helper()
	err := shared.api.Get(w.Context(), client.ObjectKey{Namespace: w.ns, Name: name}, obj)
	w.must(client.IgnoreNotFound(err))
	return err == nil
}

func (w *world) get(name string, obj client.Object) {
	w.Helper()
	if !w.exists(name, obj) {
		w.Fatalf("there is no %T %s", obj, name)
	}
}

func (w *world) eventually(what string, holds func() bool) {
	w.Helper()
	err := wait.PollUntilContextTimeout(w.Context(), 50*time.Millisecond, patience, true, func(context.Context) (bool, error) { return holds(), nil })
	if err != nil {
		w.Fatalf("waiting until %s: %v", what, err)
	}
}

// await reads an object until a condition is True of what it is now.
func (w *world) await(name string, obj mdmv1alpha1.Object, condition string) {
	w.Helper()
	err := wait.PollUntilContextTimeout(w.Context(), 50*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		w.cluster.Issue()
		if !w.exists(name, obj) {
			return false, nil
		}
		c := meta.FindStatusCondition(obj.GetCommonStatus().Conditions, condition)
		return c != nil && c.Status == metav1.ConditionTrue && c.ObservedGeneration == obj.GetGeneration(), nil
	})
	if err != nil {
		w.Fatalf("waiting until %T %s is %s: %v\n%+v", obj, name, condition, err, obj.GetCommonStatus().Conditions)
	}
}

func raw(format string, args ...any) runtime.RawExtension {
	return runtime.RawExtension{Raw: fmt.Appendf(nil, format, args...)}
}

func base64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
