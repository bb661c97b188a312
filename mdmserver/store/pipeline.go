package store

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// statement is one of several that are sent together.
type statement struct {
	query string
	args  []any
	// read takes the rows; nil for a statement that returns none.
	read func(rows) error
}

// rows are what a statement returns.
type rows interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
}

// pipeline is a session that sends statements together, which saves a round trip for each.
type pipeline interface {
	// later sends a statement with the next ones, at the latest with the commit. Its error is theirs.
	later(s statement) error
	// send sends statements, after those that wait, and reads what they return in order.
	send(ctx context.Context, statements ...statement) error
}

// read runs statements that return rows, together where the database can.
func (t *tx) read(statements ...statement) error {
	if p, ok := t.session.(pipeline); ok {
		return p.send(t.ctx, statements...)
	}
	for _, s := range statements {
		if err := t.readOne(s); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) readOne(s statement) error {
	found, err := t.QueryContext(t.ctx, s.query, s.args...)
	if err != nil {
		return err
	}
	defer found.Close()
	if err := s.read(found); err != nil {
		return err
	}
	return found.Err()
}

// scan reads the first row that a statement returns, and leaves dest alone if there is none.
func (t *tx) scan(query string, args []any, dest ...any) error {
	return t.read(statement{query, args, func(r rows) error {
		if !r.Next() {
			return nil
		}
		return r.Scan(dest...)
	}})
}

// each calls do with every row that a statement returns.
func (t *tx) each(query string, args []any, do func(rows) error) error {
	return t.read(statement{query, args, func(r rows) error {
		for r.Next() {
			if err := do(r); err != nil {
				return err
			}
		}
		return nil
	}})
}

// column reads a single column.
func column[T any](t *tx, query string, args ...any) ([]T, error) {
	var all []T
	err := t.each(query, args, func(r rows) error {
		var v T
		err := r.Scan(&v)
		all = append(all, v)
		return err
	})
	return all, err
}

// later keeps the values as they are now: the caller goes on with its row.
func (t *pgTransaction) later(s statement) error {
	values := make([]any, len(s.args))
	for i, arg := range s.args {
		value, err := driver.DefaultParameterConverter.ConvertValue(arg)
		if err != nil {
			return fmt.Errorf("parameter %d: %w", i+1, err)
		}
		values[i] = value
	}
	t.waiting = append(t.waiting, statement{s.query, values, s.read})
	t.changed = t.changed || s.read == nil
	if !t.writes { // it will be refused
		return t.send(t.ctx)
	}
	return nil
}

func (t *pgTransaction) send(ctx context.Context, statements ...statement) error { //nolint:unparam // it gets them through pipeline
	all := append(t.waiting, statements...)
	t.waiting = nil
	if t.begun {
		return t.batch(ctx, all)
	}
	t.begun = true
	all = append(slices.Clone(t.first), all...)
	err := t.batch(ctx, all)
	if err == nil || ctx.Err() != nil || !isClosed(t.Conn) {
		return err
	}
	fresh, err := t.renew(ctx)
	if err != nil {
		return err
	}
	t.Conn = fresh
	return t.batch(ctx, all)
}

// begin sends what waits, if nothing was sent yet.
func (t *pgTransaction) begin(ctx context.Context) error {
	if t.begun {
		return nil
	}
	return t.send(ctx)
}

// batch sends statements in one round trip.
func (t *pgTransaction) batch(ctx context.Context, statements []statement) error {
	if len(statements) == 0 {
		return nil
	}
	batch := &pgx.Batch{}
	for _, s := range statements {
		batch.Queue(s.query, storable(s.args)...)
	}
	return t.Raw(func(c any) error {
		answers := c.(*stdlib.Conn).Conn().SendBatch(ctx, batch)
		err := readAll(answers, statements)
		if closed := answers.Close(); err == nil {
			err = closed
		}
		return err
	})
}

func readAll(answers pgx.BatchResults, statements []statement) error {
	for _, s := range statements {
		if s.read == nil {
			if _, err := answers.Exec(); err != nil {
				return fmt.Errorf("writing: %w", err)
			}
			continue
		}
		found, err := answers.Query()
		if err == nil {
			err = s.read(found)
			found.Close()
		}
		if err == nil {
			err = found.Err()
		}
		if err != nil {
			return err
		}
	}
	return nil
}
