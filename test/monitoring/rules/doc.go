// Package rules evaluates the alerts and dashboards of the chart with Prometheus' own parser, rules and engine. It is a module of its own, so that the operator
// does not depend on Prometheus.
package rules
