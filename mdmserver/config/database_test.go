package config_test

import (
	"crypto/tls"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/config"
	"github.com/kubemdm/kubemdm/test/pki"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

// withDatabase are the files of a server with a database.
func withDatabase(t *testing.T) *serverfiles.Files {
	t.Helper()
	files := serverfiles.Write(t)
	files.Config.Store = serverconfig.Store{Postgres: &serverconfig.Postgres{Dir: filepath.Join(files.Dir, "database"), MaxConnections: 5}}
	return files
}

// database are the credentials of a server whose Secret has this content and no other.
func database(t *testing.T, files *serverfiles.Files, content map[string]string) *config.Credentials {
	t.Helper()
	remove(t, files, "database")
	putAll(t, files, content)
	return open(t, files)
}

func putAll(t *testing.T, files *serverfiles.Files, content map[string]string) {
	t.Helper()
	files.Put(t, "database/other", nil) // operators put more into their Secrets than is used here
	for name, text := range content {
		files.Put(t, "database/"+name, []byte(text))
	}
}

// where says how a connection is made: the addresses in order, each with how much it is verified.
func where(c *pgconn.Config) string {
	ways := []string{way(c.Host, c.Port, c.TLSConfig)}
	for _, f := range c.Fallbacks {
		ways = append(ways, way(f.Host, f.Port, f.TLSConfig))
	}
	return fmt.Sprintf("%s/%s as %s:%s", strings.Join(ways, " "), c.Database, c.User, c.Password)
}

func way(host string, port uint16, c *tls.Config) string {
	safety := "full"
	switch {
	case c == nil:
		safety = "clear"
	case c.InsecureSkipVerify && c.VerifyConnection != nil:
		safety = "ca"
	case c.InsecureSkipVerify:
		safety = "encrypted"
	}
	return fmt.Sprintf("%s:%d=%s", host, port, safety)
}

func TestSecretsOfDatabases(t *testing.T) {
	files := withDatabase(t)
	for name, c := range map[string]struct {
		secret map[string]string
		want   string
	}{
		"CloudNativePG": {map[string]string{
			"uri": "postgresql://app:s3cr%40t@db-rw.pg:5432/app", "jdbc-uri": "jdbc:postgresql://db-rw.pg:5432/app", "host": "db-rw", "port": "5432", "user": "app",
			"username": "app", "password": "s3cr@t", "dbname": "app", "pgpass": "db-rw:5432:app:app:s3cr@t\n"}, "db-rw.pg:5432=full/app as app:s3cr@t"},
		"Crunchy": {map[string]string{
			"uri": "postgresql://mdm:p%5Bw@hippo-primary.ns.svc:5432/mdm", "host": "hippo-primary.ns.svc", "port": "5432", "dbname": "mdm", "user": "mdm", "password": "p[w",
			"verifier": "SCRAM-SHA-256$4096"}, "hippo-primary.ns.svc:5432=full/mdm as mdm:p[w"},
		"a provider":                   {map[string]string{"uri": "postgres://u:p@x.example.com:25060/defaultdb?sslmode=require&channel_binding=require\n"}, "x.example.com:25060=encrypted/defaultdb as u:p"},
		"written by hand":              {map[string]string{"host": "db\n", "username": "u\n", "password": "with space \r\n", "database": "d\n"}, "db:5432=full/d as u:with space "},
		"a password without escapes":   {map[string]string{"uri": "postgres://u:a#b?c:d@db/d"}, "db:5432=full/d as u:a#b?c:d"},
		"a URI without a password":     {map[string]string{"uri": "postgres://u@db/d", "password": "p", "host": "another"}, "db:5432=full/d as u:p"},
		"a URI with parameters":        {map[string]string{"uri": "postgres:///?host=/run/pg&port=7&user=u&password=p%26&dbname=d"}, "/run/pg:7=clear/d as u:p&"},
		"several hosts":                {map[string]string{"uri": "postgres://u:p@a:1,b,[::1]:3/d"}, "a:1=full b:5432=full ::1:3=full/d as u:p"},
		"several hosts, one port":      {map[string]string{"host": "a, b", "port": "7", "user": "u", "dbname": "d", "sslmode": "disable"}, "a:7=clear b:7=clear/d as u:"},
		"prefer":                       {map[string]string{"host": "a", "user": "u", "dbname": "d", "sslmode": "prefer"}, "a:5432=encrypted a:5432=clear/d as u:"},
		"allow":                        {map[string]string{"host": "a", "user": "u", "dbname": "d", "sslmode": "allow"}, "a:5432=clear a:5432=encrypted/d as u:"},
		"verify-ca":                    {map[string]string{"host": "a", "user": "u", "dbname": "d", "sslmode": "verify-ca"}, "a:5432=ca/d as u:"},
		"require with a CA":            {map[string]string{"host": "a", "user": "u", "dbname": "d", "sslmode": "require", "ca.crt": string(pki.NewCA(t, "pg").CertPEM())}, "a:5432=ca/d as u:"},
		"the mode of the URI wins":     {map[string]string{"uri": "postgres://u@a/d?sslmode=disable", "sslmode": "verify-full"}, "a:5432=clear/d as u:"},
		"the mode beside a URI counts": {map[string]string{"uri": "postgres://u@a/d", "sslmode": "disable"}, "a:5432=clear/d as u:"},
	} {
		t.Run(name, func(t *testing.T) {
			creds := database(t, files, c.secret)
			got, err := creds.Database()
			if err != nil {
				t.Fatal(err)
			}
			if where(got) != c.want {
				t.Errorf("connections go to %s, want %s", where(got), c.want)
			}
			if (name == "a provider") != (got.ChannelBinding == "require") {
				t.Errorf("channel binding is %s", got.ChannelBinding)
			}
		})
	}
}

func TestSecretsOfDatabasesThatAreWrong(t *testing.T) {
	const secret = "pa55word"
	files := withDatabase(t)
	pair := pki.NewCA(t, "clients").Issue(t, pki.Leaf{CN: "u"})
	cert, _ := pki.PEM(t, pair)
	good := func(more ...string) map[string]string {
		m := map[string]string{"host": "db", "user": "u", "password": secret, "dbname": "d"}
		for i := 0; i < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return m
	}
	for name, c := range map[string]struct {
		secret map[string]string
		want   string
	}{
		"empty":                        {nil, "host is missing"},
		"user and password only":       {map[string]string{"username": "u", "password": secret}, "host is missing"},
		"no database":                  {good("dbname", ""), "dbname (or database) is missing"},
		"another scheme":               {map[string]string{"uri": "mysql://u:" + secret + "@db/d"}, "uri: it does not begin with postgresql://"},
		"a bad escape":                 {map[string]string{"uri": "postgres://u:" + secret + "%zz@db/d"}, "%25"},
		"a slash in the password":      {map[string]string{"uri": "postgres://u:" + secret + "/x@db/d"}, "%2F"},
		"an @ in the password":         {map[string]string{"uri": "postgres://u:x@" + secret + "@db/d"}, "%40"},
		"a bracket without end":        {map[string]string{"uri": "postgres://u:p@[::1/d"}, "no ]"},
		"text after a bracket":         {map[string]string{"uri": "postgres://u:p@[::1]x/d"}, "after the ]"},
		"an unknown parameter":         {map[string]string{"uri": "postgres://u:p@db/d?" + secret + "=1"}, "no use for"},
		"a CA file of somebody's":      {map[string]string{"uri": "postgres://u:p@db/d?sslrootcert=/etc/ca"}, "ca.crt"},
		"a port in words":              {good("port", "five"), "the port is no number"},
		"port 0":                       {good("port", "0"), "the port is no number"},
		"too many ports":               {good("port", "1,2"), "one for each"},
		"an empty host":                {good("host", "a,,b"), "one of the hosts is empty"},
		"two users":                    {good("username", "v"), "the files user and username differ"},
		"two databases":                {good("database", "e"), "the files dbname and database differ"},
		"an unknown mode":              {good("sslmode", "sometimes"), "sslmode is none of"},
		"an unknown binding":           {map[string]string{"uri": "postgres://u:p@db/d?channel_binding=x"}, "channel_binding"},
		"a CA that is none":            {good("ca.crt", "x"), "ca.crt holds no PEM certificate"},
		"a certificate without a key":  {good("tls.crt", string(cert)), "tls.key is missing"},
		"a zero byte":                  {good("user", "a\x00b"), "zero byte"},
		"a zero byte that is escaped":  {map[string]string{"uri": "postgres://u:p@db/d%00"}, "zero byte"},
		"a user that is not there yet": {good("user", ""), "user (or username) is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			creds := database(t, files, c.secret)
			got, err := creds.Database()
			if err == nil {
				t.Fatalf("connections go to %s", where(got))
			}
			if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), secret) {
				t.Errorf("error %q, want one with %q and without the password", err, c.want)
			}
			if refused := creds.Refused()[config.FolderDatabase]; refused != err.Error() {
				t.Errorf("refused is %q, want %q", refused, err)
			}
		})
	}
}

// What no file says nobody says.
func TestTheDatabaseIsNotOfTheEnvironment(t *testing.T) {
	for name, value := range map[string]string{
		"PGHOST": "elsewhere", "PGPORT": "9", "PGUSER": "x", "PGPASSWORD": "x", "PGDATABASE": "x", "PGSSLMODE": "disable", "PGOPTIONS": "-c x=y", "PGTZ": "UTC",
		"PGAPPNAME": "x", "PGSSLROOTCERT": "/x", "PGTARGETSESSIONATTRS": "standby", "PGCHANNELBINDING": "disable", "PGREQUIREAUTH": "none",
	} {
		t.Setenv(name, value)
	}
	creds := database(t, withDatabase(t), map[string]string{"uri": "postgres://u@db/d"})
	c, err := creds.Database()
	if err != nil {
		t.Fatal(err)
	}
	if got := where(c); got != "db:5432=full/d as u:" {
		t.Errorf("connections go to %s", got)
	}
	if len(c.RuntimeParams) > 0 || c.ChannelBinding != "prefer" || c.RequireAuth != "" {
		t.Errorf("the environment set %v, %q, %q", c.RuntimeParams, c.ChannelBinding, c.RequireAuth)
	}
}

// Each connection goes by what is mounted then; what is wrong then does not take away what was right.
func TestCredentialsOfTheDatabaseChange(t *testing.T) {
	files := withDatabase(t)
	creds := database(t, files, map[string]string{"uri": "postgres://u:old@db/d"})
	password := func(want string) {
		t.Helper()
		c, err := creds.Database()
		if err != nil || c.Password != want {
			t.Errorf("the password is %q, %v; want %q", c.Password, err, want)
		}
	}
	password("old")
	changed := creds.DatabaseChanged()
	putAll(t, files, map[string]string{"uri": "postgres://u:new@db/d"})
	password("new")
	if !isClosed(changed) {
		t.Error("nobody is told of the change")
	}
	putAll(t, files, map[string]string{"uri": "nonsense"})
	password("new")
	if creds.Refused()[config.FolderDatabase] == "" {
		t.Error("the wrong Secret is not told")
	}
}

func TestTheCAOfTheDatabase(t *testing.T) {
	own, other := pki.NewCA(t, "own"), pki.NewCA(t, "other")
	cert, key := pki.PEM(t, own.Issue(t, pki.Leaf{CN: "u"}))
	files := withDatabase(t)
	creds := database(t, files, map[string]string{"uri": "postgres://u@db/d", "ca.crt": string(own.CertPEM()), "tls.crt": string(cert), "tls.key": string(key)})
	c, err := creds.Database()
	if err != nil || !c.TLSConfig.RootCAs.Equal(own.Pool()) || c.TLSConfig.ServerName != "db" || len(c.TLSConfig.Certificates) != 1 {
		t.Fatalf("the CA of the Secret is not in use, or the client certificate is not: %v", err)
	}
	files.Config.Store.Postgres.CADir = filepath.Join(files.Dir, "database-ca")
	creds = open(t, files)
	if _, err := creds.Database(); err == nil || !strings.Contains(err.Error(), "database-ca") {
		t.Errorf("a CA folder that is missing: %v", err)
	}
	files.Put(t, "database-ca/ca.crt", other.CertPEM())
	files.Put(t, "database-ca/tls.crt", []byte("of somebody else"))
	if c, err = creds.Database(); err != nil || !c.TLSConfig.RootCAs.Equal(other.Pool()) {
		t.Fatalf("the CA of the other folder does not win: %v", err)
	}
	files.Put(t, "database-ca/ca.crt", own.CertPEM())
	if c, err = creds.Database(); err != nil || !c.TLSConfig.RootCAs.Equal(own.Pool()) {
		t.Errorf("a new CA is not in use: %v", err)
	}
}

func TestAServerHasOneStore(t *testing.T) {
	sqlite, postgres := &serverconfig.SQLite{Path: "x"}, &serverconfig.Postgres{Dir: "x", MaxConnections: 3}
	files := serverfiles.Write(t)
	for want, s := range map[string]serverconfig.Store{
		"":                                 {Postgres: postgres},
		"store is missing":                 {},
		"are both there":                   {SQLite: sqlite, Postgres: postgres},
		"store.postgres.dir is missing":    {Postgres: &serverconfig.Postgres{MaxConnections: 3}},
		"store.postgres.maxConnections is": {Postgres: &serverconfig.Postgres{Dir: "x", MaxConnections: 2}},
	} {
		files.Config.Store = s
		_, err := config.Load(files.WriteConfig(t))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", s, err, want)
		}
	}
}
