package storetest

import (
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kubemdm/kubemdm/mdmserver/store"
	"github.com/kubemdm/kubemdm/test/postgres"
)

// template is an empty store in the shared cluster, which is made once.
const template = "template_store"

var templateMade sync.Mutex

// Postgres opens an empty store in the cluster that the tests of a binary share; its TestMain calls postgres.Main.
func Postgres(t testing.TB) *store.Store {
	t.Helper()
	c := postgres.Shared(t)
	return OpenPostgres(t, PostgresOptions(c, Database(t, c)))
}

// Database is a new one in the shared cluster, with an empty store.
func Database(t testing.TB, c *postgres.Cluster) string {
	t.Helper()
	templateMade.Lock()
	defer templateMade.Unlock()
	if c.Ask("postgres", "SELECT COUNT(*) FROM pg_database WHERE datname = $1", template) == "0" {
		// A language of people, in which text is in another order than that of its bytes.
		c.Exec("postgres", "CREATE DATABASE "+template+" TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'")
		if err := OpenPostgres(t, PostgresOptions(c, template)).Close(); err != nil {
			t.Fatal(err)
		}
	}
	return c.Database(t, template)
}

// PostgresOptions are those of a database of a cluster, on its socket.
func PostgresOptions(c *postgres.Cluster, database string) store.PostgresOptions {
	return store.PostgresOptions{
		Connection:     func() (*pgconn.Config, error) { return pgconn.ParseConfig(c.DSN(database)) },
		MaxConnections: 6, Server: "fleet/main",
	}
}

// OpenPostgres opens a store, and closes it after the test.
func OpenPostgres(t testing.TB, opts store.PostgresOptions) *store.Store {
	t.Helper()
	s, err := store.OpenPostgres(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}
