// Package imports states who may import whom, as rules over the graph that go list prints.
package imports

import (
	"fmt"
	"slices"
	"strings"
)

// Module is the path of this module; packages of ours are named below without it, as "mdmserver/fleet".
const Module = "github.com/kubemdm/kubemdm"

// Package is one package as go list -deps prints it.
type Package struct {
	ImportPath string
	Standard   bool                  // belongs to the standard library, what it vendors included
	Module     struct{ Path string } // empty for the standard library
	Imports    []string              // what its files import; tests left out
	Deps       []string              // what it imports directly and through others
}

// Rule forbids imports. Both functions take names as name gives them.
type Rule struct {
	Name string
	// Through makes the rule hold for what is imported through other packages too.
	Through bool
	// Applies says whether the rule binds the package.
	Applies func(from string) bool
	// Forbids says whether a package that the rule binds must not import the other.
	Forbids func(from string, to Package) bool
}

// Rules are the house's rules.
var Rules = []Rule{
	{
		Name:    "the pods that face the Internet know no Kubernetes",
		Through: true,
		Applies: under("mdmserver", "cmd/mdmserver"),
		Forbids: packages(under("k8s.io", "sigs.k8s.io", "api", "controllers", "webhooks")),
	},
	{
		Name:    "a controller never imports the controller of another kind",
		Through: true,
		Applies: isKindController,
		Forbids: func(from string, to Package) bool {
			other := name(to.ImportPath)
			return isKindController(other) && kindOf(other) != kindOf(from)
		},
	},
	{
		Name:    "controllers and servers meet in internal/adminapi",
		Through: true,
		Applies: under("controllers", "webhooks", "cmd/manager"),
		Forbids: packages(under("mdmserver")),
	},
	{
		Name:    "controllers never import webhooks; only controllers/setup puts them together",
		Through: true,
		Applies: except(under("controllers"), under("controllers/setup")),
		Forbids: packages(under("webhooks")),
	},
	{
		Name:    "webhooks never import controllers",
		Through: true,
		Applies: under("webhooks"),
		Forbids: packages(under("controllers")),
	},
	{
		Name:    "controllers reach a server through controllers/internal/link only",
		Applies: except(under("controllers"), under("controllers/internal/link", "controllers/setup")),
		Forbids: packages(exactly("net", "net/http", "net/rpc")),
	},
	{
		Name:    "only the live view is an API server of Kubernetes",
		Applies: except(under("api", "cmd", "controllers", "internal", "mdmserver", "webhooks"), under("controllers/live", "controllers/setup")),
		Forbids: packages(under("k8s.io/apiserver/pkg/server", "k8s.io/apiserver/pkg/registry", "k8s.io/apiserver/pkg/endpoints", "k8s.io/kube-aggregator")),
	},
	{
		Name:    "only the composition picks the internal API's implementer and the store",
		Applies: except(under("mdmserver"), exactly("mdmserver"), under("mdmserver/store", "mdmserver/admin")),
		Forbids: packages(under("mdmserver/store", "mdmserver/admin")),
	},
	{
		Name:    "mdmserver/admin knows fleet, never the store",
		Applies: under("mdmserver/admin"),
		Forbids: packages(under("mdmserver/store")),
	},
	{
		Name:    "fleet is pure domain: the standard library without HTTP and SQL, and internal/adminapi",
		Applies: exactly("mdmserver/fleet"),
		Forbids: func(_ string, to Package) bool {
			n := name(to.ImportPath)
			return !to.Standard && n != "internal/adminapi" || n == "net/http" || n == "database/sql"
		},
	},
	{
		Name:    "shared contracts use the standard library only",
		Through: true,
		Applies: isContract,
		Forbids: func(_ string, to Package) bool { return !to.Standard && !isContract(name(to.ImportPath)) },
	},
	{
		Name:    "the agent on a PC knows nothing of servers and Kubernetes but the wire contract",
		Through: true,
		Applies: under("cmd/kubemdm-agent"),
		Forbids: packages(under("k8s.io", "sigs.k8s.io", "api", "controllers", "webhooks", "mdmserver")),
	},
	{
		Name:    "a vendor's tool knows no Kubernetes",
		Through: true,
		Applies: under("tools/vendorsign", "cmd/kubectl-mdm/pushvendor"),
		Forbids: packages(under("k8s.io", "sigs.k8s.io", "api", "controllers", "webhooks", "mdmserver")),
	},
	{
		Name:    "what both sides know of keys and push certificates is no side's",
		Through: true,
		Applies: under("internal/keys", "internal/pushcert", "internal/mdmcert", "internal/ade", "internal/ber", "internal/cms"),
		Forbids: packages(under("k8s.io", "sigs.k8s.io", "api", "controllers", "webhooks", "mdmserver")),
	},
	{
		Name:    "only internal/ade knows how Apple's enrolment service is spoken to",
		Applies: except(under("api", "cmd", "controllers", "internal", "mdmserver", "webhooks"), under("internal/ade")),
		Forbids: packages(under("github.com/micromdm/nanodep")),
	},
	{
		Name:    "rendering, validation and judging certificates do no I/O",
		Applies: under("internal/payload", "internal/validate", "internal/pushcert", "internal/ber", "internal/cms", "internal/keys/keyuri"),
		Forbids: packages(exactly("net", "net/http", "os", "os/exec", "io/ioutil", "syscall", "database/sql")),
	},
	{
		Name:    "rendering and validation hold no client",
		Through: true,
		Applies: under("internal/payload", "internal/validate"),
		Forbids: packages(under("k8s.io/client-go", "sigs.k8s.io/controller-runtime/pkg/client", "mdmserver", "controllers")),
	},
	{
		Name:    "api is vocabulary: the types of Kubernetes and of cert-manager's references only",
		Applies: under("api"),
		Forbids: func(_ string, to Package) bool {
			return !to.Standard && !under("api", "k8s.io/api", "k8s.io/apimachinery", "github.com/cert-manager/cert-manager/pkg/apis/meta")(name(to.ImportPath))
		},
	},
}

// Violations returns a line for each package of the graph and rule that it breaks, sorted.
func Violations(rules []Rule, graph []Package) []string {
	byPath := make(map[string]Package, len(graph))
	for _, p := range graph {
		byPath[p.ImportPath] = p
	}
	var lines []string
	for _, p := range graph {
		for _, r := range rules {
			if broken := r.brokenBy(p, byPath); len(broken) > 0 {
				lines = append(lines, fmt.Sprintf("%s imports %s: %s", name(p.ImportPath), strings.Join(broken, ", "), r.Name))
			}
		}
	}
	slices.Sort(lines)
	return lines
}

// brokenBy names what the package imports against the rule, a few at most: one wrong import often brings hundreds with it.
func (r Rule) brokenBy(p Package, byPath map[string]Package) []string {
	const few = 3
	if !ours(p.ImportPath) || !r.Applies(name(p.ImportPath)) {
		return nil
	}
	var broken []string
	for _, path := range r.reach(p) {
		if to, known := byPath[path]; known && r.Forbids(name(p.ImportPath), to) {
			broken = append(broken, name(path))
		}
	}
	if len(broken) > few {
		broken = append(broken[:few], fmt.Sprintf("and %d more", len(broken)-few))
	}
	return broken
}

func (r Rule) reach(p Package) []string {
	if r.Through {
		return p.Deps
	}
	return p.Imports
}

func ours(path string) bool {
	return path == Module || strings.HasPrefix(path, Module+"/")
}

// name is a package's import path, for a package of this module without the module's path.
func name(path string) string {
	return strings.TrimPrefix(path, Module+"/")
}

// under matches packages at and below the paths.
func under(paths ...string) func(string) bool {
	return func(n string) bool {
		return slices.ContainsFunc(paths, func(p string) bool { return n == p || strings.HasPrefix(n, p+"/") })
	}
}

func exactly(names ...string) func(string) bool {
	return func(n string) bool { return slices.Contains(names, n) }
}

func except(match func(string) bool, but ...func(string) bool) func(string) bool {
	return func(n string) bool {
		return match(n) && !slices.ContainsFunc(but, func(b func(string) bool) bool { return b(n) })
	}
}

// packages forbids the matching packages to every package that the rule binds.
func packages(match func(string) bool) func(string, Package) bool {
	return func(_ string, to Package) bool { return match(name(to.ImportPath)) }
}

// isContract matches what two of our programs share to understand each other.
var isContract = under("internal/adminapi", "internal/agentapi", "internal/serverconfig")

var isKindController = except(func(n string) bool { return strings.HasPrefix(n, "controllers/") }, under("controllers/internal", "controllers/setup"))

// kindOf is the second element of a path: controllers/device/x belongs to device.
func kindOf(n string) string {
	return strings.Split(n, "/")[1]
}
