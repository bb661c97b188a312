// Package monitoring tests what people see of an installation: the metrics, the alerts with their runbooks, the dashboards and the events.
//
// testdata/metrics.txt lists the metrics with their labels as the real registries gather them. The module in rules, which holds Prometheus' own engine,
// evaluates alerts and dashboards on series of these metrics and of no others.
package monitoring
