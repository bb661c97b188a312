package store

import (
	"context"
	"fmt"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// contact is one statement, a single snapshot in every dialect without a transaction around it. A profile on the channel ($2) whose artifact is not
// assigned under its identifier any more may have to be removed.
const contact = `SELECT
		d.id IS NOT NULL, COALESCE(d.platform, ''), COALESCE(d.state, ''), COALESCE(d.enrollment_id, ''), COALESCE(d.intent, ''),
		COALESCE(d.fingerprint, ''), COALESCE(d.identity_not_before, 0), COALESCE(d.renew_at, 0), COALESCE(d.setup_json, '{}'),
		i.fingerprint IS NOT NULL, COALESCE(i.enrollment_id, ''), COALESCE(i.reject_after, 0),
		e.id IS NOT NULL, COALESCE(e.id, ''), COALESCE(e.device_id, ''),
		c.id IS NOT NULL, COALESCE(c.enabled, FALSE), COALESCE(c.wake_at, 0),
		EXISTS (SELECT 1 FROM states s WHERE s.channel_id = q.channel AND s.outcome IN ('Pending', 'NotNow'))
		OR EXISTS (SELECT 1 FROM targets t WHERE t.device_id = q.channel AND t.finished_at = 0)
		OR EXISTS (SELECT 1 FROM records r WHERE r.channel_id = q.channel AND NOT EXISTS (
			SELECT 1 FROM states s JOIN artifacts a ON a.key = s.artifact_key
			WHERE s.channel_id = r.channel_id AND s.artifact_key = r.artifact_key AND a.identifier = r.identifier))
	FROM (SELECT CAST($1 AS TEXT) AS device, CAST($2 AS TEXT) AS channel, CAST($3 AS TEXT) AS fingerprint, CAST($4 AS TEXT) AS enrollment) AS q
	LEFT JOIN devices d ON d.id = q.device
	LEFT JOIN channels c ON c.id = q.channel
	LEFT JOIN identities i ON i.fingerprint = q.fingerprint
	LEFT JOIN enrollments e ON e.id = CASE q.enrollment WHEN '' THEN i.enrollment_id ELSE q.enrollment END`

// Contact reads what decides about a request of an Apple channel.
func (s *Store) Contact(ctx context.Context, q fleet.Contacted) (*fleet.ContactRow, error) {
	var device, identity, enrollment, channel, busy bool
	d, i, e, c := fleet.DeviceRow{ID: q.DeviceID}, fleet.IdentityRow{Fingerprint: q.Fingerprint}, fleet.EnrollmentRow{}, fleet.ChannelRow{Channel: fleet.Channel{ID: q.ChannelID}}
	err := s.alone(ctx, contact, []any{q.DeviceID, q.ChannelID, q.Fingerprint, q.EnrollmentID},
		&device, &d.Platform, &d.State, &d.EnrollmentID, &d.Intent, &d.Fingerprint, micros{&d.IdentityNotBefore}, micros{&d.RenewAt}, jsonText{&d.Setup},
		&identity, &i.EnrollmentID, micros{&i.RejectAfter},
		&enrollment, &e.ID, &e.DeviceID,
		&channel, &c.Enabled, micros{&c.WakeAt}, &busy)
	if err != nil {
		return nil, err
	}
	row := &fleet.ContactRow{Busy: busy}
	if device {
		row.Device = &d
	}
	if identity {
		row.Identity = &i
	}
	if enrollment {
		row.Enrollment = &e
	}
	if channel {
		row.Channel = &c
	}
	return row, nil
}

// Meta reads a word about the store.
func (s *Store) Meta(ctx context.Context, name string) (string, error) {
	var word string
	err := s.alone(ctx, "SELECT COALESCE((SELECT value FROM meta WHERE name = $1), '')", []any{name}, &word)
	return word, err
}

// alone reads one row with one statement that is no part of a transaction.
func (s *Store) alone(ctx context.Context, query string, args []any, dest ...any) error {
	limited, cancel := within(ctx, s.aloneLimit)
	defer cancel()
	err := s.readers.QueryRowContext(limited, query, args...).Scan(dest...)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return s.classify(fmt.Errorf("reading: %w", err))
	}
	return nil
}
