// Package teardown asserts that the local cluster leaves nothing behind on its machine. It starts and stops the cluster that the other system
// tests use, and is therefore the last of them.
package teardown

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/test/system/harness"
)

// TestDownLeavesNothing compares the machine before the cluster was started with the machine after it was stopped, with pods, volumes and
// Services of a fleet in between. It looks for itself and does not ask hack/cluster what is its own.
func TestDownLeavesNothing(t *testing.T) {
	local(t, "down")
	before := snapshot(t)
	local(t, "up")
	during := snapshot(t)
	if len(missing(during, before)) == 0 {
		t.Fatal("the cluster is not seen on the machine: the comparison would prove nothing")
	}
	run(t)
	local(t, "down")
	if left := missing(snapshot(t), before); len(left) > 0 {
		t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
	}
	local(t, "leftovers")
}

// run loads the images and takes the cluster to a server with a volume, pods and Services.
func run(t *testing.T) {
	t.Helper()
	if err := harness.LoadImages(t.Context(), io.Discard); err != nil {
		t.Fatal(err)
	}
	c, err := harness.Connect()
	if err != nil {
		t.Fatal(err)
	}
	walk := &harness.Walk{Cluster: c, Namespace: "kubemdm-teardown"}
	harness.Take(t, walk.ToServer()...)
}

func local(t *testing.T, args ...string) {
	t.Helper()
	out := &bytes.Buffer{}
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	if err := harness.LocalCluster(ctx, out, args...); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// places are where containerd, CNI and kubelet leave things when nobody tells them otherwise, and where cgroups are (of version 1 and 2).
var places = []string{
	"/run/netns/*", "/run/containerd/*", "/var/lib/kubelet/*", "/var/lib/cni/*/*", "/etc/cni/net.d/*", "/var/log/pods/*", "/var/log/containers/*",
	"/sys/fs/cgroup/*", "/sys/fs/cgroup/*/*",
}

// snapshot lists what a cluster could leave behind.
func snapshot(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	add := func(kind string, lines ...string) {
		for _, line := range lines {
			if line != "" {
				found[kind+" "+line] = true
			}
		}
	}
	add("process", processes(t)...)
	add("mount", mounts(t)...)
	for _, pattern := range places {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		add("file", files...)
	}
	add("link", output(t, "ip", "-oneline", "link", "show")...)
	add("route", output(t, "ip", "route", "show")...)
	add("table", output(t, "nft", "list", "tables")...)
	return found
}

// integrationTests is in the arguments of the etcd and kube-apiserver that envtest starts, perhaps at this moment.
const integrationTests = "k8s_test_framework"

// processes lists the programs of the cluster and of its pods.
func processes(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil { // processes come and go
			continue
		}
		arguments := strings.Split(strings.TrimRight(string(b), "\x00"), "\x00")
		if slices.Contains(clusterPrograms, filepath.Base(arguments[0])) && !bytes.Contains(b, []byte(integrationTests)) {
			lines = append(lines, fmt.Sprint(filepath.Base(filepath.Dir(file)), " ", strings.Join(arguments, " ")))
		}
	}
	return lines
}

// clusterPrograms are those of the cluster and of its pods. Others may start at any time for reasons of their own.
var clusterPrograms = append([]string{
	"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "containerd", "containerd-shim-runc-v2",
	"runc", "coredns", "certmanager", "pause",
}, harness.Programs...)

func mounts(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(b), "\n")
}

func output(t *testing.T, name string, args ...string) []string {
	t.Helper()
	b, err := exec.CommandContext(t.Context(), name, args...).Output()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return strings.Split(string(b), "\n")
}

// missing are the entries that are in a and not in b, sorted.
func missing(a, b map[string]bool) []string {
	var lines []string
	for line := range a {
		if !b[line] {
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return lines
}
