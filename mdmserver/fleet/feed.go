package fleet

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// leaseLife is how long a delivered change is kept from being delivered again to the same manager.
const leaseLife = time.Minute

// storedLease reads the highest manager epoch that was seen, 0 if none was.
func storedLease(tx Tx) (int64, error) {
	text, err := tx.Meta(metaLeaseEpoch)
	if err != nil {
		return 0, err
	}
	return parseLease(text)
}

func parseLease(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	return strconv.ParseInt(text, 10, 64)
}

// LeaseEpoch is the highest manager epoch that was seen.
func (f *Fleet) LeaseEpoch(ctx context.Context) (int64, error) {
	text, err := f.store.Meta(ctx, metaLeaseEpoch)
	if err != nil {
		return 0, err
	}
	return parseLease(text)
}

// CheckLease refuses a manager that another one has replaced (adminapi.CodeAnotherManager), and remembers the highest epoch.
func (f *Fleet) CheckLease(ctx context.Context, epoch int64) error {
	check := func(highest int64, err error) error {
		if err == nil && epoch < highest {
			err = &adminapi.Error{Code: adminapi.CodeAnotherManager, Message: fmt.Sprintf("a manager with lease epoch %d is at work; this call has %d", highest, epoch)}
		}
		return err
	}
	highest, err := f.LeaseEpoch(ctx) // not from memory: another replica may have seen a newer one
	if err := check(highest, err); err != nil || epoch == highest {
		return err
	}
	return f.update(ctx, func(tx *txn) error {
		if err := check(storedLease(tx)); err != nil {
			return err
		}
		return tx.SetMeta(metaLeaseEpoch, strconv.FormatInt(epoch, 10))
	})
}

// Changes returns the current state of at most limit dirty rows as soon as there is one, or none after wait. What it returns is leased for a
// minute to the manager of the epoch: a manager with a higher one gets it at once. Error: adminapi.CodeAnotherManager.
func (f *Fleet) Changes(ctx context.Context, leaseEpoch int64, wait time.Duration, limit int) (*adminapi.Changes, error) {
	if limit <= 0 || limit > adminapi.MaxPage {
		limit = adminapi.MaxPage
	}
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	for {
		changed := f.changes() // before reading, so that nothing committed in between is missed
		if err := f.CheckLease(ctx, leaseEpoch); err != nil {
			return nil, err
		}
		rows, next, err := f.takeDirty(ctx, leaseEpoch, limit)
		if err != nil {
			return nil, err
		}
		if len(rows) > 0 {
			return f.describeChanges(ctx, rows)
		}
		due := time.NewTimer(next)
		select {
		case <-changed:
		case <-due.C:
		case <-deadline.C:
			due.Stop()
			return &adminapi.Changes{StoreEpoch: f.StoreEpoch()}, nil
		case <-ctx.Done():
			due.Stop()
			return nil, ctx.Err()
		}
		due.Stop()
	}
}

// takeDirty leases what is due, or returns how long until something is. It writes only if there is something to lease.
func (f *Fleet) takeDirty(ctx context.Context, epoch int64, limit int) (rows []DirtyRow, next time.Duration, err error) {
	err = f.view(ctx, func(tx *txn) error {
		if rows, err = tx.DueDirty(tx.now, epoch, 1); err != nil || len(rows) > 0 {
			return err
		}
		next = leaseLife
		at, err := tx.NextDirty(tx.now)
		if err == nil && !at.IsZero() {
			next = min(next, at.Sub(tx.now))
		}
		return err
	})
	if err != nil || len(rows) == 0 {
		return nil, next, err
	}
	err = f.update(ctx, func(tx *txn) error {
		if rows, err = tx.DueDirty(tx.now, epoch, limit); err != nil {
			return err
		}
		for _, r := range rows {
			if err := tx.LeaseDirty(r, epoch, tx.now.Add(leaseLife)); err != nil {
				return err
			}
		}
		return nil
	})
	return rows, next, err
}

// describeChanges reads the state of leased rows. It may be newer than the version says; then the row is dirty again with a higher one.
func (f *Fleet) describeChanges(ctx context.Context, rows []DirtyRow) (*adminapi.Changes, error) {
	out := &adminapi.Changes{StoreEpoch: f.StoreEpoch()}
	err := f.view(ctx, func(tx *txn) error {
		for _, r := range rows {
			c, err := f.describeChange(tx, r)
			if err != nil {
				return err
			}
			out.Changes = append(out.Changes, c)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (f *Fleet) describeChange(tx *txn, r DirtyRow) (adminapi.Change, error) {
	c := adminapi.Change{Kind: r.Kind, Key: r.Key, Version: r.Version}
	var err error
	switch r.Kind {
	case adminapi.KindDevice:
		c.Device, err = describeIf(tx.Device, r.Key, func(d *DeviceRow) (*adminapi.Device, error) {
			device, err := f.fullDevice(tx, d)
			return &device, err
		})
		c.Deleted = c.Device == nil
	case adminapi.KindArtifact:
		c.Artifact, err = describeIf(tx.Artifact, adminapi.Key(r.Key), func(a *ArtifactRow) (*adminapi.ArtifactStatus, error) { return artifactStatus(tx, a) })
		c.Deleted = c.Artifact == nil
	case adminapi.KindAction:
		newest := func(key adminapi.Key) (*ActionRow, error) { return tx.Action(key, "") }
		c.Action, err = describeIf(newest, adminapi.Key(r.Key), func(a *ActionRow) (*adminapi.ActionStatus, error) { return f.actionStatus(tx, a) })
		c.Deleted = c.Action == nil
	case adminapi.KindToken:
		c.Token, err = describeIf(tx.Token, adminapi.Key(r.Key), func(t *TokenRow) (*adminapi.TokenStatus, error) {
			status := t.status()
			return &status, nil
		})
		c.Deleted = c.Token == nil
	}
	return c, err
}

// describeIf describes the row that get finds; nil if it is gone.
func describeIf[K, R, T any](get func(K) (*R, error), key K, describe func(*R) (*T, error)) (*T, error) {
	row, err := get(key)
	if err != nil || row == nil {
		return nil, err
	}
	return describe(row)
}

// Ack forgets exactly the versions that were written and puts off those that could not be. What was delivered under another store epoch is
// ignored: it is about other versions.
func (f *Fleet) Ack(ctx context.Context, acks adminapi.Acks) error {
	if acks.StoreEpoch != f.StoreEpoch() {
		return nil
	}
	return f.update(ctx, func(tx *txn) error {
		for _, a := range acks.Acks {
			if err := tx.DeleteDirty(DirtyRow(a)); err != nil {
				return err
			}
		}
		for _, n := range acks.Nacks {
			until := tx.now.Add(time.Duration(n.RetryAfterSeconds) * time.Second)
			if err := tx.PostponeDirty(DirtyRow(n.Ack), until); err != nil {
				return err
			}
		}
		return nil
	})
}
