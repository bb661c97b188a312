package api_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
)

type object = map[string]any

// cases are the accept and reject cases of one kind, as testdata/<kind>.yaml holds them. Every change is a JSON merge patch.
type cases struct {
	Kind string
	// Base is a valid spec.
	Base  object
	Rules []rule
}

// rule is one thing that the API server refuses.
type rule struct {
	// Says is in the message of the refusal. For a CEL rule it must name the rule.
	Says string
	// Transition rules are about updates: the object is made of base and From, and the changes are updates of it.
	Transition bool
	From       object
	Accept     []object
	Reject     []object
}

func load(t *testing.T) []cases {
	t.Helper()
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := make([]cases, len(files))
	for i, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.UnmarshalStrict(text, &all[i]); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	return all
}

func TestRules(t *testing.T) {
	for _, c := range load(t) {
		for _, r := range c.Rules {
			t.Run(c.Kind+"/"+r.Says, func(t *testing.T) {
				try := c.create
				if r.Transition {
					try = c.update
				}
				for _, change := range r.Accept {
					if err := try(t, r.From, change); err != nil {
						t.Errorf("%v is refused: %v", change, err)
					}
				}
				for _, change := range r.Reject {
					if err := try(t, r.From, change); err == nil || !strings.Contains(err.Error(), r.Says) {
						t.Errorf("%v: error %v, want %q", change, err, r.Says)
					}
				}
			})
		}
	}
}

func (c cases) create(t *testing.T, from, change object) error {
	return api.Create(t.Context(), c.object(from, change), client.DryRunAll)
}

func (c cases) update(t *testing.T, from, change object) error {
	before := c.object(from)
	if err := api.Create(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	defer remove(t, before)
	after := before.DeepCopy()
	merge(after.Object, change)
	return api.Update(t.Context(), after, client.DryRunAll)
}

func (c cases) object(changes ...object) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: object{"spec": deepCopy(c.Base)}}
	u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(c.Kind))
	u.SetNamespace(namespace)
	u.SetName("case")
	for _, change := range changes {
		merge(u.Object, change)
	}
	return u
}

// merge applies a JSON merge patch (RFC 7396) to an object.
func merge(target, patch object) {
	for key, value := range deepCopy(patch) {
		below, isObject := value.(object)
		switch child, has := target[key].(object); {
		case value == nil:
			delete(target, key)
		case isObject && has:
			merge(child, below)
		default:
			target[key] = value
		}
	}
}

func deepCopy(o object) object {
	if o == nil {
		return object{}
	}
	return (&unstructured.Unstructured{Object: o}).DeepCopy().Object
}

// Each rule that we wrote has a case that it accepts and one that it refuses.
func TestEveryRuleHasCases(t *testing.T) {
	byKind := map[string][]rule{}
	for _, c := range load(t) {
		byKind[c.Kind] = c.Rules
	}
	for kind, version := range versions(t) {
		for message := range maps.Keys(messages(version.Schema.OpenAPIV3Schema)) {
			of := func(r rule) bool { return strings.Contains(message, r.Says) && len(r.Accept) > 0 && len(r.Reject) > 0 }
			if !slices.ContainsFunc(byKind[kind], of) {
				t.Errorf("%s: %q has no accept and reject case in testdata", kind, message)
			}
		}
	}
}

// messages collects the messages of all CEL rules.
func messages(schema *apiextensionsv1.JSONSchemaProps) map[string]bool {
	found := map[string]bool{}
	walk(schema, "", func(_ string, s *apiextensionsv1.JSONSchemaProps) {
		for _, r := range s.XValidations {
			found[r.Message] = true
		}
	})
	return found
}

// walk visits a schema and all that is below it. path is the one that kubectl explain takes, with [] for the items of a list.
func walk(s *apiextensionsv1.JSONSchemaProps, path string, visit func(string, *apiextensionsv1.JSONSchemaProps)) {
	visit(path, s)
	for name, property := range s.Properties {
		walk(&property, strings.TrimPrefix(path+"."+name, "."), visit)
	}
	if s.Items != nil && s.Items.Schema != nil {
		walk(s.Items.Schema, path+"[]", visit)
	}
}

// versions reads the generated CRDs by kind. There is one version.
func versions(t *testing.T) map[string]apiextensionsv1.CustomResourceDefinitionVersion {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(crds, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no CRDs: %v", err)
	}
	found := map[string]apiextensionsv1.CustomResourceDefinitionVersion{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(text, &crd); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		found[crd.Spec.Names.Kind] = crd.Spec.Versions[0]
	}
	return found
}
