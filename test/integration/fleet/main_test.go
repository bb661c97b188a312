package fleet_test

import (
	"errors"
	"fmt"
	"os"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubemdm/kubemdm/controllers/setup"
	"github.com/kubemdm/kubemdm/test/managed"
	"github.com/kubemdm/kubemdm/test/standin"
)

// api is a client of the real API server that lists by the manager's indexes.
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
	server := standin.APIServer()
	config, err := server.Start()
	if err != nil {
		return 0, fmt.Errorf("starting the API server (KUBEBUILDER_ASSETS must name its folder): %w", err)
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	live, err := client.NewWithWatch(config, client.Options{Scheme: setup.Scheme()})
	if err != nil {
		return 0, err
	}
	if api, err = standin.Indexed(live); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// bench is one in a namespace of its own.
func bench(t *testing.T) *managed.Bench {
	t.Helper()
	t.Parallel()
	return serialBench(t)
}

// serialBench is bench for a test that changes the environment of the process.
func serialBench(t *testing.T) *managed.Bench {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "fleet-"}}
	if err := api.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	return managed.On(t, api, ns.Name)
}
