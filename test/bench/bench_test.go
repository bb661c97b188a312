package main

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, tc := range []struct {
		values []float64
		want   float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 2, 100}, 3}} {
		if got := median(tc.values); got != tc.want {
			t.Errorf("median of %v: got %v, want %v", tc.values, got, tc.want)
		}
	}
}

func TestParseStat(t *testing.T) {
	for line, want := range map[string]stat{
		"7 (postgres: a) b (c) S 3 7 7 0 -1 4194560 1 2 3 4 10 20 300 4000 20 0 1 0 5": {parent: 3, cpu: 43300 * time.Millisecond},
		"7 (x) R 3 7": {}, "": {}, "7 (x) S y 7 7 0 -1 1 1 2 3 4 1 2 3 4 20": {}, "7 (x) S 3 7 7 0 -1 1 1 2 3 4 1 2 3 z 20": {},
	} {
		got, err := parseStat(line)
		if got != want || (err == nil) == (want == stat{}) {
			t.Errorf("%q: got %+v, %v, want %+v", line, got, err, want)
		}
	}
}

// What a process and its children have used counts, children that have ended too.
func TestTreeCPU(t *testing.T) {
	before, err := treeCPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), "sh", "-c", "sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'; exit 0")
	if err := child.Run(); err != nil {
		t.Fatal(err)
	}
	after, err := treeCPU(os.Getpid())
	used := child.ProcessState.UserTime() + child.ProcessState.SystemTime()
	if err != nil || after-before < used-2*tick {
		t.Errorf("%s more, %v; the children used %s", after-before, err, used)
	}
}

func TestParsePeak(t *testing.T) {
	if got, err := parsePeak([]byte("VmPeak:\t 9999 kB\nVmHWM:\t   2560 kB\nVmRSS:\t 1 kB\n")); got != 2.5 || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := parsePeak([]byte("Name:\tx\n")); err == nil {
		t.Error("a kernel process has a peak")
	}
}

func TestJudged(t *testing.T) {
	for name, tc := range map[string]struct {
		bar        bar
		ours, peer float64
		limit, met string
	}{
		"a ratio below its bar":    {bar{ratio: atMost(0.5)}, 1, 4, "ratio at most 0.5", "yes"},
		"a ratio above its bar":    {bar{ratio: atMost(0.5)}, 3, 4, "ratio at most 0.5", "**no**"},
		"a throughput that is low": {bar{ratio: atLeast(1.8)}, 4, 4, "ratio at least 1.8", "**no**"},
		"a figure":                 {bar{ours: atMost(120)}, 121, 1, "at most 120", "**no**"},
		"no bar":                   {bar{}, 1, 1, "-", "-"},
	} {
		r := result{benchmark: benchmark{bar: tc.bar}, ours: []sample{{value: tc.ours}}, peer: []sample{{value: tc.peer}}}
		if limit, met := r.judged(); limit != tc.limit || met != tc.met {
			t.Errorf("%s: got %q, %q", name, limit, met)
		}
	}
}

// A run that fails leaves nothing behind: processes end and folders go, in the reverse order.
func TestNothingIsLeftBehind(t *testing.T) {
	var p *process
	var dir string
	err := withHarness(t.Context(), func(h *harness) {
		dir = h.TempDir()
		p = h.spawn("sleeper", exec.Command("sleep", "1000"))
		h.Fatal("it failed")
	})
	if err == nil || err.Error() != "it failed" {
		t.Errorf("got %v", err)
	}
	if p.running() {
		t.Error("the process runs on")
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder: %v", err)
	}
}
