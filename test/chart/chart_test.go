// Package chart renders the Helm chart and compares it with what it should make: golden files, and the same installation by kustomize.
package chart

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
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

// tool runs a program of go.tools.mod in the root of the tree.
func tool(t *testing.T, name string, args ...string) ([]byte, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"tool", "-modfile=go.tools.mod", name}, args...)...)
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

// objects reads manifests, by kind and name.
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
		if len(obj.Object) > 0 {
			all[obj.GetKind()+" "+obj.GetName()] = obj
		}
	}
}

func TestRendering(t *testing.T) {
	for name, args := range map[string][]string{
		"default": nil,
		"full": {
			"--set=image.digest=sha256:" + strings.Repeat("0a", 32), "--set=serverImage.tag=edge,replicas=2,priorityClassName=system-cluster-critical",
			"--set=imagePullSecrets[0].name=registry,podAnnotations.a=b,podLabels.c=d,nodeSelector.e=f",
			"--set=tolerations[0].operator=Exists,affinity.podAntiAffinity.g=h,kms.aws.roleARN=arn:aws:iam::123456789012:role/kubemdm",
		},
		// helm upgrade --reuse-values from a chart that did not have a value yet leaves it out.
		"without-webhook": {"--set=webhook.enabled=false,networkPolicy.enabled=false,kms=null"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := template(t, args...)
			must(t, err)
			golden.Check(t, filepath.Join("testdata", name+".yaml"), written(t, out))
		})
	}
}

// written is what people have written of the chart, in order: without CRDs and roles, which are generated.
func written(t *testing.T, manifests []byte) []byte {
	t.Helper()
	out := &bytes.Buffer{}
	all := objects(t, manifests)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		obj := all[name]
		if obj.GetKind() == crd || obj.GetKind() == "ClusterRole" {
			continue
		}
		b, err := sigsyaml.Marshal(obj.Object)
		must(t, err)
		out.WriteString("---\n")
		out.Write(b)
	}
	return out.Bytes()
}

func TestValuesAreChecked(t *testing.T) {
	for name, c := range map[string]struct{ set, complaint string }{
		"a misspelt value":   {"webhooks.enabled=false", "webhooks"},
		"a malformed digest": {"image.digest=latest", "/image/digest"},
		"a wrong policy":     {"image.pullPolicy=Sometimes", "/image/pullPolicy"},
		"too many replicas":  {"replicas=50", "/replicas"},
		"a user, no role":    {"kms.aws.roleARN=arn:aws:iam::123456789012:user/me", "/kms/aws/roleARN"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := template(t, "--set="+c.set)
			if err == nil || !strings.Contains(err.Error(), c.complaint) {
				t.Errorf("%s was answered: %v", c.set, err)
			}
		})
	}
}

// Removing the release must not remove the kinds, and with them every object.
func TestCRDsAreKept(t *testing.T) {
	out, err := template(t)
	must(t, err)
	kept := 0
	for name, obj := range objects(t, out) {
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

// TestKustomizeMakesTheSame compares config/default with the chart.
func TestKustomizeMakesTheSame(t *testing.T) {
	out, err := template(t)
	must(t, err)
	byHelm := objects(t, out)
	out, err = tool(t, "kustomize", "build", "config/default")
	must(t, err)
	byKustomize := objects(t, out)
	delete(byKustomize, "Namespace kubemdm-system") // helm install --create-namespace
	for name, obj := range byHelm {
		other, there := byKustomize[name]
		if !there {
			t.Errorf("config/default lacks %s", name)
			continue
		}
		delete(byKustomize, name)
		strip(obj)
		strip(other)
		if !reflect.DeepEqual(obj.Object, other.Object) {
			t.Errorf("%s is not the same (make manifests renews what is generated)\nby Helm:\n%s\nby Kustomize:\n%s", name, excerpt(t, obj), excerpt(t, other))
		}
	}
	for name := range byKustomize {
		t.Errorf("config/default has %s, which the chart does not have", name)
	}
}

// strip takes off what only Helm puts on.
func strip(obj *unstructured.Unstructured) {
	obj.SetLabels(nil)
	unstructured.RemoveNestedField(obj.Object, "metadata", "annotations", "helm.sh/resource-policy")
	unstructured.RemoveNestedField(obj.Object, "spec", "template", "metadata", "labels")
}

// excerpt is the beginning of an object, enough for all but CRDs.
func excerpt(t *testing.T, obj *unstructured.Unstructured) []byte {
	t.Helper()
	b, err := sigsyaml.Marshal(obj.Object)
	must(t, err)
	return b[:min(len(b), 4000)]
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
