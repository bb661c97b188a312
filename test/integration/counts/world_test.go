package counts_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	host       = "mdm.example.com"
	topic      = "com.apple.mgmt.External.00000000-0000-4000-8000-000000000001"
	// workers is how many devices are busy at a time.
	workers = 8
	// patience is how long anything is waited for.
	patience = 5 * time.Minute
)

var (
	// keys are shared by all devices: RSA keys take time.
	keys = devicesim.NewKeyPool(4)
	// team are the labels that every enrolled device has from its token.
	team = map[string]string{"example.com/team": "sim"}
)

// world is a namespace with an MDMServer that is Ready: its manager and its server run, Apple's push service takes its pushes, devices can enrol.
type world struct {
	*testing.T
	ns      string
	cluster *standin.Cluster
	pod     *standin.Pod
	pushes  *devicesim.Pushes
	// stopManager ends the manager that runs in this process.
	stopManager func()
	roots       *x509.CertPool
	devices     *http.Client
	enrollURL   string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "counts-"}}
	if err := api.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, ns: ns.Name, cluster: standin.New(t, api, ns.Name), pushes: devicesim.NewPushes()}
	w.pod = w.cluster.Pod(serverName, logs)
	w.declare()
	w.stopManager = w.manage()
	w.serve()
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
		Host: host, Organization: "Example Ltd", Windows: &mdmv1alpha1.WindowsServer{}, Apple: &mdmv1alpha1.AppleServer{
			APNSCertificateRef: &mdmv1alpha1.LocalReference{Name: "push"},
			Push:               mdmv1alpha1.ApplePush{URL: url, CAConfigMapRef: &mdmv1alpha1.KeyReference{Name: "apple-ca", Key: "root"}},
		},
	}})
	w.create(&mdmv1alpha1.EnrollmentToken{ObjectMeta: metav1.ObjectMeta{Name: "all"}, Spec: mdmv1alpha1.EnrollmentTokenSpec{
		ServerRef: mdmv1alpha1.LocalReference{Name: serverName}, Labels: team,
	}})
	w.create(&mdmv1alpha1.EnrollmentToken{ObjectMeta: metav1.ObjectMeta{Name: "pcs"}, Spec: mdmv1alpha1.EnrollmentTokenSpec{
		ServerRef: mdmv1alpha1.LocalReference{Name: serverName}, Labels: team, Platforms: []mdmv1alpha1.Platform{mdmv1alpha1.PlatformWindows},
	}})
}

// serve plays the rest of the cluster until the MDMServer is Ready.
func (w *world) serve() {
	w.Helper()
	w.eventually("the pod can start", func(context.Context) bool {
		w.cluster.Issue()
		return w.exists(serverName, &appsv1.StatefulSet{}) && w.exists("mdm-push", &corev1.Secret{})
	})
	w.pod.Start()
	w.cluster.Available(serverName)
	await(w, serverName, &mdmv1alpha1.MDMServer{}, "Ready and able to push", func(s *mdmv1alpha1.MDMServer) bool {
		return is(s, mdmv1alpha1.ConditionReady) && is(s, mdmv1alpha1.MDMServerPushReady)
	})
}

// invite reads what people get who enrol a device.
func (w *world) invite() {
	w.Helper()
	token := await(w, "all", &mdmv1alpha1.EnrollmentToken{}, "Ready", func(e *mdmv1alpha1.EnrollmentToken) bool { return is(e, mdmv1alpha1.ConditionReady) })
	secret := &corev1.Secret{}
	w.get(token.Status.SecretRef.Name, secret)
	w.enrollURL = string(secret.Data["url"])
	w.get("mdm-serving", secret)
	w.roots = x509.NewCertPool()
	w.roots.AppendCertsFromPEM(secret.Data["ca.crt"])
	w.devices = devicesim.NewClient(w.roots)
	w.devices.Transport.(*http.Transport).DialContext = w.pod.DialDevices
}

// enroll makes this many Macs, enrols them and waits until the server was told what each should have.
func (w *world) enroll(prefix string, count int, change func(*devicesim.Options)) *devicesim.Fleet {
	w.Helper()
	fleet, err := devicesim.NewFleet(count, func(i int) devicesim.Options {
		o := devicesim.Options{Hardware: devicesim.Mac(prefix, i), Client: w.devices, Roots: w.roots, Key: keys.Key, Waker: w.pushes, RetryInterval: time.Second}
		if change != nil {
			change(&o)
		}
		return o
	})
	w.must(err)
	w.must(fleet.Enroll(w.Context(), workers, w.enrollURL))
	w.haveDevices(prefix, count)
	return fleet
}

// haveDevices waits until this many Devices with serial numbers of a prefix are Ready.
func (w *world) haveDevices(prefix string, count int) {
	w.Helper()
	w.eventually("there is a Device that is Ready of each "+prefix, func(context.Context) bool {
		ready := 0
		for _, d := range w.listDevices() {
			if strings.HasPrefix(d.Spec.SerialNumber, prefix) && is(&d, mdmv1alpha1.ConditionReady) {
				ready++
			}
		}
		return ready == count
	})
}

// run lets devices live on their own until the test ends.
func (w *world) run(fleet *devicesim.Fleet) {
	ctx, cancel := context.WithCancel(context.Background())
	w.until(cancel, func() error {
		_ = fleet.Run(ctx) // it ends with ctx, or when the last device leaves management
		return nil
	})
}

// until runs a job beside the test; stop and the end of the test end it by calling cancel, and its error is the test's.
func (w *world) until(cancel func(), job func() error) (stop func()) {
	ended := make(chan error, 1)
	go func() { ended <- job() }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.Error(err)
		}
	})
	w.Cleanup(stop)
	return stop
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
	w.must(api.Create(w.Context(), obj))
}

// exists reads an object and says whether there is one.
func (w *world) exists(name string, obj client.Object) bool {
	w.Helper()
	err := api.Get(w.Context(), client.ObjectKey{Namespace: w.ns, Name: name}, obj)
	w.must(client.IgnoreNotFound(err))
	return err == nil
}

func (w *world) get(name string, obj client.Object) {
	w.Helper()
	if !w.exists(name, obj) {
		w.Fatalf("there is no %T %s", obj, name)
	}
}

func (w *world) listDevices() []mdmv1alpha1.Device {
	w.Helper()
	list := &mdmv1alpha1.DeviceList{}
	w.must(api.List(w.Context(), list, client.InNamespace(w.ns)))
	return list.Items
}

// deviceOf returns the Device of a simulated device.
func (w *world) deviceOf(d *devicesim.Device) *mdmv1alpha1.Device {
	w.Helper()
	all := w.listDevices()
	i := slices.IndexFunc(all, func(o mdmv1alpha1.Device) bool { return o.Spec.SerialNumber == d.Hardware().SerialNumber })
	if i < 0 {
		w.Fatalf("there is no Device for %s", d.Hardware().SerialNumber)
	}
	return &all[i]
}

func (w *world) eventually(what string, holds func(context.Context) bool) {
	w.Helper()
	err := wait.PollUntilContextTimeout(w.Context(), 50*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) { return holds(ctx), nil })
	if err != nil {
		w.Fatalf("waiting until %s: %v", what, err)
	}
}

// await reads an object until it is what the test waits for, and returns it.
func await[T mdmv1alpha1.Object](w *world, name string, obj T, what string, holds func(T) bool) T {
	w.Helper()
	err := wait.PollUntilContextTimeout(w.Context(), 50*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		return w.exists(name, obj) && holds(obj), nil
	})
	if err != nil {
		w.Fatalf("waiting until %T %s is %s: %v\n%s", obj, name, what, err, show(obj))
	}
	return obj
}

// is says whether a condition is True of what the object is now.
func is(obj mdmv1alpha1.Object, condition string) bool {
	c := meta.FindStatusCondition(obj.GetCommonStatus().Conditions, condition)
	return c != nil && c.Status == metav1.ConditionTrue && c.ObservedGeneration == obj.GetGeneration()
}

func show(obj mdmv1alpha1.Object) string {
	var lines []string
	for _, c := range obj.GetCommonStatus().Conditions {
		lines = append(lines, fmt.Sprintf("  %s=%s/%s %s", c.Type, c.Status, c.Reason, c.Message))
	}
	return strings.Join(lines, "\n")
}

// wifi is a Profile for the whole team.
func wifi(ssid string) *mdmv1alpha1.Profile {
	p := &mdmv1alpha1.Profile{ObjectMeta: metav1.ObjectMeta{Name: "wifi"}, Spec: mdmv1alpha1.ProfileSpec{
		ServerRef: mdmv1alpha1.LocalReference{Name: serverName}, Selector: &metav1.LabelSelector{MatchLabels: team},
		Apple: &mdmv1alpha1.AppleProfile{Type: mdmv1alpha1.ApplePayloads, Payloads: &mdmv1alpha1.PayloadList{
			Items: []mdmv1alpha1.Payload{{Type: "com.apple.wifi.managed"}},
		}},
	}}
	setSSID(p, ssid)
	return p
}

func setSSID(p *mdmv1alpha1.Profile, ssid string) {
	p.Spec.Apple.Payloads.Items[0].Settings.Raw = fmt.Appendf(nil, `{"SSID_STR": %q}`, ssid)
}
