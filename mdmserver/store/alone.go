package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrInUse is that a server has the file of a store open.
var ErrInUse = errors.New("a server has the store open: stop it first")

// OpenSQLiteAlone opens a file that is there already and that nobody else has open, as far as the locks of the file tell: whoever has it open holds a shared one,
// also while it does nothing.
func OpenSQLiteAlone(ctx context.Context, path string) (*Store, error) {
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		return nil, errors.Join(fmt.Errorf("there is no store in %s", path), err)
	}
	if err := lockOnce(ctx, path); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return OpenSQLite(ctx, path)
}

// lockOnce takes the exclusive lock of the file and lets it go.
func lockOnce(ctx context.Context, path string) (err error) {
	dsn := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: "mode=rw&_pragma=busy_timeout(0)&_pragma=locking_mode(EXCLUSIVE)"}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err = db.ExecContext(ctx, "BEGIN EXCLUSIVE; ROLLBACK"); isBusy(err) {
		return ErrInUse
	}
	return err
}

func isBusy(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_BUSY
}
