package monitoring

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const (
	root     = "../.."
	alerts   = root + "/charts/kubemdm/files/alerts/kubemdm.yaml"
	rules    = root + "/config/prometheus/rules.yaml"
	monitors = root + "/config/prometheus/monitors.yaml"
	runbooks = "https://github.com/kubemdm/kubemdm/blob/main/"
)

// groups are the groups of rules of a document.
type groups struct {
	Groups []struct {
		Name  string
		Rules []struct {
			Alert, Expr, For    string
			Labels, Annotations map[string]string
		}
	}
}

func read(t *testing.T, file string, into any) string {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	must(t, yaml.UnmarshalStrict(text, into))
	return string(text)
}

// Each alert says what is wrong, what to do, how urgent it is, and leads to a page that names it.
func TestAlertsLeadToRunbooks(t *testing.T) {
	var all groups
	read(t, alerts, &all)
	for _, group := range all.Groups {
		for _, rule := range group.Rules {
			if !slices.Contains([]string{"info", "warning", "critical"}, rule.Labels["severity"]) || rule.For == "" {
				t.Errorf("%s: severity %q, for %q", rule.Alert, rule.Labels["severity"], rule.For)
			}
			if len(rule.Annotations) != 3 || rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
				t.Errorf("%s has the annotations %v", rule.Alert, rule.Annotations)
			}
			page, ours := strings.CutPrefix(rule.Annotations["runbook_url"], runbooks)
			text, err := os.ReadFile(filepath.Join(root, page))
			if !ours || err != nil || filepath.Dir(page) != "docs/runbooks" {
				t.Errorf("%s leads to %q: %v", rule.Alert, page, err)
			} else if !strings.Contains(string(text), "`"+rule.Alert+"`") {
				t.Errorf("%s does not name %s, which leads to it", page, rule.Alert)
			}
		}
	}
}

// Whoever installs without Helm has the same alerts.
func TestThePrometheusRuleHasTheAlertsOfTheChart(t *testing.T) {
	var chart groups
	read(t, alerts, &chart)
	var rule struct {
		APIVersion, Kind string
		Metadata         struct{ Name string }
		Spec             groups
	}
	read(t, rules, &rule)
	if rule.Kind != "PrometheusRule" || !reflect.DeepEqual(rule.Spec, chart) {
		t.Error("config/prometheus/rules.yaml is not as make manifests writes it")
	}
}

// The labels by which alerts and dashboards tell objects and servers come from two settings of the monitors.
func TestMonitorsKeepNamespacesAndNameServers(t *testing.T) {
	for _, file := range []string{monitors, root + "/charts/kubemdm/templates/monitoring.yaml"} {
		text, err := os.ReadFile(file)
		must(t, err)
		for _, setting := range []string{"honorLabels: true", "__meta_kubernetes_pod_label_mdm_kubemdm_io_server", "targetLabel: server"} {
			if strings.Count(string(text), setting) != 1 {
				t.Errorf("%s lacks %s", file, setting)
			}
		}
	}
}
