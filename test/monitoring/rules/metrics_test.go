package rules

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
)

// listed are the labels of every metric that a manager, a server or an API server gives, with those that Prometheus adds by its monitors.
var listed = regexp.MustCompile(`(?m)^(\w+) (\w+)\{([\w,]*)\} (\w+)$`)

// added are the labels of targets, by where metrics are from.
var added = map[string][]string{"manager": {"namespace", "pod"}, "server": {"namespace", "pod", "server"}, "apiserver": nil}

// metrics reads the list that the tests of the operator keep.
func metrics(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../testdata/metrics.txt")
	must(t, err)
	found := map[string][]string{}
	for _, m := range listed.FindAllStringSubmatch(string(text), -1) {
		labels := append(strings.Split(m[3], ","), added[m[1]]...)
		if m[4] == "histogram" {
			found[m[2]+"_bucket"] = append(labels, "le")
			found[m[2]+"_sum"], found[m[2]+"_count"] = labels, labels
			continue
		}
		found[m[2]] = labels
	}
	if len(found) < 20 {
		t.Fatalf("only %d metrics are listed", len(found))
	}
	return found
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var promql = parser.NewParser(parser.Options{})

// check says what a query names that no metric has: metrics, and labels in matchers, groupings and joins.
func check(query string, metrics map[string][]string) error {
	expr, err := promql.ParseExpr(query)
	if err != nil {
		return err
	}
	var fault error
	known := func(node parser.Node, names []string) {
		for _, name := range names {
			if !slices.Contains(labelsBelow(node, metrics), name) {
				fault = fmt.Errorf("no metric in %q has the label %s", node, name)
			}
		}
	}
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			if _, there := metrics[n.Name]; !there {
				fault = fmt.Errorf("no metric %q is registered", n.Name)
			}
			for _, m := range n.LabelMatchers {
				if m.Name != "__name__" {
					known(n, []string{m.Name})
				}
			}
		case *parser.AggregateExpr:
			known(n, n.Grouping)
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				known(n.LHS, n.VectorMatching.MatchingLabels)
				known(n.RHS, n.VectorMatching.MatchingLabels)
			}
		}
		return nil
	})
	return fault
}

// labelsBelow are those of the metrics that a part of a query reads.
func labelsBelow(part parser.Node, metrics map[string][]string) []string {
	var found []string
	parser.Inspect(part, func(node parser.Node, _ []parser.Node) error {
		if n, ok := node.(*parser.VectorSelector); ok {
			found = append(found, metrics[n.Name]...)
		}
		return nil
	})
	return found
}

// The check finds what it is for.
func TestCheck(t *testing.T) {
	for query, fine := range map[string]bool{
		`kubemdm_server_push_paused == 1`:                                                            true,
		`kubemdm_server_push_pausd == 1`:                                                             false,
		`kubemdm_server_pushes_total{outcom="Retry"}`:                                                false,
		`sum by (serial) (kubemdm_server_pushes_total)`:                                              false,
		`histogram_quantile(0.9, sum by (le) (kubemdm_server_http_request_duration_seconds_bucket))`: true,
		`kubemdm_conditions and on (nobody) kubemdm_conditions`:                                      false,
	} {
		if err := check(query, metrics(t)); (err == nil) != fine {
			t.Errorf("%s: %v", query, err)
		}
	}
}
