package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// tool is a program of the machine that the cluster cannot do without.
type tool struct {
	name    string
	why     string
	install string // Debian packages
}

func (t tool) check() error {
	if _, err := exec.LookPath(t.name); err != nil {
		return fmt.Errorf("%s is missing: %s (Debian: apt-get install %s)", t.name, t.why, t.install)
	}
	return nil
}

// checkBuildTools tells what is missing to build the artifacts.
func checkBuildTools(missing []artifact) error {
	for _, a := range missing {
		if !a.seccomp {
			continue
		}
		err := errors.Join(
			tool{"gcc", "runc is linked with libseccomp", "gcc libc6-dev"}.check(),
			tool{"pkg-config", "the build of runc finds libseccomp with it", "pkg-config"}.check(),
		)
		if err != nil {
			return err
		}
		if exec.Command("pkg-config", "--exists", "libseccomp").Run() != nil {
			return errors.New("libseccomp is missing: runc confines pods with it (Debian: apt-get install libseccomp-dev)")
		}
	}
	return nil
}

// checkMachine tells what is missing to run the cluster.
func checkMachine(ctx context.Context) error {
	err := errors.Join(
		tool{"ip", "it makes the network links", "iproute2"}.check(),
		tool{"nft", "kube-proxy makes Services with it", "nftables"}.check(),
		tool{"conntrack", "kube-proxy ends connections to pods that are gone with it", "conntrack"}.check(),
		tool{"mount", "the kubelet mounts volumes with it", "mount"}.check(),
	)
	if err != nil {
		return err
	}
	return errors.Join(checkOverlay(ctx), checkVeth(ctx), checkNftables(ctx))
}

// checkOverlay looks for the filesystem of container images, which a distribution may keep in a module.
func checkOverlay(ctx context.Context) error {
	for range 2 {
		filesystems, err := os.ReadFile("/proc/filesystems")
		if err != nil {
			return err
		}
		if bytes.Contains(filesystems, []byte("\toverlay\n")) {
			return nil
		}
		_ = exec.CommandContext(ctx, "modprobe", "overlay").Run() // the next look tells whether it helped
	}
	return errors.New("the kernel has no overlay filesystem, in which containers run: load or build the module `overlay`")
}

// checkVeth makes and removes a pair of links such as each pod gets.
func checkVeth(ctx context.Context) error {
	const probe = nodeLink + "probe"
	if _, err := command(ctx, "", "ip", "link", "add", probe, "type", "veth", "peer", "name", probe+"2"); err != nil {
		return fmt.Errorf("the kernel makes no veth links, which connect pods: load or build the module `veth`: %w", err)
	}
	_, err := command(ctx, "", "ip", "link", "delete", "dev", probe)
	return err
}

func checkNftables(ctx context.Context) error {
	if _, err := command(ctx, "", "nft", "list", "tables"); err != nil {
		return fmt.Errorf("the kernel has no nftables, with which Services work: load or build the module `nf_tables`: %w", err)
	}
	return nil
}
