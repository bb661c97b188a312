package store

import (
	"context"
	"database/sql"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/stdlib"
)

// pgTransaction is a transaction on a connection of its own. It begins with its first statement, in one round trip with it, and ends so with its last.
type pgTransaction struct {
	*sql.Conn
	ctx context.Context
	// renew returns another connection in place of one that turned out to be dead before anything happened on it.
	renew func(context.Context) (*sql.Conn, error)
	// first begins it.
	first []statement
	// writes is true for an update, false for a view. wrote gets a value when it has written.
	writes, changed bool
	wrote           chan struct{}
	begun, done     bool
	// waiting are statements that are to be sent with the next ones.
	waiting []statement
}

// simple runs statements without parameters in one round trip.
func simple(ctx context.Context, conn *sql.Conn, statements string) error {
	return conn.Raw(func(c any) error {
		_, err := c.(*stdlib.Conn).Conn().PgConn().Exec(ctx, statements).ReadAll()
		return err
	})
}

// isClosed says whether the connection is of no use any more.
func isClosed(conn *sql.Conn) bool {
	closed := true
	_ = conn.Raw(func(c any) error {
		closed = c.(*stdlib.Conn).Conn().IsClosed()
		return nil
	})
	return closed
}

// Commit does not end half way because a device hangs up: nobody would know what became of the transaction.
func (t *pgTransaction) Commit() error {
	if t.done {
		return sql.ErrTxDone
	}
	if t.ctx.Err() != nil {
		return t.ctx.Err()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), statementTimeout)
	defer cancel()
	if len(t.waiting) > 0 || t.begun {
		if err := t.begin(ctx); err != nil { // apart from the commit, which is never sent twice
			return err
		}
		if err := t.batch(ctx, append(t.waiting, statement{query: commit})); err != nil {
			return err
		}
	}
	t.done = true
	if t.changed {
		signal(t.wrote)
	}
	return t.Close()
}

// Rollback gives the connection back. One that cannot be rolled back is not used again.
func (t *pgTransaction) Rollback() error {
	if t.done {
		return nil
	}
	t.done = true
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), goodbye)
	defer cancel()
	if t.begun && !isClosed(t.Conn) {
		_ = simple(ctx, t.Conn, rollback)
	}
	return t.Close()
}

func (t *pgTransaction) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	t.changed = true
	if err := t.send(ctx); err != nil {
		return nil, err
	}
	return t.Conn.ExecContext(ctx, query, storable(args)...)
}

func (t *pgTransaction) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := t.send(ctx); err != nil {
		return nil, err
	}
	return t.Conn.QueryContext(ctx, query, storable(args)...)
}

// storable replaces what text of PostgreSQL cannot hold and text of SQLite can. Devices may send it.
func storable(args []any) []any {
	for i, arg := range args {
		switch s := arg.(type) {
		case string:
			args[i] = storableText(s)
		case *string:
			if text := storableText(*s); text != *s {
				args[i] = text
			}
		}
	}
	return args
}

func storableText(s string) string {
	if strings.IndexByte(s, 0) < 0 && utf8.ValidString(s) {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
