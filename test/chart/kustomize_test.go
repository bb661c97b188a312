package chart

import (
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	sigsyaml "sigs.k8s.io/yaml"
)

// TestKustomizeMakesTheSame compares config/default with the chart.
func TestKustomizeMakesTheSame(t *testing.T) {
	byHelm, byKustomize := render(t), kustomize(t, "config/default")
	delete(byKustomize, "Namespace kubemdm-system") // helm install --create-namespace
	same(t, "config/default", byHelm, byKustomize)
}

// TestKustomizeMonitorsTheSame compares config/prometheus, which is applied in the namespace of config/default, with what monitoring adds to the chart.
func TestKustomizeMonitorsTheSame(t *testing.T) {
	byHelm := map[string]*unstructured.Unstructured{}
	for name, obj := range render(t, "--set=monitoring.podMonitor.enabled=true,monitoring.alerts.enabled=true") {
		if strings.HasPrefix(obj.GetAPIVersion(), "monitoring.coreos.com/") {
			obj.SetNamespace("")
			byHelm[strings.Replace(name, " kubemdm-system ", " ", 1)] = obj
		}
	}
	same(t, "config/prometheus", byHelm, kustomize(t, "config/prometheus"))
}

func kustomize(t *testing.T, folder string) map[string]*unstructured.Unstructured {
	t.Helper()
	out, err := tool(t, "kustomize", "build", folder)
	must(t, err)
	return objects(t, out)
}

func same(t *testing.T, folder string, byHelm, byKustomize map[string]*unstructured.Unstructured) {
	t.Helper()
	for name, obj := range byHelm {
		other, there := byKustomize[name]
		if !there {
			t.Errorf("%s lacks %s", folder, name)
			continue
		}
		strip(obj)
		strip(other)
		if !reflect.DeepEqual(obj.Object, other.Object) {
			t.Errorf("%s is not the same (make manifests renews what is generated)\nby Helm:\n%s\nby Kustomize:\n%s", name, excerpt(t, obj), excerpt(t, other))
		}
	}
	for name := range byKustomize {
		if byHelm[name] == nil {
			t.Errorf("%s has %s, which the chart does not have", folder, name)
		}
	}
}

// strip takes off what only Helm puts on.
func strip(obj *unstructured.Unstructured) {
	labels := map[string]string{}
	for key, value := range obj.GetLabels() {
		if strings.HasPrefix(key, "rbac.authorization.k8s.io/aggregate-to-") {
			labels[key] = value
		}
	}
	obj.SetLabels(labels)
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
