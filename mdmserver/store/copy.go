package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// copied are the tables that move with a store: those that are referred to come before those that refer. Leases end by themselves.
var copied = []string{
	"meta", "sequence", "tokens", "challenges", "enrollments", "identities", "devices", "channels", "artifacts", "artifact_nodes", "assignments", "states",
	"records", "commands", "actions", "targets", "dirty", "agents", "windows_sessions", "automated", "automated_devices", "history",
}

// ownWords are those about a store that belong to its medium.
const ownWords = "('" + metaEpoch + "', '" + metaServer + "')"

// progressEvery is the number of rows after which Copy reports.
const progressEvery = 1000

// TableCount is the number of rows of a table.
type TableCount struct {
	Table string
	Rows  int64
}

func (c TableCount) String() string { return fmt.Sprintf("%s (%d rows)", c.Table, c.Rows) }

// Copy moves a whole store into an empty one in PostgreSQL, in one transaction, and returns what it moved. Rows are counted on both sides before it
// commits. The copy has the id of the store and an epoch of its own. progress, if it is not nil, hears of every table at its end and in between.
func Copy(ctx context.Context, from, to *Store, progress func(table string, rows int64)) ([]TableCount, error) {
	if progress == nil {
		progress = func(string, int64) {}
	}
	var counts []TableCount
	err := from.run(ctx, false, func(source *tx) error {
		return to.run(ctx, true, func(target *tx) error {
			into, ok := target.session.(*pgTransaction)
			if !ok {
				return errors.New("a store can be copied into PostgreSQL only")
			}
			c := &copier{source, target, into, progress}
			var err error
			counts, err = c.all()
			return err
		})
	})
	return counts, err
}

type copier struct {
	source, target *tx
	into           *pgTransaction
	progress       func(table string, rows int64)
}

func (c *copier) all() ([]TableCount, error) {
	for _, timeout := range []string{"statement_timeout", "idle_in_transaction_session_timeout"} {
		if err := c.target.exec("SET LOCAL " + timeout + " = 0"); err != nil {
			return nil, err
		}
	}
	if err := c.empty(); err != nil {
		return nil, err
	}
	for _, statement := range []string{"DELETE FROM meta WHERE name <> '" + metaServer + "'", "DELETE FROM sequence"} {
		if _, err := c.target.ExecContext(c.target.ctx, statement); err != nil {
			return nil, err
		}
	}
	var counts []TableCount
	for _, table := range copied {
		n, err := c.table(table)
		if err != nil {
			return nil, fmt.Errorf("copying %s: %w", table, err)
		}
		counts = append(counts, TableCount{table, n})
	}
	// The connection beside the pool finds no epoch then, and makes one.
	return counts, c.target.exec("NOTIFY " + noticeChannel + ", '" + noticeEpoch + "'")
}

// empty refuses a target that holds anything but words about itself.
func (c *copier) empty() error {
	var found []string
	for _, table := range copied[2:] {
		n, err := c.target.number("SELECT COUNT(*) FROM " + table)
		if err != nil {
			return err
		}
		if n > 0 {
			found = append(found, TableCount{table, n}.String())
		}
	}
	if len(found) == 0 {
		return nil
	}
	return fmt.Errorf("the database is not empty, it holds %s: if the store was moved before, there is nothing to do; else give the server an empty database",
		strings.Join(found, ", "))
}

// table copies one table and counts what is on both sides.
func (c *copier) table(table string) (int64, error) {
	condition := ""
	if table == "meta" {
		condition = " WHERE name NOT IN " + ownWords
	}
	rows, err := c.source.QueryContext(c.source.ctx, "SELECT * FROM "+table+condition)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	r, err := newRowReader(rows, func(n int64) { c.progress(table, n) })
	if err != nil {
		return 0, err
	}
	err = c.into.Raw(func(driverConn any) error {
		_, err := driverConn.(*stdlib.Conn).Conn().CopyFrom(c.target.ctx, pgx.Identifier{table}, r.columns, r)
		return err
	})
	if err != nil {
		return 0, err
	}
	there, err := c.source.number("SELECT COUNT(*) FROM " + table + condition)
	if err != nil {
		return 0, err
	}
	here, err := c.target.number("SELECT COUNT(*) FROM " + table + condition)
	if err == nil && here != there {
		err = fmt.Errorf("there are %d rows and %d came", there, here)
	}
	c.progress(table, here)
	return here, err
}

// rowReader hands rows of any table on.
type rowReader struct {
	*sql.Rows
	columns          []string
	booleans         []bool // of the columns: SQLite stores truth as a number
	values, pointers []any
	read             int64
	progress         func(int64)
}

func newRowReader(rows *sql.Rows, progress func(int64)) (*rowReader, error) {
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	r := &rowReader{Rows: rows, progress: progress, values: make([]any, len(types))}
	for i, t := range types {
		r.columns, r.booleans, r.pointers = append(r.columns, t.Name()), append(r.booleans, t.DatabaseTypeName() == "BOOLEAN"), append(r.pointers, &r.values[i])
	}
	return r, nil
}

func (r *rowReader) Next() bool {
	if !r.Rows.Next() {
		return false
	}
	if r.read++; r.read%progressEvery == 0 {
		r.progress(r.read)
	}
	return true
}

func (r *rowReader) Values() ([]any, error) {
	if err := r.Scan(r.pointers...); err != nil {
		return nil, err
	}
	for i, boolean := range r.booleans {
		if n, ok := r.values[i].(int64); ok && boolean {
			r.values[i] = n != 0
		}
	}
	return storable(r.values), nil
}
