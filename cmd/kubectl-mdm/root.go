package main

import (
	"fmt"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/apns"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/devices"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/events"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/importer"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/migratestore"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/profiles"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/pushvendor"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/report"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/status"
)

// rare are flags of kubectl that work and would crowd the help of every command out.
var rare = []string{
	"as", "as-group", "as-uid", "as-user-extra", "cache-dir", "certificate-authority", "client-certificate", "client-key", "cluster", "disable-compression",
	"insecure-skip-tls-verify", "proxy-url", "request-timeout", "server", "tls-server-name", "token", "user",
}

// command is kubectl mdm with all its verbs.
func command(e *cli.Env) *cobra.Command {
	root := &cobra.Command{
		Use:         "kubectl-mdm",
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl mdm"},
		Short:       "Work with KubeMDM",
		Long: `Work with KubeMDM, which manages Apple and Windows devices from Kubernetes.

It reads and writes the objects of KubeMDM with your own rights, and takes the cluster and namespace from the same flags and files as kubectl:
the flags that "kubectl options" lists for the connection work here, too.
The exit code is 0 if what was asked for is done, and 1 if not.`,
		Example: `  # How servers and fleet are, and what needs a person
  kubectl mdm status

  # A token for a device, with the address and a QR code
  kubectl mdm enroll --max-uses 1

  # A Mac that was lost, and the PIN that unlocks it
  kubectl mdm lock ana-macbook
  kubectl mdm pin --device ana-macbook

  # What a change in Git would do
  kubectl mdm lint clusters/production
  kubectl mdm diff clusters/production

  # Where a push certificate is on its way, and what comes next
  kubectl mdm apns status push`,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetIn(e.In)
	root.SetOut(e.Out)
	root.SetErr(e.ErrOut)
	e.Flags.AddFlags(root.PersistentFlags())
	for _, name := range rare {
		utilruntime.Must(root.PersistentFlags().MarkHidden(name))
	}
	utilruntime.Must(root.RegisterFlagCompletionFunc("context", e.Contexts))
	utilruntime.Must(root.RegisterFlagCompletionFunc("namespace", e.ClusterNames(func() client.ObjectList { return &corev1.NamespaceList{} })))
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(status.Command(e), devices.ListCommand(e), devices.DeviceCommand(e), events.Command(e), profiles.Command(e), report.Command(e, version))
	root.AddCommand(doing(e)...)
	root.AddCommand(importer.Command(e), migratestore.Command(e))
	root.AddCommand(apns.Command(e), pushvendor.Command(), completionCommand(), versionCommand())
	return root
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version of this plugin",
		Example: "  kubectl mdm version",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), version)
			return err
		},
	}
}

func completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print what a shell needs to complete commands and names",
		Long: `Print what a shell needs to complete commands and names.

The script is for the command kubectl-mdm. For "kubectl mdm" kubectl looks for a program kubectl_complete-mdm in the PATH. Make it once:

  cat > ~/.local/bin/kubectl_complete-mdm <<'END'
  #!/bin/sh
  exec kubectl-mdm __complete "$@"
  END
  chmod +x ~/.local/bin/kubectl_complete-mdm`,
		Example: `  # bash, for this session
  source <(kubectl mdm completion bash)

  # zsh
  kubectl mdm completion zsh > "${fpath[1]}/_kubectl-mdm"

  # fish
  kubectl mdm completion fish > ~/.config/fish/completions/kubectl-mdm.fish`,
		Args:                  cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs:             []string{"bash", "zsh", "fish"},
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			root, out := cmd.Root(), cmd.OutOrStdout()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(out, true)
			case "zsh":
				return root.GenZshCompletion(out)
			default:
				return root.GenFishCompletion(out, true)
			}
		},
	}
}
