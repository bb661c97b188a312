package postgres

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Standby runs a copy of a cluster that follows it, until the test ends.
func (c *Cluster) Standby(t testing.TB, o Options) *Cluster {
	t.Helper()
	s := newCluster(t, o)
	t.Cleanup(s.remove)
	s.program("pg_basebackup", "--pgdata="+s.data(), "--dbname="+c.DSN("postgres"), "--write-recovery-conf", "--checkpoint=fast", "--no-sync")
	s.tls(o)
	s.Resume()
	return s
}

// Promote makes a standby the primary of its own data.
func (c *Cluster) Promote() {
	c.t.Helper()
	c.program("pg_ctl", "promote", "--pgdata="+c.data(), "--wait")
}

// Restore puts a dump of a database into an empty one.
func (c *Cluster) Restore(from, to string) {
	c.t.Helper()
	dump := filepath.Join(c.dir, "dump.sql")
	c.program("pg_dump", "--dbname="+c.DSN(from), "--file="+dump)
	c.program("psql", "--dbname="+c.DSN(to), "--file="+dump, "--set=ON_ERROR_STOP=1", "--quiet")
}

// Keep copies the data of a cluster that is stopped, PutBack brings the copy back.
func (c *Cluster) Keep() { c.copyData(c.data(), c.data()+".kept") }

// PutBack replaces the data by what Keep kept.
func (c *Cluster) PutBack() {
	c.t.Helper()
	must(c.t, os.RemoveAll(c.data()))
	c.copyData(c.data()+".kept", c.data())
}

func (c *Cluster) copyData(from, to string) {
	c.t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		c.t.Fatalf("copying %s: %v\n%s", from, err, out)
	}
}
