// Package live reads the live view (the API group live.mdm.kubemdm.io) for verbs of kubectl mdm. A cluster may lack it, or not answer in time, or refuse a
// person: verbs that read go on with the custom resources then, and say in a line what is missing.
package live
