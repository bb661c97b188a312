package monitoring

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/golden"
)

// untold are reasons of conditions that are Unknown, of which no event tells.
var untold = []string{mdmv1alpha1.ReasonPending, mdmv1alpha1.ReasonPaused, mdmv1alpha1.ReasonError}

// meaning is what a constant's comment says of a reason, and of which kinds.
type meaning struct{ kinds, says []string }

// TestEventReasonsAreListed keeps docs/events.md, which is made of the constants of the API: what is renamed or goes shows in its difference.
func TestEventReasonsAreListed(t *testing.T) {
	reasons := map[string]*meaning{}
	files, err := filepath.Glob(root + "/api/v1alpha1/*_conditions.go")
	must(t, err)
	for _, file := range append(files, root+"/api/v1alpha1/shared_types.go") {
		for reason, says := range constants(t, file) {
			m := reasons[reason]
			if m == nil {
				m = &meaning{}
				reasons[reason] = m
			}
			m.kinds = append(m.kinds, kindOf(file))
			if !slices.Contains(m.says, says) {
				m.says = append(m.says, says)
			}
		}
	}
	page := bytes.NewBufferString(eventsHead)
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		if m := reasons[reason]; !slices.Contains(untold, reason) {
			slices.Sort(m.kinds)
			fmt.Fprintf(page, "| %s | %s | %s | %s |\n", reason, strings.Join(slices.Compact(m.kinds), ", "), typeOf(reason), strings.Join(m.says, " "))
		}
	}
	golden.Check(t, root+"/docs/events.md", page.Bytes())
}

const eventsHead = `# Events

Written from the constants of the API by the tests in test/monitoring. The reasons are part of the API: they are not renamed within a version of it.

An event tells that a condition of an object got another status or another reason, or that something happened that no condition tells. Its reason is that of the condition, its note begins with the condition's
type and says what to do next. No event tells of a condition that becomes Unknown, nor of what is as it should be when an object is first looked at: a fleet that enrols brings none. No note holds a secret, a serial number or a UDID.

The type is *Warning* if the condition became what it should not be, and *Normal* otherwise; reasons that ask for nothing but patience are *Normal* always.

` + "```console\n$ kubectl events --for=mdmserver/mdm\n$ kubectl get events.events.k8s.io --field-selector=type=Warning --all-namespaces\n```\n" + `
Kubernetes keeps events for an hour. What holds for longer is in conditions, and in [alerts](guides/monitoring.md).

| reason | kinds | type | what it means, and what to do |
|---|---|---|---|
`

// kindOf is the kind that a file of the API is about.
func kindOf(file string) string {
	stem := strings.TrimSuffix(filepath.Base(file), "_conditions.go")
	for _, kind := range []string{"MDMServer", "APNSCertificate", "EnrollmentToken", "AutomatedEnrollment", "Device", "Profile", "DeviceCommand"} {
		if strings.ToLower(kind) == stem {
			return kind
		}
	}
	return "any"
}

func typeOf(reason string) string {
	if mdmv1alpha1.Patience(reason) {
		return "Normal"
	}
	return "by status"
}

// constants are the reasons of a file, in the groups whose comments begin with Reasons and Events, with what their comments say behind the name.
func constants(t *testing.T, file string) map[string]string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
	must(t, err)
	found := map[string]string{}
	for _, declaration := range parsed.Decls {
		group, isGroup := declaration.(*ast.GenDecl)
		if !isGroup || group.Tok != token.CONST || !strings.HasPrefix(group.Doc.Text(), "Reasons ") && !strings.HasPrefix(group.Doc.Text(), "Events ") {
			continue
		}
		for _, spec := range group.Specs {
			constant := spec.(*ast.ValueSpec)
			value, err := strconv.Unquote(constant.Values[0].(*ast.BasicLit).Value)
			must(t, err)
			_, says, named := strings.Cut(strings.Join(strings.Fields(constant.Doc.Text()), " "), ": ")
			if !named {
				t.Errorf("%s: the comment of %s does not say what it means", file, value)
			}
			found[value] = says
		}
	}
	return found
}

// Every event carries a reason of the API: whoever emits one names a constant, or hands on the reason of a condition.
func TestEventsCarryReasonsOfTheAPI(t *testing.T) {
	emitted := 0
	err := filepath.WalkDir(root+"/controllers", func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			call, isCall := n.(*ast.CallExpr)
			if !isCall || len(call.Args) < 5 {
				return true
			}
			if method, ok := call.Fun.(*ast.SelectorExpr); !ok || method.Sel.Name != "Eventf" {
				return true
			}
			emitted++
			if _, literal := call.Args[3].(*ast.BasicLit); literal {
				t.Errorf("%s emits an event with the reason %s, which is no constant of the API", path, call.Args[3].(*ast.BasicLit).Value)
			}
			return true
		})
		return nil
	})
	must(t, err)
	if emitted < 5 {
		t.Errorf("only %d calls of Eventf were found", emitted)
	}
}
