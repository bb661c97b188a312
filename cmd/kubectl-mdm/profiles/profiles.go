package profiles

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/live"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

// Profile is what "kubectl mdm profile status NAME -o json" prints. Fields may be added to it; none changes its meaning.
type Profile struct {
	// Profile is the object.
	Profile *mdmv1alpha1.Profile `json:"profile"`
	// Report is what its server knows now; absent: see missing.
	Report *livev1alpha1.ProfileReport `json:"report,omitempty"`
	// Needs is what needs a person.
	Needs []look.Need `json:"needs"`
	// Missing says in a line each what could not be read, and why.
	Missing []string `json:"missing,omitempty"`
}

// status is what "profile status" was asked for.
type status struct {
	env    *cli.Env
	limit  int
	output string
}

// Command is "kubectl mdm profile".
func Command(e *cli.Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "profile",
		Short: "Look at profiles",
		Long:  "Look at profiles: how far they are on devices.",
		Example: `  # Who is behind on a profile, and why
  kubectl mdm profile status wifi`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(statusCommand(e))
	return c
}

func statusCommand(e *cli.Env) *cobra.Command {
	o := &status{env: e}
	c := &cobra.Command{
		Use:   "status NAME",
		Short: "Show how far a profile is, who is behind, and why",
		Long: `Show how far a profile is: how many devices should have it, have it, wait for it and refuse it; then each device that is behind, with the reason.
Those that refuse it come first, then those that have been behind the longest.

Who is behind comes from the profile's server by way of the live view. Where that is out of reach, the counters are shown, and some of the devices that refuse it.

Rights: get on profiles.mdm.kubemdm.io and on profilereports.live.mdm.kubemdm.io, as the role viewer has them.`,
		Example: `  # Who is behind, and why
  kubectl mdm profile status wifi

  # All of them, and not only the first 50
  kubectl mdm profile status wifi --limit 0

  # The names of devices that refuse it, for a script
  kubectl mdm profile status wifi -o json | jq -r '.report.behind[] | select(.outcome == "Failed") | .device'`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: o.complete,
	}
	c.RunE = e.Run(func(cmd *cobra.Command, s *cli.Session, args []string) error { return o.run(cmd.Context(), s, args[0]) })
	c.Flags().IntVar(&o.limit, "limit", 50, "how many devices that are behind to show; 0 shows all that the live view tells, which are at most 1000")
	look.OutputFlag(c, &o.output)
	return c
}

func (o *status) complete(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return o.env.Names(func() client.ObjectList { return &mdmv1alpha1.ProfileList{} })(cmd, args, prefix)
}

func (o *status) run(ctx context.Context, s *cli.Session, name string) error {
	if o.limit < 0 {
		return errors.New("--limit is 0 or more")
	}
	if err := look.CheckOutput(o.output); err != nil {
		return err
	}
	profile, err := o.read(ctx, s, name)
	if err != nil {
		return err
	}
	if o.output != "" {
		return look.Encode(o.env, o.output, profile)
	}
	p := &printer{look.NewPrinter(o.env)}
	p.profile(profile, o.limit)
	if p.Err != nil {
		return p.Err
	}
	return look.Tell(o.env, profile.Missing)
}

func (o *status) read(ctx context.Context, s *cli.Session, name string) (*Profile, error) {
	p := &mdmv1alpha1.Profile{}
	if err := look.Get(ctx, s, name, p); err != nil {
		if apierrors.IsNotFound(err) && !cli.KindUnknown(err) {
			return nil, fmt.Errorf("there is no Profile %s in the namespace %s: kubectl get profiles.mdm.kubemdm.io --all-namespaces lists all", name, s.Namespace)
		}
		return nil, err
	}
	p.SetGroupVersionKind(mdmv1alpha1.GroupVersion.WithKind("Profile")) // typed clients leave out the kind
	result := &Profile{Profile: p, Needs: append([]look.Need{}, look.Needs("Profile", p, o.env.Clock.Now())...)}

	report := &livev1alpha1.ProfileReport{}
	switch err := live.Get(ctx, s, p.Namespace, p.Name, report); {
	case err == nil:
		report.SetGroupVersionKind(livev1alpha1.GroupVersion.WithKind("ProfileReport"))
		slices.SortStableFunc(report.Behind, func(a, b livev1alpha1.DeviceProfileState) int {
			return cmp.Compare(rank(a), rank(b)) // within a rank the order is that of the live view
		})
		result.Report = report
	case ctx.Err() != nil:
		return nil, ctx.Err()
	default:
		text, is := live.Missing(err)
		if !is {
			text = err.Error()
		}
		result.Missing = append(result.Missing, "who is behind is not shown: "+text)
	}
	return result, nil
}

// rank puts devices first that refuse a profile.
func rank(d livev1alpha1.DeviceProfileState) int {
	if d.Outcome == "Failed" {
		return 0
	}
	return 1
}
