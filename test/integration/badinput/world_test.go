package badinput_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/apnsfake"
	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/pki"
	"github.com/kubemdm/kubemdm/test/standin"
)

// keys are shared by all devices of the tests: RSA keys take time.
var keys = devicesim.NewKeyPool(2)

// world is a namespace with an MDMServer that is Ready, with the real server in its pod.
type world struct {
	*testing.T
	ns  string
	pod *standin.Pod
	// apple issues push certificates, apns takes those pushes.
	apple   *pki.CA
	apns    *apnsfake.Fake
	roots   *x509.CertPool
	devices *http.Client
	// secrets must be in no event: tokens, and what identifies a device.
	secrets []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "bad-input-"}}
	if err := api.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	cluster := standin.New(t, api, ns.Name)
	w := &world{T: t, ns: ns.Name, pod: cluster.Pod("mdm", slog.DiscardHandler)}
	network.set(w.ns, w.pod)
	t.Cleanup(w.checkEvents)
	w.declare()
	w.eventually("the pod to be wanted", func(context.Context) string {
		cluster.Issue()
		if w.exists("mdm", &appsv1.StatefulSet{}) && w.exists("mdm-push", &corev1.Secret{}) {
			return ""
		}
		return "not yet"
	})
	w.pod.Start()
	cluster.Available("mdm")
	w.expect(&mdmv1alpha1.MDMServer{}, "mdm", "Ready=True/Connected")
	serving := &corev1.Secret{}
	w.get("mdm-serving", serving)
	w.roots = x509.NewCertPool()
	w.roots.AppendCertsFromPEM(serving.Data["ca.crt"])
	w.devices = devicesim.NewClient(w.roots)
	w.devices.Transport.(*http.Transport).DialContext = w.pod.DialDevices
	return w
}

// declare applies what an administrator does.
func (w *world) declare() {
	w.Helper()
	w.apple = pki.NewAppleCA(w)
	var url string
	w.apns, url = apnsfake.Start(w, w.apple)
	w.secret("apns", w.pushPair())
	w.create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "apple-ca"}, Data: map[string]string{"root": string(w.apple.CertPEM())}})
	w.create(&mdmv1alpha1.APNSCertificate{ObjectMeta: metav1.ObjectMeta{Name: "push"}, Spec: mdmv1alpha1.APNSCertificateSpec{
		SecretRef: &mdmv1alpha1.LocalReference{Name: "apns"},
	}})
	w.create(&mdmv1alpha1.MDMServer{ObjectMeta: metav1.ObjectMeta{Name: "mdm"}, Spec: mdmv1alpha1.MDMServerSpec{
		Host: "mdm.example.com", Organization: "Example", Windows: &mdmv1alpha1.WindowsServer{}, Apple: &mdmv1alpha1.AppleServer{
			APNSCertificateRef: &mdmv1alpha1.LocalReference{Name: "push"},
			Push:               mdmv1alpha1.ApplePush{URL: url, CAConfigMapRef: &mdmv1alpha1.KeyReference{Name: "apple-ca", Key: "root"}},
		},
	}})
}

// pushPair is the content of a Secret with a new push certificate of the one topic.
func (w *world) pushPair() map[string][]byte {
	w.Helper()
	cert, key := pki.PEM(w, w.apple.Issue(w, pki.Leaf{CN: "APSP:1", UID: "com.apple.mgmt.External.00000000-0000-4000-8000-000000000001"}))
	return map[string][]byte{"tls.crt": cert, "tls.key": key}
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) key(name string) client.ObjectKey {
	return client.ObjectKey{Namespace: w.ns, Name: name}
}

func (w *world) create(obj client.Object) {
	w.Helper()
	obj.SetNamespace(w.ns)
	w.must(api.Create(w.Context(), obj))
}

func (w *world) secret(name string, data map[string][]byte) {
	w.Helper()
	w.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data})
}

// exists reads an object and says whether there is one.
func (w *world) exists(name string, obj client.Object) bool {
	w.Helper()
	err := api.Get(w.Context(), w.key(name), obj)
	w.must(client.IgnoreNotFound(err))
	return err == nil
}

func (w *world) get(name string, obj client.Object) {
	w.Helper()
	w.must(api.Get(w.Context(), w.key(name), obj))
}

// edit reads an object, changes it and writes it, again when somebody else wrote it meanwhile.
func edit[T client.Object](w *world, name string, obj T, change func(T)) {
	w.Helper()
	w.must(retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if err := api.Get(w.Context(), w.key(name), obj); err != nil {
			return err
		}
		change(obj)
		return api.Update(w.Context(), obj)
	}))
}

// poke has an object looked at now, and returns when it was.
func poke(w *world, name string, obj mdmv1alpha1.Object) {
	w.Helper()
	request := rand.Text()
	edit(w, name, obj, func(obj mdmv1alpha1.Object) {
		obj.SetAnnotations(map[string]string{mdmv1alpha1.AnnotationRequestedAt: request})
	})
	w.eventually(name+" to be looked at", func(ctx context.Context) string {
		if err := api.Get(ctx, w.key(name), obj); err != nil {
			return err.Error()
		}
		if obj.GetCommonStatus().LastHandledRequest != request {
			return "not yet"
		}
		return ""
	})
}

// eventually asks until nothing is amiss.
func (w *world) eventually(what string, amiss func(ctx context.Context) string) {
	w.Helper()
	last := ""
	err := wait.PollUntilContextTimeout(w.Context(), 100*time.Millisecond, 90*time.Second, true, func(ctx context.Context) (bool, error) {
		last = amiss(ctx)
		return last == "", nil
	})
	if err != nil {
		w.Fatalf("waited in vain for %s: %s", what, last)
	}
}

// expect waits for a condition, written Type=Status/Reason, and returns its message, which must say what to do unless all is well.
func (w *world) expect(obj mdmv1alpha1.Object, name, want string) string {
	w.Helper()
	w.eventually(name+" "+want, func(ctx context.Context) string { return lacks(ctx, w.key(name), obj, want) })
	condition, _, _ := strings.Cut(want, "=")
	message := meta.FindStatusCondition(obj.GetCommonStatus().Conditions, condition).Message
	if message == "" && !strings.Contains(want, "=True/Ready") {
		w.Errorf("%s %s says nothing more", name, want)
	}
	return message
}

// lacks reads an object and returns its conditions if the wanted one is not among them.
func lacks(ctx context.Context, key client.ObjectKey, obj mdmv1alpha1.Object, want string) string {
	if err := api.Get(ctx, key, obj); err != nil {
		return err.Error()
	}
	conditions := obj.GetCommonStatus().Conditions
	for _, c := range conditions {
		if c.ObservedGeneration == obj.GetGeneration() && fmt.Sprintf("%s=%s/%s", c.Type, c.Status, c.Reason) == want {
			return ""
		}
	}
	return show(conditions)
}

func show(conditions []metav1.Condition) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d conditions", len(conditions))
	for _, c := range conditions {
		fmt.Fprintf(&b, "\n  %s=%s/%s (generation %d) %s", c.Type, c.Status, c.Reason, c.ObservedGeneration, c.Message)
	}
	return b.String()
}

// enrol makes an EnrollmentToken and enrols Macs with it, which become Devices with these labels.
func (w *world) enrol(token string, labels map[string]string, n int) []*devicesim.Device {
	w.Helper()
	url := w.invite(&mdmv1alpha1.EnrollmentToken{ObjectMeta: metav1.ObjectMeta{Name: token}, Spec: mdmv1alpha1.EnrollmentTokenSpec{Labels: labels}})
	macs := make([]*devicesim.Device, n)
	for i := range macs {
		macs[i] = w.mac(token, i)
		w.must(macs[i].Enroll(w.Context(), url))
	}
	return macs
}

// invite creates an EnrollmentToken and returns the address to open on a device.
func (w *world) invite(token *mdmv1alpha1.EnrollmentToken) string {
	w.Helper()
	token.Spec.ServerRef.Name = "mdm"
	w.create(token)
	w.expect(token, token.Name, "Ready=True/Ready")
	secret := &corev1.Secret{}
	w.get(token.Status.SecretRef.Name, secret)
	w.secrets = append(w.secrets, string(secret.Data["token"]))
	return string(secret.Data["url"])
}

func (w *world) mac(prefix string, index int) *devicesim.Device {
	w.Helper()
	mac, err := devicesim.New(devicesim.Options{Hardware: devicesim.Mac(prefix, index), Client: w.devices, Roots: w.roots, Key: keys.Key})
	w.must(err)
	w.secrets = append(w.secrets, mac.Hardware().SerialNumber, mac.Hardware().UDID)
	return mac
}

// checkEvents looks at what the test's events tell.
func (w *world) checkEvents() {
	all := &eventsv1.EventList{}
	if err := api.List(context.Background(), all, client.InNamespace(w.ns)); err != nil {
		w.Error(err)
	}
	if len(all.Items) == 0 {
		w.Error("there was no event at all")
	}
	for _, e := range all.Items {
		for _, secret := range w.secrets {
			if strings.Contains(e.Note+e.Regarding.Name, secret) {
				w.Errorf("an event tells a token, serial number or UDID: %s %s", e.Regarding.Name, e.Note)
			}
		}
	}
}

// idle lets the Macs connect and do what waits for them.
func (w *world) idle(macs []*devicesim.Device) {
	w.Helper()
	for _, mac := range macs {
		w.must(mac.Idle(w.Context()))
	}
}

// having counts the Macs that hold a profile.
func having(macs []*devicesim.Device, identifier string) int {
	n := 0
	for _, mac := range macs {
		if _, has := mac.Profiles()[identifier]; has {
			n++
		}
	}
	return n
}
