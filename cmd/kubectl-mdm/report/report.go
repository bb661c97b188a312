package report

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

// options are what was asked for.
type options struct {
	env              *cli.Env
	version          string
	everywhere       bool
	file             string
	redact           bool
	tail             int64
	managerNamespace string
}

// Command is "kubectl mdm report". version is that of the plugin.
func Command(e *cli.Env, version string) *cobra.Command {
	o := &options{env: e, version: version}
	c := &cobra.Command{
		Use:   "report",
		Short: "Write a support bundle without secrets",
		Long: `Write a support bundle (tar.gz) of what somebody needs to see who helps: the objects of KubeMDM, their events, pods and logs of the manager and of the
servers, versions, the CRDs, the state of the live view, and what "kubectl mdm status" shows.

What is never in it: Secrets and ConfigMaps, which are not even read; settings and files of profiles, and contents of commands, of which only the names of
fields stay; annotations but those of KubeMDM; environment variables of pods. What looks like a key, token or password in a message or log is taken out.

Serial numbers, UDIDs, names of devices and their users are replaced by pseudonyms, which are the same throughout the bundle and mean nothing outside.
--redact-serials=false leaves them as they are. Look into the bundle before you give it to somebody.

Rights: list on the kinds of mdm.kubemdm.io, as the role viewer has it; list on events, pods and get on pods/log; get on customresourcedefinitions and apiservices.
What may not be read is left out, and README.txt in the bundle says so.`,
		Example: `  # All namespaces
  kubectl mdm report -A

  # One namespace, with the serial numbers of its devices, into a file of a name
  kubectl mdm report --namespace fleet --redact-serials=false -o fleet.tar.gz

  # What is in it
  tar --list --verbose --file fleet.tar.gz`,
		Args: cobra.NoArgs,
	}
	c.RunE = e.Run(func(cmd *cobra.Command, s *cli.Session, _ []string) error { return o.run(cmd.Context(), s) })
	flags := c.Flags()
	flags.BoolVarP(&o.everywhere, "all-namespaces", "A", false, "all namespaces")
	flags.StringVarP(&o.file, "output", "o", "", `file to write, or "-" for standard output (default kubemdm-report-TIME.tar.gz)`)
	flags.BoolVar(&o.redact, "redact-serials", true, "replace serial numbers, UDIDs, names of devices and their users by pseudonyms")
	flags.Int64Var(&o.tail, "tail", 2000, "how many of the last lines of each log; 0 takes no logs")
	flags.StringVar(&o.managerNamespace, "manager-namespace", "", "namespace of the manager; it is looked for in all if this is not given")
	return c
}

func (o *options) run(ctx context.Context, s *cli.Session) error {
	if o.tail < 0 {
		return errors.New("--tail is 0 or more")
	}
	now := o.env.Clock.Now()
	if o.file == "" {
		o.file = "kubemdm-report-" + now.UTC().Format("20060102-150405") + ".tar.gz"
	}
	c := &collector{options: o, session: s, namespace: s.Namespace, now: now, secrecy: newSecrecy(o.redact)}
	if o.everywhere {
		c.namespace = ""
	}
	if o.file == cli.Standard {
		return o.gather(ctx, c, o.env.Out)
	}
	// Nobody but its owner can read the file. It is opened first, since reading takes a while, and one that is half written does not stay.
	f, err := os.OpenFile(o.file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(o.gather(ctx, c, f), f.Close()); err != nil {
		return errors.Join(err, os.Remove(o.file))
	}
	return nil
}

// gather reads what is asked for and writes the bundle.
func (o *options) gather(ctx context.Context, c *collector, w io.Writer) error {
	if err := c.collect(ctx); err != nil {
		return err
	}
	files := c.finish()
	if err := bundle(w, files, c.now); err != nil {
		return fmt.Errorf("writing the bundle: %w", err)
	}
	return o.tell(files)
}

// tell lists what is in the bundle.
func (o *options) tell(files []file) error {
	out := o.env.Out
	if o.file == cli.Standard {
		out = o.env.ErrOut
	}
	for _, f := range files {
		if _, err := fmt.Fprintf(out, "%9d  %s\n", len(f.content), f.name); err != nil {
			return err
		}
	}
	if o.file == cli.Standard {
		return nil
	}
	_, err := fmt.Fprintf(out, "Wrote %s: %s. Look into it before you give it to somebody.\n", o.file, look.Count(len(files), "file", "files"))
	return err
}
