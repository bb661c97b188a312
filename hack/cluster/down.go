package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	steps := []func() error{
		func() error { return killAll(ctx, ownProcesses) },
		c.unmountAll,
		func() error { return removeLinks(ctx) },
		func() error { return removeTables(ctx) },
		func() error { return removeCgroups(ctx) },
		c.removeFiles,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// ownFiles lists the files outside the state folder, whose places cannot be configured: results that the CNI library
// caches, links to container logs that the kubelet makes, and sockets of the shims.
func (c *cluster) ownFiles() ([]string, error) {
	var own []string
	for _, kind := range []struct {
		pattern string
		// refersTo returns the part of the file that names the state folder when it is the cluster's.
		refersTo func(file string) (string, error)
	}{
		{"/var/lib/cni/results/*", readText},
		{"/var/log/containers/*.log", os.Readlink},
	} {
		files, err := filepath.Glob(kind.pattern)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			if text, err := kind.refersTo(file); err == nil && strings.Contains(text, c.dir+"/") {
				own = append(own, file)
			}
		}
	}
	sockets, err := c.shimSockets()
	return append(own, sockets...), err
}

func readText(file string) (string, error) {
	content, err := os.ReadFile(file)
	return string(content), err
}

// shimSockets returns the sockets on which containerd reaches its shims, from what it noted beside each container.
func (c *cluster) shimSockets() ([]string, error) {
	notes, err := filepath.Glob(c.path("containerd/state/io.containerd.runtime.v2.task/k8s.io/*/bootstrap.json"))
	if err != nil {
		return nil, err
	}
	var sockets []string
	for _, note := range notes {
		var connection struct{ Address string }
		content, err := os.ReadFile(note)
		if err != nil || json.Unmarshal(content, &connection) != nil {
			continue // written only in part when containerd was killed: it had not used it
		}
		socket := strings.TrimPrefix(connection.Address, "unix://")
		if _, err := os.Stat(socket); err == nil && !slices.Contains(sockets, socket) {
			sockets = append(sockets, socket)
		}
	}
	return sockets, nil
}

func (c *cluster) removeFiles() error {
	own, err := c.ownFiles()
	for _, file := range own {
		err = errors.Join(err, os.Remove(file))
	}
	if err != nil || !c.claimed() {
		return err
	}
	mounts, err := c.ownMounts()
	if err != nil {
		return err
	}
	if len(mounts) > 0 {
		return fmt.Errorf("not removing %s: %s is still mounted there", c.dir, mounts[0])
	}
	return os.RemoveAll(c.dir)
}

// leftovers lists everything that is the cluster's, one line each; nothing after down.
func (c *cluster) leftovers(ctx context.Context) ([]string, error) {
	var found []string
	add := func(kind string, items []string) {
		for _, item := range items {
			found = append(found, kind+" "+item)
		}
	}
	running, err := ownProcesses()
	if err != nil {
		return nil, err
	}
	add("process", texts(running))
	mounts, err := c.ownMounts()
	if err != nil {
		return nil, err
	}
	add("mount", texts(mounts))
	links, err := ownLinks("/sys/class/net")
	if err != nil {
		return nil, err
	}
	add("link", links)
	tables, err := listOwnTables(ctx)
	if err != nil {
		return nil, err
	}
	add("nftables table", tables)
	cgroups, err := ownCgroups()
	if err != nil {
		return nil, err
	}
	add("cgroup", cgroups)
	files, err := c.ownFiles()
	if err != nil {
		return nil, err
	}
	add("file", files)
	if c.claimed() {
		add("folder", []string{c.dir})
	}
	return found, nil
}

func texts[T fmt.Stringer](items []T) []string {
	var list []string
	for _, item := range items {
		list = append(list, item.String())
	}
	return list
}
