package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := newCommand().ExecuteContext(ctx); err != nil {
		if !errors.Is(err, errAlreadyReported) {
			fmt.Fprintln(os.Stderr, "cluster:", err)
		}
		os.Exit(1)
	}
}

// errAlreadyReported makes the program exit with 1 when the output of the command has already told why.
var errAlreadyReported = errors.New("already reported")

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "cluster",
		Short:         "Build and run a single-node Kubernetes from Go modules",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(buildCommand(), assetsCommand())
	return root
}

func buildCommand() *cobra.Command {
	var only string
	command := &cobra.Command{
		Use:   "build",
		Short: "Build everything into the cache; what is already there is not built again",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := newBuilder(os.Stdout)
			if err != nil {
				return err
			}
			switch only {
			case "":
				return b.build(cmd.Context(), artifacts)
			case "envtest":
				return b.build(cmd.Context(), envtestArtifacts)
			default:
				return fmt.Errorf("--only=%s: the one part that can be built alone is envtest", only)
			}
		},
	}
	command.Flags().StringVar(&only, "only", "", "build just this part: envtest (kube-apiserver, etcd and kubectl)")
	return command
}

func assetsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "assets",
		Short: "Print the folder of kube-apiserver, etcd and kubectl (KUBEBUILDER_ASSETS), building them if missing",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := newBuilder(os.Stderr)
			if err != nil {
				return err
			}
			if err := b.build(cmd.Context(), envtestArtifacts); err != nil {
				return err
			}
			fmt.Println(b.folder("kubernetes"))
			return nil
		},
	}
}
