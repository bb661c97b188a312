package laws

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// inspect walks the syntax of all Go files below the folders that are no tests.
func inspect(t *testing.T, visit func(at token.Position, n ast.Node), folders ...string) {
	t.Helper()
	for _, folder := range folders {
		files := token.NewFileSet()
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if n != nil {
					visit(files.Position(n.Pos()), n)
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func is(n ast.Node, pkg, name string) bool {
	s, ok := n.(*ast.SelectorExpr)
	if !ok || s.Sel.Name != name {
		return false
	}
	x, ok := s.X.(*ast.Ident)
	return ok && x.Name == pkg
}

// A device may unenrol when it is answered 401. An agent is no device: to it a 401 says that its node key or its secret is known to nobody. In fleet,
// which knows no HTTP, the number is a status of SyncML.
func TestNoDeviceIsAnswered401(t *testing.T) {
	elsewhere := []string{filepath.Join(root, "mdmserver", "agent"), filepath.Join(root, "mdmserver", "fleet")}
	inspect(t, func(at token.Position, n ast.Node) {
		if slices.Contains(elsewhere, filepath.Dir(at.Filename)) {
			return
		}
		literal, ok := n.(*ast.BasicLit)
		if is(n, "http", "StatusUnauthorized") || ok && literal.Value == "401" {
			t.Errorf("%s: 401", at)
		}
	}, "mdmserver")
}

// Without timeouts a client that is slow on purpose holds a connection for ever.
func TestEveryHTTPServerHasItsTimeouts(t *testing.T) {
	servers := 0
	inspect(t, func(at token.Position, n ast.Node) {
		literal, ok := n.(*ast.CompositeLit)
		if !ok || !is(literal.Type, "http", "Server") {
			return
		}
		servers++
		var set []string
		for _, e := range literal.Elts {
			if pair, ok := e.(*ast.KeyValueExpr); ok {
				set = append(set, pair.Key.(*ast.Ident).Name)
			}
		}
		for _, timeout := range []string{"ReadHeaderTimeout", "ReadTimeout", "WriteTimeout", "IdleTimeout", "MaxHeaderBytes"} {
			if !slices.Contains(set, timeout) {
				t.Errorf("%s: no %s", at, timeout)
			}
		}
	}, "cmd", "controllers", "internal", "mdmserver", "webhooks")
	if servers == 0 {
		t.Error("there is no http.Server to look at")
	}
}
