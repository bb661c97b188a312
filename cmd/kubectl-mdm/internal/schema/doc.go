// Package schema judges objects of mdm.kubemdm.io as an API server with this version's CRDs and webhooks does, without one.
package schema
