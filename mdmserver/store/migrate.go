package store

import (
	"context"
	"fmt"
	"io/fs"
	"path"
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

// migrate brings the schema up to the newest of the migrations in a folder, files named NNNN_words.sql, each in a transaction of its own. A migration
// only ever adds: the version before runs beside it during a roll-out, and what it no longer uses is dropped one version later.
func (s *Store) migrate(ctx context.Context, migrations fs.FS, folder string) error {
	err := s.run(ctx, true, func(t *tx) error {
		for _, table := range []string{versions, extensions} {
			if err := t.exec("CREATE TABLE IF NOT EXISTS " + table + " (version INTEGER PRIMARY KEY)"); err != nil {
				return fmt.Errorf("reading the schema version: %w", err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	names, err := fs.Glob(migrations, folder+"/*.sql")
	if err != nil {
		return fmt.Errorf("listing migrations: %w", err)
	}
	newest := 0
	for _, name := range names {
		if newest, err = strconv.Atoi(strings.SplitN(path.Base(name), "_", 2)[0]); err != nil {
			return fmt.Errorf("migration %s has no number: %w", name, err)
		}
		text, err := fs.ReadFile(migrations, name)
		if err != nil {
			return fmt.Errorf("reading migration %s: %w", name, err)
		}
		if err := s.run(ctx, true, func(t *tx) error { return t.apply(newest, string(text)) }); err != nil {
			return fmt.Errorf("migration %s: %w", name, err)
		}
	}
	return s.run(ctx, false, func(t *tx) error {
		version, err := t.highest(versions)
		if err == nil && version > newest {
			err = fmt.Errorf("the store has schema version %d and this program knows %d only: run the newer version again, or restore a backup made before it", version, newest)
			return &Outage{reasonNewerSchema, err.Error(), err}
		}
		return err
	})
}

// apply runs one migration unless it, or a later one, has run. The check is inside the transaction: two replicas may start at once.
func (t *tx) apply(number int, text string) error {
	table := versions
	if strings.HasPrefix(text, unnoticed) {
		table = extensions
	}
	for _, done := range []string{versions, extensions} {
		version, err := t.highest(done)
		if err != nil || version >= number {
			return err
		}
	}
	if _, err := t.ExecContext(t.ctx, text); err != nil {
		return err
	}
	return t.exec("INSERT INTO "+table+" (version) VALUES ($1)", number)
}

// highest is the highest number in a table of migrations.
func (t *tx) highest(table string) (int, error) {
	n, err := t.number("SELECT COALESCE(MAX(version), 0) FROM " + table)
	if err != nil {
		return 0, fmt.Errorf("reading the schema version: %w", err)
	}
	return int(n), nil
}
