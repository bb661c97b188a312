package act

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/doing"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/live"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

func pushCommand(e *cli.Env) *cobra.Command {
	a := &act{env: e, verb: verb{name: "push"}}
	c := &cobra.Command{
		Use:   "push DEVICE...|-l SELECTOR",
		Short: "Wake devices now, so that they call their server",
		Long: `Wake devices now, so that they call their server and get what waits for them.

The server wakes devices by itself whenever there is something for them; this is for a device that should have been heard of. It goes through the live view, and
makes no object. That Apple or Windows took the push does not say that the device got it.

Rights: get on devices.mdm.kubemdm.io, list with --selector; create on devicereports/push.live.mdm.kubemdm.io. The role helpdesk has them.`,
		Example: `  # One device
  kubectl mdm push ana-macbook

  # All of a team
  kubectl mdm push -l example.com/team=design`,
		Args:              cobra.MaximumNArgs(many),
		ValidArgsFunction: doing.Devices(e, many),
	}
	c.RunE = e.Run(func(cmd *cobra.Command, s *cli.Session, args []string) error { return a.push(cmd.Context(), s, args) })
	a.selectorFlags(c)
	c.Flags().Lookup("server").Usage = "with --selector: the devices of this MDMServer only"
	return c
}

func (a *act) push(ctx context.Context, s *cli.Session, args []string) error {
	if err := a.check(args); err != nil {
		return err
	}
	names, err := a.toWake(ctx, s, args)
	if err != nil {
		return err
	}
	var failed []error
	for i, name := range names {
		err := live.Push(ctx, s, s.Namespace, name)
		if line, missing := live.Missing(err); missing && i == 0 { // the others would fare the same
			return errors.New(a.why(err, line))
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", name, doing.Refusal(err)))
			continue
		}
		if _, err := fmt.Fprintf(a.env.Out, "%s was woken\n", name); err != nil {
			return err
		}
	}
	return errors.Join(failed...)
}

func (a *act) why(err error, line string) string {
	if errors.Is(err, live.ErrForbidden) {
		return "you may not wake devices: that takes create on devicereports/push of live.mdm.kubemdm.io, which the role helpdesk of KubeMDM has; " + line
	}
	return "no device was woken: " + strings.TrimSpace(line)
}

// toWake names the Devices.
func (a *act) toWake(ctx context.Context, s *cli.Session, args []string) ([]string, error) {
	if a.selector != "" {
		selector, err := metav1.ParseToLabelSelector(a.selector)
		if err != nil {
			return nil, fmt.Errorf("reading --selector: %w", err)
		}
		names, _, err := a.selected(ctx, s, selector)
		return names, err
	}
	names := make([]string, 0, len(args))
	for _, name := range args {
		d, err := look.Device(ctx, a.env, s, name)
		if err != nil {
			return nil, err
		}
		names = append(names, d.Name)
	}
	return names, nil
}
