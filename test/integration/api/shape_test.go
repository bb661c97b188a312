package api_test

import (
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/kubemdm/kubemdm/test/golden"
)

// What people leave out is filled in, and they see it: a default that changes is a diff of a golden file.
func TestDefaults(t *testing.T) {
	for _, c := range load(t) {
		t.Run(c.Kind, func(t *testing.T) {
			created := c.object()
			if err := api.Create(t.Context(), created, client.DryRunAll); err != nil {
				t.Fatal(err)
			}
			got, err := yaml.Marshal(created.Object["spec"])
			if err != nil {
				t.Fatal(err)
			}
			golden.Check(t, "testdata/"+strings.ToLower(c.Kind)+".defaults.golden", got)
		})
	}
}

// kubectl explain teaches every field.
func TestEveryFieldIsExplained(t *testing.T) {
	for kind, version := range versions(t) {
		walk(version.Schema.OpenAPIV3Schema, "", func(path string, s *apiextensionsv1.JSONSchemaProps) {
			if s.Description == "" && path != "metadata" && !strings.HasSuffix(path, "[]") {
				t.Errorf("%s.%s has no description", kind, path)
			}
		})
	}
}

func TestColumns(t *testing.T) {
	for kind, version := range versions(t) {
		var names []string
		for _, column := range version.AdditionalPrinterColumns {
			names = append(names, column.Name)
			if column.Name == "MESSAGE" && column.Priority != 1 {
				t.Errorf("%s: MESSAGE is shown without --output=wide", kind)
			}
		}
		if n := len(names); n < 4 || names[0] != "READY" || !slices.Equal(names[n-2:], []string{"MESSAGE", "AGE"}) {
			t.Errorf("%s: columns %v, want READY, those of the kind, MESSAGE, AGE", kind, names)
		}
	}
}
