package fleet

import (
	"slices"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// destructive are the requests that nobody can take back. A store that was restored may hold one that was cancelled after the backup: it is held until the
// manager, which knows what is still wanted, has PUT it in this store epoch.
var destructive = []string{
	adminapi.AppleEraseDevice, adminapi.AppleDeviceLock, adminapi.AppleUnenroll, adminapi.WindowsWipe, adminapi.WindowsUnenroll,
}

// confirm notes that the manager wants the action, and wakes the devices that it was held from.
func (f *Fleet) confirm(tx *txn, a *ActionRow) error {
	if !f.unconfirmed(a.RequestType, a.WantedEpoch) {
		return nil
	}
	a.WantedEpoch = f.StoreEpoch()
	if err := tx.PutAction(*a); err != nil {
		return err
	}
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

// unconfirmed says whether the action is destructive and the manager has not PUT it in this store epoch.
func (f *Fleet) unconfirmed(requestType, wantedEpoch string) bool {
	return slices.Contains(destructive, requestType) && wantedEpoch != f.StoreEpoch()
}

// withoutHeld leaves out the targets that wait for the manager to confirm their action. They are no work for their device until then.
func (f *Fleet) withoutHeld(targets []OpenTarget) []OpenTarget {
	return slices.DeleteFunc(targets, func(t OpenTarget) bool { return f.unconfirmed(t.RequestType, t.WantedEpoch) })
}
