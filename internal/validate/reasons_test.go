package validate_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

// internal/pushcert must not know the API, whose conditions repeat its reasons: ReasonX there is APNSCertificateX here.
func TestReasonsOfPushcertAreThoseOfTheAPI(t *testing.T) {
	reasons := stringConstants(t, "../pushcert/refusal.go", "Reason")
	if len(reasons) == 0 {
		t.Fatal("no reasons were found")
	}
	known := stringConstants(t, "../../api/v1alpha1/apnscertificate_conditions.go", "APNSCertificate")
	for name, reason := range reasons {
		if got, ok := known[name]; !ok || got != reason {
			t.Errorf("pushcert.Reason%s is %s, APNSCertificate%s is %q", name, reason, name, got)
		}
	}
}

// stringConstants returns the constants of a file whose names begin with a prefix, without it.
func stringConstants(t *testing.T, file, prefix string) map[string]string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	ast.Inspect(parsed, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == len(spec.Names) {
			for i, name := range spec.Names {
				value, ok := spec.Values[i].(*ast.BasicLit)
				if short, begins := strings.CutPrefix(name.Name, prefix); ok && begins {
					found[short] = value.Value
				}
			}
		}
		return true
	})
	return found
}
