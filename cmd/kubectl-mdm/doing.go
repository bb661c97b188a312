package main

import (
	"github.com/spf13/cobra"

	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/act"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/diff"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/enroll"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/lint"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/pin"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/release"
)

// doing are the verbs that do something: with devices, and with manifests before they are applied.
func doing(e *cli.Env) []*cobra.Command {
	return append(act.Commands(e), enroll.Command(e), pin.Command(e), release.Command(e), lint.Command(e), diff.Command(e))
}
