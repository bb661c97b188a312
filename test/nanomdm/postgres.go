package nanomdm

import (
	"context"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/micromdm/nanomdm/storage/pgsql"
)

const role = "nanomdm"

// postgres is a private cluster on a Unix socket, with NanoMDM's database.
type postgres struct {
	t   testing.TB
	dir string
	run *syscall.Credential // who runs it; nil: whoever runs the test
}

// newPostgres starts a cluster that ends with the test.
func newPostgres(t testing.TB) *postgres {
	t.Helper()
	p := &postgres{t: t}
	var err error
	p.dir, err = os.MkdirTemp("", "pg") // t.TempDir is closed to other users, and too long a path for a socket
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(p.dir) })
	if os.Getuid() == 0 { // PostgreSQL refuses to run as root
		p.run = account(t, "postgres", "nobody")
		must(t, os.Chown(p.dir, int(p.run.Uid), int(p.run.Gid)))
	}
	data := filepath.Join(p.dir, "data")
	if out, err := p.command("initdb", "--pgdata="+data, "--username="+role, "--auth=trust", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "postgres.log"))
	must(t, err)
	server := p.command("postgres", "-D", data, "-k", p.dir, "-c", "listen_addresses=", "-c", "fsync=off")
	server.Stdout, server.Stderr = log, log
	must(t, server.Start())
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGINT) // ends sessions and stops
		_ = server.Wait()
		_ = log.Close()
	})
	eventually(t, "PostgreSQL to answer", func(ctx context.Context) bool {
		conn, err := pgx.Connect(ctx, p.dsn("postgres"))
		if err != nil {
			return false
		}
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, "CREATE DATABASE nanomdm")
		return err == nil
	})
	p.exec(pgsql.Schema)
	return p
}

// account is the first of these users that there is.
func account(t testing.TB, names ...string) *syscall.Credential {
	t.Helper()
	for _, name := range names {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		must(t, err)
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		must(t, err)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	t.Fatalf("there is none of the users %s to run PostgreSQL", strings.Join(names, ", "))
	return nil
}

// command is a program of PostgreSQL's, which Debian keeps out of the PATH.
func (p *postgres) command(name string, args ...string) *exec.Cmd {
	p.t.Helper()
	path, err := exec.LookPath(name)
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name); len(found) > 0 {
		path, err = found[len(found)-1], nil
	}
	if err != nil {
		p.t.Fatalf("%v: install PostgreSQL (Debian package postgresql)", err)
	}
	c := exec.Command(path, args...)
	c.Dir = p.dir
	c.Env = append(os.Environ(), "LC_ALL=C")
	c.SysProcAttr = &syscall.SysProcAttr{Credential: p.run, Pdeathsig: syscall.SIGKILL}
	return c
}

// dsn is the address of a database, as NanoMDM's driver and ours take it.
func (p *postgres) dsn(database string) string {
	return "postgres:///" + database + "?host=" + p.dir + "&user=" + role + "&sslmode=disable"
}

// exec changes NanoMDM's database by hand.
func (p *postgres) exec(sql string, args ...any) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, p.dsn("nanomdm"))
	must(p.t, err)
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql, args...)
	must(p.t, err)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until something holds, a minute at most.
func eventually(t testing.TB, what string, holds func(ctx context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !holds(ctx) {
		select {
		case <-ctx.Done():
			t.Fatalf("waiting for %s: %v", what, ctx.Err())
		case <-ticker.C:
		}
	}
}
