// Command kubemdm-agent runs on a Windows PC and makes Windows enrol at a KubeMDM server when the server asks for it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/spf13/cobra"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := command(newPlatform).ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "kubemdm-agent:", err)
		os.Exit(1)
	}
}

func command(open func() (platform, error)) *cobra.Command {
	c := &cobra.Command{
		Use:   "kubemdm-agent",
		Short: "Enrols this PC in KubeMDM",
		Long: `Enrols this PC in KubeMDM.

The agent runs as a service. It enrols itself at the server with an enrolment secret and then asks the server every 30 s what there is to do: have
Windows enrol in device management, have it leave, or have it start a management session. Everything else is between Windows and the server.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	c.AddCommand(installCommand(open), uninstallCommand(open), runCommand(open), statusCommand(open), versionCommand())
	return c
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version of the agent",
		Example: "  kubemdm-agent version",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), version)
			return err
		},
	}
}
