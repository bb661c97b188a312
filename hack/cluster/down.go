package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

// ownFiles lists the files outside the state folder: links to container logs that the kubelet makes, results that the
// CNI library caches, sockets of the shims. None of their places can be configured.
func (c *cluster) ownFiles() ([]string, error) {
	own, err := filepath.Glob("/var/lib/cni/results/" + podNetwork + "-*")
	if err != nil {
		return nil, err
	}
	logs, err := filepath.Glob("/var/log/containers/*.log")
	if err != nil {
		return nil, err
	}
	for _, log := range logs {
		if target, err := os.Readlink(log); err == nil && strings.HasPrefix(target, c.dir+"/") {
			own = append(own, log)
		}
	}
	return own, nil
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
