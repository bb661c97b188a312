package store

import (
	"crypto/rand"
	"fmt"
	"time"
)

// metaStoreID is the word about the store that begins its epochs: its id, which it keeps wherever it is moved.
const metaStoreID = "store-id"

// id reads the id of the store, which its first start gives it.
func (t *tx) id() (string, error) {
	id, err := t.Meta(metaStoreID)
	if err != nil || id != "" {
		return id, err
	}
	id = rand.Text()
	return id, t.SetMeta(metaStoreID, id)
}

// newEpoch is another one with each call.
func newEpoch(storeID string) string { return storeID + "." + rand.Text() }

// Lease gives the holder the named work until then, unless another one has it at the time now.
func (t *tx) Lease(name, holder string, now, until time.Time) (bool, error) {
	done, err := t.ExecContext(t.ctx, `INSERT INTO leases (name, holder, expires_at) VALUES ($1, $2, $3)
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
		WHERE leases.holder = excluded.holder OR leases.expires_at <= $4`, name, holder, toMicros(until), toMicros(now))
	if err != nil {
		return false, fmt.Errorf("taking a lease: %w", err)
	}
	n, err := done.RowsAffected()
	return n > 0, err
}
