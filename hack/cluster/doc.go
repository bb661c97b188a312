// Command cluster builds and runs a complete single-node Kubernetes (etcd, the control plane, kubelet, containerd,
// kube-proxy, CoreDNS and cert-manager) from Go modules, on a machine that has only Go and Debian's packages. README.md
// tells how it works and what it needs.
package main
