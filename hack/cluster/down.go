package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// down removes everything that is the cluster's, whatever state it is in: nothing is asked to stop, so it works the same
// after a crash of any part.
func (c *cluster) down(ctx context.Context) error {
	unlock, err := c.lock()
	if err != nil {
		return err
	}
	defer unlock()
	// Processes first: they would make the rest again. Mounts before the folder, or removing it would reach through them.
	steps := []func(context.Context) error{
		func(ctx context.Context) error { return killAll(ctx, ownProcesses) },
		c.unmountAll,
		removeLinks,
		removeTables,
		removeCgroups,
		c.removeFiles,
		c.removeFolder,
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// ownFiles lists the files outside the state folder, whose places cannot be configured: results that the CNI library
// caches and links to container logs, known by the path of the state folder in them, and sockets of shims and the
// kubelet, known by nobody listening on them any more.
func (c *cluster) ownFiles() ([]string, error) {
	refersHere := func(text []byte, err error) bool { return err == nil && bytes.Contains(text, []byte(c.dir+"/")) }
	return globAny(map[string]func(path string) bool{
		"/var/lib/cni/results/*": func(path string) bool { return refersHere(os.ReadFile(path)) },
		"/var/log/containers/*.log": func(path string) bool {
			target, err := os.Readlink(path)
			return refersHere([]byte(target), err)
		},
		"/run/containerd/s/*":                    isDeadSocket,
		"/var/lib/kubelet/device-plugins/*.sock": isDeadSocket,
	})
}

// globAny returns the files that match one of the patterns and satisfy its condition.
func globAny(conditions map[string]func(path string) bool) ([]string, error) {
	var found []string
	for pattern, condition := range conditions {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			if condition(path) {
				found = append(found, path)
			}
		}
	}
	return found, nil
}

func isDeadSocket(path string) bool {
	connection, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "unix", path)
	if err == nil {
		_ = connection.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

func (c *cluster) removeFiles(context.Context) error {
	own, err := c.ownFiles()
	for _, file := range own {
		err = errors.Join(err, os.Remove(file))
	}
	return err
}

// removeFolder removes the state folder, unless it is not this program's or removing it would reach through a mount.
func (c *cluster) removeFolder(context.Context) error {
	if !c.claimed() {
		return nil
	}
	mounts, err := c.ownMounts()
	if err != nil {
		return err
	}
	if len(mounts) > 0 {
		return fmt.Errorf("not removing %s: %s is mounted there", c.dir, mounts[0])
	}
	return os.RemoveAll(c.dir)
}

// leftovers lists everything that is the cluster's, one line each; nothing after down.
func (c *cluster) leftovers(ctx context.Context) ([]string, error) {
	var found []string
	for _, kind := range []struct {
		name string
		list func() ([]string, error)
	}{
		{"process", func() ([]string, error) { return texts(ownProcesses()) }},
		{"mount", func() ([]string, error) { return texts(c.ownMounts()) }},
		{"link", func() ([]string, error) { return ownLinks("/sys/class/net") }},
		{"nftables table", func() ([]string, error) { return listOwnTables(ctx) }},
		{"cgroup", ownCgroups},
		{"file", c.ownFiles},
		{"folder", c.ownFolders},
	} {
		items, err := kind.list()
		if err != nil {
			return nil, err
		}
		for _, item := range items {
			found = append(found, kind.name+" "+item)
		}
	}
	return found, nil
}

func (c *cluster) ownFolders() ([]string, error) {
	if !c.claimed() {
		return nil, nil
	}
	return []string{c.dir}, nil
}

func texts[T fmt.Stringer](items []T, err error) ([]string, error) {
	var list []string
	for _, item := range items {
		list = append(list, item.String())
	}
	return list, err
}
