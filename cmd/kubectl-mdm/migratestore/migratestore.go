package migratestore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/doing"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// former is the annotation of an MDMServer that this command has stopped: the replicas that it had. All that a later run needs to know is in the cluster.
const former = "mdm.kubemdm.io/migrate-store-replicas"

const (
	// asBefore stands for the replicas that the server had.
	asBefore = -1
	// patience is how long one step may take unless somebody says otherwise.
	patience = 15 * time.Minute
)

// options are what the command was asked for.
type options struct {
	env                          *cli.Env
	secret                       string
	caSecret, caConfigMap, caKey string
	replicas                     int32
	yes, dryRun                  bool
	timeout                      time.Duration
}

// Command is "kubectl mdm migrate-store".
func Command(e *cli.Env) *cobra.Command {
	o := &options{env: e}
	c := &cobra.Command{
		Use:   "migrate-store NAME --to-secret SECRET",
		Short: "Move what a server stores from SQLite to PostgreSQL",
		Long: `Move what a server stores from SQLite to PostgreSQL. No device enrols again, and none loses anything.

It stops the MDMServer, copies its store into an empty database in one transaction by a Job in the image of the server, compares the number of rows of every
table, switches spec.storage and starts the server again. Devices are not served meanwhile: they try again by themselves. If anything fails before the switch,
or you interrupt it, the server goes on with SQLite, which was only read. Whatever happens to this program, run it again: it goes on where it has to.

The Secret says how to reach the database, in keys as the operators of PostgreSQL write them: uri, or host, user, password and dbname, and possibly port,
sslmode and ca.crt. docs/guides/moving-to-postgresql.md has the whole move, and the way back.

If a GitOps pipeline applies the MDMServer, suspend it before, and commit what this command prints before it goes on.

Rights: get, watch and patch on mdmservers.mdm.kubemdm.io; get on statefulsets.apps; create, get, watch and delete on jobs.batch; list on pods; get on
pods/log, on secrets, and on configmaps with --ca-configmap. Kubernetes' own admin has them.`,
		Example: `  # What would happen
  kubectl mdm migrate-store mdm --to-secret mdm-db --dry-run

  # A database of CloudNativePG, with its CA
  kubectl mdm migrate-store mdm --to-secret pg-app --ca-secret pg-ca

  # One of a cloud provider, and two replicas from then on
  kubectl mdm migrate-store mdm --to-secret mdm-db --ca-configmap rds-ca --ca-key global-bundle.pem --replicas 2`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: servers(e),
	}
	c.RunE = e.Run(func(cmd *cobra.Command, s *cli.Session, args []string) error { return o.run(cmd.Context(), s, args[0]) })
	flags := c.Flags()
	flags.StringVar(&o.secret, "to-secret", "", "the Secret that says how to reach the database")
	flags.StringVar(&o.caSecret, "ca-secret", "", "the Secret with the CA of the database, if it is not in that of --to-secret")
	flags.StringVar(&o.caConfigMap, "ca-configmap", "", "the ConfigMap with the CA of the database, in place of a Secret")
	flags.StringVar(&o.caKey, "ca-key", serverconfig.CAFile, "the key of the CA there")
	flags.Int32Var(&o.replicas, "replicas", asBefore, "how many pods serve afterwards; -1: as many as before")
	flags.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	flags.BoolVar(&o.dryRun, "dry-run", false, "check everything, say what would happen, and change nothing")
	flags.DurationVar(&o.timeout, "timeout", patience, "how long each step may take: the stop, the copy, the start")
	utilruntime.Must(c.MarkFlagRequired("to-secret"))
	for flag, list := range map[string]func() client.ObjectList{
		"to-secret": secrets, "ca-secret": secrets, "ca-configmap": func() client.ObjectList { return &corev1.ConfigMapList{} },
	} {
		utilruntime.Must(c.RegisterFlagCompletionFunc(flag, doing.FlagNames(e, list)))
	}
	return c
}

func secrets() client.ObjectList { return &corev1.SecretList{} }

// servers completes the one argument.
func servers(e *cli.Env) cobra.CompletionFunc {
	names := doing.FlagNames(e, func() client.ObjectList { return &mdmv1alpha1.MDMServerList{} })
	return func(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return names(cmd, args, prefix)
	}
}

// move is one run of the command.
type move struct {
	*options
	session *cli.Session
	// server and set are as they were last read.
	server *mdmv1alpha1.MDMServer
	set    *appsv1.StatefulSet
	// secretVersion is that of the Secret of the database.
	secretVersion string
	// before are the replicas that the server had.
	before int32
}

func (o *options) run(ctx context.Context, s *cli.Session, name string) error {
	if err := o.check(); err != nil {
		return err
	}
	m := &move{options: o, session: s}
	if err := m.find(ctx, name); err != nil {
		return err
	}
	if m.server.Spec.Storage.Type == mdmv1alpha1.StoragePostgreSQL {
		return m.resume(ctx)
	}
	if err := m.checkAll(ctx); err != nil {
		return err
	}
	if err := m.plan(); err != nil || o.dryRun {
		return err
	}
	if !o.yes {
		if err := doing.Agree(o.env, "Go on?"); err != nil {
			return err
		}
	}
	if err := m.toDatabase(ctx); err != nil {
		return m.goBack(ctx, err)
	}
	return m.start(ctx)
}

// check judges what was asked for by itself.
func (o *options) check() error {
	switch {
	case o.caSecret != "" && o.caConfigMap != "":
		return errors.New("--ca-secret and --ca-configmap contradict each other: give one of them")
	case o.caSecret == "" && o.caConfigMap == "" && o.caKey != serverconfig.CAFile:
		return errors.New("--ca-key goes with --ca-secret or --ca-configmap")
	case o.replicas < asBefore:
		return errors.New("--replicas must be 0 or more")
	case o.timeout <= 0:
		return errors.New("--timeout must be more than 0")
	}
	return nil
}

// find reads the MDMServer.
func (m *move) find(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, doing.Deadline)
	defer cancel()
	server := &mdmv1alpha1.MDMServer{}
	err := m.session.Get(ctx, client.ObjectKey{Namespace: m.session.Namespace, Name: name}, server)
	if doing.Absent(err) {
		return fmt.Errorf("there is no MDMServer %s in the namespace %s", name, m.session.Namespace)
	}
	if err == nil {
		m.server = server
	}
	return err
}

// storage is what spec.storage.postgresql should be.
func (o *options) storage() *mdmv1alpha1.PostgreSQLStorage {
	p := &mdmv1alpha1.PostgreSQLStorage{SecretRef: mdmv1alpha1.LocalReference{Name: o.secret}}
	switch {
	case o.caSecret != "":
		p.CARef = &mdmv1alpha1.CAReference{Kind: mdmv1alpha1.CAReferenceSecret, Name: o.caSecret, Key: o.caKey}
	case o.caConfigMap != "":
		p.CARef = &mdmv1alpha1.CAReference{Kind: mdmv1alpha1.CAReferenceConfigMap, Name: o.caConfigMap, Key: o.caKey}
	}
	return p
}

// after are the replicas that the server gets once it is switched.
func (m *move) after() int32 {
	if m.replicas != asBefore {
		return m.replicas
	}
	return m.before
}

// toDatabase is all that can be taken back: until it ends without an error, the server is on SQLite.
func (m *move) toDatabase(ctx context.Context) error {
	if err := m.stop(ctx); err != nil {
		return err
	}
	// A policy that refuses the switch does so before the copy.
	err := m.within(ctx, func(ctx context.Context) error { return m.patch(ctx, m.switched(0), client.DryRunAll) })
	if err != nil {
		return fmt.Errorf("trying the switch of spec.storage: %w", doing.Refusal(err))
	}
	rows, tables, err := m.copy(ctx)
	if err = cmp.Or(err, ctx.Err()); err != nil {
		return err
	}
	if err := m.say("Copied: %s in %s, each with the same number of rows in PostgreSQL", look.Count(rows, "row", "rows"), look.Count(tables, "table", "tables")); err != nil {
		return err
	}
	return m.switchOver(ctx)
}

// resume is what a run does that finds the storage switched.
func (m *move) resume(ctx context.Context) error {
	if given := m.server.Spec.Storage.PostgreSQL.SecretRef.Name; given != m.secret {
		return fmt.Errorf("%s is on PostgreSQL already, with the Secret %s: %s was not touched", m.server.Name, given, m.secret)
	}
	if _, stopped := m.server.Annotations[former]; !stopped || m.dryRun {
		_, err := fmt.Fprintf(m.env.Out, "%s is on PostgreSQL already\n", m.server.Name)
		return err
	}
	if err := m.say("%s was switched to PostgreSQL by an earlier run; it is started now", m.server.Name); err != nil {
		return err
	}
	m.before = m.stoppedWith()
	return m.start(ctx)
}

// say tells a person how far it is.
func (m *move) say(format string, args ...any) error {
	_, err := fmt.Fprintf(m.env.ErrOut, format+"\n", args...)
	return err
}

func (m *move) command(words string) string {
	return fmt.Sprintf("kubectl %s --namespace %s", words, cmp.Or(m.server.Namespace, m.session.Namespace))
}
