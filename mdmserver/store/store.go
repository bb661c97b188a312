package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// dialect is what differs between databases.
type dialect interface {
	// unavailable says whether the error comes from the medium, so that the same call may succeed later.
	unavailable(error) bool
}

// Store is a fleet.Store in SQL. One connection writes, so updates are serial; readers see snapshots beside it.
type Store struct {
	dialect dialect
	writer  *sql.DB
	readers *sql.DB
}

var _ fleet.Store = (*Store)(nil)

// tx is a fleet.Tx.
type tx struct {
	*sql.Tx
	ctx context.Context
}

var _ fleet.Tx = (*tx)(nil)

// View runs fn over one snapshot.
func (s *Store) View(ctx context.Context, fn func(fleet.Tx) error) error {
	return s.run(ctx, s.readers, &sql.TxOptions{ReadOnly: true}, fn)
}

// Update runs fn in the one writing transaction. It is committed to the medium when Update returns nil.
func (s *Store) Update(ctx context.Context, fn func(fleet.Tx) error) error {
	return s.run(ctx, s.writer, nil, fn)
}

func (s *Store) run(ctx context.Context, db *sql.DB, opts *sql.TxOptions, fn func(fleet.Tx) error) error {
	t, err := db.BeginTx(ctx, opts)
	if err != nil {
		return s.classify(fmt.Errorf("beginning a transaction: %w", err))
	}
	defer t.Rollback() //nolint:errcheck // after a commit there is nothing to roll back, and a failed one leaves nothing behind
	if err = fn(&tx{Tx: t, ctx: ctx}); err == nil {
		if err = t.Commit(); err == nil {
			return nil
		}
		err = fmt.Errorf("committing: %w", err)
	}
	if ctx.Err() != nil { // it rolls the transaction back under our feet, whatever the next statement calls that
		return ctx.Err()
	}
	return s.classify(err)
}

// classify adds fleet.ErrUnavailable to errors of the medium.
func (s *Store) classify(err error) error {
	if s.dialect.unavailable(err) {
		return fmt.Errorf("%w: %w", fleet.ErrUnavailable, err)
	}
	return err
}

// Close waits for running transactions and closes the database.
func (s *Store) Close() error {
	err := s.readers.Close()
	if werr := s.writer.Close(); werr != nil {
		err = werr
	}
	if err != nil {
		return fmt.Errorf("closing the store: %w", err)
	}
	return nil
}

// exec runs a statement that returns no rows.
func (t *tx) exec(query string, args ...any) error {
	if _, err := t.ExecContext(t.ctx, query, args...); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	return nil
}

// number reads a single number.
func (t *tx) number(query string, args ...any) (int64, error) {
	var n int64
	if err := t.QueryRowContext(t.ctx, query, args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("counting: %w", err)
	}
	return n, nil
}
