package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a living process of the cluster: a daemon, a shim, a process of a container or one that `up` started and
// left when it was killed. They are known by their cgroup alone, which all of them inherit from `up`, so that nothing has
// to be recorded and nothing recorded can be stale.
type process struct {
	pid  int
	args []string
}

func (p process) String() string { return fmt.Sprintf("%d %s", p.pid, strings.Join(p.args, " ")) }

// name is the base name of the program.
func (p process) name() string { return filepath.Base(p.args[0]) }

// ownProcesses returns the processes that are the cluster's, except this one.
func ownProcesses() ([]process, error) {
	all, err := processes("/proc")
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(p process) bool { return p.pid == os.Getpid() || !inOwnCgroup("/proc", p.pid) }), nil
}

// processes lists those below proc that live and have a command line: no zombies and no kernel threads.
func processes(proc string) ([]process, error) {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	var list []process
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		// A zombie's command line is empty; a process that ended meanwhile has no file.
		line, err := os.ReadFile(filepath.Join(proc, entry.Name(), "cmdline"))
		if err != nil || len(line) == 0 {
			continue
		}
		list = append(list, process{pid: pid, args: strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")})
	}
	return list, nil
}

func inOwnCgroup(proc string, pid int) bool {
	content, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "cgroup"))
	if err != nil {
		return false
	}
	return slices.ContainsFunc(parseCgroups(bytes.NewReader(content)), func(m membership) bool { return isOwnCgroup(m.path) })
}

// killAll ends the processes at once and waits until they are gone. How soon init reaps them is not in this program's hands, so that is awaited
// for a while only: a zombie does nothing, but whoever compares the machine with before would see it.
func killAll(ctx context.Context, list func() ([]process, error)) error {
	const patience, reaping = 20 * time.Second, 5 * time.Second
	var killed []process
	err := poll(ctx, patience, "processes to end", func() (bool, error) {
		living, err := list()
		for _, p := range living {
			err = errors.Join(err, p.kill())
		}
		killed = append(killed, living...)
		return len(living) == 0, err
	})
	if err == nil {
		_ = poll(ctx, reaping, "init to reap", func() (bool, error) { return !slices.ContainsFunc(killed, process.isZombie), nil })
	}
	return err
}

// isZombie says whether the process has ended and its parent has not heard of it (proc_pid_stat(5), the field behind the name).
func (p process) isZombie() bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.pid), "stat"))
	return err == nil && bytes.HasPrefix(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" Z "))
}

// kill holds the process before it looks at it again, so that the number cannot have passed on to another.
func (p process) kill() error {
	handle, err := os.FindProcess(p.pid)
	if err != nil {
		return nil
	}
	defer func() { _ = handle.Release() }()
	if !inOwnCgroup("/proc", p.pid) {
		return nil
	}
	if err := handle.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("killing %s: %w", p, err)
	}
	return nil
}

// running returns the living processes of the daemon, whichever version of it they are.
func (c *cluster) running(name string) ([]process, error) {
	own, err := ownProcesses()
	return slices.DeleteFunc(own, func(p process) bool {
		return p.name() != name || !strings.HasPrefix(p.args[0], filepath.Dir(c.folder(kubernetesModule))+"/")
	}), err
}

// start makes sure that the daemon runs with its arguments in the folder dir; one that runs with others is replaced.
func (c *cluster) start(ctx context.Context, d daemon, dir string) error {
	args := append([]string{c.artifact(d.name)}, d.args...)
	running, err := c.running(d.name)
	if err != nil {
		return err
	}
	if len(running) == 1 && slices.Equal(running[0].args, args) {
		return nil
	}
	if err := killAll(ctx, func() ([]process, error) { return c.running(d.name) }); err != nil {
		return err
	}
	for _, address := range d.listen {
		if err := checkFree(address); err != nil {
			return fmt.Errorf("%s cannot listen on %s; stop what does: %w", d.name, address, err)
		}
	}
	c.progress("starting %s", d.name)
	return c.spawn(ctx, args, dir)
}

// spawn starts a process that outlives this one, with its output in the log folder.
func (c *cluster) spawn(ctx context.Context, args []string, dir string) error {
	name := filepath.Base(args[0])
	if err := os.MkdirAll(c.path("log"), 0o700); err != nil {
		return err
	}
	log, err := os.OpenFile(c.log(name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	command := exec.Command(args[0], args[1:]...)
	command.Dir = dir
	command.Env = append(os.Environ(), "PATH="+c.folder(containerdModule)+":"+os.Getenv("PATH"))
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	ended := make(chan struct{})
	go func() { _ = command.Wait(); close(ended) }() // reaps it if it ends before this program does
	return awaitCommandLine(ctx, command.Process.Pid, ended)
}

// awaitCommandLine returns once the process has its own command line or has ended. Start returns while the kernel still loads the program, and for so
// long (milliseconds, when it comes from a cold disk) the process has none and looks like a zombie to processes.
func awaitCommandLine(ctx context.Context, pid int, ended <-chan struct{}) error {
	for {
		line, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
		if err == nil && len(line) > 0 {
			return nil
		}
		select {
		case <-ended:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}

func (c *cluster) log(name string) string { return c.path("log", name+".log") }
