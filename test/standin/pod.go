package standin

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver"
)

// Version is that of the servers in Pods.
const Version = "v1-test"

// Pod is a pod of a server. Its folder outlives a stop, as its volume would.
type Pod struct {
	cluster *Cluster
	name    string
	dir     string
	log     slog.Handler
	stop    func()

	mu        sync.Mutex
	addresses *mdmserver.Addresses // nil while it does not run
}

// Pod returns a pod of the server with a name, whose workload need not exist before it starts. Its server logs to a handler.
func (c *Cluster) Pod(name string, log slog.Handler) *Pod {
	return &Pod{cluster: c, name: name, dir: c.TempDir(), log: log, stop: func() {}}
}

// Mount is kubelet: it brings the volumes of the pod to its folder, as they are now, and returns the server's configuration from there.
func (p *Pod) Mount() *serverconfig.Config {
	c := p.cluster
	c.Helper()
	pod := c.template(p.name)
	paths := map[string]string{}
	for _, m := range pod.Containers[0].VolumeMounts {
		paths[m.Name] = filepath.Join(p.dir, m.MountPath)
		c.must(os.MkdirAll(paths[m.Name], 0o700))
	}
	for _, v := range pod.Volumes {
		files := c.files(v)
		for file, content := range files {
			c.must(os.WriteFile(filepath.Join(paths[v.Name], file), content, 0o600))
		}
		c.must(prune(paths[v.Name], files))
	}
	raw, err := os.ReadFile(filepath.Join(p.dir, strings.TrimPrefix(pod.Containers[0].Args[0], "--config=")))
	c.must(err)
	for _, root := range []string{"/etc/kubemdm", "/var/lib/kubemdm"} {
		raw = bytes.ReplaceAll(raw, []byte(`"`+root), []byte(`"`+p.dir+root))
	}
	config, err := serverconfig.Parse(raw)
	c.must(err)
	config.Listen = serverconfig.Listen{Devices: "127.0.0.1:0", Admin: "127.0.0.1:0", Health: "127.0.0.1:0"}
	config.LeaveTime = 0 // nobody but the test connects, and it knows who is gone
	return config
}

// files are what a volume mounts.
func (c *Cluster) files(v corev1.Volume) map[string][]byte {
	c.Helper()
	switch {
	case v.ConfigMap != nil:
		m := &corev1.ConfigMap{}
		c.mounted(v.ConfigMap.Name, m, v.ConfigMap.Optional)
		files := map[string][]byte{}
		for key, text := range m.Data {
			files[key] = []byte(text)
		}
		return chosen(files, v.ConfigMap.Items)
	case v.Secret != nil:
		secret := &corev1.Secret{}
		c.mounted(v.Secret.SecretName, secret, v.Secret.Optional)
		return chosen(secret.Data, v.Secret.Items)
	}
	return nil // tokens of service accounts, which are for others than the server
}

// mounted reads what a pod mounts. Without it the pod does not start, unless it is optional.
func (c *Cluster) mounted(name string, o client.Object, optional *bool) {
	c.Helper()
	if !c.get(name, o) && (optional == nil || !*optional) {
		c.Fatalf("the pod cannot start: there is no %T %s", o, name)
	}
}

// prune removes what a volume mounted before.
func prune(dir string, files map[string][]byte) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if _, there := files[e.Name()]; !there {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// chosen are the files that a volume mounts: of some keys, or of all.
func chosen(all map[string][]byte, items []corev1.KeyToPath) map[string][]byte {
	if len(items) == 0 {
		return all
	}
	files := map[string][]byte{}
	for _, item := range items {
		files[item.Path] = all[item.Key]
	}
	return files
}

// Start runs the server on what the pod mounts, until the test or Stop ends it.
func (p *Pod) Start() {
	c := p.cluster
	c.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s, err := mdmserver.Start(ctx, *p.Mount(), slog.New(p.log), Version)
	if err != nil {
		cancel()
		c.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	addresses := s.Addresses()
	p.at(&addresses)
	p.stop = sync.OnceFunc(func() {
		p.at(nil)
		cancel()
		if err := <-served; err != nil {
			c.Error(err)
		}
	})
	c.Cleanup(p.stop)
}

// Stop ends the server as kubelet does.
func (p *Pod) Stop() { p.stop() }

func (p *Pod) at(addresses *mdmserver.Addresses) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.addresses = addresses
}

var errStopped = errors.New("no server runs")

// AdminAddress is that of the internal API of the running server.
func (p *Pod) AdminAddress() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.addresses.Admin.String()
}

// DialAdmin opens a connection to the server's internal API, whatever the address.
func (p *Pod) DialAdmin(ctx context.Context, network, _ string) (net.Conn, error) {
	return p.dial(ctx, network, func(a *mdmserver.Addresses) net.Addr { return a.Admin })
}

// DialDevices opens a connection to the server as devices do, whatever the address.
func (p *Pod) DialDevices(ctx context.Context, network, _ string) (net.Conn, error) {
	return p.dial(ctx, network, func(a *mdmserver.Addresses) net.Addr { return a.Devices })
}

func (p *Pod) dial(ctx context.Context, network string, to func(*mdmserver.Addresses) net.Addr) (net.Conn, error) {
	p.mu.Lock()
	addresses := p.addresses
	p.mu.Unlock()
	if addresses == nil {
		return nil, errStopped
	}
	return new(net.Dialer).DialContext(ctx, network, to(addresses).String())
}
