package fleet_test

import (
	"testing"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// held reads whether an action waits to be wanted again.
func (w *world) held(key adminapi.Key) bool {
	w.t.Helper()
	st, err := w.Action(w.ctx, key)
	w.must(err)
	return st.Held
}

func TestWhatCannotBeTakenBackWaitsForTheManagerAfterAStart(t *testing.T) {
	for _, tc := range []struct {
		request, delivered string
		waits              bool
	}{
		{adminapi.AppleEraseDevice, adminapi.AppleEraseDevice, true},
		{adminapi.AppleDeviceLock, adminapi.AppleDeviceLock, true},
		{adminapi.AppleUnenroll, "remove " + params.PayloadIdentifier, true},
		{adminapi.AppleRestartDevice, adminapi.AppleRestartDevice, false},
		{info.RequestType, info.RequestType, false},
	} {
		t.Run(tc.request, func(t *testing.T) {
			w := newWorld(t)
			m := w.enroll("A")
			command := adminapi.AppleCommand{RequestType: tc.request}
			w.act("ns/x", command, m)
			if w.held("ns/x") {
				t.Error("an action is held that was PUT just now")
			}
			w.restore(w.backup())
			if w.held("ns/x") != tc.waits {
				t.Errorf("after a start the action is held: %v", !tc.waits)
			}
			if !tc.waits {
				w.wantDelivery(m.idle(), tc.delivered)
				return
			}
			w.wantDelivery(m.idle(), "nothing")
			if wakes, err := w.Wakes(w.ctx, 10); err != nil || len(wakes) > 0 {
				t.Errorf("the device is woken for it: %v, %v", wakes, err)
			}
			_, err := w.PutAction(w.ctx, adminapi.Action{Key: "ns/x", SpecHash: "another spec", Apple: &command})
			w.wantCode(err, adminapi.CodeSpecConflict)
			w.wantDelivery(m.idle(), "nothing")
			w.act("ns/x", command, m)
			if wakes, err := w.Wakes(w.ctx, 10); err != nil || len(wakes) != 1 {
				t.Errorf("once it is confirmed the device is woken with %v, %v", wakes, err)
			}
			w.wantDelivery(m.idle(), tc.delivered)
		})
	}
}

func TestWipeThatWasCanceledAfterTheBackupIsNotDelivered(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.act("ns/wipe", adminapi.AppleCommand{RequestType: adminapi.AppleEraseDevice}, m)
	backup := w.backup()
	w.must(w.CancelAction(w.ctx, "ns/wipe"))
	w.restore(backup)
	w.wantDelivery(m.idle(), "nothing")
	w.act("ns/info", info, m) // others go on
	w.wantDelivery(m.idle(), info.RequestType)
}

func TestWipeOfAPCWaitsForTheManagerAfterAStart(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("PC")
	const uri = "./Device/Vendor/MSFT/RemoteWipe/doWipe"
	wipe := adminapi.WindowsCommand{RequestType: adminapi.WindowsWipe, Commands: []adminapi.SyncMLCommand{command(adminapi.VerbExec, uri, "")}}
	p.run("ns/wipe", wipe)
	w.restore(w.backup())
	p.wantSync()
	p.run("ns/wipe", wipe)
	p.wantSync("Exec " + uri)
	if d := w.device("PC"); d.EndReason != adminapi.EndWiped {
		t.Errorf("the device is %+v", d)
	}
}
