// Command vendorsign is for MDM vendors: it gets a vendor its certificate from Apple and signs the requests of its customers. It is the same as
// "kubectl mdm vendor", without Kubernetes.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/pushvendor"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	const program = "vendorsign"
	root := &cobra.Command{
		Use:   program,
		Short: "Sign requests for push certificates as an MDM vendor",
		Long: `Sign requests for push certificates as an MDM vendor.

Apple issues push certificates only for requests that an MDM vendor has signed, whose own certificate ("MDM CSR") is from developer.apple.com. It needs no
network but for keys in a KMS that is reached through one. The exit code is 0 if what was asked for is done, and 1 if not.`,
		Version:       version,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(pushvendor.CSR(program), pushvendor.Sign(program), pushvendor.Check(program))
	return root
}
