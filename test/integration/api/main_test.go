package api_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/webhooks"
)

const (
	crds      = "../../../config/crd/bases"
	manifests = "../../../config/webhook"
	namespace = "fleet"
)

// api is a client of the real API server, which has our CRDs and calls our webhooks.
var api client.Client

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if err := v1alpha1.AddToScheme(scheme.Scheme); err != nil {
		return 0, err
	}
	server := &envtest.Environment{
		CRDDirectoryPaths:     []string{crds},
		ErrorIfCRDPathMissing: true,
		WebhookInstallOptions: envtest.WebhookInstallOptions{Paths: []string{manifests}},
	}
	config, err := server.Start()
	if err != nil {
		return 0, fmt.Errorf("starting the API server (KUBEBUILDER_ASSETS must name its folder): %w", err)
	}
	defer func() {
		if stopped := server.Stop(); err == nil {
			err = stopped
		}
	}()
	hooks := server.WebhookInstallOptions
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Metrics: metricsserver.Options{BindAddress: "0"},
		WebhookServer: webhook.NewServer(webhook.Options{
			Host: hooks.LocalServingHost, Port: hooks.LocalServingPort, CertDir: hooks.LocalServingCertDir,
		}),
	})
	if err != nil {
		return 0, err
	}
	if err := webhooks.SetupAll(mgr); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	defer func() {
		cancel()
		if failed := <-ended; err == nil {
			err = failed
		}
	}()
	// An unreachable webhook is ignored, so the tests must not begin before it listens.
	listens := func(context.Context) (bool, error) { return mgr.GetWebhookServer().StartedChecker()(nil) == nil, nil }
	if err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, time.Minute, true, listens); err != nil {
		return 0, fmt.Errorf("waiting for the webhooks: %w", err)
	}
	if api, err = client.New(config, client.Options{}); err != nil {
		return 0, err
	}
	if err := api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
		return 0, err
	}
	return m.Run(), nil
}
