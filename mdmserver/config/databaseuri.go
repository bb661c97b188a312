package config

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// readURI reads an address as PostgreSQL's own clients do (PostgreSQL, 34.1.1.2 Connection URIs): a password may hold what other URIs must escape, and there
// may be several hosts. Errors quote nothing: whatever is in the wrong place may be half a password.
func (a *access) readURI(uri string) error {
	scheme, rest, ok := strings.Cut(uri, "://")
	if !ok || scheme != "postgres" && scheme != "postgresql" {
		return errors.New("it does not begin with postgresql://")
	}
	if i := strings.IndexAny(rest, "@/"); i >= 0 && rest[i] == '@' {
		user, password, _ := strings.Cut(rest[:i], ":")
		rest = rest[i+1:]
		if err := errors.Join(unescape(user, &a.user), unescape(password, &a.password)); err != nil {
			return err
		}
	}
	rest, query, _ := strings.Cut(rest, "?")
	if strings.Contains(rest, "@") {
		return errors.New("it has an @ where none can be: in the password write a / as %2F and an @ as %40")
	}
	hosts, database, _ := strings.Cut(rest, "/")
	if err := errors.Join(unescape(database, &a.database), a.readHosts(hosts)); err != nil {
		return err
	}
	for pair := range strings.SplitSeq(query, "&") {
		if err := a.readParameter(pair); err != nil {
			return err
		}
	}
	return nil
}

func unescape(text string, into *string) error {
	value, err := url.PathUnescape(text)
	if err != nil || strings.ContainsRune(value, 0) {
		return errors.New("it has a % without two hexadecimal digits, or a zero byte: write a % as %25")
	}
	*into = value
	return nil
}

// readHosts splits host[:port],... An IPv6 address is in brackets.
func (a *access) readHosts(list string) error {
	if list == "" {
		return nil
	}
	var hosts, ports []string
	given := false
	for part := range strings.SplitSeq(list, ",") {
		host, port := part, ""
		if end := strings.LastIndex(part, "]"); strings.HasPrefix(part, "[") {
			if end < 0 {
				return errors.New("a [ before an IPv6 address has no ]")
			}
			host, port = part[1:end], part[end+1:]
		} else if i := strings.IndexByte(part, ':'); i >= 0 {
			host, port = part[:i], part[i:]
		}
		if port != "" && port[0] != ':' {
			return errors.New("there is something else than a port after the ] of an IPv6 address")
		}
		var name string
		if err := unescape(host, &name); err != nil {
			return err
		}
		given = given || len(port) > 1
		hosts, ports = append(hosts, name), append(ports, strings.TrimPrefix(port, ":"))
	}
	a.hosts = strings.Join(hosts, ",")
	if given {
		a.ports = strings.Join(ports, ",")
	}
	return nil
}

// readParameter takes what says where the database is and how safe the way is. How the server behaves there is no business of the URI's.
func (a *access) readParameter(pair string) error {
	if pair == "" {
		return nil
	}
	name, text, _ := strings.Cut(pair, "=")
	into, known := map[string]*string{
		"host": &a.hosts, "port": &a.ports, "user": &a.user, "password": &a.password, "dbname": &a.database,
		"sslmode": &a.mode, "channel_binding": &a.channelBinding, "sslrootcert": &a.rootCert,
		"application_name": new(string), "connect_timeout": new(string), "target_session_attrs": new(string),
	}[name]
	if !known {
		return fmt.Errorf("it has a parameter that a server has no use for: leave host, port, user, password, dbname, sslmode and channel_binding")
	}
	if err := unescape(text, into); err != nil {
		return err
	}
	if a.rootCert != "" && a.rootCert != "system" {
		return errors.New("its sslrootcert is a file that the server has not: put the CA into the Secret as ca.crt")
	}
	return nil
}
