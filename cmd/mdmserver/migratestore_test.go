package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/config"
	"github.com/kubemdm/kubemdm/mdmserver/store"
	"github.com/kubemdm/kubemdm/mdmserver/store/storetest"
	"github.com/kubemdm/kubemdm/test/postgres"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

func TestMain(m *testing.M) { postgres.Main(m) }

// moving is a stopped server with a full store, and a database.
type moving struct {
	*testing.T
	*serverfiles.Files
	cluster  *postgres.Cluster
	database string
	// dir says how to reach the database.
	dir string
}

func newMoving(t *testing.T) *moving {
	m := &moving{T: t, Files: serverfiles.Write(t), cluster: postgres.Shared(t)}
	m.database = m.cluster.Database(t, "")
	m.dir = filepath.Join(m.Dir, "database")
	m.Put(t, "database/uri", []byte(m.cluster.DSN(m.database)))
	s := m.sqlite()
	storetest.Fill(t, s)
	m.must(s.Close())
	return m
}

func (m *moving) must(err error) {
	m.Helper()
	if err != nil {
		m.Fatal(err)
	}
}

func (m *moving) path() string { return m.Config.Store.SQLite.Path }

func (m *moving) sqlite() *store.Store {
	m.Helper()
	s, err := store.OpenSQLite(m.Context(), m.path())
	m.must(err)
	return s
}

// postgres opens the database as the server does.
func (m *moving) postgres(server string) *store.Store {
	m.Helper()
	s, err := store.OpenPostgres(m.Context(), store.PostgresOptions{
		Connection: func() (*pgconn.Config, error) {
			return config.ReadDatabase(serverconfig.Postgres{Dir: m.dir}, time.Now())
		},
		MaxConnections: serverconfig.DatabaseMinConnections, Server: server,
	})
	m.must(err)
	return s
}

// run runs the command.
func (m *moving) run(args ...string) (string, error) {
	m.Helper()
	c, out := command(), &bytes.Buffer{}
	c.SetArgs(append([]string{"migrate-store", "--config", m.WriteConfig(m.T), "--to-dir", m.dir}, args...))
	c.SetOut(out)
	c.SetErr(io.Discard)
	err := c.ExecuteContext(m.Context())
	return out.String(), err
}

// All that is in the store comes along, and the file stays as it was, to the last byte.
func TestMigrateStore(t *testing.T) {
	m := newMoving(t)
	before, err := os.ReadFile(m.path())
	m.must(err)
	out, err := m.run()
	m.must(err)
	after, err := os.ReadFile(m.path())
	m.must(err)
	if !bytes.Equal(before, after) {
		t.Error("the file of the SQLite store has changed")
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	tables, sum := map[string]int64{}, int64(0)
	for _, line := range lines[:len(lines)-1] {
		var l copied
		m.must(json.Unmarshal([]byte(line), &l))
		tables[l.Table] = l.Rows
	}
	for _, rows := range tables {
		sum += rows
	}
	var end copied
	m.must(json.Unmarshal([]byte(lines[len(lines)-1]), &end))
	if !end.Done || end.Rows != sum || tables["devices"] == 0 {
		t.Errorf("it wrote %s", out)
	}
	from, to := m.sqlite(), m.postgres(m.Config.Namespace+"/"+m.Config.Name)
	storetest.Compare(t, from, to)
	m.must(to.Close())
	m.must(from.Close())
	if out, err := m.run(); err == nil || !strings.Contains(err.Error(), "not empty") || out != "" {
		t.Errorf("into a database that has a store it says %v and %s", err, out)
	}
}

// What cannot be moved is refused with a reason, and neither side is changed.
func TestStoresThatAreNotMigrated(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(m *moving)
		want   []string
	}{
		"a server runs": {func(m *moving) {
			s := m.sqlite()
			m.Cleanup(func() { m.must(s.Close()) })
		}, []string{"a server has the store open: stop it first"}},
		"no store":       {func(m *moving) { m.must(os.Remove(m.path())) }, []string{"there is no store in", "no such file"}},
		"an empty file":  {func(m *moving) { m.must(os.Truncate(m.path(), 0)) }, []string{"there is no store in"}},
		"no SQLite":      {func(m *moving) { m.must(os.WriteFile(m.path(), bytes.Repeat([]byte("x"), 4096), 0o600)) }, []string{"not a database"}},
		"a newer schema": {func(m *moving) { m.execute("INSERT INTO schema_version (version) VALUES (999)") }, []string{"schema version 999", "run the newer version again"}},
		"moved already": {func(m *moving) {
			m.Config.Store = serverconfig.Store{Postgres: &serverconfig.Postgres{Dir: m.dir, MaxConnections: 3}}
		}, []string{"in PostgreSQL already"}},
		"no folder":        {func(m *moving) { m.must(os.RemoveAll(m.dir)) }, []string{"where the database is cannot be read", "mount the Secret there"}},
		"an empty Secret":  {func(m *moving) { m.must(os.Remove(filepath.Join(m.dir, "uri"))) }, []string{"host is missing", "user (or username) is missing"}},
		"no such database": {func(m *moving) { m.Put(m.T, "database/uri", []byte(m.cluster.DSN("lost"))) }, []string{"create the database, or correct its name"}},
		"nothing listens": {func(m *moving) {
			m.Put(m.T, "database/uri", []byte("postgresql://u:secret-word@127.0.0.1:1/mdm?sslmode=disable"))
		},
			[]string{"nothing listens for PostgreSQL at 127.0.0.1:1"}},
		"a CA that is none": {func(m *moving) { m.Put(m.T, "database/ca.crt", []byte("x")) }, []string{"ca.crt holds no PEM certificate"}},
		"of another server": {func(m *moving) { m.must(m.postgres("fleet/other").Close()) }, []string{"holds the store of the server fleet/other"}},
		"a database in use": {func(m *moving) {
			s := m.postgres(m.Config.Namespace + "/" + m.Config.Name)
			storetest.Fill(m.T, s)
			m.must(s.Close())
		}, []string{"nothing was copied", "not empty"}},
		"a read-only database": {func(m *moving) {
			m.cluster.Exec(m.database, "ALTER DATABASE "+m.database+" SET default_transaction_read_only = on")
		}, []string{"read-only"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMoving(t)
			tc.change(m)
			out, err := m.run()
			if err == nil || out != "" {
				t.Fatalf("it says %v and %q", err, out)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("it does not tell %q: %v", want, err)
				}
			}
			if strings.Contains(err.Error(), "secret-word") {
				t.Errorf("it tells a password: %v", err)
			}
		})
	}
}

// execute changes the SQLite store by hand.
func (m *moving) execute(statement string) {
	m.Helper()
	db, err := sql.Open("sqlite", m.path())
	m.must(err)
	_, err = db.ExecContext(m.Context(), statement)
	m.must(err)
	m.must(db.Close())
}
