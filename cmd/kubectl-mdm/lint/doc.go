// Package lint is "kubectl mdm lint": it judges manifests without a cluster.
package lint
