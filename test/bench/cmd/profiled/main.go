// Command profiled is mdmserver with a profile of the time between two SIGUSR1, in the file cpu.pprof of a folder. The server itself has no way to ask for one.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"syscall"

	"github.com/kubemdm/kubemdm/mdmserver"
	"github.com/kubemdm/kubemdm/mdmserver/config"
)

func main() {
	file := flag.String("config", "", "the configuration file of mdmserver")
	dir := flag.String("profile", "", "folder for cpu.pprof, and allocs-before.pprof and allocs.pprof: what was allocated until the first signal and the second")
	flag.Parse()
	if err := run(*file, *dir); err != nil {
		log.Fatal(err)
	}
}

func run(file, dir string) error {
	cfg, err := config.Load(file)
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	profiled := make(chan error, 1)
	go func() { profiled <- profile(ctx, dir, signals) }()
	err = mdmserver.Run(ctx, *cfg, slog.New(slog.NewJSONHandler(os.Stderr, nil)), "bench")
	stop()
	return errors.Join(err, <-profiled)
}

// profile ends with the second signal, or with the server.
func profile(ctx context.Context, dir string, signals <-chan os.Signal) error {
	if !heard(ctx, signals) {
		return nil
	}
	f, err := os.Create(filepath.Join(dir, "cpu.pprof"))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := writeAllocs(filepath.Join(dir, "allocs-before.pprof")); err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	heard(ctx, signals)
	pprof.StopCPUProfile()
	return writeAllocs(filepath.Join(dir, "allocs.pprof"))
}

func heard(ctx context.Context, signals <-chan os.Signal) bool {
	select {
	case <-signals:
		return true
	case <-ctx.Done():
		return false
	}
}

func writeAllocs(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(pprof.Lookup("allocs").WriteTo(f, 0), f.Close())
}
