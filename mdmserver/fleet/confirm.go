package fleet

import (
	"slices"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// destructive are the requests that nobody can take back. A store that was restored may hold one that was cancelled after the backup: it is held until the
// manager, which knows what is still wanted, has PUT it since the start.
var destructive = []string{
	adminapi.AppleEraseDevice, adminapi.AppleDeviceLock, adminapi.AppleUnenroll, adminapi.WindowsWipe, adminapi.WindowsUnenroll,
}

// confirm notes that the manager wants the action, and wakes the devices that it was held from.
func (f *Fleet) confirm(tx *txn, a *ActionRow) error {
	if !slices.Contains(destructive, a.RequestType) || f.confirmed(a.ID) {
		return nil
	}
	f.mu.Lock()
	f.wanted[a.ID] = true
	f.mu.Unlock()
	open, err := tx.OpenTargetsOf(a.ID)
	if err != nil {
		return err
	}
	for _, t := range open {
		if err := tx.wake(t.DeviceID); err != nil {
			return err
		}
	}
	return nil
}

// confirmed says whether the manager has PUT a destructive action since the start.
func (f *Fleet) confirmed(actionID string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.wanted[actionID]
}

// held says whether the target waits for the manager to confirm its action. It is no work for its device until then.
func (f *Fleet) held(t TargetRow) bool {
	return slices.Contains(destructive, t.RequestType) && !f.confirmed(t.ActionID)
}
