package counts_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubemdm/kubemdm/controllers/setup"
	"github.com/kubemdm/kubemdm/test/standin"
)

// systemNamespace is where managers keep their Lease.
const systemNamespace = "kubemdm-system"

var (
	// config leads to the real API server, api is a client of it, kubeconfig its file for other processes.
	config     *rest.Config
	api        client.WithWatch
	kubeconfig []byte
	// logs shows what went wrong.
	logs = slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.FromSlogHandler(logs))
	if os.Getenv(managerConfig) != "" {
		os.Exit(beManager())
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	server := standin.APIServer()
	if config, err = server.Start(); err != nil {
		return 0, fmt.Errorf("starting the API server (KUBEBUILDER_ASSETS must name its folder): %w", err)
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	config.QPS = -1 // how fast a manager may write is not what is counted
	kubeconfig = server.KubeConfig
	if api, err = client.NewWithWatch(config, client.Options{Scheme: setup.Scheme()}); err != nil {
		return 0, err
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: systemNamespace}}
	if err := api.Create(context.Background(), ns); err != nil {
		return 0, err
	}
	return m.Run(), nil
}
