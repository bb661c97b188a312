package rules

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	promqlengine "github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
)

const dashboards = "../../../charts/kubemdm/files/dashboards"

// dashboard is what the tests read of one.
type dashboard struct {
	UID           string
	Title         string
	SchemaVersion int
	Templating    struct {
		List []struct{ Name, Type, Query string }
	}
	Panels []struct {
		Title, Description, Type string
		Datasource               struct{ UID string }
		FieldConfig              struct{ Defaults struct{ Unit string } }
		GridPos                  struct{ X, Y, W, H int }
		Targets                  []struct{ Expr string }
	}
}

func read(t *testing.T) map[string]dashboard {
	t.Helper()
	files, err := filepath.Glob(dashboards + "/*.json")
	must(t, err)
	if len(files) != 4 {
		t.Fatalf("%d dashboards, want 4", len(files))
	}
	found := map[string]dashboard{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		if len(text) > 40<<10 {
			t.Errorf("%s has %d bytes", file, len(text))
		}
		var d dashboard
		must(t, json.Unmarshal(text, &d))
		found[strings.TrimSuffix(filepath.Base(file), ".json")] = d
	}
	return found
}

// chosen is what Grafana puts in the place of variables.
var chosen = strings.NewReplacer("$namespace", ".*", "$server", "mdm", "$__rate_interval", "5m")

var values = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)

// Each panel says what it shows and in which unit, and asks the data source that people chose for registered metrics; variables offer labels that exist.
func TestDashboardsNameRegisteredMetrics(t *testing.T) {
	known := metrics(t)
	for name, d := range read(t) {
		if d.SchemaVersion < 39 || d.UID != "kubemdm-"+name || d.Title == "" {
			t.Errorf("%s: schema version %d, uid %q, title %q", name, d.SchemaVersion, d.UID, d.Title)
		}
		if list := d.Templating.List; len(list) == 0 || list[0].Name != "datasource" || list[0].Type != "datasource" {
			t.Errorf("%s has no variable for the data source", name)
		}
		for _, v := range d.Templating.List[1:] {
			m := values.FindStringSubmatch(v.Query)
			if m == nil {
				t.Errorf("%s: the variable %s asks %q", name, v.Name, v.Query)
			} else if err := check("count by ("+m[2]+") ("+chosen.Replace(m[1])+")", known); err != nil {
				t.Errorf("%s: the variable %s: %v", name, v.Name, err)
			}
		}
		for _, p := range d.Panels {
			if p.Description == "" || p.FieldConfig.Defaults.Unit == "" || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 || p.GridPos.X+p.GridPos.W > 24 {
				t.Errorf("%s: the panel %q is not complete", name, p.Title)
			}
			for _, target := range p.Targets {
				if err := check(chosen.Replace(target.Expr), known); err != nil {
					t.Errorf("%s: the panel %q: %v", name, p.Title, err)
				}
			}
		}
	}
}

// TestPanelsShowSomething asks the queries of every panel of a fleet to which everything happens.
func TestPanelsShowSomething(t *testing.T) {
	var lines []string
	for _, c := range cases {
		lines = append(lines, c.firing...)
	}
	lines = append(world, lines...)
	seen := map[string]bool{}
	unique := lines[:0:0]
	for _, line := range lines {
		id, _, _ := strings.Cut(line, "} ")
		if !seen[id] {
			unique = append(unique, line)
		}
		seen[id] = true
	}
	mustBeReal(t, unique)
	storage := promqltest.LoadedStorage(t, "load 1m\n  "+strings.Join(unique, "\n  ")+"\n")
	defer func() { must(t, storage.Close()) }()
	engine := promqltest.NewTestEngine(t, false, 0, 1_000_000)
	for name, d := range read(t) {
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				query, err := engine.NewInstantQuery(t.Context(), storage, promqlengine.NewPrometheusQueryOpts(false, 0, nil), chosen.Replace(target.Expr), time.Unix(0, 0).Add(24*time.Hour))
				must(t, err)
				result := query.Exec(t.Context())
				must(t, result.Err)
				if vector, err := result.Vector(); err != nil || len(vector) == 0 {
					t.Errorf("%s: the panel %q shows nothing: %s", name, p.Title, target.Expr)
				}
				query.Close()
			}
		}
	}
}
