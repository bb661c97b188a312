package scale_test

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
)

var (
	sizes   = flag.String("sizes", "1000,10000,100000", "numbers of devices, each a run of its own")
	profile = flag.String("profiles", "", "folder for the manager's CPU and heap profiles; empty: none")
	// logs shows what went wrong.
	logs = slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})
	// programs are the binaries under test.
	programs = map[string]string{"mdmserver": "github.com/kubemdm/kubemdm/cmd/mdmserver", "manager": "github.com/kubemdm/kubemdm/test/scale/manager"}
)

// buildFlags are those of the images.
const buildFlags = "-tags=grpcnotrace"

func TestMain(m *testing.M) {
	flag.Parse()
	ctrl.SetLogger(logr.FromSlogHandler(logs))
	os.Exit(m.Run())
}

// TestScale prints a line for each step at each size, and fails where a bar is missed.
func TestScale(t *testing.T) {
	bin := build(t)
	before := footprint{}
	for size := range strings.SplitSeq(*sizes, ",") {
		n, err := strconv.Atoi(size)
		if err != nil {
			t.Fatalf("-sizes: %v", err)
		}
		t.Run(size, func(t *testing.T) {
			w := newWorld(t, bin, n)
			w.create()
			now := w.restart()
			now.growsWithin(t, before)
			before = now
			w.rollOut()
			w.relabel()
		})
	}
}

// build returns the folder of the programs.
func build(t *testing.T) string {
	dir := t.TempDir()
	for name, path := range programs {
		out, err := exec.Command("go", "build", buildFlags, "-o", filepath.Join(dir, name), path).CombinedOutput()
		if err != nil {
			t.Fatalf("building %s: %v\n%s", path, err, out)
		}
	}
	return dir
}

// say prints one line of results.
func say(step string, n int, format string, args ...any) {
	fmt.Printf("scale %s n=%d %s\n", step, n, fmt.Sprintf(format, args...))
}
