// Package nanodb reads the enrolments of NanoMDM v0.9.0 from its PostgreSQL store.
package nanodb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Enrollment is a device with what NanoMDM stored of it.
type Enrollment struct {
	ID string
	// Type is NanoMDM's name of the kind of enrolment, such as "Device".
	Type string
	// Topic, PushMagic and TokenHex are where its own channel is woken, TokenAt when it said so.
	Topic, PushMagic, TokenHex string
	TokenAt                    time.Time
	// Enabled is false after a check-out, and between an Authenticate and the TokenUpdate.
	Enabled  bool
	LastSeen time.Time
	// Authenticate is the message (XML plist) that began the enrolment, at AuthenticatedAt.
	Authenticate    string
	AuthenticatedAt time.Time
	SerialNumber    string
	// CertificatePEM is the certificate of that message, or empty.
	CertificatePEM string
	// Fingerprints are the SHA-256 (hex) of the certificates that NanoMDM lets speak for it, the newest first.
	Fingerprints []string
	UnlockToken  []byte
	// BootstrapToken is in base64.
	BootstrapToken string
	Users          []User
}

// User is a channel of a user of a device.
type User struct {
	ID, PushMagic, TokenHex string
	TokenAt                 time.Time
	Enabled                 bool
}

// Store is an open database. Nothing is ever written.
type Store struct {
	conn *pgx.Conn
	tx   pgx.Tx
	// name is the database and where it is, without any secret.
	name string
}

// ErrNoNanoMDM says that a database is another one.
var ErrNoNanoMDM = errors.New("the database has no tables of NanoMDM's: check its name in the DSN, and that it is the PostgreSQL store of NanoMDM v0.9.0")

// connectTimeout bounds the way to the database, and each query.
const connectTimeout = 30 * time.Second

// Open connects and begins the one transaction, in which nothing can be written and nothing changes under the reader. What is missing in the DSN comes from
// the environment and from ~/.pgpass, as for psql.
func Open(ctx context.Context, dsn string) (*Store, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("the DSN is none that PostgreSQL knows: give it as postgres://user@host:5432/database?sslmode=verify-full")
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connecting to NanoMDM's database: %w", err)
	}
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("beginning to read NanoMDM's database: %w", err), conn.Close(context.WithoutCancel(ctx)))
	}
	return &Store{conn: conn, tx: tx, name: fmt.Sprintf("%s at %s", config.Database, config.Host)}, nil
}

// Close ends the transaction and the connection.
func (s *Store) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	_ = s.tx.Rollback(ctx) // nothing was written
	_ = s.conn.Close(ctx)
}

// Name is the database and where it is.
func (s *Store) Name() string { return s.name }

// Unfinished counts devices that began to enrol and never finished.
func (s *Store) Unfinished(ctx context.Context) (n int, err error) {
	err = s.tx.QueryRow(ctx, `SELECT count(*) FROM devices d WHERE NOT EXISTS (SELECT 1 FROM enrollments e WHERE e.id = d.id)`).Scan(&n)
	return n, explain(err)
}

// Count counts the devices that have an enrolment.
func (s *Store) Count(ctx context.Context) (n int, err error) {
	err = s.tx.QueryRow(ctx, `SELECT count(*) FROM enrollments WHERE user_id IS NULL`).Scan(&n)
	return n, explain(err)
}

// The columns without a time zone are in that of the database, which a cast reads them in.
const (
	devicesQuery = `SELECT e.id, e.type, e.topic, e.push_magic, e.token_hex, d.token_update_at::timestamptz, e.enabled, e.last_seen_at::timestamptz,
		d.authenticate, d.authenticate_at::timestamptz, coalesce(d.serial_number, ''), coalesce(d.identity_cert, ''), d.unlock_token,
		coalesce(d.bootstrap_token_b64, '')
		FROM enrollments e JOIN devices d ON d.id = e.device_id
		WHERE e.user_id IS NULL AND e.id > $1 ORDER BY e.id LIMIT $2`
	usersQuery = `SELECT e.device_id, e.id, e.push_magic, e.token_hex, u.token_update_at::timestamptz, e.enabled
		FROM enrollments e JOIN users u ON u.id = e.user_id WHERE e.device_id = ANY($1) ORDER BY e.id`
	fingerprintsQuery = `SELECT id, lower(sha256) FROM cert_auth_associations WHERE id = ANY($1) ORDER BY updated_at DESC, created_at DESC`
)

// Enrollments are at most limit devices after an identifier, in the order of identifiers.
func (s *Store) Enrollments(ctx context.Context, after string, limit int) ([]Enrollment, error) {
	rows, err := s.tx.Query(ctx, devicesQuery, after, limit)
	if err != nil {
		return nil, explain(err)
	}
	page, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e Enrollment, err error) {
		var tokenAt *time.Time
		err = row.Scan(&e.ID, &e.Type, &e.Topic, &e.PushMagic, &e.TokenHex, &tokenAt, &e.Enabled, &e.LastSeen,
			&e.Authenticate, &e.AuthenticatedAt, &e.SerialNumber, &e.CertificatePEM, &e.UnlockToken, &e.BootstrapToken)
		e.TokenAt = timeOf(tokenAt)
		return e, err
	})
	if err != nil {
		return nil, explain(err)
	}
	index, ids := map[string]*Enrollment{}, make([]string, 0, len(page))
	for i := range page {
		index[page[i].ID], ids = &page[i], append(ids, page[i].ID)
	}
	if err := s.addUsers(ctx, ids, index); err != nil {
		return nil, err
	}
	return page, s.addFingerprints(ctx, ids, index)
}

func (s *Store) addUsers(ctx context.Context, ids []string, index map[string]*Enrollment) error {
	rows, err := s.tx.Query(ctx, usersQuery, ids)
	if err != nil {
		return explain(err)
	}
	var device string
	var u User
	var tokenAt *time.Time
	_, err = pgx.ForEachRow(rows, []any{&device, &u.ID, &u.PushMagic, &u.TokenHex, &tokenAt, &u.Enabled}, func() error {
		u.TokenAt = timeOf(tokenAt)
		index[device].Users = append(index[device].Users, u)
		return nil
	})
	return explain(err)
}

func (s *Store) addFingerprints(ctx context.Context, ids []string, index map[string]*Enrollment) error {
	rows, err := s.tx.Query(ctx, fingerprintsQuery, ids)
	if err != nil {
		return explain(err)
	}
	var id, fingerprint string
	_, err = pgx.ForEachRow(rows, []any{&id, &fingerprint}, func() error {
		index[id].Fingerprints = append(index[id].Fingerprints, fingerprint)
		return nil
	})
	return explain(err)
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// undefinedTable and undefinedColumn are codes of PostgreSQL (appendix A, "PostgreSQL Error Codes").
const (
	undefinedTable  = "42P01"
	undefinedColumn = "42703"
)

func explain(err error) error {
	if err == nil {
		return nil
	}
	var said *pgconn.PgError
	if errors.As(err, &said) && (said.Code == undefinedTable || said.Code == undefinedColumn) {
		return fmt.Errorf("%w (%s)", ErrNoNanoMDM, said.Message)
	}
	return fmt.Errorf("reading NanoMDM's database: %w", err)
}
