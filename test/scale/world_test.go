package scale_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/setup"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/test/pki"
	"github.com/kubemdm/kubemdm/test/postgres"
	"github.com/kubemdm/kubemdm/test/standin"
)

const (
	systemNamespace = "kubemdm-system"
	namespace       = "fleet"
	serverName      = "mdm"
	host            = "mdm.example.com"
	topic           = "com.apple.mgmt.External.00000000-0000-4000-8000-000000000001"
	// departments have a token and profiles / departments Profiles each.
	departments = 10
	profiles    = 50
	// patience is how long anything is waited for.
	patience = time.Hour
	// etcdQuota is enough for the history that etcd keeps until the API server compacts it.
	etcdQuota = 8 << 30
)

// world is one fleet: a cluster of its own, a server with devices, a manager.
type world struct {
	*testing.T
	n          int
	bin        string
	config     *rest.Config
	api        client.WithWatch
	kubeconfig string
	cluster    *standin.Cluster
	served     *serverconfig.Config
	fleet      *fleetOfDevices
	manager    *process
	// metrics and pprof are addresses of the manager, etcd is the URL of etcd.
	metrics, pprof, etcd string
	pages                http.Client
}

func newWorld(t *testing.T, bin string, n int) *world {
	w := &world{T: t, n: n, bin: bin, pages: http.Client{Timeout: time.Minute}, metrics: freeAddress(t), pprof: freeAddress(t)}
	w.startAPIServer()
	w.cluster = standin.New(t, w.api, namespace)
	w.declare()
	return w
}

func (w *world) startAPIServer() {
	server := standin.APIServer()
	server.ControlPlane.GetAPIServer().Configure().Append("max-requests-inflight", "1000").Append("max-mutating-requests-inflight", "1000")
	server.ControlPlane.Etcd = &envtest.Etcd{}
	server.ControlPlane.Etcd.Configure().Set("quota-backend-bytes", strconv.Itoa(etcdQuota))
	var err error
	w.config, err = server.Start()
	w.must(err)
	w.Cleanup(func() { w.must(server.Stop()) })
	w.etcd = server.ControlPlane.Etcd.URL.String()
	w.config.QPS = -1 // how fast this test may write is not what is measured
	w.kubeconfig = filepath.Join(w.TempDir(), "kubeconfig")
	w.must(os.WriteFile(w.kubeconfig, server.KubeConfig, 0o600))
	w.api, err = client.NewWithWatch(w.config, client.Options{Scheme: setup.Scheme()})
	w.must(err)
	for _, name := range []string{systemNamespace, namespace} {
		w.must(w.api.Create(w.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
	}
}

// declare applies what an administrator does.
func (w *world) declare() {
	apple := pki.NewAppleCA(w)
	cert, key := pki.PEM(w, apple.Issue(w, pki.Leaf{CN: "APSP:1", UID: topic, NotAfter: time.Now().AddDate(1, 0, 0)}))
	w.apply("apns", &corev1.Secret{Data: map[string][]byte{"tls.crt": cert, "tls.key": key}})
	w.apply("apple-ca", &corev1.ConfigMap{Data: map[string]string{"root": string(apple.CertPEM())}})
	database := postgres.Start(w, postgres.Options{Durable: true})
	database.Exec("postgres", "CREATE DATABASE mdm")
	w.apply("database", &corev1.Secret{Data: map[string][]byte{"uri": []byte(database.DSN("mdm"))}})
	w.apply("push", &mdmv1alpha1.APNSCertificate{Spec: mdmv1alpha1.APNSCertificateSpec{SecretRef: &mdmv1alpha1.LocalReference{Name: "apns"}}})
	w.apply(serverName, &mdmv1alpha1.MDMServer{Spec: mdmv1alpha1.MDMServerSpec{
		Host: host, Organization: "Example Ltd",
		Storage: mdmv1alpha1.Storage{Type: mdmv1alpha1.StoragePostgreSQL, PostgreSQL: &mdmv1alpha1.PostgreSQLStorage{
			SecretRef: mdmv1alpha1.LocalReference{Name: "database"},
		}},
		Apple: &mdmv1alpha1.AppleServer{
			APNSCertificateRef: &mdmv1alpha1.LocalReference{Name: "push"},
			Push: mdmv1alpha1.ApplePush{
				URL: "https://" + freeAddress(w), CAConfigMapRef: &mdmv1alpha1.KeyReference{Name: "apple-ca", Key: "root"}, // no device has a push token
			},
		},
	}})
	for d := range departments {
		w.apply(department(d), &mdmv1alpha1.EnrollmentToken{Spec: mdmv1alpha1.EnrollmentTokenSpec{
			ServerRef: mdmv1alpha1.LocalReference{Name: serverName}, Labels: labelsOf(d),
		}})
	}
	for i := range profiles {
		w.apply(profileName(i), profileFor(map[string]string{labelDepartment: department(i % departments)}, "Net"+strconv.Itoa(i)))
	}
}

const (
	labelDepartment   = "example.com/department"
	labelOrganization = "example.com/organization"
	labelRing         = "example.com/ring"
)

func department(i int) string { return fmt.Sprintf("department-%d", i) }

func profileName(i int) string { return fmt.Sprintf("p%d", i) }

func labelsOf(d int) map[string]string {
	return map[string]string{labelDepartment: department(d), labelOrganization: "example"}
}

// profileFor is a Wi-Fi network for the devices with these labels.
func profileFor(selector map[string]string, ssid string) *mdmv1alpha1.Profile {
	return &mdmv1alpha1.Profile{Spec: mdmv1alpha1.ProfileSpec{
		ServerRef: mdmv1alpha1.LocalReference{Name: serverName}, Selector: &metav1.LabelSelector{MatchLabels: selector},
		Apple: &mdmv1alpha1.AppleProfile{Type: mdmv1alpha1.ApplePayloads, Payloads: &mdmv1alpha1.PayloadList{
			Items: []mdmv1alpha1.Payload{{Type: "com.apple.wifi.managed", Settings: runtime.RawExtension{Raw: fmt.Appendf(nil, `{"SSID_STR": %q}`, ssid)}}},
		}},
	}}
}

// startManager starts the manager, which may be the second one.
func (w *world) startManager() {
	w.manager = start(w, filepath.Join(w.bin, "manager"), "--kubeconfig="+w.kubeconfig, "--namespace="+systemNamespace,
		"--metrics-address="+w.metrics, "--pprof-address="+w.pprof, "--server="+w.served.Listen.Admin)
}

// startServer plays the rest of the cluster until the server can start, and starts it.
func (w *world) startServer() {
	w.served = &serverconfig.Config{Listen: serverconfig.Listen{Devices: freeAddress(w), Admin: freeAddress(w), Health: freeAddress(w)}}
	w.startManager()
	w.eventually("the pod can start", func() bool {
		w.cluster.Issue()
		return w.exists(serverName, &appsv1.Deployment{}) && w.exists("mdm-push", &corev1.Secret{})
	})
	config := w.cluster.Pod(serverName, logs).Mount()
	config.Listen = w.served.Listen
	w.served = config
	raw, err := json.Marshal(config)
	w.must(err)
	file := filepath.Join(w.TempDir(), "mdmserver.json")
	w.must(os.WriteFile(file, raw, 0o600))
	start(w, filepath.Join(w.bin, "mdmserver"), "--config="+file)
	w.cluster.Available(serverName)
	w.profile(profileName(profiles-1), "is published", func(s *mdmv1alpha1.ProfileStatus) bool { return s.Targeted != nil })
	w.fleet = w.openFleet()
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) apply(name string, obj client.Object) {
	w.Helper()
	obj.SetNamespace(namespace)
	obj.SetName(name)
	w.must(w.api.Create(w.Context(), obj))
}

// exists reads an object and says whether there is one.
func (w *world) exists(name string, obj client.Object) bool {
	w.Helper()
	err := w.api.Get(w.Context(), client.ObjectKey{Namespace: namespace, Name: name}, obj)
	w.must(client.IgnoreNotFound(err))
	return err == nil
}

func (w *world) eventually(what string, holds func() bool) {
	w.Helper()
	err := wait.PollUntilContextTimeout(w.Context(), time.Second, patience, true, func(context.Context) (bool, error) { return holds(), nil })
	if err != nil {
		w.Fatalf("waiting until %s: %v", what, err)
	}
}

// profile waits until a Profile is as wanted, and returns it.
func (w *world) profile(name, what string, holds func(*mdmv1alpha1.ProfileStatus) bool) {
	w.Helper()
	p := &mdmv1alpha1.Profile{}
	w.eventually(name+" "+what, func() bool { return w.exists(name, p) && holds(&p.Status) })
}
