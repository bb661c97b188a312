package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
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
	s := &Store{dialect: sqliteDialect{}}
	var err error
	if s.writer, err = sql.Open("sqlite", sqliteDSN(path, "_txlock=immediate")); err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	s.writer.SetMaxOpenConns(1)
	migrations, err := fs.Sub(sqliteMigrations, "migrations/sqlite")
	if err == nil {
		err = migrate(ctx, s.writer, migrations)
	}
	if err == nil {
		s.readers, err = sql.Open("sqlite", sqliteDSN(path, "_pragma=query_only(1)"))
	}
	if err != nil {
		_ = s.writer.Close()
		return nil, fmt.Errorf("opening %s: %w", path, s.classify(err))
	}
	s.readers.SetMaxOpenConns(sqliteReaders)
	s.readers.SetMaxIdleConns(sqliteReaders)
	return s, nil
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

type sqliteDialect struct{}

func (sqliteDialect) unavailable(err error) bool {
	if errors.Is(err, sql.ErrConnDone) || strings.Contains(err.Error(), "sql: database is closed") {
		return true
	}
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code() & 0xff { // the low byte is the primary code, the rest says more of it
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY,
		sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PROTOCOL:
		return true
	}
	return false
}
