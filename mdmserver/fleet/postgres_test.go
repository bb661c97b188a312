package fleet_test

import (
	"testing"

	"github.com/kubemdm/kubemdm/mdmserver/store"
	"github.com/kubemdm/kubemdm/mdmserver/store/storetest"
	"github.com/kubemdm/kubemdm/test/postgres"
)

func TestMain(m *testing.M) { postgres.Main(m) }

// newPostgresWorld is a world on PostgreSQL.
func newPostgresWorld(t testing.TB) *world {
	t.Helper()
	c := postgres.Shared(t)
	opts := storetest.PostgresOptions(c, storetest.Database(t, c))
	return newWorldOn(t, func() (*store.Store, error) { return store.OpenPostgres(t.Context(), opts) })
}
