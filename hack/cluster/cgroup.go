package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// cgroupName is the cgroup below which everything of the cluster lives, in every hierarchy.
const cgroupName = "kubemdm-cluster"

// isOwnCgroup reports whether the path is that cgroup or below it.
func isOwnCgroup(path string) bool {
	return slices.Contains(strings.Split(path, "/"), cgroupName)
}

// membership is one line of /proc/PID/cgroup; see cgroups(7).
type membership struct {
	controllers string // as mounted, such as cpu,cpuacct or name=systemd; empty for the unified hierarchy
	path        string
}

func parseCgroups(r io.Reader) []membership {
	var list []membership
	for scanner := bufio.NewScanner(r); scanner.Scan(); {
		if fields := strings.SplitN(scanner.Text(), ":", 3); len(fields) == 3 {
			list = append(list, membership{controllers: fields[1], path: fields[2]})
		}
	}
	return list
}

// folder returns where the cgroup of the membership is mounted.
func (m membership) folder(mounts []mount) (string, bool) {
	for _, mnt := range mounts {
		mounted := mnt.fstype == "cgroup2" && m.controllers == "" ||
			mnt.fstype == "cgroup" && m.controllers != "" && mnt.hasOptions(m.controllers)
		if !mounted {
			continue
		}
		if below, err := filepath.Rel(mnt.root, m.path); err == nil && !strings.HasPrefix(below, "..") {
			return filepath.Join(mnt.point, below), true
		}
	}
	return "", false
}

// enterCgroup moves this process, and so every process that it will start, into the cluster's cgroup, and makes the one
// below which the kubelet will put pods.
//
// With cgroup v1 the former is a child of the cgroup this process is in: the limits it was given keep holding. The
// unified hierarchy allows no processes in an inner cgroup, so there it is a child of the pods' one.
func enterCgroup() error {
	mounts, err := readMounts()
	if err != nil {
		return err
	}
	file, err := os.Open("/proc/self/cgroup")
	if err != nil {
		return err
	}
	defer file.Close()
	memberships := parseCgroups(file)
	unified := len(memberships) == 1
	for _, m := range memberships {
		if m.controllers == "" && !unified {
			continue // the hierarchy of systemd, without controllers
		}
		pods, ok := membership{m.controllers, "/" + cgroupName}.folder(mounts)
		if !ok {
			return fmt.Errorf("the cgroup hierarchy %q is not mounted: mount it below /sys/fs/cgroup", m.controllers)
		}
		daemons := filepath.Join(pods, "daemons")
		if !unified {
			daemons, _ = membership{m.controllers, filepath.Join(m.path, cgroupName)}.folder(mounts)
		}
		if err := errors.Join(makeCgroup(pods), makeCgroup(daemons)); err != nil {
			return fmt.Errorf("making the cluster's cgroups: %w", err)
		}
		if err := os.WriteFile(filepath.Join(daemons, "cgroup.procs"), []byte("0"), 0o644); err != nil {
			return fmt.Errorf("entering the cluster's cgroup: %w", err)
		}
	}
	return nil
}

func makeCgroup(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	// A new cpuset of cgroup v1 is empty and takes no process. (That of cgroup v2 is not there yet.)
	for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
		file := filepath.Join(dir, name)
		if current, err := os.ReadFile(file); err != nil || len(bytes.TrimSpace(current)) > 0 {
			continue
		}
		inherited, err := os.ReadFile(filepath.Join(filepath.Dir(dir), name))
		if err == nil {
			err = os.WriteFile(file, inherited, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ownCgroups returns the cluster's cgroups in all hierarchies, children after their parents.
func ownCgroups() ([]string, error) {
	mounts, err := readMounts()
	if err != nil {
		return nil, err
	}
	var own []string
	for _, m := range mounts {
		if m.fstype != "cgroup" && m.fstype != "cgroup2" {
			continue
		}
		err := filepath.WalkDir(m.point, func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // ended while walking
			}
			if err == nil && entry.IsDir() && isOwnCgroup(path) {
				own = append(own, path)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("listing cgroups: %w", err)
		}
	}
	return own, nil
}

// removeCgroups removes them, waiting for the kernel to let go of processes that have just been killed.
func removeCgroups(ctx context.Context) error {
	return poll(ctx, 10*time.Second, "cgroups to empty", func() (bool, error) {
		own, err := ownCgroups()
		for _, dir := range slices.Backward(own) {
			err = errors.Join(err, os.Remove(dir))
		}
		return len(own) == 0, err
	})
}
