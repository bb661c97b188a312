package laws

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

// named matches a test in the table, as `mdmserver/fleet.TestDeadline`.
var named = regexp.MustCompile("`([a-z][a-z0-9/]*)\\.((?:Test|Fuzz)[A-Za-z0-9_]+)`")

// rows are the rows of all tables of docs/laws.md, without headings.
func rows(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs/laws.md"))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		heading := i+1 < len(lines) && strings.HasPrefix(lines[i+1], "|---")
		if strings.HasPrefix(line, "|") && !strings.HasPrefix(line, "|---") && !heading {
			all = append(all, line)
		}
	}
	if len(all) == 0 {
		t.Fatal("docs/laws.md has no table")
	}
	return all
}

// testsOf are the names of the test functions of a package.
func testsOf(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				names[f.Name.Name] = true
			}
		}
	}
	return names
}

// A law without a test is a wish, and a test that was renamed leaves its law without one.
func TestEveryLawHasItsTests(t *testing.T) {
	packages := map[string]map[string]bool{}
	for _, row := range rows(t) {
		tests := named.FindAllStringSubmatch(row, -1)
		if len(tests) == 0 && !strings.Contains(row, "not built") {
			t.Errorf("no test: %s", row)
		}
		for _, m := range tests {
			if packages[m[1]] == nil {
				packages[m[1]] = testsOf(t, m[1])
			}
			if !packages[m[1]][m[2]] {
				t.Errorf("there is no %s in %s", m[2], m[1])
			}
		}
	}
}
