package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// The names and addresses of the cluster. The reference network configuration keeps clear of common home and office
// ranges; traffic to these addresses never leaves the machine.
const (
	nodeName       = "kubemdm"
	nodeLink       = "mdm0"
	nodeAddress    = "10.243.0.1"
	podBridge      = "mdmcni0"
	podCIDR        = "10.244.0.0/24"
	podNetwork     = "kubemdm"
	serviceCIDR    = "10.96.0.0/16"
	serviceAddress = "10.96.0.1" // of Service kubernetes
	dnsAddress     = "10.96.0.10"
	defaultPort    = 6443
)

// marker is a file that only `up` creates: a folder without it is never removed.
const marker = ".kubemdm-cluster"

// maxDirLength leaves room for the kubelet's longest socket path below the folder; Linux takes 107 bytes.
const maxDirLength = 70

// cluster is the one cluster of this machine.
type cluster struct {
	dir   string // state folder, absolute
	port  int    // of the apiserver
	begun time.Time
	*builder
}

// newCluster returns the cluster whose state is in KUBEMDM_CLUSTER_DIR, by default the folder cluster in the cache.
func newCluster(out io.Writer) (*cluster, error) {
	dir := os.Getenv("KUBEMDM_CLUSTER_DIR")
	if dir == "" {
		cache, err := cacheFolder()
		if err != nil {
			return nil, err
		}
		dir = filepath.Join(cache, "cluster")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if len(dir) > maxDirLength {
		return nil, fmt.Errorf("the state folder %s has more than %d bytes, too long for the sockets in it: set KUBEMDM_CLUSTER_DIR", dir, maxDirLength)
	}
	b, err := newBuilder(out)
	if err != nil {
		return nil, err
	}
	return &cluster{dir: dir, port: defaultPort, begun: time.Now(), builder: b}, nil
}

// lock keeps a second run that changes the cluster waiting until this one ends.
func (c *cluster) lock() (unlock func(), err error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("root is needed: containers, network links and mounts belong to the machine (run it with sudo, or use a cluster you have)")
	}
	return lockFile(c.dir + ".lock")
}

// claim makes the state folder, or refuses one that holds something else.
func (c *cluster) claim() error {
	if c.claimed() {
		return nil
	}
	entries, err := os.ReadDir(c.dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty and was not made by this program: set KUBEMDM_CLUSTER_DIR to another folder", c.dir)
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(c.path(marker), nil, 0o600)
}

// requireUp tells when there is no cluster to work with.
func (c *cluster) requireUp() error {
	if !c.claimed() {
		return errors.New("there is no cluster: start it with `up`")
	}
	return nil
}

// claimed reports whether the state folder exists and is this program's.
func (c *cluster) claimed() bool {
	_, err := os.Stat(c.path(marker))
	return err == nil
}

// path returns the path of a file in the state folder.
func (c *cluster) path(elements ...string) string {
	return filepath.Join(append([]string{c.dir}, elements...)...)
}

// kubeconfig is the path of the administrator's kubeconfig.
func (c *cluster) kubeconfig() string { return c.path("admin.kubeconfig") }

// server is the URL of the apiserver, for programs on this machine and for pods.
func (c *cluster) server() string { return fmt.Sprintf("https://%s:%d", nodeAddress, c.port) }
