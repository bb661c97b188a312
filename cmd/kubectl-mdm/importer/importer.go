package importer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/importer/nanodb"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/doing"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/live"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

// dsnVariable keeps a password off the command line, which others on the computer can read.
const dsnVariable = "NANOMDM_DSN"

const (
	defaultBatch = 200
	// maxBytes bounds a batch, in bytes: an API server reads 3 MiB of one request.
	maxBytes = 1 << 20
	// patience is how long one batch may take.
	patience = 2 * time.Minute
)

// Command is "kubectl mdm import" with its verbs.
func Command(e *cli.Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "import",
		Short: "Take enrolled devices over from another MDM server",
		Example: `  # What would become of each enrolment in NanoMDM's database
  kubectl mdm import nanomdm --server mdm --import nanomdm --enrollment-profile enroll.mobileconfig`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(nanoCommand(e))
	return c
}

// nano is what "import nanomdm" was asked for.
type nano struct {
	env                       *cli.Env
	server, name, dsn, enroll string
	dryRun, commit            bool
	batch                     int
}

func nanoCommand(e *cli.Env) *cobra.Command {
	n := &nano{env: e}
	c := &cobra.Command{
		Use:   "nanomdm --server NAME --import NAME --enrollment-profile FILE",
		Short: "Take enrolled Apple devices over from NanoMDM with its PostgreSQL store",
		Long: `Take enrolled Apple devices over from NanoMDM v0.9.0 with its PostgreSQL store. They go on without enrolling again.

NanoMDM's database is read in one transaction that can write nothing. What devices remember of their enrolment (identifier, addresses, topic and access
rights) is in no database: it comes from the enrolment profile that they were enrolled with, signed or not. If there were several profiles, run the command
once with each of them.

Without --commit nothing is stored: it says what would become of each enrolment. With --commit it hands the enrolments over in batches. Run it as often as you
like: what was imported before, or has enrolled here since, is left as it is.

The MDMServer needs the same host as NanoMDM, the same push certificate (or its renewal: the topic is the same), and an item of spec.apple.imports with
NanoMDM's paths and the CA of the devices' certificates. docs/guides/moving-from-nanomdm.md has the whole move.

Give a DSN with a password in the environment variable NANOMDM_DSN rather than in --dsn, which others on this computer can read. PGPASSWORD and ~/.pgpass work
as for psql.

Rights: get on mdmservers.mdm.kubemdm.io and apnscertificates.mdm.kubemdm.io; create on enrollmentimports.live.mdm.kubemdm.io, which the role admin has.`,
		Example: `  # What would become of each enrolment
  export NANOMDM_DSN='postgres://nanomdm:...@db.example.com/nanomdm?sslmode=verify-full'
  kubectl mdm import nanomdm --server mdm --import nanomdm --enrollment-profile enroll.mobileconfig

  # Do it
  kubectl mdm import nanomdm --server mdm --import nanomdm --enrollment-profile enroll.mobileconfig --commit`,
		Args: cobra.NoArgs,
	}
	c.RunE = e.Run(func(cmd *cobra.Command, s *cli.Session, _ []string) error { return n.run(cmd.Context(), s) })
	flags := c.Flags()
	flags.StringVar(&n.server, "server", "", "the MDMServer that takes the devices over")
	flags.StringVar(&n.name, "import", "", "the item of its spec.apple.imports by whose paths and CA they go on")
	flags.StringVar(&n.dsn, "dsn", "", "NanoMDM's database, such as postgres://nanomdm@db.example.com/nanomdm (default: the environment variable "+dsnVariable+")")
	flags.StringVar(&n.enroll, "enrollment-profile", "", "the profile that the devices were enrolled with; - is standard input")
	flags.BoolVar(&n.dryRun, "dry-run", true, "judge only, store nothing")
	flags.BoolVar(&n.commit, "commit", false, "hand the enrolments over")
	flags.IntVar(&n.batch, "batch", defaultBatch, fmt.Sprintf("how many enrolments to hand over at once, at most %d", livev1alpha1.MaxImport))
	for _, name := range []string{"server", "import", "enrollment-profile"} {
		utilruntime.Must(c.MarkFlagRequired(name))
	}
	c.PreRunE = func(cmd *cobra.Command, _ []string) error { return n.check(cmd.Flags().Changed("dry-run")) }
	utilruntime.Must(c.RegisterFlagCompletionFunc("server", doing.FlagNames(e, func() client.ObjectList { return &mdmv1alpha1.MDMServerList{} })))
	return c
}

func (n *nano) check(dryRunGiven bool) error {
	if n.commit && dryRunGiven && n.dryRun {
		return errors.New("--commit and --dry-run contradict each other: give one of them")
	}
	if !n.dryRun && !n.commit {
		return errors.New("--dry-run=false alone does nothing: --commit hands the enrolments over")
	}
	if n.batch < 1 || n.batch > livev1alpha1.MaxImport {
		return fmt.Errorf("--batch must be from 1 to %d", livev1alpha1.MaxImport)
	}
	if n.dsn = cmp.Or(n.dsn, os.Getenv(dsnVariable)); n.dsn == "" {
		return fmt.Errorf("give NanoMDM's database in the environment variable %s, or in --dsn", dsnVariable)
	}
	return nil
}

func (n *nano) run(ctx context.Context, s *cli.Session) error {
	content, err := n.env.ReadFile(n.enroll, maxProfile)
	if err != nil {
		return err
	}
	profile, err := ReadProfile(content)
	if err != nil {
		return fmt.Errorf("%s: %w", n.enroll, err)
	}
	target, err := n.target(ctx, s)
	if err != nil {
		return err
	}
	if err := target.check(profile); err != nil {
		return err
	}
	if u, err := url.Parse(n.dsn); err == nil && os.Getenv(dsnVariable) != n.dsn {
		if _, has := u.User.Password(); has {
			if _, err := fmt.Fprintf(n.env.ErrOut, "warning: others on this computer can read the password on the command line; %s keeps it to you\n", dsnVariable); err != nil {
				return err
			}
		}
	}
	db, err := nanodb.Open(ctx, n.dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	m := &move{nano: n, session: s, profile: profile, target: target, db: db, progress: look.Progress{Env: n.env}, result: newResult()}
	err = m.all(ctx)
	m.progress.End()
	if err != nil {
		return m.broke(err)
	}
	return m.print()
}

// move is one run of the command.
type move struct {
	*nano
	session  *cli.Session
	profile  *Profile
	target   *target
	db       *nanodb.Store
	progress look.Progress
	result   *result

	waiting []livev1alpha1.ImportedEnrollment
	bytes   int
}

// all reads every enrolment and hands over what can be, in batches.
func (m *move) all(ctx context.Context) error {
	var err error
	if m.result.total, err = m.db.Count(ctx); err != nil {
		return err
	}
	if m.result.unfinished, err = m.db.Unfinished(ctx); err != nil {
		return err
	}
	after := ""
	for {
		page, err := m.db.Enrollments(ctx, after, m.batch)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			return m.flush(ctx)
		}
		for i := range page {
			if err := m.add(ctx, &page[i]); err != nil {
				return err
			}
		}
		after = page[len(page)-1].ID
	}
}

func (m *move) add(ctx context.Context, e *nanodb.Enrollment) error {
	if !e.Enabled {
		m.result.disabled++
		return nil
	}
	m.result.users += len(enabled(e.Users))
	out, problem := convert(e, m.profile)
	if problem != "" {
		m.result.refuse(&out, problem)
		return nil
	}
	if n := size(&out); len(m.waiting) > 0 && m.bytes+n > maxBytes {
		if err := m.flush(ctx); err != nil {
			return err
		}
	}
	m.waiting, m.bytes = append(m.waiting, out), m.bytes+size(&out)
	if len(m.waiting) == m.batch {
		return m.flush(ctx)
	}
	return nil
}

// flush hands the waiting enrolments over.
func (m *move) flush(ctx context.Context) error {
	if len(m.waiting) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	batch := &livev1alpha1.EnrollmentImport{Server: m.server, Import: m.name, DryRun: !m.commit, Enrollments: m.waiting}
	batch.Namespace = m.session.Namespace
	if err := m.session.Create(ctx, batch); err != nil {
		return live.Judge(doing.Refusal(err))
	}
	if len(batch.Results) != len(m.waiting) {
		return fmt.Errorf("the server answered for %d of %d enrolments", len(batch.Results), len(m.waiting))
	}
	for i, r := range batch.Results {
		m.result.take(&m.waiting[i], r)
	}
	m.waiting, m.bytes = nil, 0
	m.progress.Say("%d of %d enrolments", m.result.done(), m.result.total)
	return nil
}

// broke says what a failure on the way leaves.
func (m *move) broke(err error) error {
	if m.commit && m.result.done() > 0 {
		return fmt.Errorf("after %d of %d enrolments (run the same command again: what was imported stays as it is): %w", m.result.done(), m.result.total, err)
	}
	return err
}
