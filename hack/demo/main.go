// Command demo walks from nothing to managed Macs and PCs on a real cluster and shows what an administrator would look at.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubemdm/kubemdm/test/system/harness"
)

const (
	namespace = "kubemdm-demo"
	// limit is for the whole walk, on two slow cores and with nothing cached.
	limit = 15 * time.Minute
)

// What --cluster may be.
const (
	local    = "local"
	existing = "existing"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var cluster string
	c := &cobra.Command{
		Use:   "demo",
		Short: "Enrol, configure and restart simulated Macs and PCs on a real cluster",
		Long: `Enrol, configure and restart simulated Macs and PCs on a real cluster.

It starts over in the namespace ` + namespace + ` each time. With --cluster=existing the cluster is that of KUBECONFIG: cert-manager must run there, and
its nodes must have the images that make images builds.`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), limit)
			defer cancel()
			return run(ctx, cmd.OutOrStdout(), cluster)
		},
	}
	c.Flags().StringVar(&cluster, "cluster", local, "local: the one of hack/cluster, which is started; existing: the one of KUBECONFIG")
	return c
}

func run(ctx context.Context, out io.Writer, cluster string) error {
	switch cluster {
	case local:
		if err := startLocal(ctx, out); err != nil {
			return err
		}
	case existing:
		fmt.Fprint(out, imagesHelp)
	default:
		return fmt.Errorf("--cluster=%s is neither %s nor %s", cluster, local, existing)
	}
	c, err := harness.Connect()
	if err != nil {
		return err
	}
	c.Progress = func(text string) { fmt.Fprintf(out, "\n      %s ... ", text) }
	walk := &harness.Walk{Cluster: c, Namespace: namespace}
	if err := show(ctx, out, walk); err != nil {
		diagnosis, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		c.Diagnose(diagnosis, out, namespace)
		return err
	}
	return printResult(ctx, out, c, cluster)
}

// startLocal starts the cluster with the images in it and points this program at it.
func startLocal(ctx context.Context, out io.Writer) error {
	if err := harness.LocalCluster(ctx, out, "up"); err != nil {
		return err
	}
	var path strings.Builder
	if err := errors.Join(harness.LoadImages(ctx, io.Discard), harness.LocalCluster(ctx, &path, "kubeconfig")); err != nil {
		return err
	}
	return os.Setenv("KUBECONFIG", strings.TrimSpace(path.String()))
}

// show takes the walk step by step and says how long each took.
func show(ctx context.Context, out io.Writer, walk *harness.Walk) error {
	for i, step := range walk.Steps() {
		start := time.Now()
		fmt.Fprintf(out, "[%d/%d] %s ... ", i+1, len(walk.Steps()), step.Title)
		if err := step.Do(ctx); err != nil {
			fmt.Fprintln(out, "NO")
			return fmt.Errorf("%s: %w", step.Title, err)
		}
		fmt.Fprintf(out, "yes, after %.1f s\n", time.Since(start).Seconds())
	}
	return nil
}

func printResult(ctx context.Context, out io.Writer, c *harness.Cluster, cluster string) error {
	for _, resource := range harness.Resources {
		fmt.Fprintf(out, "\n$ kubectl get %s --namespace=%s\n", resource, namespace)
		if err := c.PrintTable(ctx, out, namespace, resource); err != nil {
			return err
		}
	}
	help := tryNext
	if cluster == local {
		help = useLocal + help + endLocal
	}
	_, err := fmt.Fprint(out, strings.ReplaceAll(help, "NAMESPACE", namespace))
	return err
}

const imagesHelp = `Using the cluster of KUBECONFIG. Its nodes need the images docker.io/kubemdm/{manager,mdmserver,devicesim,apnsfake,depfake}:dev; with kind:
  for image in manager mdmserver devicesim apnsfake depfake; do kind load image-archive ${XDG_CACHE_HOME:-~/.cache}/kubemdm/images/$image.tar; done

`

const useLocal = `
Look around (kubectl is in the folder that "go run ./hack/cluster assets" prints):
  export KUBECONFIG=$(make -s kubeconfig) PATH=$PATH:$(go run ./hack/cluster assets)
`

const tryNext = `
Try next:
  kubectl explain profile.spec
  kubectl get mdm --namespace=NAMESPACE                                  # everything
  kubectl describe device --namespace=NAMESPACE
  kubectl logs macs-design --namespace=NAMESPACE                         # what the Macs did
  kubectl label device --namespace=NAMESPACE --all --overwrite team=design  # the third Mac gets the profile too
  go run ./cmd/kubectl-mdm apns status push --namespace=NAMESPACE        # the push certificate, from its request to the last push
  kubectl describe automatedenrollment business --namespace=NAMESPACE    # what Apple lists, and which profile each device gets
  kubectl logs macs-new --namespace=NAMESPACE                            # how a new Mac sets itself up
  kubectl edit profile screen-lock --namespace=NAMESPACE
  kubectl delete profile screen-lock --namespace=NAMESPACE               # and it leaves the Macs
  kubectl logs pcs-agent --namespace=NAMESPACE                           # what a PC did
  kubectl delete profile no-camera --namespace=NAMESPACE                 # and Windows has its own values again
`

const endLocal = `
make demo-down stops the cluster and removes everything.
`
