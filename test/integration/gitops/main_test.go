package gitops

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
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

const root = "../../.."

// api is a client of the real API server. A manager with all controllers runs, whose servers never answer.
var api client.Client

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.FromSlogHandler(slog.DiscardHandler)) // servers that do not answer
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	server := standin.APIServer()
	config, err := server.Start()
	if err != nil {
		return 0, fmt.Errorf("starting the API server (KUBEBUILDER_ASSETS must name its folder): %w", err)
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	if api, err = client.New(config, client.Options{Scheme: setup.Scheme()}); err != nil {
		return 0, err
	}
	const system = "kubemdm-system"
	ctx, cancel := context.WithCancel(context.Background())
	for _, name := range []string{system, "samples", "mdm", "mdm-lab", "dirty"} {
		if err := api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			cancel()
			return 0, err
		}
	}
	mgr, err := setup.New(ctx, config, setup.Options{
		Namespace: system, ServerImage: "kubemdm/mdmserver:test", MetricsAddress: "0", HealthAddress: "0", Metrics: prometheus.NewRegistry(),
		Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no server runs here") },
	})
	if err != nil {
		cancel()
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	defer func() {
		cancel()
		err = errors.Join(err, <-ended)
	}()
	return m.Run(), nil
}
