package api_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

const samples = "../../../config/samples"

// The samples apply together, in the order that they are listed in, without an unknown field, and there is one of each kind.
func TestSamples(t *testing.T) {
	seen := map[string]bool{}
	for _, file := range sampleFiles(t) {
		for _, sample := range documents(t, filepath.Join(samples, file)) {
			seen[sample.GetKind()] = true
			sample.SetNamespace(namespace)
			if err := api.Create(t.Context(), sample, client.FieldValidation(metav1.FieldValidationStrict)); err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			defer remove(t, sample)
		}
	}
	for kind := range versions(t) {
		if !seen[kind] {
			t.Errorf("no sample of kind %s", kind)
		}
	}
}

func remove(t *testing.T, o client.Object) {
	t.Helper()
	if err := api.Delete(t.Context(), o); err != nil {
		t.Error(err)
	}
}

func sampleFiles(t *testing.T) []string {
	t.Helper()
	var kustomization struct{ Resources []string }
	text, err := os.ReadFile(filepath.Join(samples, "kustomization.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &kustomization); err != nil {
		t.Fatal(err)
	}
	present, err := filepath.Glob(filepath.Join(samples, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if listed := len(kustomization.Resources); listed != len(present)-1 {
		t.Errorf("kustomization.yaml lists %d of %d samples", listed, len(present)-1)
	}
	return kustomization.Resources
}

func documents(t *testing.T, file string) []*unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	found, err := decode(text)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return found
}

// decode reads the documents of a YAML stream.
func decode(text []byte) ([]*unstructured.Unstructured, error) {
	var found []*unstructured.Unstructured
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		u := &unstructured.Unstructured{}
		if err := decoder.Decode(&u.Object); errors.Is(err, io.EOF) {
			return found, nil
		} else if err != nil {
			return nil, err
		}
		found = append(found, u)
	}
}
