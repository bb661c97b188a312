package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

//go:embed migrations/sqlite/*.sql
var sqliteMigrations embed.FS

// sqliteReaders bounds the connections that read beside the writer.
const sqliteReaders = 4

// OpenSQLite opens the file, creates it if it is missing, and brings its schema up to date. A file that a newer version has
// migrated further is refused. What an Update commits survives the death of the process and of the machine (synchronous=FULL).
func OpenSQLite(ctx context.Context, path string) (*Store, error) {
	s := &Store{}
	var err error
	if s.writer, err = sql.Open("sqlite", sqliteDSN(path, "_txlock=immediate")); err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	s.writer.SetMaxOpenConns(1)
	if s.readers, err = sql.Open("sqlite", sqliteDSN(path, "_pragma=query_only(1)")); err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	s.readers.SetMaxOpenConns(sqliteReaders)
	s.readers.SetMaxIdleConns(sqliteReaders)
	s.dialect = sqliteDialect{s}
	if err = s.migrate(ctx, sqliteMigrations, "migrations/sqlite"); err == nil {
		err = s.start(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, errors.Join(err, s.Close()))
	}
	return s, nil
}

// start begins a new epoch: nobody else has the file open.
func (s *Store) start(ctx context.Context) error {
	return s.run(ctx, true, func(t *tx) error {
		id, err := t.id()
		epoch := newEpoch(id)
		s.epoch = func() string { return epoch }
		return err
	})
}

func sqliteDSN(path string, extra string) string {
	options := []string{
		"_pragma=busy_timeout(10000)",
		"_pragma=journal_mode(WAL)",
		"_pragma=synchronous(FULL)",
		"_pragma=foreign_keys(1)",
		"_pragma=temp_store(MEMORY)", // a pod's root file system is read-only
		extra,
	}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: strings.Join(options, "&")}).String()
}

type sqliteDialect struct{ *Store }

func (d sqliteDialect) begin(ctx context.Context, write bool) (transaction, error) {
	if write {
		return d.writer.BeginTx(ctx, nil)
	}
	return d.readers.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
}

func (sqliteDialect) outage(err error) *Outage {
	if errors.Is(err, sql.ErrConnDone) || strings.Contains(err.Error(), "sql: database is closed") {
		return &Outage{reasonClosed, "the store is closed: the server is stopping", err}
	}
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return nil
	}
	switch e.Code() & 0xff { // the low byte is the primary code, the rest says more of it
	case sqlite3.SQLITE_FULL:
		return &Outage{reasonFull, "the volume is full: make it larger; " + err.Error(), err}
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM,
		sqlite3.SQLITE_PROTOCOL:
		return &Outage{reasonUnavailable, err.Error(), err}
	}
	return nil
}
