// Package chart renders the Helm chart and compares it with what it should make: golden files, and the same installation by kustomize.
package chart

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/kubemdm/kubemdm/test/golden"
)

const (
	root  = "../.."
	chart = "charts/kubemdm"
	crd   = "CustomResourceDefinition"
)

// renderings are the values of which there is a golden file each.
var renderings = map[string][]string{
	"default": nil,
	"full": {
		"--set=image.digest=sha256:" + strings.Repeat("0a", 32), "--set=serverImage.tag=edge,replicas=2,priorityClassName=system-cluster-critical",
		"--set=imagePullSecrets[0].name=registry,podAnnotations.a=b,podLabels.c=d,nodeSelector.e=f",
		"--set=tolerations[0].operator=Exists,kms.aws.roleARN=arn:aws:iam::123456789012:role/kubemdm",
		"--set=affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight=1",
		"--set=topologySpreadConstraints[0].maxSkew=1,topologySpreadConstraints[0].topologyKey=zone",
		"--set=topologySpreadConstraints[0].whenUnsatisfiable=ScheduleAnyway",
		"--values=" + chart + "/examples/monitoring.yaml",
	},
	"namespaced": {"--values=" + chart + "/examples/namespaced.yaml", "--values=" + chart + "/examples/monitoring.yaml"},
	// helm upgrade --reuse-values from a chart that did not have a value yet leaves it out.
	"without-webhook": {"--set=webhook.enabled=false,networkPolicy.enabled=false,kms=null,monitoring=null,live=null,roles=null,actionVerbs=null"},
	"nothing-extra": {
		"--set=webhook.enabled=false,live.enabled=false,actionVerbs.enabled=false,roles.create=false,crds.install=false,networkPolicy.enabled=false",
	},
	"without-roles": {"--set=roles.create=false"},
	"air-gapped":    {"--values=" + chart + "/examples/air-gapped.yaml"},
	"monitoring":    {"--values=" + chart + "/examples/monitoring.yaml"},
}

// built are the programs that were asked for, by name: to look whether one is up to date takes the go command longer than the program runs.
var built sync.Map

// program returns the path of a program of go.tools.mod, which it builds if need be.
func program(t *testing.T, name string) string {
	t.Helper()
	if path, there := built.Load(name); there {
		return path.(string)
	}
	for _, args := range [][]string{{name, "--help"}, {"-n", name}} { // without the first, the second may name a file that is gone
		cmd := exec.CommandContext(t.Context(), "go", append([]string{"tool", "-modfile=go.tools.mod"}, args...)...)
		cmd.Dir = root
		out, err := cmd.Output()
		must(t, err)
		built.Store(name, strings.TrimSpace(string(out)))
	}
	path, _ := built.Load(name)
	return path.(string)
}

// tool runs a program of go.tools.mod in the root of the tree.
func tool(t *testing.T, name string, args ...string) ([]byte, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(t, name), args...)
	cmd.Dir = root
	stderr := &bytes.Buffer{}
	cmd.Stderr = stderr
	out, err := cmd.Output()
	if err != nil {
		err = errors.Join(err, errors.New(stderr.String()))
	}
	return out, err
}

// template renders the chart for the namespace kubemdm-system.
func template(t *testing.T, args ...string) ([]byte, error) {
	t.Helper()
	return tool(t, "helm", append([]string{"template", "kubemdm", chart, "--namespace=kubemdm-system"}, args...)...)
}

// render is template for values that are good.
func render(t *testing.T, args ...string) map[string]*unstructured.Unstructured {
	t.Helper()
	out, err := template(t, args...)
	must(t, err)
	return objects(t, out)
}

// objects reads manifests, by kind, namespace and name.
func objects(t *testing.T, manifests []byte) map[string]*unstructured.Unstructured {
	t.Helper()
	all := map[string]*unstructured.Unstructured{}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), len(manifests))
	for {
		obj := &unstructured.Unstructured{}
		err := decoder.Decode(&obj.Object)
		if errors.Is(err, io.EOF) {
			return all
		}
		must(t, err)
		if len(obj.Object) == 0 {
			continue
		}
		key := strings.Join(slices.DeleteFunc([]string{obj.GetKind(), obj.GetNamespace(), obj.GetName()}, func(s string) bool { return s == "" }), " ")
		if all[key] != nil {
			t.Errorf("%s is there twice", key)
		}
		all[key] = obj
	}
}

func TestRendering(t *testing.T) {
	for name, args := range renderings {
		t.Run(name, func(t *testing.T) {
			golden.Check(t, filepath.Join("testdata", name+".yaml"), written(t, render(t, args...)))
		})
	}
}

// generated are files of others or of a generator, of which the golden files show that they are there.
var generated = map[string]func(obj map[string]any){
	"ClusterRole kubemdm-manager": cut("rules"),
	"PrometheusRule":              cut("spec", "groups"),
	"ConfigMap":                   cut("data"),
}

func cut(path ...string) func(map[string]any) {
	return func(obj map[string]any) { unstructured.RemoveNestedField(obj, path...) }
}

// written is what people have written of the chart, in order: without CRDs, and without the content of what has its own tests.
func written(t *testing.T, all map[string]*unstructured.Unstructured) []byte {
	t.Helper()
	out := &bytes.Buffer{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		obj := all[name].DeepCopy()
		if obj.GetKind() == crd {
			continue
		}
		for prefix, shorten := range generated {
			if strings.HasPrefix(name, prefix) {
				shorten(obj.Object)
			}
		}
		if obj.GetKind() == "Role" && obj.GetName() == "kubemdm-manager" {
			unstructured.RemoveNestedField(obj.Object, "rules")
		}
		b, err := sigsyaml.Marshal(obj.Object)
		must(t, err)
		out.WriteString("---\n")
		out.Write(b)
	}
	return out.Bytes()
}

// Removing the release must not remove the kinds, and with them every object.
func TestCRDsAreKept(t *testing.T) {
	kept := 0
	for name, obj := range render(t) {
		if obj.GetKind() != crd {
			continue
		}
		if obj.GetAnnotations()["helm.sh/resource-policy"] != "keep" {
			t.Errorf("%s would go with the release", name)
		}
		kept++
	}
	if kept != 7 {
		t.Errorf("%d CRDs, want 7", kept)
	}
}

// TestAnImageHasItsPlace is the table of what registry, repository, tag and digest make together.
func TestAnImageHasItsPlace(t *testing.T) {
	for name, c := range map[string]struct{ set, want string }{
		"of the chart":              {"replicas=1", "docker.io/kubemdm/manager:v0.2.0"},
		"with a tag":                {"image.tag=edge", "docker.io/kubemdm/manager:edge"},
		"of another repository":     {"image.repository=example.com/me/manager", "example.com/me/manager:v0.2.0"},
		"of a mirror":               {"imageRegistry=mirror:5000", "mirror:5000/kubemdm/manager:v0.2.0"},
		"of a folder of a mirror":   {"imageRegistry=mirror.example.com/hub", "mirror.example.com/hub/kubemdm/manager:v0.2.0"},
		"of the mirror of a parent": {"global.imageRegistry=mirror.example.com", "mirror.example.com/kubemdm/manager:v0.2.0"},
		"without a registry":        {"imageRegistry=mirror.example.com,image.repository=me/manager", "mirror.example.com/me/manager:v0.2.0"},
		"of localhost":              {"imageRegistry=mirror.example.com,image.repository=localhost/manager", "mirror.example.com/manager:v0.2.0"},
	} {
		t.Run(name, func(t *testing.T) {
			containers, _, err := unstructured.NestedSlice(render(t, "--set="+c.set)["Deployment kubemdm-system kubemdm-manager"].Object,
				"spec", "template", "spec", "containers")
			must(t, err)
			if got := containers[0].(map[string]any)["image"]; got != c.want {
				t.Errorf("%s makes %s, want %s", c.set, got, c.want)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
