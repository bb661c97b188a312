package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// Beside the pool a process has one connection of its own. While it is there the process holds a shared lock that says "a replica is here", hears of the
// updates of others, and knows that the database is the one that its epoch was made for.
const (
	noticeChannel = "kubemdm"
	// noticeEpoch is the payload of a notice that says that the epoch may be another one; all others name the process that wrote.
	noticeEpoch = "epoch"
	// metaEpoch is the word about the store that holds the epoch and the place it was made in, metaServer whose store it is.
	metaEpoch  = "epoch"
	metaServer = "server"

	// noticeEvery is how long after a notice the next one goes out, for all updates in between.
	noticeEvery = 50 * time.Millisecond

	pollEvery  = time.Second
	checkEvery = 10 * time.Second
	maxBackoff = 10 * time.Second
)

// place is which database a connection has come to, and how far its log is.
type place struct {
	identity string
	log      int64
}

// oldestServer is the first version of PostgreSQL that the store was tried with, as server_version_num.
const oldestServer = 150000

// whereAmI finds the place. The timeline is that of the log, which is right at once after a promotion. Where a provider has not got these functions, the
// table alone tells.
const (
	aboutServer = "SELECT pg_is_in_recovery(), current_setting('server_encoding'), current_setting('server_version_num'), "
	whereAmI    = aboutServer + `CASE WHEN pg_is_in_recovery() THEN '' ELSE concat_ws('/', (SELECT system_identifier FROM pg_control_system()),
			substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8), ` + ofTable + `) END,
		CASE WHEN pg_is_in_recovery() THEN 0 ELSE pg_current_wal_flush_lsn() - '0/0'::pg_lsn END`
	whereAmIRoughly = aboutServer + "concat_ws('/', " + ofTable + "), 0"
	// ofTable is another one in every database and after every restore of one.
	ofTable = "(SELECT oid FROM pg_database WHERE datname = current_database()), to_regclass('meta')::oid"
)

// look finds the place, and refuses servers that are no place for a store.
func look(ctx context.Context, conn *pgconn.PgConn) (place, error) {
	result := conn.ExecParams(ctx, whereAmI, nil, nil, nil, nil).Read()
	if state := sqlState(result.Err); state == "42501" || state == "42883" || state == "0A000" || state == "55000" {
		result = conn.ExecParams(ctx, whereAmIRoughly, nil, nil, nil, nil).Read()
	}
	if result.Err != nil {
		return place{}, result.Err
	}
	row := result.Rows[0]
	standby, encoding, version := string(row[0]) == "t", string(row[1]), string(row[2])
	number, err := strconv.Atoi(version)
	if err != nil {
		return place{}, fmt.Errorf("the database says that its version is %q: %w", version, err)
	}
	log, err := strconv.ParseInt(string(row[4]), 10, 64)
	if err != nil {
		return place{}, fmt.Errorf("the database says that its log is at %q: %w", row[4], err)
	}
	switch {
	case standby:
		err = errors.New("the server is a standby, which may lag behind: give the address of the primary, such as the read-write Service")
		return place{}, &Outage{reasonStandby, err.Error(), err}
	case encoding != "UTF8":
		err = fmt.Errorf("the database has the encoding %s: make it anew WITH ENCODING 'UTF8' TEMPLATE template0", encoding)
		return place{}, &Outage{reasonUnsuitable, err.Error(), err}
	case number < oldestServer:
		err = fmt.Errorf("the server is PostgreSQL %d, which is too old: upgrade it to %d or newer", number/10000, oldestServer/10000)
		return place{}, &Outage{reasonUnsuitable, err.Error(), err}
	}
	return place{string(row[3]), log}, nil
}

func refuseStandby(ctx context.Context, conn *pgconn.PgConn) error {
	_, err := look(ctx, conn)
	return err
}

// accept lets a connection into the pool if it has come to the database that the epoch was made for.
func (p *postgres) accept(ctx context.Context, conn *pgconn.PgConn) error {
	here, err := look(ctx, conn)
	if err != nil {
		return err
	}
	p.mu.Lock()
	known := p.place.identity
	p.mu.Unlock()
	if known == "" || known == here.identity {
		return nil
	}
	signal(p.poke)
	err = errors.New("another database, or a promoted standby, has taken the place of the one before: the server finds out what it holds")
	return &Outage{reasonMoved, err.Error(), err}
}

// signal leaves a value in a channel that holds one, if it is empty.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (p *postgres) currentEpoch() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.epoch
}

// attend makes the connection of its own and keeps it until shut is called.
func (p *postgres) attend(ctx context.Context) (shut func(), err error) {
	var changed <-chan struct{}
	if p.opts.Changed != nil {
		changed = p.opts.Changed()
	}
	conn, err := p.join(ctx)
	if err != nil {
		return nil, err
	}
	p.poll(ctx)
	select {
	case <-p.wrote: // what migrations did is nobody's news
	default:
	}
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		go p.watchCredentials(work, changed)
		var telling sync.WaitGroup
		telling.Go(func() { p.tell(work) })
		p.keep(work, conn)
		telling.Wait()
	}()
	return func() {
		cancel()
		<-ended
		_ = p.own.Close()
	}, nil
}

// join makes a connection of its own that takes part: it listens, holds the lock and has made sure of the epoch.
func (p *postgres) join(ctx context.Context) (*sql.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.opts.ConnectTimeout+p.opts.LockTimeout)
	defer cancel()
	conn, err := p.own.Conn(ctx)
	if err != nil {
		return nil, err
	}
	here, err := p.lookAgain(ctx, conn)
	if err == nil {
		err = simple(ctx, conn, "LISTEN "+noticeChannel)
	}
	if err == nil {
		err = p.enter(ctx, conn, here)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

func (p *postgres) lookAgain(ctx context.Context, conn *sql.Conn) (here place, err error) {
	err = conn.Raw(func(c any) error {
		here, err = look(ctx, c.(*stdlib.Conn).Conn().PgConn())
		return err
	})
	return here, err
}

// enter settles the epoch, alone among all updates and starts.
func (p *postgres) enter(ctx context.Context, conn *sql.Conn, here place) error {
	if err := simple(ctx, conn, beginUpdate+"; "+lockUpdates); err != nil {
		return err
	}
	t := &tx{session: conn, ctx: ctx}
	if err := p.claim(t); err != nil {
		return err
	}
	var alone bool
	if err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock(1802331245, 2)").Scan(&alone); err != nil {
		return err
	}
	held := "SELECT pg_advisory_lock_shared(1802331245, 2)"
	if alone {
		held += "; SELECT pg_advisory_unlock(1802331245, 2)"
	}
	if err := simple(ctx, conn, held); err != nil {
		return err
	}
	epoch, err := p.settle(t, here, alone)
	if err != nil {
		return err
	}
	if err := simple(ctx, conn, "NOTIFY "+noticeChannel+", '"+noticeEpoch+"'; "+commit); err != nil {
		return err
	}
	p.mu.Lock()
	moved := p.place.identity != here.identity
	p.epoch, p.place = epoch, here
	p.mu.Unlock()
	if moved {
		p.pool.Reset() // connections that were made before nobody knew the place
	}
	return nil
}

// claim makes the store that of the server if it is nobody's yet.
func (p *postgres) claim(t *tx) error {
	owner, err := p.owner(t)
	if err != nil || owner != "" {
		return err
	}
	return t.SetMeta(metaServer, p.opts.Server)
}

// owner returns whose store it is, and refuses that of another server.
func (p *postgres) owner(t *tx) (string, error) {
	owner, err := t.Meta(metaServer)
	if err == nil && owner != "" && owner != p.opts.Server {
		err = fmt.Errorf("the database holds the store of the server %s, and this one is %s: give each server a database of its own", owner, p.opts.Server)
		err = &Outage{reasonAnotherServer, err.Error(), err}
	}
	return owner, err
}

// inspect refuses the store of another server before anything is changed in it.
func (p *postgres) inspect(t *tx) error {
	tables, err := t.number("SELECT COUNT(*) FROM pg_class WHERE oid = to_regclass('meta')")
	if err != nil || tables == 0 {
		return err
	}
	_, err = p.owner(t)
	return err
}

// settle returns the epoch of the store, a new one unless this process or another one that is there knows that all still holds.
func (p *postgres) settle(t *tx, here place, alone bool) (string, error) {
	word, err := t.Meta(metaEpoch)
	if err != nil {
		return "", err
	}
	epoch, identity, _ := strings.Cut(word, " ")
	p.mu.Lock()
	known, before := p.epoch, p.place
	p.mu.Unlock()
	holds := !alone
	if epoch == known { // that of this process: a log that is shorter than it was is that of an older copy
		holds = here.log >= before.log
	}
	if holds && identity == here.identity {
		return epoch, nil
	}
	id, err := t.id()
	if err != nil {
		return "", err
	}
	epoch = newEpoch(id)
	return epoch, t.SetMeta(metaEpoch, epoch+" "+here.identity)
}
