package main

import "fmt"

// The modules below hack/cluster from which the artifacts are built.
const (
	kubernetesModule  = "kubernetes"
	containerdModule  = "containerd"
	certManagerModule = "certmanager"
	coreDNSModule     = "coredns"
	pauseProgram      = "pause"
)

// artifact is one file in the cache.
type artifact struct {
	// name of the file.
	name string
	// module is the folder below hack/cluster that says which versions are built.
	module string
	// pkg is the main package to compile.
	pkg string
	// seccomp links libseccomp, without which runc refuses every pod that the runtime's default profile confines.
	seccomp bool
	// image wraps the binary into an image archive of this reference, run by this user, and the archive is the artifact.
	image string
	user  string
	// copies names a folder inside the module pkg that is copied instead of compiled.
	copies string
}

// envtestArtifacts is what envtest needs; it comes first because integration tests wait for nothing else.
var envtestArtifacts = []artifact{
	{name: "kube-apiserver", module: kubernetesModule, pkg: "k8s.io/kubernetes/cmd/kube-apiserver"},
	{name: "etcd", module: kubernetesModule, pkg: "go.etcd.io/etcd/server/v3"},
	{name: "kubectl", module: kubernetesModule, pkg: "k8s.io/kubernetes/cmd/kubectl"},
}

var artifacts = append(envtestArtifacts[:len(envtestArtifacts):len(envtestArtifacts)], []artifact{
	{name: "kube-controller-manager", module: kubernetesModule, pkg: "k8s.io/kubernetes/cmd/kube-controller-manager"},
	{name: "kube-scheduler", module: kubernetesModule, pkg: "k8s.io/kubernetes/cmd/kube-scheduler"},
	{name: "kubelet", module: kubernetesModule, pkg: "k8s.io/kubernetes/cmd/kubelet"},
	{name: "kube-proxy", module: kubernetesModule, pkg: "k8s.io/kubernetes/cmd/kube-proxy"},
	{name: "containerd", module: containerdModule, pkg: "github.com/containerd/containerd/v2/cmd/containerd"},
	{name: "containerd-shim-runc-v2", module: containerdModule, pkg: "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2"},
	{name: "ctr", module: containerdModule, pkg: "github.com/containerd/containerd/v2/cmd/ctr"},
	{name: "runc", module: containerdModule, pkg: "github.com/opencontainers/runc", seccomp: true},
	{name: "bridge", module: containerdModule, pkg: "github.com/containernetworking/plugins/plugins/main/bridge"},
	{name: "loopback", module: containerdModule, pkg: "github.com/containernetworking/plugins/plugins/main/loopback"},
	{name: "host-local", module: containerdModule, pkg: "github.com/containernetworking/plugins/plugins/ipam/host-local"},
	{name: "pause.tar", module: pauseProgram, pkg: ".", image: pauseImage, user: "65535:65535"},
	{name: "coredns.tar", module: coreDNSModule, pkg: "github.com/coredns/coredns", image: coreDNSImage, user: "65532:65532"},
	{name: "certmanager", module: certManagerModule, pkg: "."},
	{name: "crds", module: certManagerModule, pkg: "github.com/cert-manager/cert-manager", copies: "deploy/crds"},
}...)

// The images that the cluster itself runs.
const (
	pauseImage   = "docker.io/kubemdm/pause:local"
	coreDNSImage = "docker.io/kubemdm/coredns:local"
)

// linkFlags returns the linker flags of the module's programs: no symbols, and for Kubernetes the version that its
// own build stamps in, since clients such as Helm decide by it.
func linkFlags(module string, versions map[string]string) string {
	flags := "-s -w"
	if module != kubernetesModule {
		return flags
	}
	version := versions["k8s.io/kubernetes"]
	var major, minor int
	if _, err := fmt.Sscanf(version, "v%d.%d.", &major, &minor); err != nil {
		return flags
	}
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		flags += fmt.Sprintf(" -X %[1]s.gitVersion=%[2]s -X %[1]s.gitMajor=%[3]d -X %[1]s.gitMinor=%[4]d", pkg, version, major, minor)
	}
	return flags
}
