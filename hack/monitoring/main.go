// Command monitoring writes what is generated for people who watch an installation: the Grafana dashboards of the chart, and the PrometheusRule of
// config/prometheus from the chart's alerts. It runs in the root of the tree.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

const (
	alerts     = "charts/kubemdm/files/alerts/kubemdm.yaml"
	dashboards = "charts/kubemdm/files/dashboards"
	rules      = "config/prometheus/rules.yaml"
)

const rulesHead = `# Written by make manifests from charts/kubemdm/files/alerts/kubemdm.yaml.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: kubemdm
spec:
`

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	if err := writeRules(); err != nil {
		return err
	}
	if err := os.MkdirAll(dashboards, 0o755); err != nil {
		return err
	}
	for _, d := range all {
		text, err := encode(d.model())
		if err != nil {
			return fmt.Errorf("dashboard %s: %w", d.name, err)
		}
		if err := os.WriteFile(filepath.Join(dashboards, d.name+".json"), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// writeRules indents the groups of the alerts below the spec of a PrometheusRule.
func writeRules() error {
	text, err := os.ReadFile(alerts)
	if err != nil {
		return err
	}
	out := bytes.NewBufferString(rulesHead)
	for line := range bytes.Lines(text) {
		out.WriteString("  ")
		out.Write(line)
	}
	return os.WriteFile(rules, out.Bytes(), 0o644)
}

func encode(v any) ([]byte, error) {
	out := &bytes.Buffer{}
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false) // queries compare
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return out.Bytes(), err
}
