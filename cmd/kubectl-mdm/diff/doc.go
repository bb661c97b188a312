// Package diff is "kubectl mdm diff": what manifests would change in a cluster, and which devices would notice.
package diff
