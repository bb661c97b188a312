package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// access is where a database is, and as whom it is used.
type access struct {
	hosts, ports                   string // several with commas between them
	user, password, database       string
	mode, channelBinding, rootCert string
}

// neutral keeps all but PGSERVICE of the environment, and the files of PostgreSQL's own clients, from being read. All of it is replaced.
const neutral = "host=/ port=5432 user=kubemdm dbname=kubemdm password=none target_session_attrs=any channel_binding=prefer require_auth=''"

// defaultPort is that of PostgreSQL.
const defaultPort = 5432

// Database returns where a connection to the database is made. It reads the mounted files anew; while they hold nothing good it goes by what they held before.
func (c *Credentials) Database() (*pgconn.Config, error) {
	c.look(&c.database)
	if cfg := c.database.get(); cfg != nil {
		return cfg.Copy(), nil
	}
	return nil, c.database.refusal()
}

// DatabaseChanged returns a channel that is closed when Database says something else.
func (c *Credentials) DatabaseChanged() <-chan struct{} { return c.database.changed() }

// parseDatabase reads what operators and providers of PostgreSQL put into their Secrets. What no file says nobody says: neither the environment nor files
// of PostgreSQL's own clients.
func parseDatabase(f files, now time.Time) (*pgconn.Config, error) {
	a, err := readAccess(f)
	if err != nil {
		return nil, err
	}
	attempts, err := a.tls(f, now)
	if err != nil {
		return nil, err
	}
	cfg, err := pgconn.ParseConfig(neutral)
	if err != nil {
		return nil, fmt.Errorf("unset the environment variables of PostgreSQL's own clients (PGSERVICE and others): %w", err)
	}
	cfg.User, cfg.Password, cfg.Database = a.user, a.password, a.database
	cfg.SSLNegotiation, cfg.SSLCertMode, cfg.MinProtocolVersion, cfg.MaxProtocolVersion = "", "", "3.0", "3.0"
	cfg.ChannelBinding, cfg.RequireAuth, cfg.RuntimeParams = a.channelBinding, "", map[string]string{}
	cfg.Fallbacks = nil
	addresses, err := a.addresses()
	if err != nil {
		return nil, err
	}
	for _, at := range addresses {
		cfg.Fallbacks = append(cfg.Fallbacks, attempts.on(at)...)
	}
	first := cfg.Fallbacks[0]
	cfg.Host, cfg.Port, cfg.TLSConfig, cfg.Fallbacks = first.Host, first.Port, first.TLSConfig, cfg.Fallbacks[1:]
	return cfg, nil
}

// readAccess reads the URI, and from files of their own what it does not say.
func readAccess(f files) (*access, error) {
	a := &access{channelBinding: "prefer"}
	if uri, err := f.text(serverconfig.DatabaseURIFile); err != nil {
		return nil, err
	} else if uri != "" {
		if err := a.readURI(uri); err != nil {
			return nil, fmt.Errorf("%s: %w", serverconfig.DatabaseURIFile, err)
		}
	}
	for _, v := range []struct {
		into  *string
		names []string
	}{
		{&a.hosts, []string{serverconfig.DatabaseHostFile}},
		{&a.user, []string{serverconfig.DatabaseUserFile, serverconfig.DatabaseUsernameFile}},
		{&a.database, []string{serverconfig.DatabaseNameFile, serverconfig.DatabaseOtherNameFile}},
		{&a.password, []string{serverconfig.DatabasePasswordFile}},
		{&a.mode, []string{serverconfig.DatabaseSSLModeFile}},
	} {
		if *v.into == "" {
			var err error
			if *v.into, err = f.either(v.names...); err != nil {
				return nil, err
			}
		}
	}
	if a.ports == "" && f[serverconfig.DatabaseURIFile] == nil {
		var err error
		if a.ports, err = f.text(serverconfig.DatabasePortFile); err != nil {
			return nil, err
		}
	}
	return a, a.complete()
}

// complete refuses what cannot be used.
func (a *access) complete() error {
	var errs []error
	for _, v := range []struct{ value, names string }{
		{a.hosts, serverconfig.DatabaseHostFile},
		{a.user, serverconfig.DatabaseUserFile + " (or " + serverconfig.DatabaseUsernameFile + ")"},
		{a.database, serverconfig.DatabaseNameFile + " (or " + serverconfig.DatabaseOtherNameFile + ")"},
	} {
		if v.value == "" {
			errs = append(errs, fmt.Errorf("%s is missing: put it, or a whole %s, into the Secret", v.names, serverconfig.DatabaseURIFile))
		}
	}
	return errors.Join(errs...)
}

// either returns the value of the files, which are two names for one thing.
func (f files) either(names ...string) (string, error) {
	value, from := "", ""
	for _, name := range names {
		v, err := f.text(name)
		switch {
		case err != nil:
			return "", err
		case v == "":
		case value != "" && v != value:
			return "", fmt.Errorf("the files %s and %s differ: remove one", from, name)
		default:
			value, from = v, name
		}
	}
	return value, nil
}

// text returns the content of a file without what an editor puts around it, "" if there is none. Nothing but line ends is taken from a password.
func (f files) text(name string) (string, error) {
	text := string(f[name])
	if strings.ContainsRune(text, 0) {
		return "", fmt.Errorf("the file %s holds a zero byte", name)
	}
	if name == serverconfig.DatabasePasswordFile {
		return strings.TrimRight(text, "\r\n"), nil
	}
	return strings.TrimSpace(text), nil
}

// hostPort is one address; a host that begins with a slash is the folder of a socket.
type hostPort struct {
	host string
	port uint16
}

// addresses pairs hosts with ports: none, one for all, or one for each.
func (a *access) addresses() ([]hostPort, error) {
	hosts, ports := strings.Split(a.hosts, ","), strings.Split(a.ports, ",")
	if len(ports) > 1 && len(ports) != len(hosts) {
		return nil, fmt.Errorf("there are %d hosts and %d ports: give one port for all, or one for each", len(hosts), len(ports))
	}
	all := make([]hostPort, len(hosts))
	for i, host := range hosts {
		text := ports[0]
		if len(ports) > 1 {
			text = ports[i]
		}
		port := uint64(defaultPort)
		if text = strings.TrimSpace(text); text != "" {
			var err error
			if port, err = strconv.ParseUint(text, 10, 16); err != nil || port == 0 {
				return nil, errors.New("the port is no number from 1 to 65535") // it is not quoted: of a wrong URI it may be half a password
			}
		}
		if host = strings.TrimSpace(host); host == "" {
			return nil, errors.New("one of the hosts is empty")
		}
		all[i] = hostPort{host, uint16(port)}
	}
	return all, nil
}
