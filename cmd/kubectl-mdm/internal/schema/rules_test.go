package schema_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/schema"
)

type object = map[string]any

// cases are what a real API server with our webhooks takes and refuses: the tests of the API run them there.
type cases struct {
	Kind  string
	Base  object
	Rules []struct {
		Says           string
		Transition     bool
		From           object
		Accept, Reject []object
	}
}

// Without a cluster the same is taken, and the same refused, in the same words.
func TestAsTheAPIServerDoes(t *testing.T) {
	files, err := filepath.Glob("../../../../test/integration/api/testdata/*.yaml")
	if err != nil || len(files) < 7 {
		t.Fatalf("%d files of cases: %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var c cases
		if text, err = yaml.YAMLToJSONStrict(text); err == nil {
			err = utiljson.Unmarshal(text, &c) // whole numbers stay whole
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, r := range c.Rules {
			t.Run(c.Kind+"/"+r.Says, func(t *testing.T) {
				try := func(change object) string {
					if !r.Transition {
						return check(t, c.object(r.From, change), nil)
					}
					before := c.object(r.From)
					after := before.DeepCopy()
					merge(after.Object, change)
					if err := schema.Default(before); err != nil {
						t.Fatal(err)
					}
					return check(t, after, before)
				}
				for _, change := range r.Accept {
					if got := try(change); got != "" {
						t.Errorf("%v is refused: %s", change, got)
					}
				}
				for _, change := range r.Reject {
					if got := try(change); !strings.Contains(got, r.Says) {
						t.Errorf("%v: %q, want %q", change, got, r.Says)
					}
				}
			})
		}
	}
}

func check(t *testing.T, object, before *unstructured.Unstructured) string {
	t.Helper()
	faults, err := schema.Check(t.Context(), object, before)
	if err != nil {
		t.Fatal(err)
	}
	all := make([]string, 0, len(faults))
	for _, f := range faults {
		all = append(all, f.String())
	}
	return strings.Join(all, "\n")
}

func (c cases) object(changes ...object) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: object{"spec": deepCopy(c.Base)}}
	u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(c.Kind))
	u.SetNamespace("fleet")
	u.SetName("case")
	for _, change := range changes {
		merge(u.Object, change)
	}
	return u
}

// merge applies a JSON merge patch (RFC 7396).
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

func TestKinds(t *testing.T) {
	if !schema.Known("Profile") || schema.Known("Profle") {
		t.Error("kinds are not known by their names")
	}
	for path, want := range map[string]bool{"spec/selector": true, "spec/removal": false, "spec/nothing": false, "spec": false} {
		if got, err := schema.Atomic("Profile", strings.Split(path, "/")...); err != nil || got != want {
			t.Errorf("%s is written as a whole: %v, %v", path, got, err)
		}
	}
	if _, err := schema.Atomic("Profle"); err == nil {
		t.Error("an unknown kind has a schema")
	}
}
