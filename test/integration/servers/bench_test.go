package servers_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/apnscertificate"
	"github.com/kubemdm/kubemdm/controllers/enrollmenttoken"
	"github.com/kubemdm/kubemdm/controllers/mdmserver"
	"github.com/kubemdm/kubemdm/controllers/setup"
	"github.com/kubemdm/kubemdm/test/pki"
	"github.com/kubemdm/kubemdm/test/standin"
)

// bench is a namespace of its own with the reconcilers and the parts of a cluster that the tests play.
type bench struct {
	*testing.T
	ns     string
	clock  *clocktesting.FakePassiveClock
	events chan string
	// cluster plays cert-manager and the StatefulSet controller, pod kubelet with the real server.
	cluster *standin.Cluster
	pod     *standin.Pod
	// others are the pods beside it, by the addresses of their internal API.
	others map[string]*standin.Pod

	servers *mdmserver.Reconciler
	certs   *apnscertificate.Reconciler
	tokens  *enrollmenttoken.Reconciler
}

func newBench(t *testing.T) *bench {
	t.Helper()
	t.Parallel()
	return newSerialBench(t)
}

// newSerialBench is newBench for a test that changes the environment of the process.
func newSerialBench(t *testing.T) *bench {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "fleet-"}}
	if err := api.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	b := &bench{T: t, ns: ns.Name, clock: clocktesting.NewFakePassiveClock(time.Now()), events: make(chan string, 1000)}
	b.cluster = standin.New(t, api, b.ns)
	b.pod = b.cluster.Pod(serverName, slog.NewTextHandler(t.Output(), nil))
	deps := setup.NewDeps(setup.Environment{
		Client: api,
		Events: &events.FakeRecorder{Events: b.events},
		Clock:  b.clock,
		Epoch:  func(context.Context) (int64, error) { return 1, nil },
		Log:    testr.New(t),
	}, setup.Options{Namespace: "kubemdm-system", ServerImage: "kubemdm/mdmserver:test", Dial: b.dialAdmin})
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_ = deps.Links.Start(ctx)
	}()
	t.Cleanup(func() { cancel(); <-stopped })
	for _, c := range setup.Controllers(deps) {
		switch c := c.(type) {
		case *mdmserver.Reconciler:
			b.servers = c
		case *apnscertificate.Reconciler:
			b.certs = c
		case *enrollmenttoken.Reconciler:
			b.tokens = c
		}
	}
	return b
}

// dialAdmin connects to the pod of an address, or to the first one, as a Service might.
func (b *bench) dialAdmin(ctx context.Context, network, address string) (net.Conn, error) {
	if pod := b.others[address]; pod != nil {
		return pod.DialAdmin(ctx, network, address)
	}
	return b.pod.DialAdmin(ctx, network, address)
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) create(obj client.Object) {
	b.Helper()
	obj.SetNamespace(b.ns)
	b.must(api.Create(b.Context(), obj))
}

func (b *bench) key(name string) client.ObjectKey {
	return client.ObjectKey{Namespace: b.ns, Name: name}
}

func (b *bench) request(name string) reconcile.Request {
	return reconcile.Request{NamespacedName: b.key(name)}
}

func (b *bench) get(name string, obj client.Object) {
	b.Helper()
	b.must(api.Get(b.Context(), b.key(name), obj))
}

// exists says whether the API server has an object.
func (b *bench) exists(name string, obj client.Object) bool {
	b.Helper()
	err := api.Get(b.Context(), b.key(name), obj)
	b.must(client.IgnoreNotFound(err))
	return err == nil
}

// edit reads an object, changes it and writes it.
func edit[T client.Object](b *bench, name string, obj T, change func(T)) {
	b.Helper()
	b.get(name, obj)
	change(obj)
	b.must(api.Update(b.Context(), obj))
}

func (b *bench) remove(name string, obj client.Object) {
	b.Helper()
	b.get(name, obj)
	b.must(api.Delete(b.Context(), obj))
}

const serverName = "mdm"

func (b *bench) reconcileServer() ctrl.Result {
	b.Helper()
	result, err := b.servers.Reconcile(b.Context(), b.request(serverName))
	b.must(err)
	return result
}

func (b *bench) reconcileCertificate() {
	b.Helper()
	_, err := reconcile.AsReconciler(api, b.certs).Reconcile(b.Context(), b.request("push"))
	b.must(err)
}

func (b *bench) reconcileToken(name string) ctrl.Result {
	b.Helper()
	result, err := reconcile.AsReconciler(api, b.tokens).Reconcile(b.Context(), b.request(name))
	b.must(err)
	return result
}

func (b *bench) mdmServer() *mdmv1alpha1.MDMServer {
	b.Helper()
	s := &mdmv1alpha1.MDMServer{}
	b.get(serverName, s)
	return s
}

// expect compares conditions, written Type=Status/Reason; others are not looked at.
func (b *bench) expect(obj mdmv1alpha1.Object, want ...string) {
	b.Helper()
	b.get(obj.GetName(), obj)
	conditions := obj.GetCommonStatus().Conditions
	for _, w := range want {
		name, _, _ := strings.Cut(w, "=")
		got := name + " is absent"
		if c := meta.FindStatusCondition(conditions, name); c != nil {
			got = fmt.Sprintf("%s=%s/%s", c.Type, c.Status, c.Reason)
		}
		if got != w {
			b.Errorf("%s %s: got %s, want %s\n%s", reflectKind(obj), obj.GetName(), got, w, show(conditions))
		}
	}
}

func reflectKind(obj any) string { return strings.TrimPrefix(fmt.Sprintf("%T", obj), "*v1alpha1.") }

func show(conditions []metav1.Condition) string {
	var lines []string
	for _, c := range conditions {
		lines = append(lines, fmt.Sprintf("  %s=%s/%s %s", c.Type, c.Status, c.Reason, c.Message))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// told returns the events since the last call.
func (b *bench) told() []string {
	var told []string
	for {
		select {
		case e := <-b.events:
			told = append(told, e)
		default:
			return told
		}
	}
}

func (b *bench) contains(told []string, want string) {
	b.Helper()
	if !slices.ContainsFunc(told, func(e string) bool { return strings.Contains(e, want) }) {
		b.Errorf("no event says %q: %q", want, told)
	}
}

func (b *bench) secret(name string, data map[string][]byte) {
	b.Helper()
	b.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data})
}

func pairData(t testing.TB, ca *pki.CA, leaf pki.Leaf) map[string][]byte {
	cert, key := pki.PEM(t, ca.Issue(t, leaf))
	return map[string][]byte{"tls.crt": cert, "tls.key": key, "ca.crt": ca.CertPEM()}
}

// until reconciles the server until the condition holds, which the real server decides.
func (b *bench) until(what string, holds func() bool) {
	b.Helper()
	err := wait.PollUntilContextTimeout(b.Context(), 200*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		b.reconcileServer()
		return holds(), nil
	})
	if err != nil {
		b.Fatalf("waiting until %s: %v\n%s", what, err, show(b.mdmServer().Status.Conditions))
	}
}
