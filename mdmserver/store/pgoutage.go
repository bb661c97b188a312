package store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"
)

// cure is the reason of an error of the server, and what to do.
type cure struct{ reason, cure string }

// cures are those of SQLSTATE codes and, with two letters, of their classes. All others are mistakes of ours.
var cures = map[string]cure{
	"08":    {reasonLost, "the server tries again"},
	"28":    {reasonRefused, "correct user and password in the Secret, or pg_hba.conf"},
	"3D000": {reasonNoDatabase, "create the database, or correct its name in the Secret"},
	"57P04": {reasonNoDatabase, "create the database anew, or restore it"},
	"25006": {reasonReadOnly, "devices are served what needs no writing; look for what made it read-only (default_transaction_read_only, a provider's full disk)"},
	"53100": {reasonFull, "make its volume larger"},
	"53200": {reasonUnavailable, "give it more memory"},
	"53300": {reasonConnections, "raise max_connections, or lower storage.postgresql.maxConnections"},
	"53400": {reasonUnavailable, "look into its log"},
	"57014": {reasonSlow, "a statement took too long, or was cancelled: look for what keeps the database busy"},
	"25P03": {reasonSlow, "a transaction stood still for too long: look for what keeps this server busy"},
	"57P05": {reasonLost, "the server tries again"},
	"55P03": {reasonLocked, "another update, or a person, holds what this one needs: look into pg_locks if it stays"},
	"57P01": {reasonShuttingDown, "the server tries again"},
	"57P02": {reasonShuttingDown, "the server tries again"},
	"57P03": {reasonStarting, "the server tries again"},
	"42501": {reasonPrivileges, "make the user the owner of the database and of what is in it"},
	"3F000": {reasonPrivileges, "let the user create tables: GRANT CREATE ON SCHEMA public TO it"},
	"42P01": {reasonDamaged, "tables are missing: restore the database, or restart the servers to begin with an empty one"},
	"42703": {reasonDamaged, "columns are missing: restore the database"},
	"40001": {reasonConflict, "the server tries again"},
	"40P01": {reasonConflict, "the server tries again"},
	"0A000": {reasonUnavailable, "the server tries again"},
	"58":    {reasonDamaged, "look into its log and at its disks"},
	"XX001": {reasonDamaged, "restore it from a backup"},
	"XX002": {reasonDamaged, "REINDEX it"},
}

// outage says what is wrong with the database, and never a password.
func (p *postgres) outage(err error) *Outage {
	if e := asPgError(err); e != nil {
		c, ok := cures[e.Code]
		if !ok {
			c, ok = cures[e.Code[:min(2, len(e.Code))]]
		}
		if !ok {
			return nil
		}
		return &Outage{c.reason, fmt.Sprintf("PostgreSQL%s says %q (SQLSTATE %s): %s", at(err), e.Message, e.Code, c.cure), err}
	}
	for _, known := range []func(error) (reason, cure string){closed, untrusted, unreachable, lost} {
		if reason, message := known(err); reason != "" {
			return &Outage{reason, fmt.Sprintf(message, at(err)), err}
		}
	}
	return nil
}

// at says where a connection was to be made.
func at(err error) string {
	e := (*pgconn.ConnectError)(nil)
	if !errors.As(err, &e) {
		return ""
	}
	return fmt.Sprintf(" at %s (database %s, user %s)", hosts(e.Config), e.Config.Database, e.Config.User)
}

func hosts(c *pgconn.Config) string {
	all := []string{address(c.Host, c.Port)}
	for _, f := range c.Fallbacks {
		if a := address(f.Host, f.Port); a != all[len(all)-1] {
			all = append(all, a)
		}
	}
	return strings.Join(all, ", ")
}

func address(host string, port uint16) string {
	_, a := pgconn.NetworkAddress(host, port)
	return a
}

func closed(err error) (reason, message string) {
	if errors.Is(err, sql.ErrConnDone) || errors.Is(err, puddle.ErrClosedPool) || strings.Contains(err.Error(), "sql: database is closed") {
		return reasonClosed, "the store is closed: the server is stopping%s"
	}
	return "", ""
}

// untrusted finds what is wrong with the certificate of the database, or with ours.
func untrusted(err error) (reason, message string) {
	unknown, host, invalid, alert := x509.UnknownAuthorityError{}, x509.HostnameError{}, x509.CertificateInvalidError{}, tls.AlertError(0)
	switch {
	case errors.As(err, &unknown):
		return reasonCertificate, "the certificate of PostgreSQL%s is of an authority that is not trusted: put its CA (ca.crt) into the Secret, or name it in caRef"
	case errors.As(err, &host):
		return reasonCertificate, "the certificate of PostgreSQL%s is not for this host: give the address by a name that it is for"
	case errors.As(err, &invalid):
		return reasonCertificate, "the certificate of PostgreSQL%s is not valid: renew it, and look at the clocks"
	case errors.As(err, &alert):
		return reasonTLS, "PostgreSQL%s refuses our side of TLS: correct tls.crt and tls.key in the Secret"
	case strings.Contains(err.Error(), "server refused TLS connection"):
		return reasonTLS, "PostgreSQL%s has no TLS: turn it on (ssl = on), or put sslmode: disable into the Secret if the network is safe"
	}
	return "", ""
}

func unreachable(err error) (reason, message string) {
	connecting, dns := (*pgconn.ConnectError)(nil), (*net.DNSError)(nil)
	switch {
	case errors.As(err, &dns):
		return reasonHost, "the host of PostgreSQL%s is not known: correct it in the Secret, or see whether its Service is there"
	case errors.Is(err, syscall.ECONNREFUSED):
		return reasonUnreachable, "nothing listens for PostgreSQL%s: start it, or correct host and port in the Secret"
	case errors.As(err, &connecting) && isTimeout(err):
		return reasonUnreachable, "PostgreSQL%s does not answer: start it, or let the network policy allow the connection"
	case errors.As(err, &connecting):
		return reasonUnreachable, "PostgreSQL%s cannot be reached: see whether it runs, and whether that is its address"
	case isTimeout(err):
		return reasonSlow, "PostgreSQL%s did not answer in time: look for what keeps it or the network busy"
	}
	return "", ""
}

func isTimeout(err error) bool {
	timeout := net.Error(nil)
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

func lost(err error) (reason, message string) {
	broken := net.Error(nil)
	for _, known := range []error{driver.ErrBadConn, pgconn.ErrConnClosed, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed} {
		if errors.Is(err, known) {
			return reasonLost, "the connection to PostgreSQL%s was lost; the server tries again"
		}
	}
	if errors.As(err, &broken) {
		return reasonLost, "the connection to PostgreSQL%s was lost; the server tries again"
	}
	return "", ""
}

func asPgError(err error) *pgconn.PgError {
	e := (*pgconn.PgError)(nil)
	if !errors.As(err, &e) {
		return nil
	}
	return e
}

// sqlState is the code of an error of the server, "" of others.
func sqlState(err error) string {
	if e := asPgError(err); e != nil {
		return e.Code
	}
	return ""
}
