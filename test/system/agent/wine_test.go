package agent

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// patience is how long each wait may last: far above what anything here takes on two slow cores.
	patience = 2 * time.Minute
	interval = 200 * time.Millisecond

	root     = "../../.."
	stubs    = root + "/test/agentstub"
	compiler = "x86_64-w64-mingw32-gcc"
)

// prefix is a Windows of its own: a Wine prefix in a temporary folder, with the stand-ins of test/agentstub.
type prefix struct {
	dir       string
	wine, end string // the programs
	// events is the event log, as what Wine traces of it.
	events *buffer
}

func newPrefix(t *testing.T) *prefix {
	t.Helper()
	p := &prefix{dir: t.TempDir(), wine: program(t, "wine64"), end: program(t, "wineserver64")}
	t.Cleanup(func() {
		for _, flag := range []string{"-k", "-w"} { // kill, and wait for the end
			cmd := exec.Command(p.end, flag)
			cmd.Env = p.env()
			_ = cmd.Run() // it fails when nothing runs any more
		}
	})
	// The first program makes the prefix. It stays: with the last one Wine would end its services, and start others beside those that end.
	p.events, _ = p.start(t, "cmd.exe")
	await(t, "a prompt", func() bool { return strings.Contains(p.events.String(), ">") })
	p.set(t, `HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion`, "InstallationType", "Client")
	system := p.path("windows", "system32")
	build(t, filepath.Join(system, "mdmregistration.dll"), "-shared", "mdmregistration.c")
	build(t, filepath.Join(system, "bcryptprimitives.dll"), "-shared", "bcryptprimitives.c", "-ladvapi32")
	build(t, filepath.Join(system, "deviceenroller.exe"), "deviceenroller.c")
	if err := os.Mkdir(p.path("agentstub"), 0o755); err != nil {
		t.Fatal(err)
	}
	return p
}

// program finds a program of Wine. Debian keeps some of them out of PATH.
func program(t *testing.T, name string) string {
	t.Helper()
	for _, candidate := range []string{name, "/usr/lib/wine/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	t.Fatalf("there is no %s: this test needs the Debian packages wine64 and gcc-mingw-w64-x86-64", name)
	return ""
}

// build compiles a stand-in.
func build(t *testing.T, target string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), compiler, append([]string{"-O2", "-s", "-Wall", "-Wextra", "-Werror", "-o", target}, args...)...)
	cmd.Dir = stubs
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}

// env gives Wine a home in the prefix, keeps it from asking for anything or opening a window, and has it print what is written to the event log.
func (p *prefix) env() []string {
	return append(os.Environ(), "WINEPREFIX="+filepath.Join(p.dir, "wine"), "HOME="+p.dir, "TMPDIR="+p.dir, "WINEARCH=win64", "WINEDEBUG=-all,trace+eventlog", "DISPLAY=",
		"WINEDLLOVERRIDES=mscoree,mshtml,winemenubuilder.exe=")
}

// path is where a file of drive C lies.
func (p *prefix) path(elements ...string) string {
	return filepath.Join(append([]string{p.dir, "wine", "drive_c"}, elements...)...)
}

func (p *prefix) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.wine, args...)
	cmd.Env = p.env()
	return cmd
}

// run runs a program of Windows to its end and returns what it prints.
func (p *prefix) run(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := p.command(ctx, args...)
	// Services that it starts inherit its output, and live on.
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		t.Fatalf("%s: %v\n%s", args, err, out)
	}
	return string(out)
}

// start runs a program of Windows until the test, or the returned function, ends it.
func (p *prefix) start(t *testing.T, args ...string) (output *buffer, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd, output := p.command(ctx, args...), &buffer{}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = output, output, time.Second
	input, err := cmd.StdinPipe() // stays open and empty
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		cancel()
		_ = errors.Join(input.Close(), cmd.Wait()) // it was killed
	})
	t.Cleanup(stop)
	return output, stop
}

// set writes a text into the registry.
func (p *prefix) set(t *testing.T, key, name, value string) {
	t.Helper()
	p.run(t, "reg.exe", "add", key, "/v", name, "/t", "REG_SZ", "/d", value, "/f")
}

// write puts a file on drive C.
func (p *prefix) write(t *testing.T, content []byte, elements ...string) {
	t.Helper()
	if err := os.WriteFile(p.path(elements...), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// calls are what the stand-ins were called with: a name and arguments.
func (p *prefix) calls(t *testing.T) [][]string {
	t.Helper()
	content, err := os.ReadFile(p.path("agentstub", "calls"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var calls [][]string
	for line := range strings.Lines(string(content)) {
		calls = append(calls, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	return calls
}

// buffer collects what a program prints.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// await waits for what programs on the other side of Wine bring about.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited %v for %s", patience, what)
		case <-ticker.C:
		}
	}
}
