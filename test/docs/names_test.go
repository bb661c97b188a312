package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

const api = root + "/api/v1alpha1"

// vocabulary are the condition types and the reasons of one kind.
type vocabulary struct{ conditions, reasons map[string]bool }

// read reads the constants of a file of the API, in the groups whose comments begin with Conditions and Reasons.
func read(t *testing.T, file string) vocabulary {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(api, file), nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	v := vocabulary{map[string]bool{}, map[string]bool{}}
	for _, declaration := range parsed.Decls {
		group, isGroup := declaration.(*ast.GenDecl)
		if !isGroup || group.Tok != token.CONST {
			continue
		}
		switch comment := group.Doc.Text(); {
		case strings.HasPrefix(comment, "Conditions "):
			maps.Copy(v.conditions, values(t, group))
		case strings.HasPrefix(comment, "Reasons "):
			maps.Copy(v.reasons, values(t, group))
		}
	}
	return v
}

// values are those of a group of constants.
func values(t *testing.T, group *ast.GenDecl) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, spec := range group.Specs {
		value, err := strconv.Unquote(spec.(*ast.ValueSpec).Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		found[value] = true
	}
	return found
}

// vocabularies are those of all kinds by the names of their pages.
func vocabularies(t *testing.T) map[string]vocabulary {
	t.Helper()
	files, err := filepath.Glob(api + "/*_conditions.go")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]vocabulary{"README": read(t, "shared_types.go")}
	for _, file := range files {
		name := filepath.Base(file)
		all[strings.TrimSuffix(name, "_conditions.go")] = read(t, name)
	}
	return all
}

// firstColumn returns the words in backticks in the first column of the tables whose header begins with a word.
func firstColumn(text, header string) map[string]bool {
	found := map[string]bool{}
	inTable := false
	for line := range strings.Lines(text) {
		cells := strings.Split(line, "|")
		switch {
		case len(cells) < 3:
			inTable = false
		case strings.TrimSpace(cells[1]) == header:
			inTable = true
		case inTable:
			for _, word := range code.FindAllStringSubmatch(cells[1], -1) {
				found[word[1]] = true
			}
		}
	}
	return found
}

// The page of a kind explains each of its conditions and reasons, and no others.
func TestConditionsAndReasonsAreExplained(t *testing.T) {
	all := pages(t)
	for kind, v := range vocabularies(t) {
		name := "docs/kinds/" + kind + ".md"
		for header, want := range map[string]map[string]bool{"condition": v.conditions, "reason": v.reasons} {
			if got := firstColumn(all[name], header); !maps.Equal(got, want) {
				t.Errorf("%s: the tables of each %s explain\n%q, the API has\n%q", name, header, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
			}
		}
	}
}

var (
	code = regexp.MustCompile("`([^`\n]+)`")
	// observed is a condition as the pages write it: Condition=Status or Condition=Status/Reason.
	observed = regexp.MustCompile(`^([A-Z]\w+)=(?:True|False|Unknown)(?:/(\w+))?$`)
	// field is a path in an object.
	field = regexp.MustCompile(`^(?:spec|status)(?:\.\w+)+$`)
)

// Every condition that a page writes with its status, and its reason, exists.
func TestObservedConditionsExist(t *testing.T) {
	conditions, reasons := map[string]bool{}, map[string]bool{"": true}
	for _, v := range vocabularies(t) {
		maps.Copy(conditions, v.conditions)
		maps.Copy(reasons, v.reasons)
	}
	for name, text := range pages(t) {
		for _, word := range code.FindAllStringSubmatch(text, -1) {
			if c := observed.FindStringSubmatch(word[1]); c != nil && (!conditions[c[1]] || !reasons[c[2]]) {
				t.Errorf("%s names %s, which the API does not have", name, c[0])
			}
		}
	}
}

// Every field that a page names is one of some kind.
func TestFieldsExist(t *testing.T) {
	fields := map[string]bool{}
	for _, schema := range schemas(t) {
		walk(schema, "", func(path string) { fields[path] = true })
	}
	for name, text := range pages(t) {
		for _, word := range code.FindAllStringSubmatch(text, -1) {
			if field.MatchString(word[1]) && !fields[word[1]] {
				t.Errorf("%s names the field %s, which no kind has", name, word[1])
			}
		}
	}
}

// schemas reads the generated CRDs.
func schemas(t *testing.T) []*apiextensionsv1.JSONSchemaProps {
	t.Helper()
	files, err := filepath.Glob(root + "/config/crd/bases/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no CRDs: %v", err)
	}
	var found []*apiextensionsv1.JSONSchemaProps
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(text, &crd); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		found = append(found, crd.Spec.Versions[0].Schema.OpenAPIV3Schema)
	}
	return found
}

// walk visits the paths of a schema as pages write them: the items of a list are not told from the list.
func walk(s *apiextensionsv1.JSONSchemaProps, path string, visit func(string)) {
	visit(path)
	for name, property := range s.Properties {
		walk(&property, strings.TrimPrefix(path+"."+name, "."), visit)
	}
	if s.Items != nil && s.Items.Schema != nil {
		walk(s.Items.Schema, path, visit)
	}
}
