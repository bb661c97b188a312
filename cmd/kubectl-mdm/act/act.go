package act

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/doing"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

const (
	// many is how many devices a command line may name.
	many = 1000
	// shortest and longest are the bounds of activeDeadlineSeconds.
	shortest = time.Minute
	longest  = 365 * 24 * time.Hour
)

// rights are those of every verb that makes a DeviceCommand; %s is the verb of its action.
const rights = `Rights: get on devices.mdm.kubemdm.io, list to select them or to find a serial number; create, get and watch on devicecommands.mdm.kubemdm.io, and
on the same the verb %s, which the cluster's admission policy asks for. The role %s has them.`

// act is what a verb was asked for.
type act struct {
	env  *cli.Env
	verb verb
	// targets
	selector, server string
	// the command
	name     string
	deadline time.Duration
	lock     mdmv1alpha1.LockAction
	wipe     mdmv1alpha1.WipeAction
	// how to go on
	wait    bool
	timeout time.Duration
	yes     bool
	serial  string
}

// verb is one of those that make a DeviceCommand.
type verb struct {
	name   string
	action mdmv1alpha1.ActionType
	short  string
	long   string
	// does is what it does, for questions: "lock".
	does string
	// role is the least one that has the right.
	role    string
	example string
	// flags adds those that the action needs.
	flags func(a *act, c *cobra.Command)
	// one device only; named devices, never a selector.
	one, named bool
	// asks a person before devices are named, too.
	asks bool
}

// Commands are all verbs of this package.
func Commands(e *cli.Env) []*cobra.Command {
	all := make([]*cobra.Command, 0, len(verbs)+1)
	for _, v := range verbs {
		all = append(all, newCommand(e, v))
	}
	return append(all, pushCommand(e))
}

func newCommand(e *cli.Env, v verb) *cobra.Command {
	a := &act{env: e, verb: v}
	role := v.role
	use, args, wanted := v.name+" DEVICE...|-l SELECTOR", cobra.MaximumNArgs(many), many
	switch {
	case v.one:
		use, args, wanted = v.name+" DEVICE", cobra.ExactArgs(1), 1
	case v.named:
		use, args = v.name+" DEVICE...", cobra.RangeArgs(1, many)
	}
	c := &cobra.Command{
		Use: use, Short: v.short, Args: args, Example: v.example,
		Long:              v.long + "\n\n" + fmt.Sprintf(rights, strings.ToLower(string(v.action)), role),
		ValidArgsFunction: doing.Devices(e, wanted),
	}
	c.RunE = e.Run(func(cmd *cobra.Command, s *cli.Session, args []string) error { return a.run(cmd.Context(), s, args) })
	a.commonFlags(c)
	if v.flags != nil {
		v.flags(a, c)
	}
	return c
}

func (a *act) commonFlags(c *cobra.Command) {
	if !a.verb.named && !a.verb.one {
		a.selectorFlags(c)
	}
	c.Flags().StringVar(&a.name, "name", "", "the name of the DeviceCommand; absent: one is made up")
	c.Flags().DurationVar(&a.deadline, "deadline", 0, "how long devices may take, such as 2h; absent: a week")
	c.Flags().BoolVar(&a.wait, "wait", true, "wait until the devices have answered, and show what they did")
	c.Flags().BoolVarP(&a.yes, "yes", "y", false, "do not ask")
	cli.TimeoutFlag(c, &a.timeout)
	c.Flags().Lookup("timeout").Usage = "how long to wait for the devices, such as 30s or 5m; they go on afterwards"
}

func (a *act) selectorFlags(c *cobra.Command) {
	c.Flags().StringVarP(&a.selector, "selector", "l", "", "the devices with these labels, such as example.com/team=design, in place of names")
	c.Flags().StringVar(&a.server, "server", "", "with --selector: the MDMServer of the devices; absent: that of all that are selected")
	utilruntime.Must(c.RegisterFlagCompletionFunc("server", doing.FlagNames(a.env, func() client.ObjectList { return &mdmv1alpha1.MDMServerList{} })))
}

func (a *act) run(ctx context.Context, s *cli.Session, args []string) error {
	if err := a.check(args); err != nil {
		return err
	}
	commands, question, err := a.prepare(ctx, s, args)
	if err != nil {
		return err
	}
	if question != "" && !a.yes {
		if err := doing.Agree(a.env, question); err != nil {
			return err
		}
	}
	made, err := a.create(ctx, s, commands)
	if err != nil {
		return err
	}
	if !a.wait {
		return a.afterwards(made)
	}
	return a.follow(ctx, s, made)
}

// check judges what was asked for by itself.
func (a *act) check(args []string) error {
	switch {
	case a.selector == "" && len(args) == 0:
		return errors.New("name the devices, or select them with --selector")
	case a.selector != "" && len(args) > 0:
		return errors.New("name the devices or select them with --selector, not both")
	case a.server != "" && a.selector == "":
		return errors.New("--server goes with --selector: the server of a device that is named is known")
	case a.deadline != 0 && (a.deadline < shortest || a.deadline > longest):
		return fmt.Errorf("--deadline must be between %v and %v", shortest, longest)
	case a.name != "" && len(args) > 1:
		return errors.New("--name names one DeviceCommand, and each device gets one of its own: leave it out, or name one device")
	}
	return nil
}

// prepare makes the commands, and says what to ask a person before they are created, if anything.
func (a *act) prepare(ctx context.Context, s *cli.Session, args []string) (commands []*mdmv1alpha1.DeviceCommand, question string, err error) {
	if a.selector != "" {
		return a.prepareSelected(ctx, s)
	}
	var names []string
	for _, name := range args {
		d, err := look.Device(ctx, a.env, s, name)
		if err != nil {
			return nil, "", err
		}
		if a.verb.action == mdmv1alpha1.ActionWipe {
			if err := a.confirmWipe(d); err != nil {
				return nil, "", err
			}
		}
		commands = append(commands, a.command(s, d.Spec.ServerRef, "-"+d.Name, mdmv1alpha1.CommandTarget{DeviceRef: &mdmv1alpha1.LocalReference{Name: d.Name}}))
		names = append(names, d.Name)
		if !doing.Enrolled(d) {
			err = a.note("%s is not enrolled: the command waits for it until its deadline", d.Name)
		}
		if err != nil {
			return nil, "", err
		}
	}
	if a.verb.asks {
		question = fmt.Sprintf("This will %s %s. Go on?", a.verb.does, strings.Join(names, ", "))
	}
	return commands, question, nil
}

func (a *act) note(format string, args ...any) error {
	_, err := fmt.Fprintf(a.env.ErrOut, format+"\n", args...)
	return err
}
