package api_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
)

const root = "../../.."

// example is a block of code that a page says is YAML. In a list it is indented.
var example = regexp.MustCompile("(?ms)^([ \t]*)```yaml\n(.*?)^[ \t]*```")

// The API server takes every object of ours that the documentation shows, and knows all of its fields.
func TestExamplesInTheDocumentation(t *testing.T) {
	shown := map[string]bool{}
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range example.FindAllStringSubmatch(string(text), -1) {
			objects, err := decode([]byte(strings.ReplaceAll("\n"+block[2], "\n"+block[1], "\n")))
			if err != nil {
				t.Errorf("%s: %v in\n%s", page, err, block[2])
			}
			for _, object := range objects {
				if object.GroupVersionKind().Group != v1alpha1.GroupVersion.Group {
					continue
				}
				shown[object.GetKind()] = true
				object.SetNamespace(namespace)
				if err := api.Create(t.Context(), object, client.DryRunAll, client.FieldValidation(metav1.FieldValidationStrict)); err != nil {
					t.Errorf("%s: %v", page, err)
				}
			}
		}
	}
	for kind := range versions(t) {
		if !shown[kind] {
			t.Errorf("the documentation shows no %s", kind)
		}
	}
}

// pages are README.md and all below docs.
func pages(t *testing.T) []string {
	t.Helper()
	found := []string{filepath.Join(root, "README.md")}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".md" {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
