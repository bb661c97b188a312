package diff

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/manifest"
)

const (
	// patience bounds one run.
	patience = 10 * time.Minute
	// few is how many names are shown without --all.
	few = 10
)

// diff is what the command was asked for.
type diff struct {
	env      *cli.Env
	manager  string
	all      bool
	exitCode bool
	output   string
}

// Command is "kubectl mdm diff".
func Command(e *cli.Env) *cobra.Command {
	o := &diff{env: e}
	c := &cobra.Command{
		Use:   "diff FILE|FOLDER|-...",
		Short: "Show what manifests would change, and which devices would notice",
		Long: `Show what manifests would change, and which devices would notice.

It reads files as "kubectl mdm lint" does, and asks the API server what would become of each object if it were applied (a dry run of server-side apply: nothing
is changed). Then it foretells, by the very rules of the operator, which devices would gain a Profile, keep it or get it anew, and lose it: because of its selector, or
because labels of Devices change; what a new device gets with a token; which setup profiles change hands; how many devices a command is for; and whether the
removal guard of a Profile would hold.

Objects that are in the cluster and not in the files stay out of it, since only your pipeline knows what it prunes.

Fields that are gone from a manifest are taken away by their owner only: --field-manager names the one that your pipeline applies with; without it, it is the one
that has applied the object.

Rights: get on the kinds in the files, list on devices, profiles and automatedenrollments of mdm.kubemdm.io, as the role viewer has them. With patch the API
server is asked; without it (a pipeline that may only read) the schema in this plugin answers in its place, and webhooks and policies are not heard.`,
		Example: `  # What a pull request would do
  kubectl mdm diff clusters/production

  # All names, for what kustomize makes of it
  kubectl kustomize overlays/berlin | kubectl mdm diff --all -

  # In a pipeline: exit code 1 if anything would change
  kubectl mdm diff --exit-code -o json clusters/production`,
		Args: cobra.MinimumNArgs(1),
	}
	c.RunE = e.Run(func(cmd *cobra.Command, s *cli.Session, args []string) error { return o.run(cmd.Context(), s, args) })
	c.Flags().BoolVar(&o.all, "all", false, fmt.Sprintf("show all names of devices, and not the first %d", few))
	c.Flags().BoolVar(&o.exitCode, "exit-code", false, "end with exit code 1 if there are differences")
	c.Flags().StringVar(&o.manager, "field-manager", "", "the field manager that applies the manifests, such as kustomize-controller or argocd-controller")
	look.OutputFlag(c, &o.output)
	return c
}

func (o *diff) run(ctx context.Context, s *cli.Session, files []string) error {
	if err := look.CheckOutput(o.output); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	set, err := manifest.Read(o.env, files)
	if err != nil {
		return err
	}
	if err := readable(set); err != nil {
		return err
	}
	r := &report{}
	if err := o.changes(ctx, s, set, r); err != nil {
		return err
	}
	if err := o.foretell(ctx, s, r); err != nil {
		return err
	}
	if err := o.print(r); err != nil {
		return err
	}
	switch refused := r.count(Refused); {
	case refused > 0:
		return fmt.Errorf("%s would be refused", look.Count(refused, "object", "objects"))
	case o.exitCode && r.differs():
		return errors.New("there are differences")
	}
	return nil
}

// readable returns an error if a file holds what is no object.
func readable(set *manifest.Set) error {
	var errs []error
	add := func(p manifest.Problem) { errs = append(errs, fmt.Errorf("%s:%d: %s", p.File, p.Line, p.Message)) }
	for _, p := range set.Broken {
		add(p)
	}
	for _, object := range set.Objects {
		for _, p := range object.Problems {
			add(p)
		}
		if object.GetName() == "" && object.GetGenerateName() == "" {
			add(manifest.Problem{File: object.File, Line: object.LineOf("metadata"), Message: object.GetKind() + ": metadata.name: Required value"})
		}
	}
	if len(errs) == 0 && len(set.Objects) == 0 {
		errs = append(errs, errors.New("there is no object of mdm.kubemdm.io in these files"))
	}
	return errors.Join(errs...)
}
