// Package standin plays what a cluster has and an API server alone lacks: cert-manager, the StatefulSet controller, and kubelet with the pod of
// an MDMServer, in which the real server runs.
package standin
