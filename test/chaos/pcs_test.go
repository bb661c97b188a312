package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/devicesim/windows"
)

const (
	pcs = 20
	// asks are the actions of a round that only read: more than go into one reply.
	asks = 15
	// midway is how many requests each PC has made of a round when the server is killed. It takes about twice as many to answer everything.
	midway = 2
	// lossRate is which of the replies is lost, time and again.
	lossRate = 7

	desk      = adminapi.Key("chaos/desk")
	rebootNow = "./Device/Vendor/MSFT/Reboot/RebootNow"
)

// settings are the nodes of the profile.
var settings = []string{
	"./Device/Vendor/MSFT/Policy/Config/Camera/AllowCamera", "./Device/Vendor/MSFT/Policy/Config/Experience/AllowCortana",
	"./Device/Vendor/MSFT/Policy/Config/Connectivity/AllowBluetooth",
}

// facts are the nodes that are read.
var facts = []string{
	"./DevDetail/Ext/Microsoft/SMBIOSSerialNumber", "./DevDetail/Ext/Microsoft/DeviceName", "./DevDetail/Ext/Microsoft/TotalRAM",
	"./DevDetail/Ext/Microsoft/OSPlatform", "./DevDetail/SwV", "./DevDetail/FwV", "./DevDetail/HwV", "./DevInfo/Man", "./DevInfo/Mod", "./DevInfo/Lang",
}

// office is a server's PCs, which have one session after the other.
type office struct {
	*process
	network devicesim.Network
	pcs     map[string]*windows.PC // by device ID
	all     []adminapi.ActionTarget
	// halves are restarted, one in each round.
	halves [kills][]adminapi.ActionTarget
	// requests were made in sessions; broken counts the sessions that came to no end.
	requests, broken atomic.Int64
}

// The server is killed twice while PCs read, restart and get a profile over a network that loses replies. Afterwards every command has one final
// result for each PC, which is the PC's own and stays; no PC restarted twice; the profile is Installed as it was last edited, and its values are there.
func TestPCsEndAsToldThoughTheServerIsKilled(t *testing.T) {
	o := newOffice(t)
	o.network.LoseEvery(lossRate, devicesim.LoseReply)
	for round := range kills {
		o.order(t, round)
		leave := o.work(t)
		part := o.requests.Load() + pcs*midway
		eventually(t, "the PCs to be in their sessions", func(context.Context) bool { return o.requests.Load() >= part })
		o.kill(t)
		t.Logf("killed after %d requests", o.requests.Load())
		o.start(t)
		if round == kills-1 {
			eventually(t, "everything to be settled", o.settled)
		}
		leave()
	}
	if o.broken.Load() == 0 {
		t.Error("no session was broken off: the server was killed in vain")
	}
	t.Logf("%d requests, %d sessions broken off", o.requests.Load(), o.broken.Load())

	before := o.check(t)
	o.kill(t)
	o.start(t)
	o.network.LoseEvery(0, devicesim.LoseReply)
	for _, pc := range o.pcs {
		report, err := pc.Session(t.Context(), windows.SessionOptions{})
		must(t, err)
		if len(report.Commands) > 0 {
			t.Errorf("%s was told again: %+v", pc.Hardware().SerialNumber, report.Commands)
		}
	}
	if after := o.check(t); !reflect.DeepEqual(after, before) {
		t.Errorf("results changed after they were final:\n%+v\n%+v", before, after)
	}
}

// settled says whether every action is over and the profile has an outcome on every PC.
func (o *office) settled(ctx context.Context) bool {
	a := o.profile(ctx)
	return finished(ctx, o.process) == kills*(asks+1) && a.Targeted == pcs && a.Installed+a.Failed == pcs
}

// newOffice enrols the PCs, each by a token of its own, so that they may share keys.
func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{process: newProcess(t), pcs: map[string]*windows.PC{}}
	keys := devicesim.NewKeyPool(2)
	for i := range pcs {
		haste := time.Duration(200) // the pauses of a session outlast a start of the server
		if i%2 == 0 {
			haste = time.Hour // the session is given up, and another one is begun
		}
		pc, err := windows.New(windows.Options{
			Hardware: windows.Laptop("CHAOS", i), Roots: o.WebCA.Pool(), Dial: o.dial, Network: &o.network, Key: keys.Key,
			After: func(d time.Duration) <-chan time.Time { return time.After(d / haste) },
		})
		must(t, err)
		token := o.token(t, adminapi.Key(fmt.Sprintf("chaos/pc-%d", i)), adminapi.PlatformWindows)
		must(t, pc.EnrollWithPassword(t.Context(), publicURL, "ada@example.test", token))
		_, err = pc.Session(t.Context(), windows.SessionOptions{})
		must(t, err)
		o.pcs[pc.Hardware().DeviceID] = pc
	}
	devices, err := adminapi.All(t.Context(), o.admin.Devices)
	must(t, err)
	for i, d := range devices {
		target := adminapi.ActionTarget{DeviceID: d.ID, EnrollmentID: d.EnrollmentID}
		o.all, o.halves[i%kills] = append(o.all, target), append(o.halves[i%kills], target)
	}
	return o
}

// work has every PC begin one session after the other until leave is called, which waits for those under way.
func (o *office) work(t *testing.T) (leave func()) {
	evening := make(chan struct{})
	var working sync.WaitGroup
	for _, pc := range o.pcs {
		working.Go(func() {
			pause := time.NewTicker(50 * time.Millisecond)
			defer pause.Stop()
			for {
				o.session(t, pc)
				select {
				case <-evening:
					return
				case <-pause.C:
				}
			}
		})
	}
	return func() {
		close(evening)
		working.Wait()
	}
}

func (o *office) session(t *testing.T, pc *windows.PC) {
	_, err := pc.Session(t.Context(), windows.SessionOptions{Forge: func(*windows.Message) { o.requests.Add(1) }})
	if errors.Is(err, windows.ErrMalformed) {
		t.Error(err)
	}
	if err != nil {
		o.broken.Add(1)
	}
}

func askKey(round, i int) adminapi.Key { return adminapi.Key(fmt.Sprintf("chaos/ask-%d-%d", round, i)) }

func restartKey(round int) adminapi.Key { return adminapi.Key(fmt.Sprintf("chaos/restart-%d", round)) }

// order edits the profile, which every PC has, has every PC read, and a part of them restart that did not before.
func (o *office) order(t *testing.T, round int) {
	t.Helper()
	var template adminapi.WindowsProfile
	for _, node := range settings {
		template.Commands = append(template.Commands, adminapi.SyncMLCommand{Verb: adminapi.VerbSet, LocURI: node, Format: "int", Data: strconv.Itoa(round)})
	}
	raw, err := json.Marshal(template)
	must(t, err)
	_, err = o.admin.PutArtifact(t.Context(), adminapi.Artifact{
		Key: desk, Platform: adminapi.PlatformWindows, Scope: adminapi.ScopeSystem, Identifier: string(desk), Digest: strconv.Itoa(round), Template: raw,
	})
	must(t, err)
	var batch adminapi.AssignmentBatch
	for _, d := range o.all {
		batch.Assignments = append(batch.Assignments, adminapi.Assignment{DeviceID: d.DeviceID, EnrollmentID: d.EnrollmentID, Artifacts: []adminapi.Key{desk}})
	}
	_, err = o.admin.PutAssignments(t.Context(), batch)
	must(t, err)
	o.put(t, restartKey(round), o.halves[round], adminapi.WindowsRestart, adminapi.SyncMLCommand{Verb: adminapi.VerbExec, LocURI: rebootNow, Format: "null"})
	var reading []adminapi.SyncMLCommand
	for _, node := range facts {
		reading = append(reading, adminapi.SyncMLCommand{Verb: adminapi.VerbGet, LocURI: node})
	}
	for i := range asks {
		o.put(t, askKey(round, i), o.all, adminapi.WindowsDeviceInformation, reading...)
	}
}

func (o *office) put(t *testing.T, key adminapi.Key, targets []adminapi.ActionTarget, requestType string, commands ...adminapi.SyncMLCommand) {
	t.Helper()
	_, err := o.admin.PutAction(t.Context(), adminapi.Action{
		Key: key, SpecHash: "1", Targets: targets, Windows: &adminapi.WindowsCommand{RequestType: requestType, Commands: commands},
	})
	must(t, err)
}

// profile is what the server says of the profile, nothing while it does not answer.
func (o *office) profile(ctx context.Context) adminapi.ArtifactStatus {
	all, err := adminapi.All(ctx, o.admin.Artifacts)
	if err != nil || len(all) != 1 {
		return adminapi.ArtifactStatus{}
	}
	return all[0]
}

// check holds what the server says against the PCs, and returns all results.
func (o *office) check(t *testing.T) (all []adminapi.ActionResult) {
	t.Helper()
	if a := o.profile(t.Context()); a.Targeted != pcs || a.Installed != pcs {
		t.Errorf("the profile: %+v", a)
	}
	for _, pc := range o.pcs {
		for _, node := range settings {
			if n, _ := pc.Node(node); n.Data != strconv.Itoa(kills-1) {
				t.Errorf("%s has %q at %s", pc.Hardware().SerialNumber, n.Data, node)
			}
		}
	}
	for round := range kills {
		half := map[string]*windows.PC{}
		for _, target := range o.halves[round] {
			half[target.DeviceID] = o.pcs[target.DeviceID]
		}
		for _, r := range results(t, o.process, restartKey(round), half) {
			all = append(all, r)
			checkReboot(t, r, half[r.DeviceID])
		}
		for i := range asks {
			for _, r := range results(t, o.process, askKey(round, i), o.pcs) {
				all = append(all, r)
				checkAnswer(t, o.process, askKey(round, i), r, o.pcs[r.DeviceID].Hardware().SerialNumber)
			}
		}
	}
	return all
}

// checkReboot expects one restart, or at most one where nobody knows.
func checkReboot(t *testing.T, r adminapi.ActionResult, pc *windows.PC) {
	t.Helper()
	executed := 0
	for _, a := range pc.Answers() {
		if a.Verb == "Exec" && strings.HasSuffix(a.LocURI, "/RebootNow") {
			executed++
		}
	}
	switch {
	case r.State == adminapi.TargetSucceeded && executed == 1, r.State == adminapi.TargetUnconfirmed && executed <= 1:
	default:
		t.Errorf("%s ran RebootNow %d times, and its result is %s", r.DeviceID, executed, r.State)
	}
}
