package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// dialect is what differs between databases.
type dialect interface {
	// begin begins a transaction: of a reader, which sees one snapshot, or of the one writer.
	begin(ctx context.Context, write bool) (transaction, error)
	// outage says what is wrong if the error comes from the medium, so that the same call may succeed later, and nil otherwise.
	outage(err error) *Outage
}

// session is where statements run.
type session interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// transaction ends with Commit or Rollback, which does nothing after the other.
type transaction interface {
	session
	Commit() error
	Rollback() error
}

// Store is a fleet.Store in SQL. Updates are serial; readers see snapshots beside them.
type Store struct {
	dialect
	writer  *sql.DB
	readers *sql.DB
	// epoch returns what Epoch does, announced is nil if no other process writes.
	epoch     func() string
	announced chan struct{}
	// limit bounds a transaction, aloneLimit a statement that is no part of one, if they are not 0.
	limit, aloneLimit time.Duration
	// shut ends what runs beside the transactions; nil if nothing does.
	shut func()
	// pool is what writer and readers share in PostgreSQL.
	pool *pgxpool.Pool
}

var _ fleet.Store = (*Store)(nil)

// tx is a fleet.Tx.
type tx struct {
	session
	ctx context.Context
	// version is the last that was given away, counted says whether it is known, and taken whether one was.
	version        int64
	counted, taken bool
}

var _ fleet.Tx = (*tx)(nil)

// View runs fn over one snapshot.
func (s *Store) View(ctx context.Context, fn func(fleet.Tx) error) error {
	return s.bounded(ctx, false, fn)
}

// attempts is how often an update is run at most if it is rolled back because of somebody else's locks.
const attempts = 3

// Update runs fn in the one writing transaction. It is committed to the medium when Update returns nil. fn runs again if it certainly came to nothing.
func (s *Store) Update(ctx context.Context, fn func(fleet.Tx) error) error {
	var err error
	for range attempts {
		if err = s.bounded(ctx, true, fn); reasonOf(err) != reasonConflict {
			break
		}
	}
	return err
}

// bounded runs a transaction of a caller, for the limit at most.
func (s *Store) bounded(ctx context.Context, write bool, fn func(fleet.Tx) error) error {
	limited, cancel := within(ctx, s.limit)
	defer cancel()
	err := s.run(limited, write, func(t *tx) error {
		if p, ok := t.session.(pipeline); ok && write {
			if err := p.later(t.readVersion()); err != nil {
				return err
			}
		}
		if err := fn(t); err != nil {
			return err
		}
		return t.putVersion()
	})
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		err = s.classify(err)
	}
	return err
}

// within bounds a context, unless the limit is 0.
func within(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if limit == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, limit)
}

// Epoch is that of the store.
func (s *Store) Epoch() string { return s.epoch() }

// Announced gets a value soon after another process committed an update.
func (s *Store) Announced() <-chan struct{} { return s.announced }

func (s *Store) run(ctx context.Context, write bool, fn func(*tx) error) error {
	t, err := s.begin(ctx, write)
	if err != nil {
		return s.fail(ctx, fmt.Errorf("beginning a transaction: %w", err))
	}
	defer t.Rollback() //nolint:errcheck // after a commit there is nothing to roll back, and a failed one leaves nothing behind
	if err = fn(&tx{session: t, ctx: ctx}); err == nil {
		if err = t.Commit(); err == nil {
			return nil
		}
		err = fmt.Errorf("committing: %w", err)
	}
	return s.fail(ctx, err)
}

// fail returns why a transaction failed. The end of its context rolls it back under our feet, whatever the next statement calls that.
func (s *Store) fail(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return s.classify(err)
}

// classify adds fleet.ErrUnavailable to errors of the medium.
func (s *Store) classify(err error) error {
	if known := (*Outage)(nil); errors.As(err, &known) {
		return err
	}
	if outage := s.outage(err); outage != nil {
		return outage
	}
	return err
}

// Close waits for running transactions and closes the database.
func (s *Store) Close() error {
	err := s.writer.Close()
	if s.shut != nil { // before the readers, which carry the last notice
		s.shut()
	}
	err = errors.Join(err, s.readers.Close())
	if s.pool != nil {
		s.pool.Close()
	}
	if err != nil {
		return fmt.Errorf("closing the store: %w", err)
	}
	return nil
}

// exec runs a statement that returns no rows.
func (t *tx) exec(query string, args ...any) error {
	if p, ok := t.session.(pipeline); ok {
		return p.later(statement{query: query, args: args})
	}
	if _, err := t.ExecContext(t.ctx, query, args...); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	return nil
}

// number reads a single number.
func (t *tx) number(query string, args ...any) (int64, error) {
	var n int64
	if err := t.scan(query, args, &n); err != nil {
		return 0, fmt.Errorf("counting: %w", err)
	}
	return n, nil
}
