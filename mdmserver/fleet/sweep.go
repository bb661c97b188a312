package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

const (
	// unconfirmedAfter is how long a restart or shutdown may stay unanswered.
	unconfirmedAfter = 5 * time.Minute
	// rememberActions is how long a finished action answers for a re-created one, and maxActions how many finished ones do at most.
	rememberActions = 90 * 24 * time.Hour
	maxActions      = 100_000
	// keptResults is of how many finished actions of a device the answer is kept.
	keptResults = 100
	// rememberUnused is how long an issued certificate may wait for its first use, an agent to enrol its Windows device, and that to complete its enrolment.
	rememberUnused = 30 * 24 * time.Hour
	// sweepBatch bounds the rows of one transaction of a sweep, so that devices never wait long for it.
	sweepBatch = 500
	// sweepLease is how long other replicas leave the sweep to the one that began it. It is longer than the time between sweeps, so that it stays with one.
	sweepLease = 150 * time.Second
)

// Sweep does what only time brings about: deadlines, unanswered restarts, silent devices, due renewals, and forgetting. It is to be
// called every minute or so, by all replicas: one of them does it.
func (f *Fleet) Sweep(ctx context.Context) error {
	mine := false
	err := f.update(ctx, func(tx *txn) error {
		var err error
		mine, err = tx.Lease("sweep", f.holder, tx.now, tx.now.Add(sweepLease))
		return err
	})
	if err != nil || !mine {
		return err
	}
	var errs []error
	for _, step := range []struct {
		name string
		run  func(*txn) (handled int, err error)
	}{
		{"expiring actions", f.sweepDeadlines},
		{"closing unanswered restarts", f.sweepUnanswered},
		{"noticing silence", f.sweepSilent},
		{"ending abandoned enrolments", f.sweepAbandoned},
		{"waking quiet devices", f.sweepQuiet},
		{"waking for renewals", f.sweepRenewals},
		{"forgetting", f.sweepOld},
		{"forgetting old history", f.sweepHistory},
		{"forgetting too many entries and results", f.sweepExcess},
	} {
		if err := f.sweepAll(ctx, step.run); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", step.name, err))
		}
	}
	return errors.Join(errs...)
}

// sweepAll repeats a step, a transaction each, until it finds less than a batch.
func (f *Fleet) sweepAll(ctx context.Context, step func(*txn) (int, error)) error {
	for {
		handled := 0
		err := f.update(ctx, func(tx *txn) error {
			var err error
			handled, err = step(tx)
			return err
		})
		if err != nil || handled < sweepBatch {
			return err
		}
	}
}

func (f *Fleet) sweepDeadlines(tx *txn) (int, error) {
	return finishAll(tx, adminapi.TargetExpired, expired)(tx.OverdueTargets(tx.now, sweepBatch))
}

func (f *Fleet) sweepUnanswered(tx *txn) (int, error) {
	return finishAll(tx, adminapi.TargetUnconfirmed, unconfirmed)(tx.UnansweredTargets(neverResent, tx.now.Add(-unconfirmedAfter), sweepBatch))
}

func finishAll(tx *txn, state adminapi.TargetState, message string) func([]TargetRow, error) (int, error) {
	return func(targets []TargetRow, err error) (int, error) {
		for _, t := range targets {
			if err := finish(tx, &t, state, message); err != nil {
				return 0, err
			}
		}
		return len(targets), err
	}
}

func (f *Fleet) sweepSilent(tx *txn) (int, error) {
	return f.unheard(tx, func(d *DeviceRow) error {
		d.Silent = true
		tx.touch(adminapi.KindDevice, d.ID)
		return nil
	})(tx.SilentDevices(tx.now.Add(-f.opts.SilentAfter), sweepBatch))
}

// sweepAbandoned ends Windows enrolments that were never completed: unlike an Apple device, one is there from the certificate on.
func (f *Fleet) sweepAbandoned(tx *txn) (int, error) {
	return f.unheard(tx, func(d *DeviceRow) error {
		return end(tx, d, adminapi.EndReleased)
	})(tx.AbandonedDevices(tx.now.Add(-rememberUnused), sweepBatch))
}

// sweepQuiet asks devices for a sign of life when half of the time is over after which they count as silent: one for which there is nothing to do
// has no other reason to call.
func (f *Fleet) sweepQuiet(tx *txn) (int, error) {
	return f.unheard(tx, func(d *DeviceRow) error { return tx.wake(d.ID) })(tx.QuietDevices(tx.now.Add(-f.opts.SilentAfter/2), sweepBatch))
}

// unheard does something about devices that were not seen since, and stores the last contact of those that were.
func (f *Fleet) unheard(tx *txn, do func(*DeviceRow) error) func([]DeviceRow, error) (int, error) {
	return func(devices []DeviceRow, err error) (int, error) {
		for _, d := range devices {
			if seen := f.lastSeen(d.ID); seen.After(d.LastSeen) {
				d.LastSeen = seen
			} else if err := do(&d); err != nil {
				return 0, err
			}
			if err := tx.PutDevice(d); err != nil {
				return 0, err
			}
		}
		return len(devices), err
	}
}

func (f *Fleet) sweepRenewals(tx *txn) (int, error) {
	devices, err := tx.RenewableDevices(tx.now, sweepBatch)
	for _, d := range devices {
		if err := tx.wake(d.ID); err != nil {
			return 0, err
		}
	}
	return len(devices), err
}

func (f *Fleet) sweepOld(tx *txn) (int, error) {
	if err := tx.DeleteChallenges(tx.now); err != nil {
		return 0, err
	}
	if err := tx.DeleteUnusedEnrollments(tx.now.Add(-rememberUnused)); err != nil {
		return 0, err
	}
	if err := tx.DeleteIdentities(tx.now.Add(-rememberUnused)); err != nil {
		return 0, err
	}
	// An agent that can enrol nothing enrols itself anew, with another secret if it was given one.
	if err := tx.DeleteStrandedAgents(tx.now.Add(-rememberUnused), tx.now); err != nil {
		return 0, err
	}
	before := tx.now.Add(-rememberActions)
	excess, err := tx.ExcessActions(maxActions)
	if err != nil {
		return 0, err
	}
	if excess.After(before) {
		before = excess
	}
	return 0, tx.DeleteActions(before)
}

// saw notes a contact; FlushSeen stores it.
func (f *Fleet) saw(deviceID string) {
	now := f.now()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen[deviceID] = now
}

func (f *Fleet) lastSeen(deviceID string) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen[deviceID]
}

// FlushSeen stores the contacts since the last call in one transaction, so that idle check-ins write nothing on their own. A device that was silent
// responds again with it.
func (f *Fleet) FlushSeen(ctx context.Context) error {
	f.mu.Lock()
	seen := f.seen
	f.seen = map[string]time.Time{}
	f.mu.Unlock()
	if len(seen) == 0 {
		return nil
	}
	err := f.update(ctx, func(tx *txn) error {
		returned, err := tx.SetLastSeen(seen)
		for _, id := range returned {
			tx.touch(adminapi.KindDevice, id)
		}
		return err
	})
	if err == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, at := range seen {
		if at.After(f.seen[id]) {
			f.seen[id] = at
		}
	}
	return err
}
