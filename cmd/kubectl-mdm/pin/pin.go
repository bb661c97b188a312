package pin

import (
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
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/doing"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/live"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

// pin is what the command was asked for.
type pin struct {
	env    *cli.Env
	device string
	output string
}

// Command is "kubectl mdm pin".
func Command(e *cli.Env) *cobra.Command {
	o := &pin{env: e}
	c := &cobra.Command{
		Use:   "pin COMMAND|--device DEVICE",
		Short: "Show the PIN of a Mac that was locked or erased",
		Long: `Show the PIN of a Mac that was locked or erased.

COMMAND is the DeviceCommand that did it; with --device it is the newest command of type Lock or Wipe that names the device, or asked it. The server keeps PINs for
90 days, also when the command is gone. That somebody reads a PIN is written to the log of the operator.

Rights: get, and the verb reveal, on devicepins.live.mdm.kubemdm.io; with --device also get on devices and list on devicecommands of mdm.kubemdm.io. Of the
roles of KubeMDM only admin may read PINs.`,
		Example: `  # By the command
  kubectl mdm pin lock-ana-macbook-x7k2p

  # By the device
  kubectl mdm pin --device ana-macbook`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: o.complete,
	}
	c.RunE = e.Run(func(cmd *cobra.Command, s *cli.Session, args []string) error { return o.run(cmd.Context(), s, args) })
	c.Flags().StringVar(&o.device, "device", "", "the Device, or its serial number, in place of the command")
	look.OutputFlag(c, &o.output)
	utilruntime.Must(c.RegisterFlagCompletionFunc("device", doing.FlagNames(e, func() client.ObjectList { return &mdmv1alpha1.DeviceList{} })))
	return c
}

// complete completes with the commands that may have PINs.
func (o *pin) complete(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return o.env.Names(func() client.ObjectList { return &mdmv1alpha1.DeviceCommandList{} })(cmd, args, prefix)
}

func (o *pin) run(ctx context.Context, s *cli.Session, args []string) error {
	ctx, cancel := context.WithTimeout(ctx, doing.Deadline)
	defer cancel()
	if err := look.CheckOutput(o.output); err != nil {
		return err
	}
	if (len(args) == 0) == (o.device == "") {
		return errors.New("name the DeviceCommand, or the device with --device")
	}
	command, device, err := o.find(ctx, s, args)
	if err != nil {
		return err
	}
	pins := &livev1alpha1.DevicePIN{}
	if err := live.Get(ctx, s, s.Namespace, command, pins); err != nil {
		return explain(s, command, err)
	}
	return o.show(command, device, pins)
}

// find names the command, and the one device that was asked for, if it was.
func (o *pin) find(ctx context.Context, s *cli.Session, args []string) (command, device string, err error) {
	if len(args) > 0 {
		return args[0], "", nil
	}
	d, err := look.Device(ctx, o.env, s, o.device)
	if err != nil {
		return "", "", err
	}
	command, err = o.newest(ctx, s, d.Name)
	return command, d.Name, err
}

// newest is the name of the newest command that may have sent a PIN to a device.
func (o *pin) newest(ctx context.Context, s *cli.Session, device string) (string, error) {
	list := &mdmv1alpha1.DeviceCommandList{}
	if err := look.All(ctx, o.env, s, list, "devicecommands", client.InNamespace(s.Namespace)); err != nil {
		return "", err
	}
	var newest *mdmv1alpha1.DeviceCommand
	for i := range list.Items {
		c := &list.Items[i]
		if !sends(c, device) {
			continue
		}
		if newest == nil || newest.CreationTimestamp.Before(&c.CreationTimestamp) {
			newest = c
		}
	}
	if newest == nil {
		return "", fmt.Errorf("no DeviceCommand %s of type Lock or Wipe is for %s: if it was deleted, name it", look.Where(s.Namespace), device)
	}
	return newest.Name, nil
}

// sends says whether a command may have sent a PIN to a device.
func sends(c *mdmv1alpha1.DeviceCommand, device string) bool {
	if c.Spec.Action.Type != mdmv1alpha1.ActionLock && c.Spec.Action.Type != mdmv1alpha1.ActionWipe {
		return false
	}
	if ref := c.Spec.Target.DeviceRef; ref != nil {
		return ref.Name == device
	}
	return slices.ContainsFunc(c.Status.Results, func(r mdmv1alpha1.CommandResult) bool { return r.Device == device })
}

// explain says who may read a PIN, or why there is none.
func explain(s *cli.Session, command string, err error) error {
	switch {
	case errors.Is(err, live.ErrForbidden):
		return fmt.Errorf("you may not read PINs. That takes get and the verb reveal on devicepins.live.mdm.kubemdm.io %s; of the roles of KubeMDM only admin has it. "+
			"Ask somebody who has it to run: kubectl mdm pin %s --namespace %s", look.Where(s.Namespace), command, s.Namespace)
	case errors.Is(err, live.ErrNotInstalled):
		return fmt.Errorf("%w. Whoever may read Secrets finds the PINs in one: kubectl get secret %s-pin --namespace %s --output yaml", err, command, s.Namespace)
	case apierrors.IsNotFound(err):
		return fmt.Errorf("there is no PIN of the command %s %s: no Mac has got it yet, it sends none, or it is older than 90 days", command, look.Where(s.Namespace))
	}
	return err
}

func (o *pin) show(command, device string, pins *livev1alpha1.DevicePIN) error {
	if device != "" {
		pins.PINs = slices.DeleteFunc(pins.PINs, func(p livev1alpha1.PIN) bool { return p.Device != device })
	}
	if len(pins.PINs) == 0 {
		return fmt.Errorf("the command %s has sent no PIN yet: a Mac gets it with its next contact", command)
	}
	if o.output != "" {
		return look.Encode(o.env, o.output, pins)
	}
	p := look.NewPrinter(o.env)
	rows := make([]look.Row, 0, len(pins.PINs))
	for _, one := range pins.PINs {
		rows = append(rows, look.Row{Mark: " ", Cells: []string{one.Device, one.SerialNumber, one.PIN}})
	}
	p.Line("PINs of the command %s", command)
	p.Table([]string{"DEVICE", "SERIAL", "PIN"}, rows)
	return p.Err
}
