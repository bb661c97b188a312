package scale_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	megabyte = 1 << 20
	// ticks are a second of the times in /proc/<pid>/stat (USER_HZ).
	ticks = 100
)

// process is a program that runs until it is stopped.
type process struct {
	testing.TB
	cmd *exec.Cmd
	out bytes.Buffer
}

func start(t testing.TB, binary string, args ...string) *process {
	p := &process{TB: t, cmd: exec.Command(binary, args...)}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	return p
}

// stop ends it as kubelet does.
func (p *process) stop() {
	if p.cmd.ProcessState != nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil || p.Failed() {
		p.Logf("%s: %v\n%s", p.cmd.Path, err, tail(p.out.String()))
	}
}

// tail is the end of a log.
func tail(log string) string {
	lines := strings.Split(log, "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}

// usage is what a process has used so far.
type usage struct {
	cpu       time.Duration
	rss, peak float64 // in MB
}

func (p *process) usage() usage {
	dir := fmt.Sprintf("/proc/%d/", p.cmd.Process.Pid)
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		p.Fatal(err)
	}
	// The name in parentheses may hold blanks; the times are the 12th and 13th field behind it (proc(5)).
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	u := usage{cpu: time.Duration(number(p, fields[11])+number(p, fields[12])) * time.Second / ticks}
	status, err := os.ReadFile(dir + "status")
	if err != nil {
		p.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		switch name, value, _ := strings.Cut(line, ":"); name {
		case "VmRSS":
			u.rss = kilobytes(p, value)
		case "VmHWM":
			u.peak = kilobytes(p, value)
		}
	}
	return u
}

func kilobytes(t testing.TB, value string) float64 {
	return float64(number(t, strings.Fields(value)[0])) * 1024 / megabyte
}

func number(t testing.TB, text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// save keeps a profile of the manager, if profiles are wanted.
func (w *world) save(kind, step string) {
	if *profile == "" {
		return
	}
	res, err := w.fetch("http://" + w.pprof + "/debug/pprof/" + kind)
	w.must(err)
	defer res.Body.Close()
	f, err := os.Create(filepath.Join(*profile, fmt.Sprintf("%s-%d.%.4s", step, w.n, kind)))
	w.must(err)
	_, err = io.Copy(f, res.Body)
	w.must(err)
	w.must(f.Close())
}

// saveWhile keeps a CPU profile of the manager's next seconds, once it answers; wait for it by calling what it returns.
func (w *world) saveWhile(step string) (wait func()) {
	var saving sync.WaitGroup
	saving.Go(func() {
		if *profile != "" {
			w.eventually("the manager answers", func() bool { return w.scrape("go_goroutines") > 0 })
			w.save("profile?seconds=15", step)
		}
	})
	return saving.Wait
}

// freeAddress is one on which nothing listens.
func freeAddress(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
