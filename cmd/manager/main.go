// Command manager runs KubeMDM's controllers in a cluster.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/kubemdm/kubemdm/controllers/setup"
)

// version is set by the linker.
var version = "dev"

// garbage is how much the heap grows, in percent, until it is collected. Most of it is the cache of a fleet, which stays: with Go's own 100 a large fleet would
// take half as much memory again.
const garbage = 50

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
	if err := command().ExecuteContext(ctrl.SetupSignalHandler()); err != nil {
		os.Exit(1)
	}
}

func command() *cobra.Command {
	opts := setup.Options{Metrics: metrics.Registry}
	debug := false
	cmd := &cobra.Command{
		Use:   "manager",
		Short: "Run KubeMDM's controllers",
		Long: `Run KubeMDM's controllers: they deploy device management servers and make every device match what Profiles, Devices and
DeviceCommands declare. Several managers elect a leader. The API server is the one of the pod, of --kubeconfig or of KUBECONFIG.`,
		Example:      "  manager --namespace=kubemdm-system --server-image=docker.io/kubemdm/mdmserver:v0.1.0",
		Version:      version,
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			logTo(os.Stderr, debug)
			if opts.Namespace == "" {
				return errors.New("--namespace is missing: name the namespace in which the manager keeps its Lease (or set POD_NAMESPACE)")
			}
			cfg, err := ctrl.GetConfig()
			if err != nil {
				return fmt.Errorf("finding the API server: %w", err)
			}
			mgr, err := setup.New(cmd.Context(), cfg, opts)
			if err != nil {
				return err
			}
			return mgr.Start(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.Namespace, "namespace", os.Getenv("POD_NAMESPACE"), "namespace in which the manager runs and keeps its Lease")
	flags.StringSliceVar(&opts.Namespaces, "namespaces", nil, "namespaces to manage (default all)")
	flags.StringVar(&opts.ServerImage, "server-image", "docker.io/kubemdm/mdmserver:"+version, "image of servers whose MDMServer names none")
	flags.BoolVar(&opts.Webhooks, "webhooks", true, "serve admission webhooks; without them mistakes show in status only")
	flags.StringVar(&opts.WebhookCertDir, "webhook-cert-dir", "/etc/kubemdm/webhook", "folder with tls.crt and tls.key of the webhooks")
	flags.StringVar(&opts.LiveAddress, "live-address", ":6443", `listen address of the aggregated API live.mdm.kubemdm.io ("0": none)`)
	flags.StringVar(&opts.LiveCertDir, "live-cert-dir", "/etc/kubemdm/live", "folder with tls.crt and tls.key of the live view")
	flags.StringVar(&opts.MetricsAddress, "metrics-address", ":8080", `listen address of Prometheus metrics ("0": none)`)
	flags.StringVar(&opts.HealthAddress, "health-address", ":8081", `listen address of /healthz and /readyz ("0": none)`)
	flags.BoolVar(&debug, "debug", false, "log in more detail")
	goFlags := flag.NewFlagSet("", flag.ContinueOnError)
	config.RegisterFlags(goFlags) // --kubeconfig
	flags.AddGoFlagSet(goFlags)
	return cmd
}

// logTo makes every library log as JSON.
func logTo(f *os.File, debug bool) {
	level := slog.LevelInfo
	if debug {
		level = slog.LevelDebug
	}
	log := logr.FromSlogHandler(slog.NewJSONHandler(f, &slog.HandlerOptions{Level: level}))
	ctrl.SetLogger(log)
	klog.SetLogger(log)
}
