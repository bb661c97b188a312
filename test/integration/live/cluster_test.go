package live_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/setup"
	"github.com/kubemdm/kubemdm/test/pki"
	"github.com/kubemdm/kubemdm/test/standin"
)

const (
	systemNamespace = "kubemdm-system"
	liveService     = "kubemdm-live"
	// unmanaged is a namespace that the manager does not manage; those of the worlds are pool-0, pool-1 ...
	unmanaged = "unmanaged"
	pools     = 16
)

// cluster is an API server with one manager, whose live view it aggregates. All tests share it.
type cluster struct {
	once     sync.Once
	failed   error
	server   *envtest.Environment
	config   *rest.Config
	api      client.WithWatch
	dir      string
	ca       *pki.CA
	address  string // where the live view listens
	shutdown func() error

	mu    sync.Mutex
	taken int
	pods  map[string]*standin.Pod // by namespace
}

var shared = &cluster{pods: map[string]*standin.Pod{}, shutdown: func() error { return nil }}

// start starts everything for the first test that asks.
func (c *cluster) start(t *testing.T) {
	t.Helper()
	c.once.Do(func() { c.failed = c.run(t) })
	if c.failed != nil {
		t.Fatal(c.failed)
	}
}

func (c *cluster) stop() error {
	err := c.shutdown()
	if c.server != nil {
		err = errors.Join(err, c.server.Stop())
	}
	if c.dir != "" {
		err = errors.Join(err, os.RemoveAll(c.dir))
	}
	return err
}

func (c *cluster) run(t *testing.T) (err error) {
	if c.dir, err = os.MkdirTemp("", "kubemdm-live-"); err != nil {
		return err
	}
	c.server = standin.APIServer()
	if err := c.frontProxy(t); err != nil {
		return err
	}
	if c.config, err = c.server.Start(); err != nil {
		return fmt.Errorf("starting the API server (KUBEBUILDER_ASSETS must name its folder): %w", err)
	}
	c.config.QPS = -1
	scheme := setup.Scheme()
	if err := livev1alpha1.AddToScheme(scheme); err != nil {
		return err
	}
	if c.api, err = client.NewWithWatch(c.config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	namespaces := []string{systemNamespace, unmanaged}
	for i := range pools {
		namespaces = append(namespaces, fmt.Sprint("pool-", i))
	}
	for _, name := range namespaces {
		if err := c.api.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			return err
		}
	}
	c.ca = pki.NewCA(t, "live")
	if err := c.certify(t); err != nil {
		return err
	}
	if err := c.manage(t, namespaces[2:]); err != nil {
		return err
	}
	return c.aggregate(t)
}

// frontProxy gives the API server the certificate by which extension servers know it.
func (c *cluster) frontProxy(t *testing.T) error {
	ca := pki.NewCA(t, "front-proxy")
	cert, key := pki.PEM(t, ca.Issue(t, pki.Leaf{CN: "front-proxy-client"}))
	args := c.server.ControlPlane.GetAPIServer().Configure()
	for flag, content := range map[string][]byte{
		"requestheader-client-ca-file": ca.CertPEM(), "proxy-client-cert-file": cert, "proxy-client-key-file": key,
	} {
		file := filepath.Join(c.dir, flag)
		if err := os.WriteFile(file, content, 0o600); err != nil {
			return err
		}
		args.Set(flag, file)
	}
	args.Set("requestheader-allowed-names", "front-proxy-client").Set("requestheader-username-headers", "X-Remote-User").
		Set("requestheader-group-headers", "X-Remote-Group").Set("requestheader-extra-headers-prefix", "X-Remote-Extra-")
	return nil
}

// certify writes a new certificate for the live view, as cert-manager and kubelet do.
func (c *cluster) certify(t *testing.T) error {
	cert, key := pki.PEM(t, c.ca.Issue(t, pki.Leaf{CN: "live", Names: []string{liveService + "." + systemNamespace + ".svc", "127.0.0.1"}}))
	return errors.Join(os.WriteFile(filepath.Join(c.dir, "tls.crt"), cert, 0o600), os.WriteFile(filepath.Join(c.dir, "tls.key"), key, 0o600))
}

// manage starts a manager with the rights that the chart gives it.
func (c *cluster) manage(t *testing.T, namespaces []string) error {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	c.address = listener.Addr().String()
	if err := listener.Close(); err != nil {
		return err
	}
	config, err := c.restricted(t)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	mgr, err := setup.New(ctx, config, setup.Options{
		Namespace: systemNamespace, Namespaces: namespaces, ServerImage: "kubemdm/mdmserver:test", MetricsAddress: "0", HealthAddress: "0",
		LiveAddress: c.address, LiveCertDir: c.dir, Dial: c.dial, Metrics: prometheus.NewRegistry(),
		Adjust: func(o *ctrl.Options) { o.Controller.SkipNameValidation = ptr.To(true) },
	})
	if err != nil {
		cancel()
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	c.shutdown = func() error {
		cancel()
		return <-ended
	}
	return nil
}

// restricted is a user with the rights that config/ gives the manager. The roles for people are made as well.
func (c *cluster) restricted(t *testing.T) (*rest.Config, error) {
	user, err := c.server.AddUser(envtest.User{Name: "manager"}, nil)
	if err != nil {
		return nil, err
	}
	for _, file := range []string{"rbac/role.yaml", "rbac/role_binding.yaml", "rbac/leader_election.yaml", "rbac/people.yaml", "live/rbac.yaml"} {
		f, err := os.Open(filepath.Join("../../../config", file))
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if err := c.apply(t, yaml.NewYAMLOrJSONDecoder(f, 4096)); err != nil {
			return nil, fmt.Errorf("applying %s: %w", file, err)
		}
	}
	return user.Config(), nil
}

// apply creates the objects of a file as kustomize would, with the user in the place of the service account.
func (c *cluster) apply(t *testing.T, file *yaml.YAMLOrJSONDecoder) error {
	for {
		o := &unstructured.Unstructured{}
		if err := file.Decode(&o.Object); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if kind := o.GetKind(); (kind == "Role" || kind == "RoleBinding") && o.GetNamespace() == "" {
			o.SetNamespace(systemNamespace)
		}
		if _, binds := o.Object["subjects"]; binds {
			o.Object["subjects"] = []any{map[string]any{"kind": rbacv1.UserKind, "apiGroup": rbacv1.GroupName, "name": "manager"}}
		}
		if err := c.api.Create(t.Context(), o); err != nil {
			return err
		}
	}
}

// aggregate is the chart's Service and APIService. There are no pods to select here, so that the Service leads to this machine.
func (c *cluster) aggregate(t *testing.T) error {
	_, port, err := net.SplitHostPort(c.address)
	if err != nil {
		return err
	}
	var number int64
	if _, err := fmt.Sscan(port, &number); err != nil {
		return err
	}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: liveService}}
	service.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"}
	if err := c.api.Create(t.Context(), service); err != nil {
		return err
	}
	apiService := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": map[string]any{"name": "v1alpha1.live.mdm.kubemdm.io"},
		"spec": map[string]any{
			"group": livev1alpha1.GroupVersion.Group, "version": livev1alpha1.GroupVersion.Version, "groupPriorityMinimum": int64(1000), "versionPriority": int64(10),
			"service": map[string]any{"namespace": systemNamespace, "name": liveService, "port": number}, "caBundle": base64Of(c.ca.CertPEM()),
		},
	}}
	if err := c.api.Create(t.Context(), apiService); err != nil {
		return err
	}
	err = wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		return isAvailable(apiService), c.api.Get(ctx, client.ObjectKeyFromObject(apiService), apiService)
	})
	if err != nil {
		return fmt.Errorf("waiting until the APIService is available: %w: %v", err, apiService.Object["status"])
	}
	return nil
}

func isAvailable(apiService *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(apiService.Object, "status", "conditions")
	for _, c := range conditions {
		if condition, ok := c.(map[string]any); ok && condition["type"] == "Available" {
			return condition["status"] == "True"
		}
	}
	return false
}

var errNoPod = errors.New("no pod of this name runs")

// dial is the cluster's network: https://mdm-admin.<namespace>.svc leads to the pod of that namespace.
func (c *cluster) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c.mu.Lock()
	pod := c.pods[strings.Split(address+"..", ".")[1]]
	c.mu.Unlock()
	if pod == nil {
		return nil, errNoPod
	}
	return pod.DialAdmin(ctx, network, address)
}

// take gives a test a namespace of its own.
func (c *cluster) take(t *testing.T) string {
	t.Helper()
	c.start(t)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.taken == pools {
		t.Fatal("there are more tests than namespaces: raise pools")
	}
	c.taken++
	return fmt.Sprint("pool-", c.taken-1)
}

func refTo(kind, name string) rbacv1.RoleRef {
	return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: name}
}
