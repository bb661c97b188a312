// Package crd holds the CustomResourceDefinitions, so that programs can judge objects without a cluster.
package crd

import "embed"

// Bases has one file for each kind, as controller-gen writes them: bases/mdm.kubemdm.io_profiles.yaml.
//
//go:embed bases/mdm.kubemdm.io_*.yaml
var Bases embed.FS
