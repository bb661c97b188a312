package docs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/kubemdm/kubemdm/test/standin"
)

var (
	// admin is the kubeconfig of somebody who may do everything.
	admin []byte
	// binaries is a folder with kubectl and its plugin.
	binaries string
)

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
	if _, err := server.Start(); err != nil {
		return 0, fmt.Errorf("starting the API server (KUBEBUILDER_ASSETS must name its folder): %w", err)
	}
	defer func() {
		if stopped := server.Stop(); err == nil {
			err = stopped
		}
	}()
	admin = server.KubeConfig
	if binaries, err = os.MkdirTemp("", "kubemdm-docs"); err != nil {
		return 0, err
	}
	defer os.RemoveAll(binaries)
	build := exec.Command("go", "build", "-o", binaries, "./cmd/kubectl-mdm")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("building the plugin: %w\n%s", err, out)
	}
	kubectl := filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl")
	if err := os.Symlink(kubectl, filepath.Join(binaries, "kubectl")); err != nil {
		return 0, err
	}
	kubeconfig := filepath.Join(binaries, "kubeconfig")
	if err := os.WriteFile(kubeconfig, admin, 0o600); err != nil {
		return 0, err
	}
	if out, err := exec.Command(kubectl, "--kubeconfig="+kubeconfig, "apply", "--filename=testdata/cluster.yaml").CombinedOutput(); err != nil {
		return 0, fmt.Errorf("preparing the cluster: %w\n%s", err, out)
	}
	return m.Run(), nil
}
