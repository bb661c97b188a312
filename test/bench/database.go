package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/kubemdm/kubemdm/test/postgres"
)

// cluster is a PostgreSQL of one side's own, with the settings that it comes with: it waits for the disk.
type cluster struct {
	*harness
	*postgres.Cluster
	pid int
}

func (h *harness) newCluster() *cluster {
	c := &cluster{harness: h, Cluster: postgres.Start(h, postgres.Options{Durable: true})}
	// The first line is the number of the process.
	state, err := os.ReadFile(filepath.Join(c.Socket(), "data", "postmaster.pid"))
	h.must(err)
	line, _, _ := strings.Cut(string(state), "\n")
	c.pid, err = strconv.Atoi(line)
	h.must(err)
	return c
}

// database makes one.
func (c *cluster) database(name string) { c.Exec("postgres", "CREATE DATABASE "+name) }

// hastily does what is not measured, without waiting for the disk.
func (c *cluster) hastily(do func()) {
	if c == nil { // SQLite
		do()
		return
	}
	c.Exec("postgres", "ALTER SYSTEM SET synchronous_commit = off")
	c.Exec("postgres", "SELECT pg_reload_conf()")
	do()
	c.Exec("postgres", "ALTER SYSTEM RESET synchronous_commit")
	c.Exec("postgres", "SELECT pg_reload_conf()")
}

// cpu is what all its processes have used, with what was still to be written, which is written now.
func (c *cluster) cpu() time.Duration {
	c.Exec("postgres", "CHECKPOINT")
	used, err := treeCPU(c.pid)
	c.must(err)
	return used
}

// secret writes what a Secret with the address of a database holds, and returns the folder.
func (c *cluster) secret(database string) string {
	dir := c.TempDir()
	c.must(os.WriteFile(filepath.Join(dir, "uri"), []byte(c.DSN(database)), 0o600))
	return dir
}

// version is that of PostgreSQL.
func (c *cluster) version() string {
	return "PostgreSQL " + c.Ask("postgres", "current_setting('server_version')")
}
