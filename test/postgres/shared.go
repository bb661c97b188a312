package postgres

import (
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// shared is the cluster of all tests of a binary that need none of their own.
var shared struct {
	sync.Mutex
	*Cluster
}

// Main runs the tests of a package and ends the shared cluster after them: func TestMain(m *testing.M) { postgres.Main(m) }.
func Main(m *testing.M) {
	code := m.Run()
	if shared.Cluster != nil {
		shared.remove()
	}
	os.Exit(code)
}

// Shared returns the cluster that all tests of the binary share. Its TestMain calls Main.
func Shared(t testing.TB) *Cluster {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.Cluster == nil {
		shared.Cluster = start(t, Options{})
	}
	c := *shared.Cluster
	c.t = t
	return &c
}

var databases atomic.Int64

// Database makes a database of the test's own, from a template, or an empty one without a template.
func (c *Cluster) Database(t testing.TB, template string) string {
	t.Helper()
	name := "test" + strconv.FormatInt(databases.Add(1), 10)
	if template == "" {
		template = "template0"
	}
	c.Exec("postgres", "CREATE DATABASE "+name+" TEMPLATE "+template)
	t.Cleanup(func() {
		if c.server != nil {
			c.Exec("postgres", "DROP DATABASE "+name+" WITH (FORCE)")
		}
	})
	return name
}
