package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

//go:embed migrations/postgres/*.sql
var postgresMigrations embed.FS

// PostgresOptions say where a store in PostgreSQL is and how it is used.
type PostgresOptions struct {
	// Connection says where and as whom a connection is made. It is called for each, so that rotated credentials need no restart.
	Connection func() (*pgconn.Config, error)
	// Changed returns a channel that is closed when Connection says something else than before; nil: it never does.
	Changed func() <-chan struct{}
	// MaxConnections bounds the connections of this process. It needs serverconfig.DatabaseMinConnections.
	MaxConnections int
	// Server says whose store it is, "<namespace>/<name>": a database holds that of one.
	Server string
	// Zero stands for the default. A statement runs for StatementTimeout at most, LockTimeout of it waiting for other updates.
	ConnectTimeout, StatementTimeout, LockTimeout time.Duration
}

// Defaults and what nobody need change.
const (
	connectTimeout   = 10 * time.Second
	statementTimeout = 30 * time.Second
	lockTimeout      = 15 * time.Second
	// betweenStatements ends the transaction of a process that does not go on with it: nobody else can write until then.
	betweenStatements = 10 * time.Second
	// goodbye bounds what is told a server when nobody waits for it any more.
	goodbye = 5 * time.Second
	// postgresWriters are the connections that wait for the lock of the one writer: the next update begins while the answer to the last one is under way.
	postgresWriters = 2
)

// postgres is the dialect of PostgreSQL. Updates of all processes are serial by an advisory lock; views are REPEATABLE READ.
type postgres struct {
	opts            PostgresOptions
	process         string // names this process in notices
	pool            *pgxpool.Pool
	readers, writer *sql.DB // on the pool
	own             *sql.DB // of the connection beside the pool

	announced chan struct{}
	poke      chan struct{} // gets a value when the connection beside the pool is to be made anew
	wrote     chan struct{} // gets a value when an update of this process has written
	snapshot  string        // the last one that poll saw

	mu    sync.Mutex
	epoch string
	place place
}

// OpenPostgres connects to the database and brings its schema up to date. A database that a newer version has migrated further is refused, and a
// standby. Errors are an Outage if a later attempt may succeed.
func OpenPostgres(ctx context.Context, opts PostgresOptions) (*Store, error) {
	opts.setDefaults()
	if least := serverconfig.DatabaseMinConnections; opts.MaxConnections < least {
		return nil, fmt.Errorf("a server needs %d connections to its database at least, and may have %d", least, opts.MaxConnections)
	}
	p := &postgres{opts: opts, process: rand.Text(), announced: make(chan struct{}, 1), poke: make(chan struct{}, 1), wrote: make(chan struct{}, 1)}
	if err := p.connect(ctx); err != nil {
		return nil, err
	}
	s := &Store{
		dialect: p, writer: p.writer, readers: p.readers, pool: p.pool, epoch: p.currentEpoch, announced: p.announced,
		limit: opts.StatementTimeout + opts.LockTimeout, aloneLimit: opts.LockTimeout,
	}
	err := s.run(ctx, false, p.inspect)
	if err == nil {
		err = s.migrate(ctx, postgresMigrations, "migrations/postgres")
	}
	if err == nil {
		s.shut, err = p.attend(ctx)
	}
	if err != nil {
		return nil, errors.Join(s.classify(err), s.Close())
	}
	return s, nil
}

func (o *PostgresOptions) setDefaults() {
	for _, d := range []struct{ given, otherwise *time.Duration }{
		{&o.ConnectTimeout, new(connectTimeout)},
		{&o.StatementTimeout, new(statementTimeout)},
		{&o.LockTimeout, new(lockTimeout)},
	} {
		if *d.given == 0 {
			*d.given = *d.otherwise
		}
	}
}

// connect prepares the pool, whose connections are made when they are needed, and the one beside it.
func (p *postgres) connect(ctx context.Context) error {
	// What it takes from the environment is replaced before each connection.
	cfg, err := pgxpool.ParseConfig("host=/ user=kubemdm dbname=kubemdm password=none")
	if err != nil {
		return fmt.Errorf("unset the environment variables of PostgreSQL's own clients (PGSERVICE and others): %w", err)
	}
	cfg.MaxConns = int32(p.opts.MaxConnections - 1) //nolint:gosec // a number of connections
	cfg.MaxConnIdleTime, cfg.HealthCheckPeriod, cfg.PingTimeout = 5*time.Minute, 30*time.Second, p.opts.ConnectTimeout
	cfg.MaxConnLifetime, cfg.MaxConnLifetimeJitter = time.Hour, 10*time.Minute
	cfg.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error { return p.configure(c, p.accept) }
	if p.pool, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
		return err
	}
	p.readers, p.writer = stdlib.OpenDBFromPool(p.pool), stdlib.OpenDBFromPool(p.pool)
	writers := min(postgresWriters, int(cfg.MaxConns)/2)
	p.writer.SetMaxOpenConns(writers)
	p.readers.SetMaxOpenConns(int(cfg.MaxConns) - writers)
	p.own = stdlib.OpenDB(*cfg.ConnConfig, stdlib.OptionBeforeConnect(func(_ context.Context, c *pgx.ConnConfig) error { return p.configure(c, refuseStandby) }))
	p.own.SetMaxIdleConns(0)
	return nil
}

// configure says where and how a connection is made.
func (p *postgres) configure(c *pgx.ConnConfig, accept pgconn.ValidateConnectFunc) error {
	fresh, err := p.opts.Connection()
	if err != nil {
		return &Outage{reasonCredentials, "where the database is cannot be read: " + err.Error(), err}
	}
	c.Config = *fresh
	dialer := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}}
	c.DialFunc, c.ConnectTimeout, c.ValidateConnect = dialer.DialContext, p.opts.ConnectTimeout, accept
	c.RuntimeParams = map[string]string{
		"application_name":                    "kubemdm " + p.opts.Server,
		"client_encoding":                     "UTF8",
		"statement_timeout":                   milliseconds(p.opts.StatementTimeout),
		"lock_timeout":                        milliseconds(p.opts.LockTimeout),
		"idle_in_transaction_session_timeout": milliseconds(betweenStatements),
		// Every statement finds its rows by an index, whatever the values are: to plan it anew for each would gain nothing.
		"plan_cache_mode": "force_generic_plan",
		// A process that vanished with its machine holds its locks until the server notices.
		"tcp_keepalives_idle": "15", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3", "tcp_user_timeout": "30000",
	}
	return nil
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// Statements around those of a transaction.
const (
	beginView   = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
	beginUpdate = "BEGIN ISOLATION LEVEL READ COMMITTED"
	// lockUpdates makes the transaction the only one that writes, until it ends.
	lockUpdates = "SELECT pg_advisory_xact_lock(1802331245, 1)"
	commit      = "COMMIT"
	rollback    = "ROLLBACK"
)

// begin takes a connection; the transaction begins with its first statement.
func (p *postgres) begin(ctx context.Context, write bool) (transaction, error) {
	db, t := p.readers, &pgTransaction{ctx: ctx, first: []statement{{query: beginView}}}
	if write {
		db, t.writes, t.first, t.wrote = p.writer, true, []statement{{query: beginUpdate}, {query: lockUpdates}}, p.wrote
	}
	t.renew = func(ctx context.Context) (*sql.Conn, error) {
		p.pool.Reset() // the others are as old
		_ = t.Close()
		return p.connection(ctx, db)
	}
	var err error
	t.Conn, err = p.connection(ctx, db)
	return t, err
}

// connection takes one from the pool.
func (p *postgres) connection(ctx context.Context, db *sql.DB) (*sql.Conn, error) {
	waiting, cancel := context.WithTimeout(ctx, p.opts.ConnectTimeout+p.opts.LockTimeout)
	defer cancel()
	conn, err := db.Conn(waiting)
	if err == nil {
		return conn, nil
	}
	connecting := (*pgconn.ConnectError)(nil)
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) && !errors.As(err, &connecting) {
		err = &Outage{reasonBusy, fmt.Sprintf("all %d connections of this replica to the database are in use: raise maxConnections", p.opts.MaxConnections), err}
	}
	return nil, err
}
