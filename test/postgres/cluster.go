package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
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
)

// Superuser needs no password on the socket.
const Superuser = "postgres"

const loopback = "127.0.0.1"

// Options are those of a cluster; the zero value is for most tests.
type Options struct {
	// Cert and Key are PEM: TLS on the port is on if they are there.
	Cert, Key []byte
	// Settings go to the command line: name=value.
	Settings []string
	// Address is where the port is, if that is not 127.0.0.1: whoever reaches it comes in with TLS and a password.
	Address string
	// Durable waits for the disk, which only measurements need.
	Durable bool
}

// Cluster is a PostgreSQL server with its data. Everybody on the socket is who he says; on the port he needs his password.
type Cluster struct {
	t       testing.TB
	dir     string
	port    int
	options []string
	run     *syscall.Credential // who runs it; nil: whoever runs the test
	server  *exec.Cmd
}

// Start runs a new cluster until the test ends.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	c := start(t, o)
	t.Cleanup(c.remove)
	return c
}

// start runs a new cluster.
func start(t testing.TB, o Options) *Cluster {
	t.Helper()
	c := newCluster(t, o)
	c.program("initdb", "--pgdata="+c.data(), "--username="+Superuser, "--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--no-sync")
	c.tls(o)
	c.open(o)
	c.Resume()
	return c
}

// newCluster prepares what a cluster runs in.
func newCluster(t testing.TB, o Options) *Cluster {
	t.Helper()
	address := cmp.Or(o.Address, loopback)
	c := &Cluster{t: t, port: freePort(t, address)}
	var err error
	c.dir, err = os.MkdirTemp("", "pg") // t.TempDir is closed to other users, and too long a path for a socket
	must(t, err)
	if os.Getuid() == 0 { // PostgreSQL refuses to run as root
		c.run = account(t, "postgres", "nobody")
		c.give(c.dir)
	}
	c.options = []string{"listen_addresses=" + address, "port=" + strconv.Itoa(c.port), "unix_socket_directories=" + c.dir, "fsync=off"}
	if o.Durable {
		c.options[len(c.options)-1] = "fsync=on"
	}
	c.options = append(c.options, o.Settings...)
	return c
}

// open lets in who comes from elsewhere than this machine.
func (c *Cluster) open(o Options) {
	c.t.Helper()
	if o.Address == "" {
		return
	}
	rules, err := os.OpenFile(filepath.Join(c.data(), "pg_hba.conf"), os.O_APPEND|os.O_WRONLY, 0)
	must(c.t, err)
	_, err = rules.WriteString("hostssl all all all scram-sha-256\n")
	must(c.t, errors.Join(err, rules.Close()))
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

// give makes a file that of who runs the cluster.
func (c *Cluster) give(path string) {
	c.t.Helper()
	if c.run != nil {
		must(c.t, os.Chown(path, int(c.run.Uid), int(c.run.Gid)))
	}
}

func (c *Cluster) tls(o Options) {
	c.t.Helper()
	if o.Cert == nil {
		return
	}
	for name, content := range map[string][]byte{"server.crt": o.Cert, "server.key": o.Key} {
		path := filepath.Join(c.data(), name)
		must(c.t, os.WriteFile(path, content, 0o600))
		c.give(path)
	}
	c.options = append(c.options, "ssl=on")
}

// Resume starts a server that was stopped.
func (c *Cluster) Resume() {
	c.t.Helper()
	log, err := os.OpenFile(filepath.Join(c.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(c.t, err)
	defer log.Close()
	args := []string{"-D", c.data()}
	for _, option := range c.options {
		args = append(args, "-c", option)
	}
	c.server = c.command("postgres", args...)
	c.server.Stdout, c.server.Stderr = log, log
	must(c.t, c.server.Start())
	Eventually(c.t, "PostgreSQL to answer", func(ctx context.Context) bool {
		conn, err := pgx.Connect(ctx, c.DSN("postgres"))
		if err != nil {
			return false
		}
		return conn.Close(ctx) == nil
	})
}

// Stop ends all sessions and the server.
func (c *Cluster) Stop() { c.signal(syscall.SIGINT) }

// Crash ends the server without any goodbye to the disk.
func (c *Cluster) Crash() { c.signal(syscall.SIGQUIT) }

func (c *Cluster) signal(s syscall.Signal) {
	if c.server == nil {
		return
	}
	_ = c.server.Process.Signal(s)
	_ = c.server.Wait()
	c.server = nil
}

func (c *Cluster) remove() {
	c.Stop()
	_ = os.RemoveAll(c.dir)
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

// program runs a program of PostgreSQL's to its end and returns what it says.
func (c *Cluster) program(name string, args ...string) []byte {
	c.t.Helper()
	out, err := c.command(name, args...).CombinedOutput()
	if err != nil {
		c.t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return out
}

// command is a program of PostgreSQL's, which Debian keeps out of the PATH.
func (c *Cluster) command(name string, args ...string) *exec.Cmd {
	c.t.Helper()
	path, err := exec.LookPath(name)
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name); len(found) > 0 {
		path, err = found[len(found)-1], nil
	}
	if err != nil {
		c.t.Fatalf("%v: install PostgreSQL (Debian package postgresql)", err)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.run, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// DSN is the address of a database for the superuser, on the socket.
func (c *Cluster) DSN(database string) string {
	return fmt.Sprintf("postgres:///%s?host=%s&port=%d&user=%s&sslmode=disable", database, c.dir, c.port, Superuser)
}

// Socket is the folder of the socket.
func (c *Cluster) Socket() string { return c.dir }

// Port is that of the address, and of the socket's name.
func (c *Cluster) Port() int { return c.port }

// Exec changes a database by hand.
func (c *Cluster) Exec(database, sql string, args ...any) {
	c.t.Helper()
	c.with(database, func(ctx context.Context, conn *pgx.Conn) {
		_, err := conn.Exec(ctx, sql, args...)
		must(c.t, err)
	})
}

// Ask returns the one value that a statement finds, as text.
func (c *Cluster) Ask(database, sql string, args ...any) (value string) {
	c.t.Helper()
	c.with(database, func(ctx context.Context, conn *pgx.Conn) {
		must(c.t, conn.QueryRow(ctx, "SELECT CAST(("+sql+") AS TEXT)", args...).Scan(&value))
	})
	return value
}

func (c *Cluster) with(database string, do func(context.Context, *pgx.Conn)) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.DSN(database))
	must(c.t, err)
	defer conn.Close(ctx)
	do(ctx, conn)
}

func freePort(t testing.TB, address string) int {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	must(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Eventually waits until something holds, a minute at most.
func Eventually(t testing.TB, what string, holds func(ctx context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
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
