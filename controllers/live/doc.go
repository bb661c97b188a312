// Package live serves live.mdm.kubemdm.io, an aggregated API: what is too detailed for etcd is asked of the servers at the moment of the question. Every
// manager serves it, whether it leads or not, and stores nothing.
package live
