package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// mount is one line of /proc/self/mountinfo; see proc_pid_mountinfo(5).
type mount struct {
	root    string // of the mount within its filesystem
	point   string
	fstype  string
	options []string // of the filesystem
}

func (m mount) String() string { return m.point + " (" + m.fstype + ")" }

// hasOptions reports whether each of the comma-separated options is set.
func (m mount) hasOptions(options string) bool {
	for option := range strings.SplitSeq(options, ",") {
		if !slices.Contains(m.options, option) {
			return false
		}
	}
	return true
}

// unescape undoes the octal escapes of mountinfo.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// parseMounts reads a mount table: fields, a lone hyphen, then type, source and options of the filesystem.
func parseMounts(r io.Reader) ([]mount, error) {
	var mounts []mount
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		fields, filesystem, ok := strings.Cut(scanner.Text(), " - ")
		left, right := strings.Fields(fields), strings.Fields(filesystem)
		if !ok || len(left) < 6 || len(right) < 3 {
			return nil, fmt.Errorf("reading the mount table: unexpected line %q", scanner.Text())
		}
		mounts = append(mounts, mount{
			root:    unescape.Replace(left[3]),
			point:   unescape.Replace(left[4]),
			fstype:  right[0],
			options: strings.Split(right[2], ","),
		})
	}
	return mounts, scanner.Err()
}

func readMounts() ([]mount, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return parseMounts(file)
}

// mountsBelow returns those whose mount point is dir or below it.
func mountsBelow(dir string, mounts []mount) []mount {
	var below []mount
	for _, m := range mounts {
		if m.point == dir || strings.HasPrefix(m.point, dir+"/") {
			below = append(below, m)
		}
	}
	return below
}

// ownMounts returns the mounts of the cluster: container roots, network namespaces and volumes, all in the state folder.
func (c *cluster) ownMounts() ([]mount, error) {
	mounts, err := readMounts()
	return mountsBelow(c.dir, mounts), err
}

// unmountAll unmounts them, last one first. Those of processes that have just been killed may be busy for a moment.
func (c *cluster) unmountAll(ctx context.Context) error {
	return poll(ctx, 10*time.Second, "mounts to go", func() (bool, error) {
		own, err := c.ownMounts()
		for _, m := range slices.Backward(own) {
			if failed := syscall.Unmount(m.point, 0); failed != nil {
				err = errors.Join(err, fmt.Errorf("unmounting %s: %w", m, failed))
			}
		}
		return len(own) == 0, err
	})
}
