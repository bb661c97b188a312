package main

import "fmt"

// daemon is a process of the cluster on the machine itself.
type daemon struct {
	name string // of its artifact
	args []string
	// listen has the addresses that must be free before it starts.
	listen []string
}

var daemonNames = []string{
	"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "containerd", "kubelet", "kube-proxy", "certmanager",
}

// etcd and the runtime need nothing of the others; everything else needs the apiserver.
func (c *cluster) etcd() daemon {
	return daemon{name: "etcd", listen: []string{"127.0.0.1:2379", "127.0.0.1:2380"}, args: []string{
		"--data-dir=" + c.path("etcd"),
		"--listen-client-urls=https://127.0.0.1:2379",
		"--advertise-client-urls=https://127.0.0.1:2379",
		"--listen-peer-urls=https://127.0.0.1:2380",
		"--initial-advertise-peer-urls=https://127.0.0.1:2380",
		"--initial-cluster=default=https://127.0.0.1:2380",
		"--cert-file=" + c.path("pki/etcd.crt"),
		"--key-file=" + c.path("pki/etcd.key"),
		"--trusted-ca-file=" + c.path("pki/etcd-ca.crt"),
		"--client-cert-auth=true",
		"--peer-cert-file=" + c.path("pki/etcd.crt"),
		"--peer-key-file=" + c.path("pki/etcd.key"),
		"--peer-trusted-ca-file=" + c.path("pki/etcd-ca.crt"),
		"--peer-client-cert-auth=true",
		"--unsafe-no-fsync", // a power cut may lose the cluster, which is for tests
	}}
}

func (c *cluster) containerd(etc string) daemon {
	return daemon{name: "containerd", args: []string{"--config=" + etc + "/containerd.toml"}}
}

func (c *cluster) apiserver() daemon {
	return daemon{name: "kube-apiserver", listen: []string{fmt.Sprintf("%s:%d", nodeAddress, c.port)}, args: []string{
		"--etcd-servers=https://127.0.0.1:2379",
		"--etcd-cafile=" + c.path("pki/etcd-ca.crt"),
		"--etcd-certfile=" + c.path("pki/apiserver-etcd-client.crt"),
		"--etcd-keyfile=" + c.path("pki/apiserver-etcd-client.key"),
		"--bind-address=" + nodeAddress,
		fmt.Sprintf("--secure-port=%d", c.port),
		"--tls-cert-file=" + c.path("pki/apiserver.crt"),
		"--tls-private-key-file=" + c.path("pki/apiserver.key"),
		"--client-ca-file=" + c.path("pki/ca.crt"),
		"--kubelet-client-certificate=" + c.path("pki/apiserver-kubelet-client.crt"),
		"--kubelet-client-key=" + c.path("pki/apiserver-kubelet-client.key"),
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-key-file=" + c.path("pki/service-account.crt"),
		"--service-account-signing-key-file=" + c.path("pki/service-account.key"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-cluster-ip-range=" + serviceCIDR,
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		// Aggregated APIs.
		"--requestheader-client-ca-file=" + c.path("pki/front-proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + c.path("pki/front-proxy-client.crt"),
		"--proxy-client-key-file=" + c.path("pki/front-proxy-client.key"),
	}}
}

// clients returns the daemons that need the apiserver.
func (c *cluster) clients(etc string) []daemon {
	kubeconfig := func(user string) string { return "--kubeconfig=" + etc + "/" + user + ".kubeconfig" }
	return []daemon{
		{name: "kube-controller-manager", listen: []string{"127.0.0.1:10257"}, args: []string{
			kubeconfig("kube-controller-manager"),
			"--bind-address=127.0.0.1",
			"--leader-elect=false",
			"--use-service-account-credentials=true",
			"--service-account-private-key-file=" + c.path("pki/service-account.key"),
			"--root-ca-file=" + c.path("pki/ca.crt"),
			"--flex-volume-plugin-dir=" + c.path("kubelet/volume-plugins"),
			"--cluster-signing-cert-file=" + c.path("pki/ca.crt"),
			"--cluster-signing-key-file=" + c.path("pki/ca.key"),
		}},
		{name: "kube-scheduler", listen: []string{"127.0.0.1:10259"}, args: []string{
			kubeconfig("kube-scheduler"),
			"--bind-address=127.0.0.1",
			"--leader-elect=false",
		}},
		{name: "kubelet", listen: []string{nodeAddress + ":10250", "127.0.0.1:10248"}, args: []string{
			kubeconfig("node"),
			"--config=" + etc + "/kubelet.yaml",
			"--hostname-override=" + nodeName,
			"--node-ip=" + nodeAddress, // a loopback address would leave `kubectl logs` without one
			"--root-dir=" + c.path("kubelet"),
			"--cert-dir=" + c.path("kubelet/pki"),
		}},
		{name: "kube-proxy", listen: []string{"127.0.0.1:10249", "127.0.0.1:10256"}, args: []string{
			"--config=" + etc + "/kube-proxy.yaml",
		}},
	}
}

// certManager needs its kinds in the apiserver.
func (c *cluster) certManager(etc string) daemon {
	return daemon{name: "certmanager", args: []string{"--kubeconfig=" + etc + "/certmanager.kubeconfig"}}
}
