package main

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mountTable has a container's root, a namespace, a volume with a space in its name, a folder that only begins like the
// state folder, and hierarchies of cgroup v1 and v2.
const mountTable = `22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
31 22 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
32 22 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
33 22 0:29 /outer /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
34 22 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
40 22 254:0 /x /state/kubelet rw,relatime shared:1 - ext4 /dev/vda rw
41 22 0:60 / /state/containerd/rootfs rw,relatime - overlay overlay rw,lowerdir=/a
42 22 0:4 net:[4026532208] /state/netns/cni-1 rw shared:9 master:1 - nsfs nsfs rw
43 40 0:61 / /state/kubelet/a\040b rw - tmpfs tmpfs rw
44 22 0:62 / /state2/kubelet rw - tmpfs tmpfs rw
`

func TestOwnMountsAreThoseInTheStateFolder(t *testing.T) {
	mounts, err := parseMounts(strings.NewReader(mountTable))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range mountsBelow("/state", mounts) {
		got = append(got, m.String())
	}
	want := []string{
		"/state/kubelet (ext4)", "/state/containerd/rootfs (overlay)", "/state/netns/cni-1 (nsfs)", "/state/kubelet/a b (tmpfs)",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestAMountTableThatIsNoneIsRefused(t *testing.T) {
	for _, table := range []string{"nonsense\n", "1 2 3 4 5 6 7\n", "22 1 254:0 / / rw - ext4\n"} {
		if mounts, err := parseMounts(strings.NewReader(table)); err == nil {
			t.Errorf("%q was read as %v", table, mounts)
		}
	}
}

func FuzzParseMounts(f *testing.F) {
	f.Add(mountTable)
	f.Fuzz(func(t *testing.T, table string) {
		mounts, err := parseMounts(strings.NewReader(table))
		if err == nil && len(mounts) > strings.Count(table, " - ") {
			t.Errorf("%d mounts from %q", len(mounts), table)
		}
	})
}

func TestCgroupFolder(t *testing.T) {
	mounts, err := parseMounts(strings.NewReader(mountTable))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		line string // of /proc/PID/cgroup
		want string
	}{
		{line: "1:cpu:/", want: "/sys/fs/cgroup/cpu"},
		{line: "4:memory:/session/1", want: "/sys/fs/cgroup/memory/session/1"},
		{line: "0::/user.slice", want: "/sys/fs/cgroup/unified/user.slice"},
		{line: "8:pids:/outer/inner", want: "/sys/fs/cgroup/pids/inner"},
		{line: "8:pids:/elsewhere"}, // outside what is mounted
		{line: "9:name=systemd:/"},  // not mounted
	} {
		memberships := parseCgroups(strings.NewReader(test.line + "\n"))
		if len(memberships) != 1 {
			t.Fatalf("%q was read as %v", test.line, memberships)
		}
		if got, ok := memberships[0].folder(mounts); got != test.want || ok != (test.want != "") {
			t.Errorf("%q is at %q (%v), want %q", test.line, got, ok, test.want)
		}
	}
}

func FuzzParseCgroups(f *testing.F) {
	f.Add("4:memory:/session/1\n0::/kubemdm-cluster/daemons\n")
	f.Fuzz(func(t *testing.T, content string) {
		for _, m := range parseCgroups(strings.NewReader(content)) {
			if !strings.Contains(content, ":"+m.controllers+":"+m.path) {
				t.Errorf("%+v from %q", m, content)
			}
		}
	})
}

func TestOwnProcessesAreThoseInTheCgroup(t *testing.T) {
	proc := t.TempDir()
	for pid, p := range map[int]struct{ cgroup, cmdline string }{
		10: {cgroup: "1:cpu:/\n4:memory:/session/1/kubemdm-cluster\n", cmdline: "/cache/bin/etcd\x00--data-dir=x\x00"},
		11: {cgroup: "0::/kubemdm-cluster/kubepods/besteffort/pod1/c1\n", cmdline: "/manager\x00"},
		12: {cgroup: "0::/user.slice\n", cmdline: "/cache/bin/etcd\x00--data-dir=x\x00"},
		13: {cgroup: "0::/kubemdm-cluster-of-another\n", cmdline: "etcd\x00"},
		14: {cgroup: "0::/kubemdm-cluster/daemons\n", cmdline: ""}, // a zombie
	} {
		dir := filepath.Join(proc, strconv.Itoa(pid))
		writeFile(t, filepath.Join(dir, "cgroup"), p.cgroup)
		writeFile(t, filepath.Join(dir, "cmdline"), p.cmdline)
	}
	writeFile(t, filepath.Join(proc, "self", "cmdline"), "not a number\x00")

	all, err := processes(proc)
	if err != nil {
		t.Fatal(err)
	}
	var own []string
	for _, p := range all {
		if inOwnCgroup(proc, p.pid) {
			own = append(own, p.String())
		}
	}
	if want := []string{"10 /cache/bin/etcd --data-dir=x", "11 /manager"}; !slices.Equal(own, want) {
		t.Errorf("got  %q\nwant %q", own, want)
	}
}

func TestOwnLinksAreTheBridgesAndThePodsEnds(t *testing.T) {
	sys := t.TempDir()
	for name, bridge := range map[string]string{"lo": "", "eth0": "", nodeLink: "", podBridge: "", "veth1": podBridge, "veth2": "docker0"} {
		if err := os.Mkdir(filepath.Join(sys, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if bridge == "" {
			continue
		}
		if err := os.Symlink("../"+bridge, filepath.Join(sys, name, "master")); err != nil {
			t.Fatal(err)
		}
	}
	got, err := ownLinks(sys)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{nodeLink, podBridge, "veth1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOwnTables(t *testing.T) {
	const listing = "table inet filter\ntable ip kube-proxy\ntable ip6 kube-proxy\ntable ip kube-proxy-of-another\n"
	if got, want := ownTables(listing, false), []string{"ip kube-proxy", "ip6 kube-proxy"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := ownTables(listing, true); len(got) > 0 {
		t.Errorf("while another kube-proxy runs, %q are taken for ours", got)
	}
}

func TestDeadSockets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false) // as a shim that is killed
	if isDeadSocket(path) {
		t.Error("a socket with a listener is taken for dead")
	}
	listener.Close()
	if !isDeadSocket(path) {
		t.Error("a socket without a listener is taken for living")
	}
}

func TestOnlyAFolderOfItsOwnIsClaimedAndRemoved(t *testing.T) {
	dir := t.TempDir()
	treasure := filepath.Join(dir, "treasure")
	writeFile(t, treasure, "")
	foreign := &cluster{dir: dir}
	if err := foreign.claim(); err == nil {
		t.Error("a folder with files of others was claimed")
	}
	if err := foreign.removeFolder(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(treasure); err != nil {
		t.Error(err)
	}

	own := &cluster{dir: filepath.Join(dir, "state")}
	for range 2 { // the second time it is there
		if err := own.claim(); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, own.path("etcd/data"), "")
	if err := own.removeFolder(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(own.dir); !os.IsNotExist(err) {
		t.Errorf("the state folder is still there: %v", err)
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
