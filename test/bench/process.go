package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// stopTimeout is how long a program may take to stop.
const stopTimeout = 20 * time.Second

// process is a program that runs until stop, or until this one ends however it does.
type process struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
}

// spawn starts a program, whose output goes to a file.
func (h *harness) spawn(name string, cmd *exec.Cmd) *process {
	p := &process{cmd: cmd, log: filepath.Join(h.dir, name+".log"), ended: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	h.must(err)
	defer log.Close()
	if cmd.Stdout == nil {
		cmd.Stdout = log
	}
	cmd.Stderr = log
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	cmd.SysProcAttr.Setpgid = true // an interrupt from the terminal is for the harness, which stops all in order
	h.must(cmd.Start())
	go func() {
		_ = cmd.Wait() // stop looks at what it left
		close(p.ended)
	}()
	h.Cleanup(p.stop)
	return p
}

// stop ends the program. It may be called twice.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.ended:
	case <-time.After(stopTimeout):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// cpu is what the program has used, also when it has ended.
func (h *harness) cpu(p *process) time.Duration {
	if !p.running() {
		return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
	}
	used, err := treeCPU(p.cmd.Process.Pid)
	h.must(err)
	return used
}

// await waits until something holds while a program runs, a minute at most.
func (h *harness) await(p *process, what string, every time.Duration, holds func(context.Context) bool) {
	ctx, cancel := context.WithTimeout(h.ctx, time.Minute)
	defer cancel()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for !holds(ctx) {
		select {
		case <-p.ended:
			h.Fatalf("waiting for %s: %s ended: %s", what, filepath.Base(p.cmd.Path), tail(p.log))
		case <-ctx.Done():
			h.Fatalf("waiting for %s: %v: %s", what, context.Cause(ctx), tail(p.log))
		case <-ticker.C:
		}
	}
}

// tail is the end of a log.
func tail(path string) string {
	const most = 2000
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-most):])
}

// accepts says whether somebody listens.
func accepts(ctx context.Context, address string) bool {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// freeAddress is one of the loopback interface where nobody listens.
func (h *harness) freeAddress() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	h.must(err)
	h.must(l.Close())
	return l.Addr().String()
}

// program is the path of a program that build made.
func (h *harness) program(name string) string { return filepath.Join(h.dir, "bin", name) }

// build makes the programs: ours from the checkout, the peers from their modules.
func (h *harness) build() {
	for _, b := range []struct {
		in, out string
		pkgs    []string
	}{
		{"../..", "", []string{"./cmd/mdmserver"}},
		{".", "", []string{"./cmd/nanomdm", "./cmd/scepserver", "./cmd/profiled"}},
		{".", "plain", []string{"github.com/micromdm/nanomdm/cmd/nanomdm", "github.com/micromdm/scep/v2/cmd/scepserver"}},
	} {
		out := filepath.Join(h.dir, "bin", b.out)
		h.must(os.MkdirAll(out, 0o700))
		cmd := exec.CommandContext(h.ctx, "go", append([]string{"build", "-o", out}, b.pkgs...)...)
		cmd.Dir, cmd.Env = b.in, append(os.Environ(), "CGO_ENABLED=0")
		if output, err := cmd.CombinedOutput(); err != nil {
			h.must(fmt.Errorf("building %v: %w\n%s", b.pkgs, err, output))
		}
	}
}
