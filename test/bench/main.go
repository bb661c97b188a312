// Command bench measures mdmserver against what people would use instead, in the same run on the same machine: NanoMDM on PostgreSQL, and scepserver.
//
//	go run . --case apple-idle-checkin --runs 1 --profile /tmp/x
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// limit bounds the whole run.
const limit = 15 * time.Minute

type options struct {
	cases   string
	runs    int
	profile string
	docs    string
	sqlite  bool
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == devicesCommand {
		serveDevices()
		return
	}
	var o options
	flag.StringVar(&o.cases, "case", "", "measure these cases only, separated by commas")
	flag.IntVar(&o.runs, "runs", 5, "runs of each side")
	flag.StringVar(&o.profile, "profile", "", "write profiles of our server during the measured time to a folder for each case in this one; its figures are worse for it")
	flag.StringVar(&o.docs, "docs", "", "write the report to this file")
	flag.BoolVar(&o.sqlite, "sqlite", false, "keep the state of our server in SQLite: its figures are then those of another database than the peer's")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the benchmarks take longer than %s", limit))
	defer cancel()
	if err := withHarness(ctx, o.run); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (o *options) run(h *harness) {
	chosen, err := o.chosen()
	h.must(err)
	h.build()
	w := &world{harness: h, sqlite: o.sqlite, own: map[string]*ours{}}
	var results []*result
	for _, b := range chosen {
		r := &result{benchmark: b}
		o.measure(w, r)
		fmt.Println(r.line())
		results = append(results, r)
	}
	if o.docs != "" {
		h.must(o.write(w, results, o.plain(w)))
	}
}

// measure alternates our runs and the peer's.
func (o *options) measure(w *world, r *result) {
	server := r.benchmark.ours(w)
	if o.profile != "" {
		server.profile = filepath.Join(o.profile, r.name)
		w.must(os.MkdirAll(server.profile, 0o755))
	}
	for range o.runs {
		r.ours = append(r.ours, run(w, r, server))
		if !r.alone {
			r.peer = append(r.peer, run(w, r, w.peer()))
		}
	}
}

// run measures one side once and says what came of it, for whoever watches.
func run(w *world, r *result, s side) sample {
	measured := r.run(w, s)
	fmt.Fprintf(os.Stderr, "%s %T: %s %s, database %s, client %s\n", r.name, s, figure(measured.value), r.unit, figure(measured.database), figure(measured.client))
	return measured
}

// plain is the figure of NanoMDM's own command for an idle check-in.
func (o *options) plain(w *world) string {
	p := w.peer()
	p.plain = true
	defer func() { p.plain = false }()
	var samples []sample
	for range o.runs {
		samples = append(samples, idleCheckin(w, p))
	}
	return figure(median(values(samples)))
}

func (o *options) chosen() ([]benchmark, error) {
	if o.cases == "" {
		return benchmarks, nil
	}
	var chosen []benchmark
	for name := range strings.SplitSeq(o.cases, ",") {
		i := slices.IndexFunc(benchmarks, func(b benchmark) bool { return b.name == name })
		if i < 0 {
			return nil, errors.New("there is no case " + name)
		}
		chosen = append(chosen, benchmarks[i])
	}
	return chosen, nil
}
