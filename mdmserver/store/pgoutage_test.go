package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/store"
	"github.com/kubemdm/kubemdm/mdmserver/store/storetest"
	"github.com/kubemdm/kubemdm/test/pki"
	"github.com/kubemdm/kubemdm/test/postgres"
)

// password is that of every role.
const password = "pa55word"

// asRole makes a role with the rights on a database, and connects as it on the loopback port, where the password counts.
func asRole(t *testing.T, c *postgres.Cluster, database, role string) store.PostgresOptions {
	t.Helper()
	c.Exec("postgres", fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'", role, password))
	t.Cleanup(func() { c.Exec("postgres", fmt.Sprintf("DROP OWNED BY %s; DROP ROLE %s", role, role)) })
	c.Exec(database, "GRANT ALL ON ALL TABLES IN SCHEMA public TO "+role+"; GRANT CREATE ON SCHEMA public TO "+role)
	t.Cleanup(func() { c.Exec(database, "DROP OWNED BY "+role) })
	opts := storetest.PostgresOptions(c, database)
	opts.Connection = connection(c, database, role, password, "sslmode=disable")
	return opts
}

func connection(c *postgres.Cluster, database, role, secret, more string) func() (*pgconn.Config, error) {
	return func() (*pgconn.Config, error) {
		return pgconn.ParseConfig(fmt.Sprintf("host=127.0.0.1 port=%d dbname=%s user=%s password=%s %s", c.Port(), database, role, secret, more))
	}
}

// wantReason wants an outage, with a message that ends in what to do and tells no password.
func wantReason(t *testing.T, err error, want string) {
	t.Helper()
	if !errors.Is(err, fleet.ErrUnavailable) {
		t.Fatalf("%v, want ErrUnavailable", err)
	}
	reason, message := store.Problem(err)
	if reason != want || message == "" || strings.Contains(err.Error(), password) || strings.Contains(message, "%!") {
		t.Errorf("the problem is %s: %s; want %s", reason, message, want)
	}
	t.Logf("%s: %s", reason, message)
}

func TestDatabasesThatCannotBeOpened(t *testing.T) {
	c, database, _ := shared(t)
	good := asRole(t, c, database, "app")
	c.Exec("postgres", "CREATE ROLE stranger LOGIN PASSWORD '"+password+"'")
	t.Cleanup(func() { c.Exec("postgres", "DROP ROLE stranger") })
	latin := c.Database(t, "template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
	nowhere := func() (*pgconn.Config, error) {
		return pgconn.ParseConfig("host=127.0.0.1 port=1 user=u password=" + password + " dbname=d")
	}
	unknown := func() (*pgconn.Config, error) {
		cfg, err := pgconn.ParseConfig("host=nowhere.invalid user=u password=" + password + " dbname=d sslmode=disable")
		return cfg, err
	}
	for want, connection := range map[string]func() (*pgconn.Config, error){
		"DatabaseUnreachable":        nowhere,
		"DatabaseHostNotFound":       unknown,
		"DatabaseLoginRefused":       connection(c, database, "app", "another", "sslmode=disable"),
		"DatabaseNotFound":           connection(c, "missing", "app", password, "sslmode=disable"),
		"DatabaseTLSFailed":          connection(c, database, "app", password, "sslmode=require"),
		"DatabasePrivilegesMissing":  connection(c, database, "stranger", password, "sslmode=disable"),
		"DatabaseUnsuitable":         connection(c, latin, "app", password, "sslmode=disable"),
		"DatabaseCredentialsInvalid": func() (*pgconn.Config, error) { return nil, errors.New("host is missing") },
	} {
		t.Run(want, func(t *testing.T) {
			opts := good
			opts.Connection = connection
			_, err := store.OpenPostgres(t.Context(), opts)
			wantReason(t, err, want)
		})
	}
	t.Run("TooManyConnections", func(t *testing.T) {
		c.Exec("postgres", "ALTER ROLE app CONNECTION LIMIT 0")
		_, err := store.OpenPostgres(t.Context(), good)
		wantReason(t, err, "TooManyConnections")
	})
	t.Run("too few", func(t *testing.T) {
		opts := good
		opts.MaxConnections = 2
		if _, err := store.OpenPostgres(t.Context(), opts); err == nil {
			t.Error("a store opens with two connections")
		}
	})
}

// The certificate of the database must be of the CA and for the host.
func TestTLSToTheDatabase(t *testing.T) {
	ca, other := pki.NewCA(t, "pg"), pki.NewCA(t, "another")
	for name, c := range map[string]struct {
		leaf pki.Leaf
		ca   *pki.CA
		want string
	}{
		"good":            {pki.Leaf{CN: "db", Names: []string{"localhost"}}, ca, ""},
		"another CA":      {pki.Leaf{CN: "db", Names: []string{"localhost"}}, other, "DatabaseCertificateRefused"},
		"another host":    {pki.Leaf{CN: "db", Names: []string{"db.example.com"}}, ca, "DatabaseCertificateRefused"},
		"one that is old": {pki.Leaf{CN: "db", Names: []string{"localhost"}, NotAfter: time.Now().Add(-time.Hour)}, ca, "DatabaseCertificateRefused"},
	} {
		t.Run(name, func(t *testing.T) {
			cert, key := pki.PEM(t, ca.Issue(t, c.leaf))
			cluster := postgres.Start(t, postgres.Options{Cert: cert, Key: key})
			cluster.Exec("postgres", "ALTER ROLE postgres PASSWORD '"+password+"'")
			opts := storetest.PostgresOptions(cluster, "postgres")
			opts.Connection = func() (*pgconn.Config, error) {
				cfg, err := connection(cluster, "postgres", "postgres", password, "sslmode=require")()
				cfg.Host, cfg.TLSConfig.InsecureSkipVerify = "localhost", false
				cfg.TLSConfig.RootCAs, cfg.TLSConfig.ServerName = c.ca.Pool(), "localhost"
				cfg.LookupFunc = func(context.Context, string) ([]string, error) { return []string{"127.0.0.1"}, nil }
				return cfg, err
			}
			s, err := store.OpenPostgres(t.Context(), opts)
			if c.want != "" {
				wantReason(t, err, c.want)
				return
			}
			must(t, err)
			if n := cluster.Ask("postgres", "SELECT COUNT(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE NOT ssl AND application_name = 'kubemdm fleet/main'"); n != "0" {
				t.Errorf("%s connections are in clear", n)
			}
			must(t, s.Close())
		})
	}
}

// breaking makes every write to the words about the store fail as the server says it does.
func breaking(c *postgres.Cluster, database, body string) {
	c.Exec(database, `CREATE OR REPLACE FUNCTION break() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN `+body+` RETURN NEW; END $$;
		CREATE OR REPLACE TRIGGER break BEFORE INSERT OR UPDATE ON meta FOR EACH ROW EXECUTE FUNCTION break()`)
}

// What goes wrong while the store is open is an outage with a reason, leaves nothing behind, and is over when its cause is.
func TestOutagesOfPostgres(t *testing.T) {
	for want, c := range map[string]struct{ begin, end string }{
		"ReadOnly":                  {"ALTER DATABASE {} SET default_transaction_read_only = on", "ALTER DATABASE {} RESET default_transaction_read_only"},
		"StorageFull":               {raise("53100"), raise("")},
		"DatabaseDamaged":           {raise("XX001"), raise("")},
		"DatabasePrivilegesMissing": {raise("42501"), raise("")},
		"DatabaseConflict":          {raise("40001"), raise("")},
	} {
		t.Run(want, func(t *testing.T) {
			cluster, database, opts := shared(t)
			s := storetest.OpenPostgres(t, opts)
			must(t, s.Update(t.Context(), setMeta("1")))
			do := func(statement string) {
				if body, ok := strings.CutPrefix(statement, "break: "); ok {
					breaking(cluster, database, body)
					return
				}
				cluster.Exec("postgres", strings.ReplaceAll(statement, "{}", database))
				terminate(cluster, database, false)
			}
			do(c.begin)
			wantReason(t, s.Update(t.Context(), setMeta("2")), want)
			wantMeta(t, s, "1")
			do(c.end)
			must(t, s.Update(t.Context(), setMeta("3")))
			wantMeta(t, s, "3")
		})
	}
}

func raise(code string) string {
	if code == "" {
		return "break: "
	}
	return "break: RAISE EXCEPTION 'no' USING ERRCODE = '" + code + "';"
}

// An update that certainly came to nothing because of other people's locks is run again.
func TestAConflictIsTriedAgain(t *testing.T) {
	c, database, opts := shared(t)
	s := storetest.OpenPostgres(t, opts)
	c.Exec(database, "CREATE SEQUENCE tries")
	breaking(c, database, "IF nextval('tries') < 3 THEN RAISE EXCEPTION 'again' USING ERRCODE = '40P01'; END IF;")
	runs := 0
	must(t, s.Update(t.Context(), func(tx fleet.Tx) error {
		runs++
		return tx.SetMeta("a", "1")
	}))
	if runs != 3 {
		t.Errorf("the update ran %d times", runs)
	}
	wantMeta(t, s, "1")
}

// Somebody else's locks and slow statements end by themselves, and readers go on meanwhile.
func TestNobodyWaitsForEver(t *testing.T) {
	for want, c := range map[string]struct {
		hold            string
		statement, lock time.Duration
	}{
		"DatabaseLocked": {"SELECT pg_advisory_xact_lock(1802331245, 1)", 20 * time.Second, 200 * time.Millisecond},
		"DatabaseSlow":   {"LOCK TABLE meta IN EXCLUSIVE MODE", 300 * time.Millisecond, 20 * time.Second},
	} {
		t.Run(want, func(t *testing.T) {
			cluster, database, opts := shared(t)
			opts.StatementTimeout, opts.LockTimeout = c.statement, c.lock
			s := storetest.OpenPostgres(t, opts)
			conn, err := pgx.Connect(t.Context(), cluster.DSN(database))
			must(t, err)
			defer conn.Close(context.WithoutCancel(t.Context()))
			held, err := conn.Begin(t.Context())
			must(t, err)
			_, err = held.Exec(t.Context(), c.hold)
			must(t, err)
			wantReason(t, s.Update(t.Context(), setMeta("1")), want)
			wantMeta(t, s, "")
			must(t, held.Rollback(t.Context()))
			must(t, s.Update(t.Context(), setMeta("2")))
		})
	}
}

// A connection that is lost in the middle is an outage. The update is not run again: who asked for it knows whether it may be.
func TestAConnectionThatIsLostInTheMiddle(t *testing.T) {
	c, database, opts := shared(t)
	s := storetest.OpenPostgres(t, opts)
	runs := 0
	err := s.Update(t.Context(), func(tx fleet.Tx) error {
		runs++
		must(t, tx.SetMeta("a", "1"))
		_, err := tx.Meta("a") // sends what waits
		must(t, err)
		terminate(c, database, false)
		if runs == 1 {
			return nil // the commit does not arrive
		}
		return tx.SetMeta("b", "1")
	})
	if reason, _ := store.Problem(err); !errors.Is(err, fleet.ErrUnavailable) || reason != "ConnectionLost" && reason != "DatabaseShuttingDown" {
		t.Errorf("%v, want an outage", err)
	}
	if runs != 1 {
		t.Errorf("the update ran %d times", runs)
	}
	wantMeta(t, s, "")
}

func TestAllConnectionsAreInUse(t *testing.T) {
	_, _, opts := shared(t)
	opts.MaxConnections, opts.ConnectTimeout, opts.LockTimeout = 3, 500*time.Millisecond, 500*time.Millisecond
	s := storetest.OpenPostgres(t, opts)
	must(t, s.View(t.Context(), func(fleet.Tx) error {
		wantReason(t, s.View(t.Context(), func(fleet.Tx) error { return nil }), "TooFewConnections")
		return nil
	}))
	wantMeta(t, s, "")
}

// Credentials that change replace all connections, once the new ones are good.
func TestRotatedCredentials(t *testing.T) {
	c, database, _ := shared(t)
	opts := asRole(t, c, database, "rotating")
	secret, changed := password, make(chan struct{})
	lock := make(chan struct{}, 1)
	locked := func(do func()) { lock <- struct{}{}; do(); <-lock }
	opts.Connection = func() (cfg *pgconn.Config, err error) {
		locked(func() { cfg, err = connection(c, database, "rotating", secret, "sslmode=disable")() })
		return cfg, err
	}
	opts.Changed = func() (ch <-chan struct{}) { locked(func() { ch = changed }); return ch }
	rotate := func(to string) {
		locked(func() {
			close(changed)
			secret, changed = to, make(chan struct{})
		})
	}
	backends := func() string {
		return c.Ask("postgres", "SELECT string_agg(pid::text, ' ' ORDER BY pid) FROM pg_stat_activity WHERE usename = 'rotating'")
	}
	s := storetest.OpenPostgres(t, opts)
	must(t, s.Update(t.Context(), setMeta("1")))
	wantMeta(t, s, "1")
	before, epoch := backends(), s.Epoch()

	rotate("new-" + password) // the Secret comes first: what is there goes on
	for i := range 20 {
		must(t, s.Update(t.Context(), setMeta(fmt.Sprint("old ", i))))
	}
	c.Exec("postgres", "ALTER ROLE rotating PASSWORD 'new-"+password+"'")
	postgres.Eventually(t, "all connections to be new", func(context.Context) bool {
		must(t, s.Update(t.Context(), setMeta("2")))
		for _, pid := range strings.Fields(backends()) {
			if strings.Contains(before, pid) {
				return false
			}
		}
		return true
	})
	if s.Epoch() != epoch {
		t.Error("new credentials made a new epoch")
	}
	terminate(c, database, false)
	must(t, s.Update(t.Context(), setMeta("3")))
}
