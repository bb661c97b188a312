package rules

import (
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
)

const file = "../../../charts/kubemdm/files/alerts/kubemdm.yaml"

// alerts are the rules as Prometheus reads them.
func alerts(t *testing.T) map[string]rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.ParseFile(file, false, model.UTF8Validation, promql, slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Error(err)
	}
	found := map[string]rulefmt.Rule{}
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			if _, twice := found[r.Alert]; twice {
				t.Errorf("there are two alerts %s", r.Alert)
			}
			found[r.Alert] = r
		}
	}
	return found
}

// Alerts name registered metrics only, with labels that they have.
func TestAlertsNameRegisteredMetrics(t *testing.T) {
	known := metrics(t)
	for name, rule := range alerts(t) {
		if err := check(rule.Expr, known); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

var series = regexp.MustCompile(`^(\w+)\{(.*)\} .+$`)

// mustBeReal says whether series in the notation of Prometheus' tests are such as a target gives: of a registered metric, and with labels of it.
func mustBeReal(t *testing.T, lines []string) {
	t.Helper()
	known := metrics(t)
	for _, line := range lines {
		m := series.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("no series: %s", line)
		}
		set, err := promql.ParseMetric(m[1] + "{" + m[2] + "}")
		must(t, err)
		set.Range(func(l labels.Label) {
			if l.Name != model.MetricNameLabel && !slices.Contains(known[m[1]], l.Name) {
				t.Errorf("%s has no label %s", m[1], l.Name)
			}
		})
		if known[m[1]] == nil {
			t.Errorf("no metric %s is registered", m[1])
		}
	}
}

// Each alert fires on the series that it is for, once they have lasted as long as it waits, and not before; and it is silent on those of a healthy fleet.
func TestEachAlertCanFire(t *testing.T) {
	all := alerts(t)
	for name := range all {
		if _, there := cases[name]; !there {
			t.Errorf("no case lets %s fire", name)
		}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			rule, there := all[name]
			if !there {
				t.Fatal("there is no such alert")
			}
			if got := evaluate(t, rule, c.silent); len(got) != 0 {
				t.Errorf("fires on a healthy fleet: %v", got)
			}
			got := evaluate(t, rule, c.firing)
			if len(got) != 1 {
				t.Fatalf("%d alerts fire, want one: %v", len(got), got)
			}
			if want := labels.FromStrings(append(c.labels, "alertname", name, "severity", rule.Labels["severity"])...); !labels.Equal(got[0].Labels, want) {
				t.Errorf("it has the labels %s, want %s", got[0].Labels, want)
			}
			if waited := got[0].FiredAt.Sub(got[0].ActiveAt); waited < time.Duration(rule.For) {
				t.Errorf("it fired after %s, before it had lasted for %s", waited, rule.For)
			}
			got[0].Annotations.Range(func(l labels.Label) {
				if strings.Contains(l.Value, "error expanding template") || strings.Contains(l.Value, "<no value>") || l.Name == "summary" && strings.Contains(l.Value, "/ ") {
					t.Errorf("%s reads %q", l.Name, l.Value)
				}
			})
		})
	}
}

// evaluate runs a rule each minute over series that last for two days, and returns the alerts that fire in the end.
func evaluate(t *testing.T, rule rulefmt.Rule, lines []string) []*rules.Alert {
	t.Helper()
	mustBeReal(t, lines)
	storage := promqltest.LoadedStorage(t, "load 1m\n  "+strings.Join(lines, "\n  ")+"\n")
	defer func() { must(t, storage.Close()) }()
	query := rules.EngineQueryFunc(promqltest.NewTestEngine(t, false, 0, 1_000_000), storage)
	expr, err := promql.ParseExpr(rule.Expr)
	must(t, err)
	alert := newAlert(rule, expr)
	for at := time.Unix(0, 0); !at.After(time.Unix(0, 0).Add(time.Duration(rule.For) + 2*time.Hour)); at = at.Add(time.Minute) {
		_, err := alert.Eval(t.Context(), 0, at, query, &url.URL{}, 0)
		must(t, err)
	}
	return slices.DeleteFunc(alert.ActiveAlerts(), func(a *rules.Alert) bool { return a.State != rules.StateFiring })
}

func newAlert(rule rulefmt.Rule, expr parser.Expr) *rules.AlertingRule {
	return rules.NewAlertingRule(rule.Alert, expr, time.Duration(rule.For), 0, labels.FromMap(rule.Labels), labels.FromMap(rule.Annotations),
		labels.EmptyLabels(), "", true, slog.New(slog.DiscardHandler))
}
