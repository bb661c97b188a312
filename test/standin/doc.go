// Package standin plays what a cluster has and an API server alone lacks: cert-manager, the controllers of workloads, and kubelet with the
// pods of an MDMServer, in which the real server runs.
package standin
