package gitops

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

const (
	root    = "../.."
	example = root + "/docs/examples/gitops"
)

var clusters = []string{"onprem", "lab"}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// run runs a command in the root of the tree with input, and returns what it prints.
func run(t *testing.T, input []byte, name string, args ...string) (stdout []byte, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = root
	cmd.Stdin = bytes.NewReader(input)
	stderr := &bytes.Buffer{}
	cmd.Stderr = stderr
	stdout, err = cmd.Output()
	if stderr.Len() > 0 {
		t.Logf("%s: %s", name, stderr)
	}
	return stdout, err
}

func build(t *testing.T, cluster string) []byte {
	t.Helper()
	out, err := run(t, nil, "go", "tool", "-modfile=go.tools.mod", "kustomize", "build", "docs/examples/gitops/clusters/"+cluster)
	must(t, err)
	return out
}

// The example passes the very check that its workflow runs, warnings included; and a mistake in it does not.
func TestTheWorkflowsLint(t *testing.T) {
	plugin := filepath.Join(t.TempDir(), "kubectl-mdm")
	_, err := run(t, nil, "go", "build", "-o", plugin, "./cmd/kubectl-mdm")
	must(t, err)
	for _, cluster := range clusters {
		manifests := build(t, cluster)
		if out, err := run(t, manifests, plugin, "lint", "--strict", "-"); err != nil {
			t.Errorf("%s: %v\n%s", cluster, err, out)
		}
		wrong := bytes.Replace(manifests, []byte("  maxUses:"), []byte("  maxUse:"), 1)
		if out, err := run(t, wrong, plugin, "lint", "-"); err == nil || !bytes.Contains(out, []byte("maxUse")) {
			t.Errorf("%s: a misspelt field passes: %v\n%s", cluster, err, out)
		}
	}
}

// Each file of the example belongs to a cluster, or to what applies or checks it.
func TestNoFileIsForgotten(t *testing.T) {
	named := map[string]bool{}
	must(t, filepath.WalkDir(example, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "kustomization.yaml" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var k struct {
			Resources []string
			Patches   []struct{ Path string }
		}
		named[path] = true
		if err := yaml.Unmarshal(text, &k); err != nil {
			return err
		}
		for _, p := range k.Patches {
			k.Resources = append(k.Resources, p.Path)
		}
		for _, r := range k.Resources {
			named[filepath.Join(filepath.Dir(path), r)] = true
		}
		return nil
	}))
	must(t, filepath.WalkDir(example, func(path string, d fs.DirEntry, err error) error {
		relative, _ := filepath.Rel(example, path)
		top, _, _ := strings.Cut(relative, string(filepath.Separator))
		if err == nil && filepath.Ext(path) == ".yaml" && !named[path] && !slices.Contains([]string{"argocd", "flux", ".github"}, top) && d.Name() != ".sops.yaml" {
			t.Errorf("nothing applies %s", relative)
		}
		return err
	}))
}

// plain is what must not be in Git: a Secret with a value that nobody has encrypted.
var plain = regexp.MustCompile(`(?ms)^kind: Secret$.*?^(?:stringData|data):\n((?:  .*\n)+)`)

func TestNoSecretIsInGit(t *testing.T) {
	for _, cluster := range clusters {
		for _, document := range strings.Split(string(build(t, cluster)), "\n---\n") {
			for _, data := range plain.FindAllStringSubmatch(document, -1) {
				for line := range strings.Lines(data[1]) {
					if !strings.Contains(line, "ENC[") {
						t.Errorf("%s: %s", cluster, line)
					}
				}
			}
		}
	}
}

// What Argo CD and Flux are told to apply exists, and Argo CD leaves alone what controllers write.
func TestArgoAndFluxApplyTheClusters(t *testing.T) {
	var application struct {
		Spec struct {
			Source            struct{ Path string }
			SyncPolicy        struct{ SyncOptions []string }
			IgnoreDifferences []struct {
				Group, Kind           string
				ManagedFieldsManagers []string
			}
		}
	}
	read(t, example+"/argocd/onprem.yaml", &application)
	spec := application.Spec
	if _, err := os.Stat(filepath.Join(example, spec.Source.Path, "kustomization.yaml")); err != nil {
		t.Error(err)
	}
	if !slices.Contains(spec.SyncPolicy.SyncOptions, "ServerSideApply=true") {
		t.Error("Argo CD does not apply by server-side apply")
	}
	if len(spec.IgnoreDifferences) != 1 || spec.IgnoreDifferences[0].Group != mdmv1alpha1.GroupVersion.Group {
		t.Fatalf("differences that are ignored: %v", spec.IgnoreDifferences)
	}
	source, err := run(t, nil, "git", "grep", "--no-index", "-hoE", `"kubemdm-[a-z-]+"`, "--", "controllers", "internal")
	must(t, err)
	for _, manager := range spec.IgnoreDifferences[0].ManagedFieldsManagers {
		if !strings.Contains(string(source), `"`+manager+`"`) {
			t.Errorf("no controller applies as %s", manager)
		}
	}
	var kustomization struct {
		Spec struct {
			Path        string
			Wait, Prune bool
		}
	}
	read(t, example+"/flux/lab.yaml", &kustomization)
	if _, err := os.Stat(filepath.Join(example, kustomization.Spec.Path, "kustomization.yaml")); err != nil || !kustomization.Spec.Wait {
		t.Errorf("Flux applies %s, wait %t: %v", kustomization.Spec.Path, kustomization.Spec.Wait, err)
	}
}

func read(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	must(t, yaml.Unmarshal(text, into))
}
