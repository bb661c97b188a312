package standin

import (
	"os/exec"
	"path/filepath"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// APIServer returns a real API server, not started yet, with our CRDs and those of others that the manager reads and writes. KUBEBUILDER_ASSETS
// must name the folder of its binaries.
func APIServer() *envtest.Environment {
	return &envtest.Environment{
		CRDDirectoryPaths: []string{
			ModuleFile("github.com/kubemdm/kubemdm", "config/crd/bases"),
			ModuleFile("github.com/cert-manager/cert-manager", "deploy/crds"),
			ModuleFile("sigs.k8s.io/gateway-api", "config/crd/standard/gateway.networking.k8s.io_tlsroutes.yaml"),
		},
		ErrorIfCRDPathMissing: true,
	}
}

// ModuleFile is the path of a file or folder of a module that go.mod names.
func ModuleFile(module, file string) string {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return module // envtest says that it is missing
	}
	return filepath.Join(strings.TrimSpace(string(dir)), file)
}
