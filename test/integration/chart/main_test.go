// Package chart installs the Helm chart on a real API server.
package chart

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/standin"
)

const (
	root    = "../../.."
	chart   = "charts/kubemdm"
	release = "kubemdm"
	system  = "kubemdm-system"
)

// world is an API server of a test's own, and its administrator.
type world struct {
	*testing.T
	client.Client
	server     *envtest.Environment
	config     *rest.Config
	kubeconfig string
	scheme     *apiruntime.Scheme
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, server: &envtest.Environment{}, kubeconfig: filepath.Join(t.TempDir(), "kubeconfig"), scheme: apiruntime.NewScheme()}
	must(t, errors.Join(clientgoscheme.AddToScheme(w.scheme), mdmv1alpha1.AddToScheme(w.scheme), apiextensionsv1.AddToScheme(w.scheme)))
	var err error
	w.config, err = w.server.Start()
	must(t, err)
	t.Cleanup(func() { must(t, w.server.Stop()) })
	must(t, os.WriteFile(w.kubeconfig, w.server.KubeConfig, 0o600))
	w.Client, err = client.New(w.config, client.Options{Scheme: w.scheme})
	must(t, err)
	return w
}

// certManager installs cert-manager's kinds.
func (w *world) certManager() {
	w.Helper()
	_, err := envtest.InstallCRDs(w.config, envtest.CRDInstallOptions{
		Paths: []string{standin.ModuleFile("github.com/cert-manager/cert-manager", "deploy/crds")},
	})
	must(w.T, err)
}

// install installs the chart or upgrades it. It does not wait: there is nobody here who would run pods.
func (w *world) install(args ...string) (string, error) {
	w.Helper()
	return w.helm(append([]string{"upgrade", release, chart, "--install", "--create-namespace"}, args...)...)
}

func (w *world) helm(args ...string) (string, error) {
	w.Helper()
	args = append(append([]string{"tool", "-modfile=go.tools.mod", "helm"}, args...), "--namespace="+system, "--kubeconfig="+w.kubeconfig)
	return w.run("go", args...)
}

// shell runs the commands of a message as a person would who copies them.
func (w *world) shell(commands string) {
	w.Helper()
	kubectl := filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl")
	for line := range strings.Lines(commands) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] != "kubectl" {
			continue
		}
		if out, err := w.run(kubectl, append(words[1:], "--kubeconfig="+w.kubeconfig)...); err != nil {
			w.Fatalf("%s: %v\n%s", strings.TrimSpace(line), err, out)
		}
	}
}

func (w *world) run(program string, args ...string) (string, error) {
	w.Helper()
	cmd := exec.CommandContext(w.Context(), program, args...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
