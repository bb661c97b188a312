package store

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// dirty maps what the domain sees of a dirty row; leases and delays are columns of this file's statements only.
var dirty = newTable("dirty", 2,
	[]string{"kind", "key", "version"},
	func(r *fleet.DirtyRow) []any { return []any{&r.Kind, &r.Key, &r.Version} })

func (t *tx) Meta(name string) (string, error) {
	var v string
	if err := t.scan("SELECT value FROM meta WHERE name = $1", []any{name}, &v); err != nil {
		return "", fmt.Errorf("reading meta: %w", err)
	}
	return v, nil
}

func (t *tx) SetMeta(name, value string) error {
	return t.exec("INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value)
}

func (t *tx) NextVersion() (int64, error) {
	if !t.counted {
		if err := t.read(t.readVersion()); err != nil {
			return 0, fmt.Errorf("reading the last version: %w", err)
		}
	}
	if !t.counted {
		return 0, errors.New("the store has lost the number of its last version: restore a backup")
	}
	t.version++
	t.taken = true
	return t.version, nil
}

// readVersion finds the last version that any update took. Nobody else takes one before this transaction ends.
func (t *tx) readVersion() statement {
	return statement{"SELECT value FROM sequence WHERE one = 1", nil, func(r rows) error {
		if !r.Next() {
			return nil
		}
		t.counted = true
		return r.Scan(&t.version)
	}}
}

// putVersion stores the last version that was taken.
func (t *tx) putVersion() error {
	if !t.taken {
		return nil
	}
	return t.exec("UPDATE sequence SET value = $1 WHERE one = 1", t.version)
}

func (t *tx) PutDirty(r fleet.DirtyRow) error {
	return t.exec(`INSERT INTO dirty (kind, key, version, not_before, lease_epoch, leased_until) VALUES ($1, $2, $3, 0, 0, 0)
		ON CONFLICT (kind, key) DO UPDATE SET version = excluded.version, not_before = 0, lease_epoch = 0, leased_until = 0`, r.Kind, r.Key, r.Version)
}

func (t *tx) DueDirty(now time.Time, leaseEpoch int64, limit int) ([]fleet.DirtyRow, error) {
	return dirty.list(t, "not_before <= $1 AND (leased_until <= $1 OR lease_epoch < $2) ORDER BY version LIMIT $3", toMicros(now), leaseEpoch, limit)
}

func (t *tx) NextDirty(now time.Time) (time.Time, error) {
	at, err := t.number(`SELECT COALESCE(MIN(CASE WHEN not_before > leased_until THEN not_before ELSE leased_until END), 0) FROM dirty
		WHERE not_before > $1 OR leased_until > $1`, toMicros(now))
	return fromMicros(at), err
}

func (t *tx) LeaseDirty(r fleet.DirtyRow, leaseEpoch int64, until time.Time) error {
	return t.exec("UPDATE dirty SET lease_epoch = $4, leased_until = $5 WHERE kind = $1 AND key = $2 AND version = $3",
		r.Kind, r.Key, r.Version, leaseEpoch, toMicros(until))
}

func (t *tx) DeleteDirty(r fleet.DirtyRow) error {
	return t.exec("DELETE FROM dirty WHERE kind = $1 AND key = $2 AND version = $3", r.Kind, r.Key, r.Version)
}

func (t *tx) PostponeDirty(r fleet.DirtyRow, until time.Time) error {
	return t.exec("UPDATE dirty SET not_before = $4, lease_epoch = 0, leased_until = 0 WHERE kind = $1 AND key = $2 AND version = $3",
		r.Kind, r.Key, r.Version, toMicros(until))
}

// bound turns the limit 0, "all", into one that SQL takes.
func bound(limit int) int64 {
	if limit == 0 {
		return math.MaxInt64
	}
	return int64(limit)
}
