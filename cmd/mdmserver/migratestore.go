package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/config"
	"github.com/kubemdm/kubemdm/mdmserver/store"
)

// tellEvery is how often the output says how far the copy is.
const tellEvery = time.Second

// copied is a line of output: a table and how many of its rows are copied so far, or the end and how many rows of all tables were.
type copied struct {
	Table string `json:"table,omitempty"`
	Done  bool   `json:"done,omitempty"`
	Rows  int64  `json:"rows"`
}

func migrateStoreCommand() *cobra.Command {
	var file string
	to := serverconfig.Postgres{MaxConnections: serverconfig.DatabaseMinConnections}
	c := &cobra.Command{
		Use:   "migrate-store --config FILE --to-dir DIR",
		Short: "Copy the SQLite store of a stopped server into an empty PostgreSQL database",
		Long: `Copy the SQLite store of a stopped server into an empty PostgreSQL database.

It copies in one transaction and compares the number of rows of every table before it commits. The SQLite store stays as it is; the server must not run, and
must be told of the database afterwards. "kubectl mdm migrate-store" does all of that in a cluster.

DIR holds the files that the folder of store.postgres would: uri, or host, user, password and dbname, and possibly port, sslmode, ca.crt, tls.crt and tls.key.
It writes lines of JSON, {"table":"devices","rows":17}: one a second, one for each table when all are there, and then {"done":true,"rows":42}.`,
		Example: "  mdmserver migrate-store --config /etc/kubemdm/mdmserver.json --to-dir /etc/kubemdm/database",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(file)
			if err != nil {
				return err
			}
			return migrateStore(cmd.Context(), *cfg, to, cmd.OutOrStdout())
		},
	}
	c.Flags().StringVar(&file, "config", "", "the configuration file of the server (JSON), which has its store in SQLite still")
	c.Flags().StringVar(&to.Dir, "to-dir", "", "the folder that says how to reach the database")
	c.Flags().StringVar(&to.CADir, "ca-dir", "", "a folder whose ca.crt is the CA of the database in the place of that in --to-dir")
	for _, name := range []string{"config", "to-dir"} {
		_ = c.MarkFlagRequired(name) // fails only for a flag that is not defined
	}
	return c
}

// migrateStore copies the store of a server.
func migrateStore(ctx context.Context, cfg serverconfig.Config, to serverconfig.Postgres, out io.Writer) (err error) {
	if cfg.Store.SQLite == nil {
		return errors.New("the server has its store in PostgreSQL already")
	}
	from, err := store.OpenSQLiteAlone(ctx, cfg.Store.SQLite.Path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	database, err := store.OpenPostgres(ctx, store.PostgresOptions{
		Connection:     func() (*pgconn.Config, error) { return config.ReadDatabase(to, time.Now()) },
		MaxConnections: to.MaxConnections, Server: cfg.Namespace + "/" + cfg.Name,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, database.Close()) }()
	lines := &lines{Encoder: json.NewEncoder(out)}
	counts, err := store.Copy(ctx, from, database, lines.progress)
	if err != nil {
		return fmt.Errorf("nothing was copied: %w", err)
	}
	end := copied{Done: true}
	for _, c := range counts {
		err = errors.Join(err, lines.Encode(copied{Table: c.Table, Rows: c.Rows}))
		end.Rows += c.Rows
	}
	return errors.Join(err, lines.Encode(end))
}

// lines is the output.
type lines struct {
	*json.Encoder
	last time.Time
}

// progress tells how far a table is, now and then. What cannot be written is no reason to stop: what counts comes in the end.
func (l *lines) progress(table string, rows int64) {
	if now := time.Now(); now.Sub(l.last) >= tellEvery {
		l.last = now
		_ = l.Encode(copied{Table: table, Rows: rows})
	}
}
