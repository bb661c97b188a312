package store

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// migrate brings the schema up to the newest of the migrations, files named NNNN_words.sql, each in a transaction of its own. A migration
// only ever adds: the version before runs beside it during a roll-out, and what it no longer uses is dropped one version later.
func migrate(ctx context.Context, db *sql.DB, migrations fs.FS) error {
	if _, err := db.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY)"); err != nil {
		return fmt.Errorf("reading the schema version: %w", err)
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
	version, err := schemaVersion(ctx, db)
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
	version, err := schemaVersion(ctx, tx)
	if err != nil || version >= number {
		return err
	}
	if _, err := tx.ExecContext(ctx, text); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO schema_version (version) VALUES ($1)", number); err != nil {
		return err
	}
	return tx.Commit()
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func schemaVersion(ctx context.Context, q querier) (int, error) {
	var version int
	if err := q.QueryRowContext(ctx, "SELECT COALESCE(MAX(version), 0) FROM schema_version").Scan(&version); err != nil {
		return 0, fmt.Errorf("reading the schema version: %w", err)
	}
	return version, nil
}
