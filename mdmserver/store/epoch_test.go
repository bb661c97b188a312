package store_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/store"
	"github.com/kubemdm/kubemdm/mdmserver/store/storetest"
	"github.com/kubemdm/kubemdm/test/postgres"
)

func storeID(epoch string) string {
	id, _, _ := strings.Cut(epoch, ".")
	return id
}

func TestEpochOfAFileIsNewWithEachStart(t *testing.T) {
	path := t.TempDir() + "/fleet.db"
	a := open(t, path)
	must(t, a.Close())
	b := open(t, path)
	if a.Epoch() == b.Epoch() || storeID(a.Epoch()) != storeID(b.Epoch()) {
		t.Errorf("the epochs are %s and %s", a.Epoch(), b.Epoch())
	}
	if b.Announced() != nil {
		t.Error("a file has another writer")
	}
}

// Replicas share an epoch as long as one of them is there.
func TestEpochLastsOverARollingUpdate(t *testing.T) {
	_, _, opts := shared(t)
	a := storetest.OpenPostgres(t, opts)
	epoch := a.Epoch()
	b := storetest.OpenPostgres(t, opts)
	must(t, a.Close())
	c := storetest.OpenPostgres(t, opts)
	must(t, b.Close())
	d := storetest.OpenPostgres(t, opts)
	for _, s := range []*store.Store{b, c, d} {
		if s.Epoch() != epoch {
			t.Errorf("the epoch became %s, and was %s", s.Epoch(), epoch)
		}
	}
	must(t, c.Close())
	must(t, d.Close())
	if e := storetest.OpenPostgres(t, opts); e.Epoch() == epoch || storeID(e.Epoch()) != storeID(epoch) {
		t.Errorf("after all were away the epoch is %s, and was %s", e.Epoch(), epoch)
	}
}

// elsewhere are the options of a store whose address others change.
type elsewhere struct {
	dsn     atomic.Pointer[string]
	changed atomic.Pointer[chan struct{}]
}

func (e *elsewhere) move(c *postgres.Cluster, database string) {
	dsn, next := c.DSN(database), make(chan struct{})
	e.dsn.Store(&dsn)
	if before := e.changed.Swap(&next); before != nil {
		close(*before)
	}
}

func (e *elsewhere) options(opts store.PostgresOptions) store.PostgresOptions {
	opts.Connection = func() (*pgconn.Config, error) { return pgconn.ParseConfig(*e.dsn.Load()) }
	return opts
}

// A restored dump is another store to those who knew the one before, whether they run or start.
func TestEpochIsNewAfterARestore(t *testing.T) {
	c, database, opts := shared(t)
	var at elsewhere
	at.move(c, database)
	opts = at.options(opts)
	opts.Changed = func() <-chan struct{} { return *at.changed.Load() }
	s := storetest.OpenPostgres(t, opts)
	epoch := s.Epoch()
	must(t, s.Update(t.Context(), setMeta("1")))
	restored := c.Database(t, "")
	c.Restore(database, restored)
	must(t, s.Update(t.Context(), setMeta("2")))
	at.move(c, restored)
	postgres.Eventually(t, "the restored store to have an epoch", func(context.Context) bool { return s.Epoch() != epoch })
	if storeID(s.Epoch()) != storeID(epoch) {
		t.Errorf("the store is %s, and was %s", s.Epoch(), epoch)
	}
	wantMeta(t, s, "1")
	if fresh := storetest.OpenPostgres(t, opts); fresh.Epoch() != s.Epoch() {
		t.Errorf("replicas have the epochs %s and %s", fresh.Epoch(), s.Epoch())
	}
}

// The database restarts: nothing is forgotten, and nobody need begin anew.
func TestEpochLastsOverARestartOfTheDatabase(t *testing.T) {
	c := postgres.Start(t, postgres.Options{})
	database := c.Database(t, "")
	opts := storetest.PostgresOptions(c, database)
	a, b := storetest.OpenPostgres(t, opts), storetest.OpenPostgres(t, opts)
	epoch := a.Epoch()
	must(t, a.Update(t.Context(), setMeta("1")))
	c.Stop()
	wantReason(t, a.Update(t.Context(), setMeta("2")), "DatabaseUnreachable")
	c.Resume()
	listening(t, c, database, 2)
	must(t, a.Update(t.Context(), setMeta("3")))
	if a.Epoch() != epoch || b.Epoch() != epoch {
		t.Errorf("the epochs became %s and %s, and were %s", a.Epoch(), b.Epoch(), epoch)
	}
	announced(t, b)
	wantMeta(t, b, "3")
}

// A standby lags, and takes over: servers do not go on as if they knew it.
func TestEpochIsNewAfterAFailover(t *testing.T) {
	primary := postgres.Start(t, postgres.Options{})
	database := primary.Database(t, "")
	var at elsewhere
	at.move(primary, database)
	opts := at.options(storetest.PostgresOptions(primary, database))
	stores := []*store.Store{storetest.OpenPostgres(t, opts), storetest.OpenPostgres(t, opts)}
	epoch := stores[0].Epoch()
	must(t, stores[0].Update(t.Context(), setMeta("1")))

	standby := primary.Standby(t, postgres.Options{})
	at.move(standby, database)
	_, err := store.OpenPostgres(t.Context(), opts)
	wantReason(t, err, "DatabaseIsStandby")

	primary.Crash()
	standby.Promote()
	postgres.Eventually(t, "servers to use the new primary", func(context.Context) bool {
		return stores[0].Update(t.Context(), setMeta("2")) == nil && stores[1].Update(t.Context(), setMeta("2")) == nil
	})
	for _, s := range stores {
		if s.Epoch() == epoch || s.Epoch() != stores[0].Epoch() || storeID(s.Epoch()) != storeID(epoch) {
			t.Errorf("after the failover the epoch is %s, of another replica %s, and was %s", s.Epoch(), stores[0].Epoch(), epoch)
		}
	}
}

// A copy of the disk from yesterday has the same identity; its log is shorter than servers that run have seen.
func TestEpochIsNewAfterTheDiskWasRestored(t *testing.T) {
	c := postgres.Start(t, postgres.Options{})
	database := c.Database(t, "")
	opts := storetest.PostgresOptions(c, database)
	s := storetest.OpenPostgres(t, opts)
	must(t, s.Update(t.Context(), setMeta("1")))
	c.Stop()
	c.Keep()
	c.Resume()
	listening(t, c, database, 1)
	epoch := s.Epoch()
	must(t, s.Update(t.Context(), func(tx fleet.Tx) error { return tx.SetMeta("a", strings.Repeat("x", 1<<20)) }))
	terminate(c, database, true) // it looks at the log when it takes part again
	listening(t, c, database, 1)
	if s.Epoch() != epoch {
		t.Fatal("the epoch is new for no reason")
	}
	c.Stop()
	c.PutBack()
	c.Resume()
	postgres.Eventually(t, "servers to see that the disk is not the one that they knew", func(context.Context) bool { return s.Epoch() != epoch })
	wantMeta(t, s, "1")
}
