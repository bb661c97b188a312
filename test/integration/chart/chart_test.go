// Package chart installs the Helm chart on a real API server.
package chart

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/kubemdm/kubemdm/test/standin"
)

// Where cert-manager is missing, Helm says so before it installs anything; then nothing is in the way of the next attempt.
func TestCertManagerIsMissing(t *testing.T) {
	server := &envtest.Environment{}
	config, err := server.Start()
	must(t, err)
	t.Cleanup(func() { must(t, server.Stop()) })
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, os.WriteFile(kubeconfig, server.KubeConfig, 0o600))

	out, err := install(t, kubeconfig)
	if err == nil || !strings.Contains(out, "KubeMDM needs cert-manager") {
		t.Fatalf("without cert-manager: %v\n%s", err, out)
	}
	_, err = envtest.InstallCRDs(config, envtest.CRDInstallOptions{Paths: []string{standin.ModuleFile("github.com/cert-manager/cert-manager", "deploy/crds")}})
	must(t, err)
	if out, err := install(t, kubeconfig); err != nil {
		t.Fatalf("with cert-manager: %v\n%s", err, out)
	}
}

// install does not wait: there is nobody here who would run pods.
func install(t *testing.T, kubeconfig string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "tool", "-modfile=go.tools.mod", "helm", "upgrade", "kubemdm", "charts/kubemdm",
		"--install", "--namespace=kubemdm-system", "--create-namespace", "--kubeconfig="+kubeconfig)
	cmd.Dir = "../../.."
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
