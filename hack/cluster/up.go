package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

//go:embed manifests
var manifests embed.FS

// up makes the whole cluster run: it starts what is missing, replaces what runs with other arguments, and returns when
// pods, names, Services and certificates work.
func (c *cluster) up(ctx context.Context) error {
	unlock, err := c.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := checkMachine(ctx); err != nil {
		return err
	}
	if err := c.build(ctx, artifacts); err != nil {
		return err
	}
	if err := c.claim(); err != nil {
		return err
	}
	if err := enterCgroup(); err != nil {
		return err
	}
	if err := ensurePKI(c.path("pki"), time.Now()); err != nil {
		return err
	}
	etc, err := c.configure()
	if err != nil {
		return err
	}
	if err := ensureNodeLink(ctx); err != nil {
		return err
	}
	if err := c.startDaemons(ctx, etc); err != nil {
		return err
	}
	return c.settle(ctx)
}

// startDaemons starts them in the order in which they need each other.
func (c *cluster) startDaemons(ctx context.Context, etc string) error {
	for _, d := range []daemon{c.etcd(), c.containerd(etc), c.apiserver()} {
		if err := c.start(ctx, d, etc); err != nil {
			return err
		}
	}
	if err := c.await(ctx, "containerd and the images", c.ensureImages, "containerd"); err != nil {
		return err
	}
	if err := c.await(ctx, "the apiserver", c.apiserverReady, "etcd", "kube-apiserver"); err != nil {
		return err
	}
	for _, d := range c.clients(etc) {
		if err := c.start(ctx, d, etc); err != nil {
			return err
		}
	}
	if err := c.applyManifests(ctx); err != nil {
		return err
	}
	return c.start(ctx, c.certManager(etc), etc)
}

// settle waits until everything works.
func (c *cluster) settle(ctx context.Context) error {
	if err := c.await(ctx, "the node", c.nodeReady, "kubelet", "containerd"); err != nil {
		return err
	}
	if err := c.await(ctx, "volumes", c.ensureDefaultVolumes, "kube-controller-manager"); err != nil {
		return err
	}
	if err := c.await(ctx, "cluster DNS", c.dnsWorks, "kube-proxy", "kubelet", "kube-controller-manager", "kube-scheduler"); err != nil {
		return err
	}
	return c.await(ctx, "cert-manager", c.certManagerReady, "certmanager")
}

// await polls until ready. It gives up at once when a daemon that this needs has ended, and shows the end of its log.
func (c *cluster) await(ctx context.Context, what string, ready func(context.Context) error, needed ...string) error {
	var ended error
	err := poll(ctx, 2*time.Minute, what, func() (bool, error) {
		ended = c.ended(needed)
		if ended == nil {
			err := ready(ctx)
			return err == nil, err
		}
		return true, nil
	})
	if err = errors.Join(ended, err); err != nil {
		return err
	}
	c.progress("%s: ready", what)
	return nil
}

// ended returns an error that tells why for each of the daemons that is not running.
func (c *cluster) ended(daemons []string) error {
	var ended error
	for _, name := range daemons {
		running, err := c.running(name)
		if err == nil && len(running) == 0 {
			err = fmt.Errorf("%s has ended; its log %s ends with:\n%s", name, c.log(name), lastLines(c.log(name), 15))
		}
		ended = errors.Join(ended, err)
	}
	return ended
}

func (c *cluster) apiserverReady(ctx context.Context) error {
	_, err := c.kubectl(ctx, "", "get", "--raw=/readyz")
	return err
}

// ensureImages loads the images of the cluster itself unless they are there.
func (c *cluster) ensureImages(ctx context.Context) error {
	loaded, err := c.ctr(ctx, "images", "list", "--quiet")
	if err != nil {
		return err
	}
	for image, archive := range map[string]string{pauseImage: "pause.tar", coreDNSImage: "coredns.tar"} {
		if slices.Contains(strings.Fields(loaded), image) {
			continue
		}
		if _, err := c.ctr(ctx, "images", "import", c.artifact(archive)); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) applyManifests(ctx context.Context) error {
	for _, name := range []string{"coredns.yaml", "storage.yaml"} {
		if err := c.applyEmbedded(ctx, name); err != nil {
			return err
		}
	}
	if _, err := c.kubectl(ctx, "", "apply", "--server-side", "--force-conflicts", "-f", c.artifact("crds")); err != nil {
		return err
	}
	// The apiserver serves a new kind a moment after it has accepted its definition.
	return poll(ctx, 30*time.Second, "cert-manager's kinds", func() (bool, error) {
		err := c.applyEmbedded(ctx, "cert-manager.yaml")
		return err == nil, err
	})
}

func (c *cluster) applyEmbedded(ctx context.Context, name string) error {
	content, err := manifests.ReadFile("manifests/" + name)
	if err != nil {
		return err
	}
	return c.apply(ctx, string(content))
}

func (c *cluster) ensureDefaultVolumes(ctx context.Context) error {
	return c.ensureVolumes(ctx, defaultVolumes)
}

func (c *cluster) nodeReady(ctx context.Context) error {
	return c.condition(ctx, "Ready", "node/"+nodeName)
}

func (c *cluster) certManagerReady(ctx context.Context) error {
	return c.condition(ctx, "Ready", "clusterissuer/selfsigned")
}

// condition returns an error unless the condition of the object is True.
func (c *cluster) condition(ctx context.Context, kind, object string) error {
	var o struct {
		Status struct {
			Conditions []struct{ Type, Status, Message string }
		}
	}
	if err := c.get(ctx, &o, object); err != nil {
		return err
	}
	for _, condition := range o.Status.Conditions {
		if condition.Type == kind && condition.Status == "True" {
			return nil
		} else if condition.Type == kind {
			return fmt.Errorf("%s is not %s: %s", object, kind, condition.Message)
		}
	}
	return fmt.Errorf("%s has no condition %s yet", object, kind)
}

// dnsWorks resolves the apiserver's name by the Service of CoreDNS, which proves kube-proxy, the pod network and CoreDNS.
func (c *cluster) dnsWorks(ctx context.Context) error {
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", net.JoinHostPort(dnsAddress, "53"))
	}}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	addresses, err := resolver.LookupHost(ctx, "kubernetes.default.svc.cluster.local.")
	if err != nil {
		return err
	}
	if !slices.Contains(addresses, serviceAddress) {
		return fmt.Errorf("kubernetes.default resolves to %v instead of %s", addresses, serviceAddress)
	}
	return nil
}

// progress prints one line with the seconds since the start.
func (c *cluster) progress(format string, args ...any) {
	fmt.Fprintf(c.out, "%5.1fs  %s\n", time.Since(c.begun).Seconds(), fmt.Sprintf(format, args...))
}
