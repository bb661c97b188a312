package events

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/live"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

// options are what was asked for.
type options struct {
	env        *cli.Env
	everywhere bool
	follow     bool
	server     string
	limit      int
	output     string
}

// Command is "kubectl mdm events".
func Command(e *cli.Env) *cobra.Command {
	o := &options{env: e}
	c := &cobra.Command{
		Use:   "events [DEVICE]",
		Short: "Show what happened to devices, or follow it as it happens",
		Long: `Show what happened to devices, oldest first, or follow it as it happens: enrolments and their ends, renewals, what was sent, and what devices answered.

DEVICE is the name or the serial number of one. --follow goes on until it is interrupted; it connects again when the API server or the manager ends the
connection, and shows what happened meanwhile as far as the servers still tell it.

The servers keep the newest events of each device for "kubectl mdm device NAME --history". These come from the live view; without one there are none.

Rights: list on deviceevents.live.mdm.kubemdm.io, watch with --follow, as the role viewer has them; get on devices.mdm.kubemdm.io with DEVICE.`,
		Example: `  # What happens in the namespace, as it happens
  kubectl mdm events --follow

  # The last things that happened to one device
  kubectl mdm events macbook-anna

  # Failures of a server, for a program: one JSON object a line
  kubectl mdm events --server berlin --follow -o json | jq 'select(.type == "Failed")'`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: o.completeDevice,
	}
	c.RunE = e.Run(func(cmd *cobra.Command, s *cli.Session, args []string) error { return o.run(cmd.Context(), s, args) })
	flags := c.Flags()
	flags.BoolVarP(&o.everywhere, "all-namespaces", "A", false, "all namespaces")
	flags.BoolVarP(&o.follow, "follow", "f", false, "go on with what happens from now on")
	flags.StringVar(&o.server, "server", "", "name of the MDMServer whose devices to show")
	flags.IntVar(&o.limit, "limit", 50, "how many of those that have happened to show; 0 shows all that the servers tell")
	flags.StringVarP(&o.output, "output", "o", "", "Output format. One of: (json), one object a line.")
	utilruntime.Must(c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]cobra.Completion{look.JSON}, cobra.ShellCompDirectiveNoFileComp)))
	utilruntime.Must(c.RegisterFlagCompletionFunc("server", func(cmd *cobra.Command, _ []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return e.Names(func() client.ObjectList { return &mdmv1alpha1.MDMServerList{} })(cmd, nil, prefix)
	}))
	return c
}

func (o *options) completeDevice(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return o.env.Names(func() client.ObjectList { return &mdmv1alpha1.DeviceList{} })(cmd, args, prefix)
}

func (o *options) check(args []string) error {
	switch {
	case o.everywhere && len(args) > 0:
		return fmt.Errorf("-A shows all devices and goes without a name: kubectl mdm events %s --namespace NAMESPACE shows one", args[0])
	case o.limit < 0:
		return errors.New("--limit is 0 or more")
	case o.output != "" && o.output != look.JSON:
		return fmt.Errorf("there is no output format %q; allowed formats are: json", o.output)
	}
	return nil
}

func (o *options) run(ctx context.Context, s *cli.Session, args []string) error {
	if err := o.check(args); err != nil {
		return err
	}
	f := &follower{env: o.env, session: s, printer: &printer{env: o.env, json: o.output != "", everywhere: o.everywhere}, seen: newMemory()}
	fields := client.MatchingFields{}
	if len(args) > 0 {
		name, err := device(ctx, o.env, s, args[0])
		if err != nil {
			return err
		}
		fields[livev1alpha1.FieldDevice] = name
	}
	if o.server != "" {
		fields[livev1alpha1.FieldServer] = o.server
	}
	f.options = []client.ListOption{client.InNamespace(s.Namespace), fields}
	if o.everywhere {
		f.options[0] = client.InNamespace("")
	}
	shown, err := f.catchUp(ctx, o.limit)
	switch {
	case err != nil:
		return fmt.Errorf("reading events: %w", err)
	case o.follow:
		return f.follow(ctx)
	case shown == 0 && o.output == "":
		_, err = fmt.Fprintln(o.env.ErrOut, "Nothing happened that the servers still tell")
	}
	return err
}

// device is the name of the Device that was meant. Who may not read Devices has to know it.
func device(ctx context.Context, e *cli.Env, s *cli.Session, name string) (string, error) {
	d, err := look.Device(ctx, e, s, name)
	switch {
	case apierrors.IsForbidden(err):
		return name, nil
	case err != nil:
		return "", err
	}
	return d.Name, nil
}

// catchUp shows the newest events that are not shown yet, oldest first, at most limit of them, and says how many.
func (f *follower) catchUp(ctx context.Context, limit int) (int, error) {
	list := &livev1alpha1.DeviceEventList{}
	if err := live.List(ctx, f.session, list, f.options...); err != nil {
		return 0, err
	}
	f.version = list.ResourceVersion
	slices.SortStableFunc(list.Items, func(a, b livev1alpha1.DeviceEvent) int {
		return cmp.Or(a.Time.Compare(b.Time.Time), cmp.Compare(a.Namespace, b.Namespace))
	})
	fresh := slices.DeleteFunc(list.Items, func(e livev1alpha1.DeviceEvent) bool { return !f.seen.add(&e) })
	if limit > 0 {
		fresh = fresh[max(0, len(fresh)-limit):]
	}
	for i := range fresh {
		if err := f.printer.print(&fresh[i]); err != nil {
			return 0, err
		}
	}
	return len(fresh), nil
}
