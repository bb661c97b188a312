package devices

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/live"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

// maxHistory is how much the live view tells.
const maxHistory = 200

// Device is what "kubectl mdm device -o json" prints. Fields may be added to it; none changes its meaning.
type Device struct {
	// Device is the object.
	Device *mdmv1alpha1.Device `json:"device"`
	// Report is what its server knows now; absent: see missing.
	Report *livev1alpha1.DeviceReport `json:"report,omitempty"`
	// PendingCommands are DeviceCommands that the device has not answered yet.
	PendingCommands []Command `json:"pendingCommands"`
	// Needs is what needs a person.
	Needs []look.Need `json:"needs"`
	// Missing says in a line each what could not be read, and why.
	Missing []string `json:"missing,omitempty"`
}

// Command is a DeviceCommand that waits for the device.
type Command struct {
	Name string `json:"name"`
	// Type of its action, such as Restart.
	Type string `json:"type"`
	// State is Queued, Delivered, NotNow, or Unknown where only the server knows.
	State     string      `json:"state"`
	CreatedAt metav1.Time `json:"createdAt"`
}

// one is what "device" was asked for.
type one struct {
	env     *cli.Env
	history int
	output  string
}

// DeviceCommand is "kubectl mdm device".
func DeviceCommand(e *cli.Env) *cobra.Command {
	o := &one{env: e}
	c := &cobra.Command{
		Use:   "device NAME|SERIAL",
		Short: "Show all that is known of a device, its profiles and its history",
		Long: `Show all that is known of a device: what it is, its enrolment and certificate, its conditions, its profiles and how far each is, the commands
that wait for it, what happened to it, and what needs a person.

Profiles and history come from the device's server by way of the live view. Where that is out of reach, all else is shown, and the profiles that the device refuses.

Rights: get on devices.mdm.kubemdm.io (and list, to find one by its serial number), list on devicecommands.mdm.kubemdm.io, get on
devicereports.live.mdm.kubemdm.io, as the role viewer has them.`,
		Example: `  # By its name, or by its serial number
  kubectl mdm device macbook-anna
  kubectl mdm device C02XK1ABJG5H

  # The last 50 things that happened to it
  kubectl mdm device macbook-anna --history 50

  # Which of its profiles are not installed, for a script
  kubectl mdm device macbook-anna -o json | jq '.report.profiles[] | select(.outcome != "Installed")'`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: complete(e),
	}
	c.RunE = e.Run(func(cmd *cobra.Command, s *cli.Session, args []string) error { return o.run(cmd.Context(), s, args[0]) })
	c.Flags().IntVar(&o.history, "history", 10, fmt.Sprintf("how many things that happened to show, at most %d", maxHistory))
	look.OutputFlag(c, &o.output)
	return c
}

// complete completes the name of a Device.
func complete(e *cli.Env) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return e.Names(func() client.ObjectList { return &mdmv1alpha1.DeviceList{} })(cmd, args, prefix)
	}
}

func (o *one) run(ctx context.Context, s *cli.Session, name string) error {
	if o.history < 0 || o.history > maxHistory {
		return fmt.Errorf("--history is between 0 and %d", maxHistory)
	}
	if err := look.CheckOutput(o.output); err != nil {
		return err
	}
	device, err := o.read(ctx, s, name)
	if err != nil {
		return err
	}
	if o.output != "" {
		return look.Encode(o.env, o.output, device)
	}
	p := &printer{look.NewPrinter(o.env)}
	p.device(device, o.history)
	if p.Err != nil {
		return p.Err
	}
	return look.Tell(o.env, device.Missing)
}

func (o *one) read(ctx context.Context, s *cli.Session, name string) (*Device, error) {
	d, err := look.Device(ctx, o.env, s, name)
	if err != nil {
		return nil, err
	}
	d.SetGroupVersionKind(mdmv1alpha1.GroupVersion.WithKind("Device")) // typed clients leave out the kind
	result := &Device{Device: d, Needs: look.Needs("Device", d, o.env.Clock.Now()), PendingCommands: []Command{}}
	result.Needs = append([]look.Need{}, result.Needs...)

	report := &livev1alpha1.DeviceReport{}
	switch err := live.Get(ctx, s, d.Namespace, d.Name, report); {
	case err == nil:
		report.SetGroupVersionKind(livev1alpha1.GroupVersion.WithKind("DeviceReport"))
		report.History = report.History[:min(o.history, len(report.History))]
		slices.SortStableFunc(report.Profiles, func(a, b livev1alpha1.ProfileState) int {
			return cmp.Or(cmp.Compare(a.Profile, b.Profile), cmp.Compare(a.User, b.User))
		})
		result.Report = report
	case ctx.Err() != nil:
		return nil, ctx.Err()
	default:
		result.Missing = append(result.Missing, "profiles and history are not shown: "+whyNot(err))
	}

	r := &look.Reader{Env: o.env, Session: s, In: client.InNamespace(d.Namespace)}
	commands := &mdmv1alpha1.DeviceCommandList{}
	if err := r.List(ctx, commands, "devicecommands"); err != nil {
		return nil, err
	}
	result.Missing = append(result.Missing, r.Missing...)
	result.PendingCommands = pending(d, commands.Items)
	return result, nil
}

// whyNot says why there is no report. That its server does not know a device is one of the reasons.
func whyNot(err error) string {
	if text, is := live.Missing(err); is {
		return text
	}
	return err.Error()
}

// pending picks the commands that wait for a device, oldest first.
func pending(d *mdmv1alpha1.Device, commands []mdmv1alpha1.DeviceCommand) []Command {
	waiting := []Command{}
	for i := range commands {
		c := &commands[i]
		if state := waits(d, c); state != "" {
			waiting = append(waiting, Command{Name: c.Name, Type: string(c.Spec.Action.Type), State: state, CreatedAt: c.CreationTimestamp})
		}
	}
	slices.SortFunc(waiting, func(a, b Command) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt.Time), cmp.Compare(a.Name, b.Name))
	})
	return waiting
}

// open are the states that are not final.
var open = []mdmv1alpha1.CommandState{"Queued", "Delivered", "NotNow"}

// waits is the state of a command that waits for a device, or empty.
func waits(d *mdmv1alpha1.Device, c *mdmv1alpha1.DeviceCommand) string {
	if c.Status.FinishedAt != nil || c.Spec.ServerRef != d.Spec.ServerRef || !targets(c, d) {
		return ""
	}
	for _, result := range c.Status.Results {
		if result.Device != d.Name {
			continue
		}
		if slices.Contains(open, result.State) {
			return string(result.State)
		}
		return ""
	}
	switch {
	case c.Spec.Target.DeviceRef != nil:
		return string(open[0])
	case look.Enrolment(d) == string(mdmv1alpha1.EnrollmentEnrolled): // the status has the newest results only, and a selector selects enrolled devices only
		return string(metav1.ConditionUnknown)
	}
	return ""
}

func targets(c *mdmv1alpha1.DeviceCommand, d *mdmv1alpha1.Device) bool {
	if ref := c.Spec.Target.DeviceRef; ref != nil {
		return ref.Name == d.Name
	}
	selector, err := metav1.LabelSelectorAsSelector(c.Spec.Target.Selector)
	return err == nil && selector.Matches(labels.Set(d.Labels))
}
