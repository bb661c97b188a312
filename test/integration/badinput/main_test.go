package badinput_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubemdm/kubemdm/controllers/setup"
	"github.com/kubemdm/kubemdm/test/standin"
)

var (
	// api is a client of the real API server.
	api client.Client
	// network leads the manager to the servers of the tests.
	network = &routes{pods: map[string]*standin.Pod{}}
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// run runs the tests beside one manager with all its controllers.
func run(m *testing.M) (code int, err error) {
	ctrl.SetLogger(logr.Discard())
	server := standin.APIServer()
	config, err := server.Start()
	if err != nil {
		return 0, fmt.Errorf("starting the API server (KUBEBUILDER_ASSETS must name its folder): %w", err)
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	ctx, cancel := context.WithCancel(context.Background())
	if api, err = client.New(config, client.Options{Scheme: setup.Scheme()}); err == nil {
		err = api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kubemdm-system"}})
	}
	var manager ctrl.Manager
	if err == nil {
		manager, err = setup.New(ctx, config, setup.Options{
			Namespace: "kubemdm-system", ServerImage: "kubemdm/mdmserver:test", Dial: network.dial,
			MetricsAddress: "0", HealthAddress: "0", Metrics: prometheus.NewRegistry(),
		})
	}
	if err != nil {
		cancel()
		return 0, err
	}
	stopped := make(chan error, 1)
	go func() { stopped <- manager.Start(ctx) }()
	_ = flag.Set("test.parallel", "16") // the tests mostly wait, more than the processors are
	code = m.Run()
	cancel()
	return code, <-stopped
}

// routes knows the pod of each namespace's server.
type routes struct {
	mu   sync.Mutex
	pods map[string]*standin.Pod
}

func (r *routes) set(namespace string, pod *standin.Pod) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pods[namespace] = pod
}

// dial takes <name>.<namespace>.svc:<port>.
func (r *routes) dial(ctx context.Context, network, target string) (net.Conn, error) {
	r.mu.Lock()
	pod := r.pods[strings.Split(target, ".")[1]]
	r.mu.Unlock()
	return pod.DialAdmin(ctx, network, target)
}
