package windows_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver"
	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/devicesim/windows"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

const host = "https://" + serverfiles.Host

// world is a real server for PCs alone.
type world struct {
	*serverfiles.Files
	*adminapi.Client
	t       *testing.T
	addrs   mdmserver.Addresses
	network *devicesim.Network
	stop    func() // ends the server gracefully
}

func newWorld(t *testing.T, adjust func(*serverconfig.Windows)) *world {
	t.Helper()
	w := &world{Files: serverfiles.Write(t), t: t, network: &devicesim.Network{}}
	w.AddWindows(t)
	w.Config.Apple, w.Config.TrustAnchor = nil, false
	if adjust != nil {
		adjust(w.Config.Windows)
	}
	w.start()
	w.token(adminapi.Token{Key: "fleet/any"})
	return w
}

// start runs a server on the files as they are, which may be those of an earlier one.
func (w *world) start() {
	w.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	s, err := mdmserver.Start(ctx, w.Config, slog.New(slog.DiscardHandler), "test")
	fatal(w.t, err)
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	w.stop = sync.OnceFunc(func() {
		stop()
		check(w.t, <-served)
	})
	w.t.Cleanup(w.stop)
	w.addrs = s.Addresses()
	w.Client = w.Manager(w.t, w.addrs.Admin.String())
}

// token stores a token whose secret is the last part of its key.
func (w *world) token(token adminapi.Token) {
	w.t.Helper()
	sum := sha256.Sum256([]byte(filepath.Base(string(token.Key))))
	token.Hash, token.Platforms = hex.EncodeToString(sum[:]), []adminapi.Platform{adminapi.PlatformWindows}
	_, err := w.PutToken(w.t.Context(), token)
	fatal(w.t, err)
}

// pc makes a PC that finds the server's public names at the loopback address.
func (w *world) pc(index int, change func(*windows.Options)) *windows.PC {
	w.t.Helper()
	opts := windows.Options{
		Hardware: windows.Laptop("E2E", index), Roots: w.WebCA.Pool(), After: soon, Network: w.network,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, w.addrs.Devices.String())
		},
	}
	if change != nil {
		change(&opts)
	}
	pc, err := windows.New(opts)
	fatal(w.t, err)
	return pc
}

// soon is a clock that is a thousand times as fast: an agent that polls every 30 s comes after 30 ms.
func soon(d time.Duration) <-chan time.Time { return time.After(d / 1000) }

// enrolled enrols a PC, with its first session, and returns the server's view of it.
func (w *world) enrolled(index int, change func(*windows.Options)) (*windows.PC, adminapi.Device) {
	w.t.Helper()
	pc := w.pc(index, change)
	fatal(w.t, pc.EnrollWithPassword(w.t.Context(), host, "ada@example.test", "any"))
	session(w.t, pc, windows.SessionOptions{})
	d := w.known(pc)
	if d.State != adminapi.DeviceEnrolled {
		w.t.Fatalf("after the first session: %+v", d)
	}
	return pc, d
}

// known is what the server knows of a PC.
func (w *world) known(pc *windows.PC) adminapi.Device {
	w.t.Helper()
	devices, err := adminapi.All(w.t.Context(), w.Devices)
	fatal(w.t, err)
	for _, d := range devices {
		if d.ID == pc.Hardware().DeviceID {
			return d
		}
	}
	w.t.Fatalf("the server knows %d devices, not this one", len(devices))
	return adminapi.Device{}
}

// publish stores a profile and assigns it, and nothing else, to the devices.
func (w *world) publish(name, digest string, scope adminapi.Scope, commands []adminapi.SyncMLCommand, devices ...adminapi.Device) {
	w.t.Helper()
	template, err := json.Marshal(adminapi.WindowsProfile{Commands: commands})
	fatal(w.t, err)
	key := adminapi.Key("fleet/" + name)
	_, err = w.PutArtifact(w.t.Context(), adminapi.Artifact{
		Key: key, Platform: adminapi.PlatformWindows, Scope: scope, Identifier: string(key), Digest: digest, Template: template,
	})
	fatal(w.t, err)
	for _, d := range devices {
		w.assign(d, key)
	}
}

func (w *world) assign(d adminapi.Device, keys ...adminapi.Key) {
	w.t.Helper()
	reply, err := w.PutAssignments(w.t.Context(), adminapi.AssignmentBatch{Assignments: []adminapi.Assignment{
		{DeviceID: d.ID, EnrollmentID: d.EnrollmentID, Artifacts: keys},
	}})
	fatal(w.t, err)
	if len(reply.Stale)+len(reply.Missing) > 0 {
		w.t.Fatalf("assigning: %+v", reply)
	}
}

// artifact is the state of a profile, empty when it is gone.
func (w *world) artifact(name string) adminapi.ArtifactStatus {
	w.t.Helper()
	artifacts, err := adminapi.All(w.t.Context(), w.Artifacts)
	fatal(w.t, err)
	for _, a := range artifacts {
		if a.Key == adminapi.Key("fleet/"+name) {
			return a
		}
	}
	return adminapi.ArtifactStatus{}
}

// order has an action wait for a PC.
func (w *world) order(d adminapi.Device, name string, command adminapi.WindowsCommand) {
	w.t.Helper()
	_, err := w.PutAction(w.t.Context(), adminapi.Action{
		Key: adminapi.Key("fleet/" + name), SpecHash: name, Windows: &command,
		Targets: []adminapi.ActionTarget{{DeviceID: d.ID, EnrollmentID: d.EnrollmentID}},
	})
	fatal(w.t, err)
}

func (w *world) outcome(d adminapi.Device, name string) adminapi.ActionResult {
	w.t.Helper()
	result, err := w.ActionResult(w.t.Context(), adminapi.Key("fleet/"+name), d.ID)
	fatal(w.t, err)
	return *result
}

// act orders an action, has the PC come for it and returns how it ended.
func (w *world) act(pc *windows.PC, d adminapi.Device, name string, command adminapi.WindowsCommand) adminapi.ActionResult {
	w.t.Helper()
	w.order(d, name, command)
	session(w.t, pc, windows.SessionOptions{})
	return w.outcome(d, name)
}

// eventually waits for what the server does in its own time, such as reading its files again.
func (w *world) eventually(what string, is func() bool) {
	w.t.Helper()
	ctx, stop := context.WithTimeout(w.t.Context(), time.Minute)
	defer stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.t.Fatalf("not within a minute: %s", what)
		}
	}
}

// intend tells the server what the cluster wants of an enrolment.
func (w *world) intend(d adminapi.Device, intent adminapi.Intent) {
	w.t.Helper()
	reply, err := w.PutIntents(w.t.Context(), adminapi.IntentBatch{Intents: []adminapi.DeviceIntent{
		{DeviceID: d.ID, EnrollmentID: d.EnrollmentID, Intent: intent},
	}})
	fatal(w.t, err)
	if len(reply.Stale) > 0 {
		w.t.Fatalf("%s: %+v", intent, reply)
	}
}

// faultOf returns the fault in an error.
func faultOf(t *testing.T, err error) *windows.FaultError {
	t.Helper()
	fault := new(windows.FaultError)
	if !errors.As(err, &fault) {
		t.Fatalf("no fault: %v", err)
	}
	return fault
}
