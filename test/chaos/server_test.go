package chaos

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/test/devicesim"
)

const (
	macs    = 50
	actions = 10
	// kills is two: a command that stays unanswered is delivered five times before the server pauses, and restarts must not use that up.
	kills = 2
)

// restart is the action that no device may carry out twice, whatever became of its answer: the one that most are at when the first kill comes.
const restart = actions / (kills + 1)

// The server is killed in the middle of 500 command round trips, twice. Afterwards every command has exactly one final result, which is
// its device's own; none was lost, and none is run again. A restart whose answer was lost is Unconfirmed.
func TestEveryCommandHasOneResultThoughTheServerIsKilled(t *testing.T) {
	p := newProcess(t)
	answered := &atomic.Int64{}
	fleet := enroll(t, p, answered)
	devices, err := adminapi.All(t.Context(), p.admin.Devices)
	if err != nil || len(devices) != macs {
		t.Fatalf("%d devices, %v", len(devices), err)
	}
	order(t, p, devices)

	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		_ = fleet.Run(ctx) // the devices run into the kills, and end with ctx
	}()
	for i := range kills {
		part := int64((i + 1) * macs * actions / (kills + 1))
		eventually(t, "commands to be answered", func(context.Context) bool { return answered.Load() >= part })
		p.kill(t)
		p.start(t)
	}
	eventually(t, "all actions to finish", func(ctx context.Context) bool { return finished(ctx, p) == actions })
	cancel()
	<-ran

	of := map[string]*devicesim.Device{}
	for _, d := range fleet.Devices {
		of[d.Hardware().UDID] = d
	}
	for i := range actions {
		for _, r := range results(t, p, actionKey(i), of) {
			if i == restart {
				checkRestart(t, r, of[r.DeviceID])
			} else {
				checkAnswer(t, p, actionKey(i), r, of[r.DeviceID].Hardware().SerialNumber)
			}
		}
	}
	before := answered.Load()
	if err := fleet.Idle(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	if again := answered.Load() - before; again != 0 {
		t.Errorf("%d commands were run again after their results were in", again)
	}
	t.Logf("%d answers for %d commands", before, macs*actions)
}

// enroll enrols the Macs with one token and counts what they answer from then on.
func enroll(t *testing.T, p *process, answered *atomic.Int64) *devicesim.Fleet {
	t.Helper()
	url := p.enrollURL(t, "chaos/all")
	client, keys := p.deviceHTTP(), devicesim.NewKeyPool(2)
	fleet, err := devicesim.NewFleet(macs, func(i int) devicesim.Options {
		return devicesim.Options{
			Hardware: devicesim.Mac("CHAOS", i), Client: client, Roots: p.WebCA.Pool(), Key: keys.Key,
			PollInterval: 100 * time.Millisecond, RetryInterval: 50 * time.Millisecond,
			OnEvent: func(e devicesim.Event) {
				if e.Kind == devicesim.EventCommand {
					answered.Add(1)
				}
			},
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := fleet.Enroll(t.Context(), 4, url); err != nil {
		t.Fatal(err)
	}
	return fleet
}

func actionKey(i int) adminapi.Key { return adminapi.Key(fmt.Sprintf("chaos/action-%d", i)) }

// order asks every device for every action.
func order(t *testing.T, p *process, devices []adminapi.Device) {
	t.Helper()
	var targets []adminapi.ActionTarget
	for _, d := range devices {
		targets = append(targets, adminapi.ActionTarget{DeviceID: d.ID, EnrollmentID: d.EnrollmentID})
	}
	for i := range actions {
		command := &adminapi.AppleCommand{RequestType: adminapi.AppleDeviceInformation}
		if i == restart {
			command.RequestType = adminapi.AppleRestartDevice
		}
		_, err := p.admin.PutAction(t.Context(), adminapi.Action{Key: actionKey(i), SpecHash: "1", Targets: targets, Apple: command})
		must(t, err)
	}
}

// finished counts the actions that are over.
func finished(ctx context.Context, p *process) int {
	all, err := adminapi.All(ctx, p.admin.Actions)
	if err != nil {
		return 0
	}
	n := 0
	for _, a := range all {
		if !a.FinishedAt.IsZero() {
			n++
		}
	}
	return n
}

// results returns the results of an action after it has seen that there is one of each device.
func results[D any](t *testing.T, p *process, key adminapi.Key, of map[string]D) []adminapi.ActionResult {
	t.Helper()
	all, err := adminapi.All(t.Context(), func(ctx context.Context, after string, limit int) (*adminapi.Page[adminapi.ActionResult], error) {
		return p.admin.ActionResults(ctx, key, after, limit)
	})
	must(t, err)
	seen := map[string]bool{}
	for _, r := range all {
		if _, targeted := of[r.DeviceID]; targeted {
			seen[r.DeviceID] = true
		}
	}
	if len(all) != len(of) || len(seen) != len(of) {
		t.Fatalf("%s has %d results of %d devices, want one of each of %d", key, len(all), len(seen), len(of))
	}
	return all
}

// checkAnswer expects what the device itself said.
func checkAnswer(t *testing.T, p *process, key adminapi.Key, r adminapi.ActionResult, serial string) {
	t.Helper()
	whole, err := p.admin.ActionResult(t.Context(), key, r.DeviceID)
	must(t, err)
	if r.State != adminapi.TargetSucceeded || !strings.Contains(string(whole.Body), serial) {
		t.Errorf("%s on %s: %s, body %.80q", key, r.DeviceID, r.State, whole.Body)
	}
}

// checkRestart expects one restart, or at most one where nobody knows.
func checkRestart(t *testing.T, r adminapi.ActionResult, d *devicesim.Device) {
	t.Helper()
	switch n := d.Restarts(); {
	case r.State == adminapi.TargetSucceeded && n == 1, r.State == adminapi.TargetUnconfirmed && n <= 1:
	default:
		t.Errorf("%s restarted %d times, and its result is %s", r.DeviceID, n, r.State)
	}
}
