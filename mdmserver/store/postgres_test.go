package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/store"
	"github.com/kubemdm/kubemdm/mdmserver/store/storetest"
	"github.com/kubemdm/kubemdm/test/postgres"
)

func TestMain(m *testing.M) { postgres.Main(m) }

func TestPostgres(t *testing.T) {
	storetest.Run(t, func(t *testing.T) fleet.Store { return storetest.Postgres(t) })
}

// shared is a database with an empty store in the cluster of all tests, and how it is opened.
func shared(t *testing.T) (*postgres.Cluster, string, store.PostgresOptions) {
	t.Helper()
	c := postgres.Shared(t)
	database := storetest.Database(t, c)
	return c, database, storetest.PostgresOptions(c, database)
}

func setMeta(value string) func(fleet.Tx) error {
	return func(tx fleet.Tx) error { return tx.SetMeta("a", value) }
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantMeta reads what setMeta wrote last.
func wantMeta(t *testing.T, s *store.Store, want string) {
	t.Helper()
	must(t, s.View(t.Context(), func(tx fleet.Tx) error {
		if got, err := tx.Meta("a"); err != nil || got != want {
			t.Errorf("meta is %q, %v; want %q", got, err, want)
		}
		return nil
	}))
}

// Processes take turns: none reads what another one is about to change.
func TestOneWriterAmongAllProcesses(t *testing.T) {
	const each = 25
	_, _, opts := shared(t)
	var wg sync.WaitGroup
	for range 3 {
		s := storetest.OpenPostgres(t, opts)
		for range 3 {
			wg.Go(func() {
				for range each {
					err := s.Update(t.Context(), func(tx fleet.Tx) error {
						text, err := tx.Meta("a")
						n, _ := strconv.Atoi(text)
						if err != nil {
							return err
						}
						return tx.SetMeta("a", strconv.Itoa(n+1))
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	wantMeta(t, storetest.OpenPostgres(t, opts), strconv.Itoa(9*each))
}

func announced(t *testing.T, s *store.Store) {
	t.Helper()
	select {
	case <-s.Announced():
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was announced")
	}
}

func TestUpdatesAreAnnouncedToOthers(t *testing.T) {
	_, _, opts := shared(t)
	a, b := storetest.OpenPostgres(t, opts), storetest.OpenPostgres(t, opts)
	for _, value := range []string{"1", "2"} {
		must(t, a.Update(t.Context(), setMeta(value)))
		announced(t, b)
		wantMeta(t, b, value)
	}
	if len(a.Announced()) > 0 {
		t.Error("an update was announced to who made it")
	}
	must(t, b.Update(t.Context(), setMeta("3")))
	announced(t, a)
}

// An update that wrote nothing wakes nobody. Those that follow each other closely wake everybody once, after the last one at the latest.
func TestNoticesOfUpdates(t *testing.T) {
	c, database, opts := shared(t)
	s, idle := storetest.OpenPostgres(t, opts), storetest.OpenPostgres(t, opts)
	conn, err := pgx.Connect(t.Context(), c.DSN(database))
	must(t, err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	_, err = conn.Exec(t.Context(), "LISTEN kubemdm")
	must(t, err)
	must(t, idle.Update(t.Context(), func(tx fleet.Tx) error { _, err := tx.Meta("a"); return err }))
	must(t, idle.Close()) // what it has to tell is told by now
	c.Exec(database, "NOTIFY kubemdm, 'nothing written'")
	wait := func() string {
		n, err := conn.WaitForNotification(t.Context())
		must(t, err)
		return n.Payload
	}
	if got := wait(); got != "nothing written" {
		t.Errorf("an update that wrote nothing made the notice %q", got)
	}
	const updates = 20
	began := time.Now()
	for i := range updates {
		must(t, s.Update(t.Context(), setMeta(strconv.Itoa(i))))
	}
	most := 2 + int(time.Since(began)/store.NoticeEvery)
	notices := 0
	for seen := ""; seen != strconv.Itoa(updates-1); notices++ {
		wait()
		seen = c.Ask(database, "SELECT value FROM meta WHERE name = 'a'")
	}
	must(t, s.Close())
	c.Exec(database, "NOTIFY kubemdm, 'end'")
	for wait() != "end" {
		notices++
	}
	if notices > most {
		t.Errorf("%d notices of %d updates, want %d at most", notices, updates, most)
	}
}

// What a process did not live to tell of is found all the same.
func TestUpdatesThatNobodyTellsOf(t *testing.T) {
	c, database, opts := shared(t)
	s := storetest.OpenPostgres(t, opts)
	must(t, s.Update(t.Context(), setMeta("1")))
	c.Exec(database, "UPDATE meta SET value = '2' WHERE name = 'a'")
	announced(t, s)
	wantMeta(t, s, "2")
}

// terminate ends the connections of a database, or only those on which it listens.
func terminate(c *postgres.Cluster, database string, listening bool) {
	query := "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()"
	if listening {
		query += " AND EXISTS (SELECT 1 FROM pg_locks l WHERE l.pid = pg_stat_activity.pid AND l.locktype = 'advisory' AND l.objid = 2)"
	}
	c.Exec("postgres", query, database)
}

// Connections that died in the pool are no outage: nothing had begun on them.
func TestDeadConnectionsAreReplaced(t *testing.T) {
	c, database, opts := shared(t)
	s := storetest.OpenPostgres(t, opts)
	for i := range 3 {
		value := fmt.Sprint(i)
		must(t, s.Update(t.Context(), setMeta(value)))
		wantMeta(t, s, value)
		terminate(c, database, false)
	}
	must(t, s.Update(t.Context(), setMeta("last")))
	terminate(c, database, false)
	wantMeta(t, s, "last")
}

// Where the connection that listens cannot be had the store goes on, and looks for updates by itself.
func TestAStoreThatCannotListenLooks(t *testing.T) {
	c, database, opts := shared(t)
	other := storetest.OpenPostgres(t, opts)
	s := storetest.OpenPostgres(t, asRole(t, c, database, "listener"))
	must(t, s.Update(t.Context(), setMeta("1"))) // a connection that stays
	c.Exec("postgres", "ALTER ROLE listener CONNECTION LIMIT 0")
	c.Exec("postgres", `SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid
		WHERE a.usename = 'listener' AND l.locktype = 'advisory' AND l.objid = 2`)
	announced(t, s) // there may have been news
	for _, value := range []string{"2", "3"} {
		must(t, other.Update(t.Context(), setMeta(value)))
		postgres.Eventually(t, "the update to be announced", func(context.Context) bool {
			announced(t, s)
			got := ""
			must(t, s.View(t.Context(), func(tx fleet.Tx) (err error) { got, err = tx.Meta("a"); return err }))
			return got == value
		})
	}
	must(t, s.Update(t.Context(), setMeta("4")))
	c.Exec("postgres", "ALTER ROLE listener CONNECTION LIMIT -1")
	listening(t, c, database, 2)
}

// listening waits until this many processes take part.
func listening(t *testing.T, c *postgres.Cluster, database string, n int) {
	t.Helper()
	postgres.Eventually(t, "all processes to take part", func(context.Context) bool {
		return c.Ask("postgres", "SELECT COUNT(*) FROM pg_stat_activity a JOIN pg_locks l USING (pid) WHERE a.datname = $1 AND a.state = 'idle' AND l.locktype = 'advisory' AND l.objid = 2", database) == strconv.Itoa(n)
	})
}

func TestSeveralProcessesMigrateAtOnce(t *testing.T) {
	c := postgres.Shared(t)
	opts := storetest.PostgresOptions(c, c.Database(t, ""))
	stores := make([]*store.Store, 4)
	var wg sync.WaitGroup
	for i := range stores {
		wg.Go(func() {
			var err error
			if stores[i], err = store.OpenPostgres(t.Context(), opts); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, s := range stores {
		if s == nil {
			t.FailNow()
		}
		if s.Epoch() != stores[0].Epoch() {
			t.Errorf("the epochs are %s and %s", s.Epoch(), stores[0].Epoch())
		}
		defer s.Close()
	}
	must(t, stores[0].Update(t.Context(), setMeta("1")))
	wantMeta(t, stores[3], "1")
}

// A store of an earlier release gets what is new; what is in it stays.
func TestAnOlderPostgresStoreIsMigrated(t *testing.T) {
	c := postgres.Shared(t)
	database := c.Database(t, "")
	c.Exec(database, "CREATE TABLE schema_version (version INTEGER PRIMARY KEY); CREATE TABLE schema_extension (version INTEGER PRIMARY KEY)")
	names, err := filepath.Glob("migrations/postgres/000[123]_*.sql")
	must(t, err)
	for i, name := range names {
		text, err := os.ReadFile(name)
		must(t, err)
		c.Exec(database, string(text))
		c.Exec(database, "INSERT INTO schema_version (version) VALUES ($1)", i+1)
	}
	c.Exec(database, "INSERT INTO actions (id, key, spec_hash, request_type, deadline, created_at, finished_at, seq) VALUES ('id', 'ns/a', 'h', 'r', 0, 0, 0, 7)")
	s := storetest.OpenPostgres(t, storetest.PostgresOptions(c, database))
	must(t, s.Update(t.Context(), func(tx fleet.Tx) error {
		if a, err := tx.ActionByID("id"); err != nil || a == nil || a.Seq != 7 || a.WantedEpoch != "" {
			t.Errorf("the action is %+v, %v", a, err)
		}
		_, err := tx.Lease("sweep", "a", time.Now(), time.Now())
		return err
	}))
}

func TestANewerPostgresStoreIsRefused(t *testing.T) {
	c, database, opts := shared(t)
	c.Exec(database, "INSERT INTO schema_version (version) VALUES (999)")
	_, err := store.OpenPostgres(t.Context(), opts)
	if err == nil || !strings.Contains(err.Error(), "schema version 999") {
		t.Fatalf("opening a newer store: %v", err)
	}
	if reason, message := store.Problem(err); reason != "NewerSchema" || !strings.Contains(message, "run the newer version") {
		t.Errorf("the problem is %s: %s", reason, message)
	}
}

func TestADatabaseIsThatOfOneServer(t *testing.T) {
	c, database, opts := shared(t)
	opts.Server = "fleet/other"
	c.Exec(database, "DELETE FROM schema_extension")
	_, err := store.OpenPostgres(t.Context(), opts)
	if reason, message := store.Problem(err); reason != "DatabaseOfAnotherServer" || !strings.Contains(message, "fleet/main") {
		t.Errorf("the problem is %s: %s", reason, message)
	}
	if n := c.Ask(database, "SELECT COUNT(*) FROM schema_extension"); n != "0" {
		t.Error("the store of another server was migrated")
	}
}
