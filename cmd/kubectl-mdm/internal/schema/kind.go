package schema

import (
	"fmt"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/config/crd"
)

// kind is what is known of one kind: its schema, read and compiled.
type kind struct {
	structural *structuralschema.Structural
	types      validation.SchemaValidator
	rules      *cel.Validator
	plural     string
}

// kinds are read when the first object of any kind is judged, and compiled when the first one of theirs is.
var (
	kinds   = sync.OnceValues(readAll)
	compile sync.Mutex
	ready   = map[string]*kind{}
)

// Known says whether a kind is one of this version.
func Known(name string) bool {
	all, err := kinds()
	return err == nil && all[name] != nil
}

// Plural is the name of a kind in the API's paths, such as "devicecommands".
func Plural(name string) (string, error) {
	all, err := kinds()
	if err != nil {
		return "", err
	}
	if all[name] == nil {
		return "", fmt.Errorf("no kind %s in this version of KubeMDM", name)
	}
	return all[name].Spec.Names.Plural, nil
}

func readAll() (map[string]*apiextensionsv1.CustomResourceDefinition, error) {
	const dir = "bases"
	entries, err := crd.Bases.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	all := map[string]*apiextensionsv1.CustomResourceDefinition{}
	for _, entry := range entries {
		content, err := crd.Bases.ReadFile(dir + "/" + entry.Name())
		if err != nil {
			return nil, err
		}
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(content, definition); err != nil {
			return nil, fmt.Errorf("reading the CRD %s: %w", entry.Name(), err)
		}
		all[definition.Spec.Names.Kind] = definition
	}
	return all, nil
}

// of returns what is known of a kind.
func of(name string) (*kind, error) {
	all, err := kinds()
	if err != nil {
		return nil, err
	}
	compile.Lock()
	defer compile.Unlock()
	if ready[name] == nil {
		if all[name] == nil {
			return nil, fmt.Errorf("no kind %s in this version of KubeMDM", name)
		}
		if ready[name], err = newKind(all[name]); err != nil {
			return nil, fmt.Errorf("reading the schema of %s: %w", name, err)
		}
	}
	return ready[name], nil
}

func newKind(definition *apiextensionsv1.CustomResourceDefinition) (*kind, error) {
	for i := range definition.Spec.Versions {
		version := &definition.Spec.Versions[i]
		if version.Name != mdmv1alpha1.GroupVersion.Version || version.Schema == nil {
			continue
		}
		props := &apiextensions.JSONSchemaProps{}
		if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(version.Schema.OpenAPIV3Schema, props, nil); err != nil {
			return nil, err
		}
		structural, err := structuralschema.NewStructural(props)
		if err != nil {
			return nil, err
		}
		if err := defaulting.PruneDefaults(structural); err != nil {
			return nil, err
		}
		types, _, err := validation.NewSchemaValidator(props)
		if err != nil {
			return nil, err
		}
		rules := cel.NewValidator(structural, true, celconfig.PerCallLimit)
		return &kind{structural: structural, types: types, rules: rules, plural: definition.Spec.Names.Plural}, nil
	}
	return nil, fmt.Errorf("no version %s", mdmv1alpha1.GroupVersion.Version)
}

// Atomic says whether a field, such as a selector, is written as a whole by whoever applies it.
func Atomic(name string, path ...string) (bool, error) {
	k, err := of(name)
	if err != nil {
		return false, err
	}
	s := k.structural
	for _, part := range path {
		next, known := s.Properties[part]
		if !known {
			return false, nil
		}
		s = &next
	}
	return s.XMapType != nil && *s.XMapType == "atomic", nil
}
