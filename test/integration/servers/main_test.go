package servers_test

import (
	"fmt"
	"log/slog"
	"os"
	"testing"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/kubemdm/kubemdm/controllers/setup"
	"github.com/kubemdm/kubemdm/test/standin"
)

// apiServer is the real one, api a client of it with all rights.
var (
	apiServer *envtest.Environment
	api       client.Client
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.FromSlogHandler(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	apiServer = standin.APIServer()
	config, err := apiServer.Start()
	if err != nil {
		return 0, fmt.Errorf("starting the API server (KUBEBUILDER_ASSETS must name its folder): %w", err)
	}
	defer func() {
		if stopped := apiServer.Stop(); err == nil {
			err = stopped
		}
	}()
	live, err := client.NewWithWatch(config, client.Options{Scheme: setup.Scheme()})
	if err != nil {
		return 0, err
	}
	if api, err = standin.Indexed(live); err != nil {
		return 0, err
	}
	return m.Run(), nil
}
