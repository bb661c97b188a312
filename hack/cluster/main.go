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
	root.AddCommand(buildCommand(), assetsCommand(), upCommand(), downCommand(), statusCommand(), kubeconfigCommand(),
		loadCommand(), volumesCommand(), leftoversCommand())
	return root
}
