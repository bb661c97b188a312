// Command manager is cmd/manager for a machine without pods: every server is reached at one address.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime/debug"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	_ "sigs.k8s.io/controller-runtime/pkg/client/config" // --kubeconfig
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/kubemdm/kubemdm/controllers/setup"
)

// garbage is how much the heap grows, in percent, until it is collected. Most of it is the cache of a fleet, which stays: with Go's own 100 a large fleet would
// take half as much memory again.
const garbage = 50

// limit is that of the chart's pod, in bytes.
const limit = 512 << 20

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit)
	}
	opts := setup.Options{Metrics: metrics.Registry, HealthAddress: "0", ServerImage: "kubemdm/mdmserver:scale"}
	flag.StringVar(&opts.Namespace, "namespace", "", "namespace in which the manager keeps its Lease")
	flag.StringVar(&opts.MetricsAddress, "metrics-address", "", "listen address of metrics")
	profiles := flag.String("pprof-address", "", "listen address of profiles")
	server := flag.String("server", "", "address of the internal API of the server")
	flag.Parse()
	opts.Adjust = func(o *ctrl.Options) { o.PprofBindAddress = *profiles }
	opts.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, *server)
	}
	log := logr.FromSlogHandler(slog.NewJSONHandler(os.Stderr, nil))
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	if err := run(opts); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(opts setup.Options) error {
	ctx := ctrl.SetupSignalHandler()
	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	mgr, err := setup.New(ctx, config, opts)
	if err != nil {
		return err
	}
	return mgr.Start(ctx)
}
