package store

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// Tables of the numbers of the migrations that have run. A program refuses a store whose schema_version it does not know; it does not look at the
// other, where those are that a program without them does not notice: after a rollback it goes on with the store.
const (
	versions   = "schema_version"
	extensions = "schema_extension"
)

// unnoticed begins a migration that a program without it does not notice: new tables, and columns with defaults.
const unnoticed = "-- unnoticed"

// migrate brings the schema up to the newest of the migrations, files named NNNN_words.sql, each in a transaction of its own. A migration
// only ever adds: the version before runs beside it during a roll-out, and what it no longer uses is dropped one version later.
func migrate(ctx context.Context, db *sql.DB, migrations fs.FS) error {
	for _, table := range []string{versions, extensions} {
		if _, err := db.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS "+table+" (version INTEGER PRIMARY KEY)"); err != nil {
			return fmt.Errorf("reading the schema version: %w", err)
		}
	}
	names, err := fs.Glob(migrations, "*.sql")
	if err != nil {
		return fmt.Errorf("listing migrations: %w", err)
	}
	newest := 0
	for _, name := range names {
		if newest, err = strconv.Atoi(strings.SplitN(name, "_", 2)[0]); err != nil {
			return fmt.Errorf("migration %s has no number: %w", name, err)
		}
		text, err := fs.ReadFile(migrations, name)
		if err != nil {
			return fmt.Errorf("reading migration %s: %w", name, err)
		}
		if err := apply(ctx, db, newest, string(text)); err != nil {
			return fmt.Errorf("migration %s: %w", name, err)
		}
	}
	version, err := highest(ctx, db, versions)
	if err != nil {
		return err
	}
	if version > newest {
		return fmt.Errorf("the store has schema version %d and this program knows %d only: run the newer version again, or restore a backup made before it", version, newest)
	}
	return nil
}

// apply runs one migration unless it, or a later one, has run. The check is inside the transaction: two replicas may start at once.
func apply(ctx context.Context, db *sql.DB, number int, text string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	table := versions
	if strings.HasPrefix(text, unnoticed) {
		table = extensions
	}
	for _, done := range []string{versions, extensions} {
		version, err := highest(ctx, tx, done)
		if err != nil || version >= number {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, text); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO "+table+" (version) VALUES ($1)", number); err != nil {
		return err
	}
	return tx.Commit()
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// highest is the highest number in a table of migrations.
func highest(ctx context.Context, q querier, table string) (int, error) {
	var version int
	if err := q.QueryRowContext(ctx, "SELECT COALESCE(MAX(version), 0) FROM "+table).Scan(&version); err != nil {
		return 0, fmt.Errorf("reading the schema version: %w", err)
	}
	return version, nil
}
