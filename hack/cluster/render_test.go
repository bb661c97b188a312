package main

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"github.com/kubemdm/kubemdm/test/golden"
)

// testCluster has its state and its binaries at made-up places.
func testCluster() *cluster {
	return &cluster{dir: "/state", port: defaultPort, builder: &builder{folders: map[string]string{
		kubernetesModule: "/cache/bin/kubernetes-1", containerdModule: "/cache/bin/containerd-1", certManagerModule: "/cache/bin/certmanager-1",
	}}}
}

func TestRenderedFiles(t *testing.T) {
	c := testCluster()
	for _, name := range []string{"containerd.toml", "cni.conflist", "kubelet.yaml", "kube-proxy.yaml"} {
		t.Run(name, func(t *testing.T) {
			got, err := render(name, c.settings())
			if err != nil {
				t.Fatal(err)
			}
			golden.Check(t, "testdata/"+name+".golden", got)
		})
	}
	t.Run("kubeconfig", func(t *testing.T) {
		got, err := render("kubeconfig", credentials{
			Server: c.server(), User: "admin", CA: []byte("ca"), Certificate: []byte("certificate"), Key: []byte("key"),
		})
		if err != nil {
			t.Fatal(err)
		}
		golden.Check(t, "testdata/kubeconfig.golden", got)
	})
}

func TestDaemonArguments(t *testing.T) {
	c := testCluster()
	daemons := append([]daemon{c.etcd(), c.containerd("/etc1"), c.apiserver(), c.certManager("/etc1")}, c.clients("/etc1")...)
	if len(daemons) != len(daemonNames) {
		t.Errorf("%d daemons are started and %d are looked after", len(daemons), len(daemonNames))
	}
	var got bytes.Buffer
	for _, d := range daemons {
		fmt.Fprintf(&got, "%s, listening on %v\n", c.artifact(d.name), d.listen)
		for _, arg := range d.args {
			fmt.Fprintf(&got, "  %s\n", arg)
		}
	}
	golden.Check(t, "testdata/daemons.golden", got.Bytes())
}

func TestConfigureNamesItsFolderByContent(t *testing.T) {
	c := testCluster()
	c.dir = t.TempDir()
	if err := ensurePKI(c.path("pki"), now); err != nil {
		t.Fatal(err)
	}
	configure := func() string {
		t.Helper()
		etc, err := c.configure()
		if err != nil {
			t.Fatal(err)
		}
		return etc
	}
	first := configure()
	if second := configure(); second != first {
		t.Errorf("the same configuration is in %s, then in %s", first, second)
	}
	c.port++
	if other := configure(); other == first {
		t.Error("another port gives the same folder: no daemon would be restarted")
	}
	admin, err := os.ReadFile(c.kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(admin, []byte(c.server())) {
		t.Errorf("the administrator's kubeconfig does not lead to %s", c.server())
	}
}
