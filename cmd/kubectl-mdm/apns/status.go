package apns

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/printers"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

// wide is the output format that shows more.
const wide = "wide"

// status is what "apns status" was asked for.
type status struct {
	env        *cli.Env
	everywhere bool
	format     *genericclioptions.PrintFlags
}

func statusCommand(e *cli.Env) *cobra.Command {
	o := &status{env: e, format: genericclioptions.NewPrintFlags("").WithTypeSetter(cli.Scheme)}
	o.format.TemplatePrinterFlags = nil
	c := &cobra.Command{
		Use:   "status [NAME]",
		Short: "Show where a certificate is on its way, and what comes next",
		Long: `Show where a certificate is on its way, and what comes next.

With NAME it shows each step of the way: ✓ is done, … waits, ✗ needs somebody. It shows the certificate in use, the servers that use it and
whether they have loaded it, and the next step. Without NAME it lists all of the namespace, with -A of all namespaces.

Rights: get on apnscertificates.mdm.kubemdm.io, list without NAME; list on mdmservers.mdm.kubemdm.io to show which servers use it.`,
		Example: `  # All certificates of all namespaces
  kubectl mdm apns status -A

  # One, step by step
  kubectl mdm apns status push

  # One with its fingerprint and the names of conditions, for a question to somebody else
  kubectl mdm apns status push -o wide`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: complete(e),
	}
	c.RunE = e.Run(func(cmd *cobra.Command, s *cli.Session, args []string) error { return o.run(cmd.Context(), s, args) })
	c.Flags().BoolVarP(&o.everywhere, "all-namespaces", "A", false, "list the certificates of all namespaces")
	o.format.AddFlags(c)
	c.Flags().Lookup("output").Usage = "Output format. One of: (json, yaml, kyaml, name, wide)."
	return c
}

func (o *status) run(ctx context.Context, s *cli.Session, args []string) error {
	if len(args) == 0 {
		return o.list(ctx, s)
	}
	if o.everywhere {
		return fmt.Errorf("-A lists all certificates and goes without a name: kubectl mdm apns status %s --namespace NAMESPACE shows one", args[0])
	}
	c, err := find(ctx, s, args[0])
	if err != nil {
		return err
	}
	if o.machine() {
		return o.print(c)
	}
	p := &printer{look.NewPrinter(o.env)}
	p.timeline(c, usersOf(ctx, s, c), *o.format.OutputFormat == wide)
	return p.Err
}

// machine says whether a program reads the output.
func (o *status) machine() bool {
	return *o.format.OutputFormat != "" && *o.format.OutputFormat != wide
}

func (o *status) print(object runtime.Object) error {
	printer, err := o.format.ToPrinter()
	if err != nil {
		return err
	}
	return printer.PrintObj(object, o.env.Out)
}

// printAll prints a list in one piece, or the name of each item, which is all that the printer of names can do.
func (o *status) printAll(list *mdmv1alpha1.APNSCertificateList) error {
	if *o.format.OutputFormat != "name" {
		for i := range list.Items { // typed clients leave out the kind
			list.Items[i].SetGroupVersionKind(mdmv1alpha1.GroupVersion.WithKind("APNSCertificate"))
		}
		return o.print(list)
	}
	for i := range list.Items {
		if err := o.print(&list.Items[i]); err != nil {
			return err
		}
	}
	return nil
}

func (o *status) list(ctx context.Context, s *cli.Session) error {
	in := client.InNamespace(s.Namespace)
	if o.everywhere {
		in = ""
	}
	list := &mdmv1alpha1.APNSCertificateList{}
	if err := s.List(ctx, list, in); err != nil {
		return err
	}
	if o.machine() {
		return o.printAll(list)
	}
	if len(list.Items) == 0 {
		where := "in the namespace " + s.Namespace
		if o.everywhere {
			where = "in any namespace"
		}
		_, err := fmt.Fprintf(o.env.ErrOut, "There is no APNSCertificate %s; kubectl mdm apns request NAME --create makes one\n", where)
		return err
	}
	t := table{now: o.env.Clock.Now()}
	if *o.format.OutputFormat == wide {
		servers := &mdmv1alpha1.MDMServerList{}
		if err := s.List(ctx, servers, in); err != nil {
			return err
		}
		t.servers = servers.Items
	}
	printer := printers.NewTablePrinter(printers.PrintOptions{WithNamespace: o.everywhere, Wide: *o.format.OutputFormat == wide})
	return printer.PrintObj(t.of(list), o.env.Out)
}
