package status

import (
	"context"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

// options are what was asked for.
type options struct {
	env        *cli.Env
	everywhere bool
	output     string
}

// Command is "kubectl mdm status".
func Command(e *cli.Env) *cobra.Command {
	o := &options{env: e}
	c := &cobra.Command{
		Use:   "status",
		Short: "Show how servers and fleet are, and what needs a person, on one screen",
		Long: `Show how servers and fleet are, and what needs a person, on one screen.

It shows the servers; certificates and tokens, the one first that ends first; how many devices, profiles and commands there are in which state; and each object
that waits for a person, with the reason, what to do, and the runbook that leads through it. Many objects with the same reason are put together; -o json has them all.

The exit code is 0 whatever it shows. Scripts read the output of -o json: needs is empty if nothing needs a person.

Rights: list on mdmservers, apnscertificates, automatedenrollments, enrollmenttokens, profiles, devices and devicecommands of mdm.kubemdm.io, as the role viewer
has them. What may not be read is left out, and a note on standard error says so.`,
		Example: `  # The namespace of the context
  kubectl mdm status

  # All namespaces
  kubectl mdm status -A

  # Whether anything needs a person, for a script
  kubectl mdm status -A -o json | jq '.needs | length'`,
		Args: cobra.NoArgs,
	}
	c.RunE = e.Run(func(cmd *cobra.Command, s *cli.Session, _ []string) error { return o.run(cmd.Context(), s) })
	c.Flags().BoolVarP(&o.everywhere, "all-namespaces", "A", false, "all namespaces")
	look.OutputFlag(c, &o.output)
	return c
}

func (o *options) run(ctx context.Context, s *cli.Session) error {
	if err := look.CheckOutput(o.output); err != nil {
		return err
	}
	r := &look.Reader{Env: o.env, Session: s, In: client.InNamespace(s.Namespace)}
	if o.everywhere {
		r.In = ""
	}
	status, err := Read(ctx, r, o.env.Clock.Now())
	if err != nil {
		return err
	}
	if o.output != "" {
		return look.Encode(o.env, o.output, status)
	}
	p := &printer{Printer: look.NewPrinter(o.env), everywhere: o.everywhere}
	p.screen(status)
	if p.Err != nil {
		return p.Err
	}
	return look.Tell(o.env, status.Missing)
}
