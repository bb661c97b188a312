// Package openapi describes the kinds of live.mdm.kubemdm.io for kubectl explain, and for programs that are made from a description.
package openapi
