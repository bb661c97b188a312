package imports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/test/golden"
)

// agent is what runs on Windows; all else runs in Linux containers.
const agent = "./cmd/kubemdm-agent"

func TestNobodyBreaksTheRules(t *testing.T) {
	for goos, pattern := range map[string]string{"linux": "./...", "windows": agent + "/..."} {
		for _, line := range Violations(Rules, goList(t, goos, pattern)) {
			t.Error(line)
		}
	}
}

// A new dependency of a binary is a diff of a file in git, which a reviewer sees.
func TestModulesOfTheBinaries(t *testing.T) {
	binaries, err := filepath.Glob("../../cmd/*")
	if err != nil {
		t.Fatal(err)
	}
	tools, err := filepath.Glob("../../tools/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range append(binaries, tools...) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			golden.Check(t, filepath.Join("testdata", filepath.Base(dir)+".modules"), []byte(modulesOf(t, "./"+strings.TrimPrefix(dir, "../../"))))
		})
	}
}

func modulesOf(t *testing.T, binary string) string {
	t.Helper()
	goos := "linux"
	if binary == agent {
		goos = "windows"
	}
	var modules []string
	for _, p := range goList(t, goos, binary) {
		if p.Module.Path != "" && p.Module.Path != Module {
			modules = append(modules, p.Module.Path+"\n")
		}
	}
	slices.Sort(modules)
	return strings.Join(slices.Compact(modules), "")
}

func TestRules(t *testing.T) {
	for _, tc := range []struct {
		from, to  string
		via       string // a package in between
		forbidden bool
	}{
		{from: "mdmserver/apple", to: "k8s.io/api/core/v1", forbidden: true},
		{from: "mdmserver/apple", to: "sigs.k8s.io/yaml", forbidden: true},
		{from: "mdmserver/apple", to: "k8s.io/utils/clock", via: "github.com/other/lib", forbidden: true},
		{from: "cmd/mdmserver", to: "api/v1alpha1", forbidden: true},
		{from: "mdmserver", to: "internal/adminapi"},
		{from: "mdmserver", to: "mdmserver/store"},
		{from: "mdmserver/apple", to: "github.com/micromdm/nanomdm/mdm"},

		{from: "controllers/device", to: "controllers/profile", forbidden: true},
		{from: "controllers/device", to: "controllers/profile/render", via: "controllers/internal/owned", forbidden: true},
		{from: "controllers/device", to: "controllers/device/match"},
		{from: "controllers/device", to: "controllers/internal/loop"},
		{from: "controllers/setup", to: "controllers/device"},
		{from: "controllers/device", to: "mdmserver/fleet", forbidden: true},
		{from: "controllers/device", to: "webhooks", forbidden: true},
		{from: "controllers/setup", to: "webhooks"},
		{from: "cmd/manager", to: "webhooks"},
		{from: "webhooks", to: "controllers/internal/loop", forbidden: true},
		{from: "controllers/device", to: "net/http", forbidden: true},
		{from: "controllers/device", to: "net/http", via: "sigs.k8s.io/controller-runtime"},
		{from: "controllers/internal/link", to: "net/http"},
		{from: "controllers/live", to: "net/http", forbidden: true},
		{from: "controllers/live", to: "controllers/device", forbidden: true},
		{from: "controllers/live", to: "k8s.io/apiserver/pkg/server"},
		{from: "controllers/device", to: "k8s.io/apiserver/pkg/server", forbidden: true},
		{from: "controllers/device", to: "internal/adminapi"},

		{from: "mdmserver/apple", to: "mdmserver/store", forbidden: true},
		{from: "mdmserver/apple", to: "mdmserver/admin", forbidden: true},
		{from: "mdmserver/admin", to: "mdmserver/store", forbidden: true},
		{from: "mdmserver/store/sqlite", to: "mdmserver/store"},
		{from: "mdmserver/apple", to: "mdmserver/fleet"},
		{from: "mdmserver/fleet", to: "github.com/google/uuid", forbidden: true},
		{from: "mdmserver/fleet", to: "net/http", forbidden: true},
		{from: "mdmserver/fleet", to: "net/http", via: "internal/adminapi"},
		{from: "mdmserver/fleet", to: "crypto/sha256"},

		{from: "internal/adminapi", to: "github.com/google/uuid", forbidden: true},
		{from: "internal/adminapi", to: "net/http"},
		{from: "internal/agentapi", to: "golang.org/x/sys/windows", forbidden: true},
		{from: "internal/agentapi", to: "mdmserver/fleet", forbidden: true},
		{from: "internal/agentapi", to: "crypto/sha256"},
		{from: "cmd/kubemdm-agent", to: "mdmserver/agent", forbidden: true},
		{from: "cmd/kubemdm-agent/internal/state", to: "k8s.io/utils/clock", via: "github.com/other/lib", forbidden: true},
		{from: "cmd/kubemdm-agent", to: "controllers/internal/loop", forbidden: true},
		{from: "cmd/kubemdm-agent", to: "api/v1alpha1", forbidden: true},
		{from: "cmd/kubemdm-agent/internal/orbit", to: "internal/agentapi"},
		{from: "cmd/kubemdm-agent", to: "golang.org/x/sys/windows"},
		{from: "tools/vendorsign", to: "k8s.io/client-go/kubernetes", via: "internal/keys", forbidden: true},
		{from: "tools/vendorsign", to: "cmd/kubectl-mdm/pushvendor"},
		{from: "cmd/kubectl-mdm/pushvendor", to: "api/v1alpha1", forbidden: true},
		{from: "internal/keys", to: "mdmserver/config", forbidden: true},
		{from: "internal/pushcert", to: "os", forbidden: true},
		{from: "internal/keys", to: "os"},
		{from: "internal/payload/apple", to: "os", forbidden: true},
		{from: "internal/payload/apple", to: "os", via: "fmt"},
		{from: "internal/payload/apple", to: "net/url"},
		{from: "internal/validate", to: "k8s.io/client-go/kubernetes", via: "api/v1alpha1", forbidden: true},
		{from: "internal/validate", to: "k8s.io/apimachinery/pkg/util/validation/field"},
		{from: "api/v1alpha1", to: "k8s.io/apimachinery/pkg/apis/meta/v1"},
		{from: "api/v1alpha1", to: "sigs.k8s.io/controller-runtime/pkg/scheme", forbidden: true},
		{from: "github.com/other/mdmserver", to: "k8s.io/api/core/v1"},
	} {
		t.Run(fmt.Sprintf("%s imports %s via %q", tc.from, tc.to, tc.via), func(t *testing.T) {
			lines := Violations(Rules, graphOf(tc.from, tc.via, tc.to))
			if broken := len(lines) > 0; broken != tc.forbidden {
				t.Errorf("forbidden: %v, want %v\n%s", broken, tc.forbidden, strings.Join(lines, "\n"))
			}
		})
	}
}

// graphOf is the graph of three packages of which each imports the next; an empty name in the middle leaves that one out.
func graphOf(from, via, to string) []Package {
	names := slices.DeleteFunc([]string{from, via, to}, func(n string) bool { return n == "" })
	graph := make([]Package, len(names))
	for i, n := range slices.Backward(names) {
		first, _, _ := strings.Cut(n, "/")
		graph[i] = Package{ImportPath: n, Standard: isStandard(first)}
		if !graph[i].Standard && !strings.Contains(first, ".") {
			graph[i].ImportPath = Module + "/" + n
		}
		if i+1 < len(graph) {
			graph[i].Imports = []string{graph[i+1].ImportPath}
			graph[i].Deps = append(graph[i].Imports, graph[i+1].Deps...)
		}
	}
	return graph
}

func isStandard(first string) bool {
	return slices.Contains([]string{"net", "os", "fmt", "crypto"}, first)
}

// goList lists packages of the repository and all they import, as they are built for an operating system.
func goList(t *testing.T, goos, pattern string) []Package {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Standard,Imports,Deps,Module", pattern)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH=amd64", "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %s: %v\n%s", pattern, err, &stderr)
	}
	var packages []Package
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p Package
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}
