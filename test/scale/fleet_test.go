package scale_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/config"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/seal"
	"github.com/kubemdm/kubemdm/mdmserver/store"
)

const (
	// enrollBatch is how many devices are written in one transaction.
	enrollBatch = 1000
	// answering is how many devices answer at a time.
	answering = 4
	// every tenth device is silent; refusals are the first devices, as many as this at most.
	silentEvery = 10
	maxRefusals = 20
	day         = 24 * time.Hour
)

// fleetOfDevices stands beside the server as a replica of it: devices speak to the domain itself, without TLS and signatures.
type fleetOfDevices struct {
	store fleet.Store
	*fleet.Fleet
	enrolled time.Time
}

// openFleet opens the store beside the server.
func (w *world) openFleet() *fleetOfDevices {
	creds, err := config.Open(*w.served, slog.New(logs), time.Now)
	w.must(err)
	opened, err := store.OpenPostgres(w.Context(), store.PostgresOptions{
		Connection: creds.Database, MaxConnections: 2 * answering, Server: w.served.Namespace + "/" + w.served.Name,
	})
	w.must(err)
	w.Cleanup(func() { w.must(opened.Close()) })
	f := &fleetOfDevices{store: opened, enrolled: time.Now().UTC().Add(-30 * day).Truncate(time.Second)}
	f.Fleet, err = fleet.New(opened, encoder{}, fleet.Options{Sealer: seal.New(creds.Sealing)})
	w.must(err)
	return f
}

// enroll writes devices into the store as enrolments leave them, and tells of them.
func (f *fleetOfDevices) enroll(ctx context.Context, n int) error {
	for first := 0; first < n; first += enrollBatch {
		err := f.store.Update(ctx, func(tx fleet.Tx) error {
			for i := first; i < min(first+enrollBatch, n); i++ {
				if err := f.put(tx, i); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// encoder makes a command of nothing but its id.
type encoder struct{}

func (encoder) Encode(d fleet.Delivery) ([]byte, error) { return []byte(d.CommandUUID), nil }

func udid(i int) string { return fmt.Sprintf("%08X-0000-4000-8000-%012X", i, i) }

func serial(i int) string { return fmt.Sprintf("C0%010d", i) }

func isSilent(i int) bool { return i%silentEvery == silentEvery-1 }

func (f *fleetOfDevices) identity(i int) fleet.Identity {
	sum := sha256.Sum256([]byte(udid(i)))
	return fleet.Identity{Fingerprint: hex.EncodeToString(sum[:]), EnrollmentID: "e-" + udid(i), NotBefore: f.enrolled, NotAfter: f.enrolled.Add(365 * day)}
}

func channel(i int) fleet.Channel {
	return fleet.Channel{ID: udid(i), DeviceID: udid(i), Kind: fleet.ChannelDevice}
}

// put writes the rows of one device.
func (f *fleetOfDevices) put(tx fleet.Tx, i int) error {
	id, d := f.identity(i), i%departments
	token := adminapi.Key(namespace + "/" + department(d))
	facts := fleet.DeviceFacts{
		UDID: udid(i), SerialNumber: serial(i), Model: "MNWA3D/A", ModelName: "MacBook Pro", ProductName: "Mac16,1", OSVersion: "26.1", BuildVersion: "25B78",
		DeviceName: fmt.Sprintf("MacBook Pro of person %d", i),
	}
	row := fleet.DeviceRow{
		ID: udid(i), Platform: adminapi.PlatformApple, Kind: adminapi.EnrollmentDevice, State: adminapi.DeviceEnrolled, EnrollmentID: id.EnrollmentID,
		EnrolledAt: f.enrolled, Facts: facts, Token: token, TokenLabels: labelsOf(d), Intent: adminapi.IntentManage,
		Fingerprint: id.Fingerprint, IdentityNotBefore: id.NotBefore, IdentityNotAfter: id.NotAfter, RenewAt: id.NotAfter.Add(-30 * day), LastSeen: time.Now().UTC().Truncate(time.Second),
	}
	if isSilent(i) {
		row.LastSeen, row.Silent = f.enrolled.Add(day), true
	}
	for _, put := range []func() error{
		func() error {
			return tx.PutEnrollment(fleet.EnrollmentRow{ID: id.EnrollmentID, DeviceID: udid(i), Token: token, Labels: labelsOf(d), IssuedAt: f.enrolled})
		},
		func() error {
			return tx.PutIdentity(fleet.IdentityRow{Fingerprint: id.Fingerprint, EnrollmentID: id.EnrollmentID, NotBefore: id.NotBefore, NotAfter: id.NotAfter})
		},
		func() error { return tx.PutDevice(row) },
		func() error {
			return tx.PutChannel(fleet.ChannelRow{Channel: channel(i), Scope: adminapi.ScopeSystem, Enabled: true, Tally: 1})
		},
		func() error { return touch(tx, adminapi.KindDevice, udid(i)) },
	} {
		if err := put(); err != nil {
			return err
		}
	}
	return nil
}

// answer has all devices that are not silent come and do what they are told. The first refusals of them refuse a Profile.
func (f *fleetOfDevices) answer(ctx context.Context, n, refusals int) error {
	numbers := make(chan int)
	errs := make(chan error, answering)
	var devices sync.WaitGroup
	for range answering {
		devices.Go(func() {
			for i := range numbers {
				if err := f.session(ctx, i, i < refusals); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	var failed error
	for i := 0; i < n && failed == nil; i++ {
		if isSilent(i) {
			continue
		}
		select {
		case numbers <- i:
		case failed = <-errs:
		}
	}
	close(numbers)
	devices.Wait()
	return failed
}

// session is the contact of one device, until nothing waits for it.
func (f *fleetOfDevices) session(ctx context.Context, i int, refuses bool) error {
	report := fleet.Report{Status: fleet.StatusIdle}
	for {
		command, err := f.Connect(ctx, f.identity(i), channel(i), report)
		if err != nil {
			return fmt.Errorf("device %d: %w", i, err)
		}
		if command == nil {
			return nil
		}
		report = fleet.Report{Status: fleet.StatusAcknowledged, CommandUUID: string(command)}
		if refuses {
			report.Status, report.Message = fleet.StatusError, "the network is not known here"
		}
	}
}

// installed writes that every device that is not silent has what is assigned to it, as if it had said so.
func (f *fleetOfDevices) installed(ctx context.Context, n int) error {
	var all []int
	for i := range n {
		if !isSilent(i) {
			all = append(all, i)
		}
	}
	for batch := range slices.Chunk(all, enrollBatch) {
		if err := f.store.Update(ctx, func(tx fleet.Tx) error { return install(tx, batch) }); err != nil {
			return err
		}
	}
	return f.store.Update(ctx, func(tx fleet.Tx) error {
		for i := range profiles {
			if err := touch(tx, adminapi.KindArtifact, namespace+"/"+profileName(i)); err != nil {
				return err
			}
		}
		return nil
	})
}

func install(tx fleet.Tx, devices []int) error {
	for _, i := range devices {
		states, err := tx.OpenStates(udid(i))
		if err != nil {
			return err
		}
		for _, s := range states {
			s.Outcome = fleet.OutcomeInstalled
			if err := tx.PutState(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// touch tells the manager of a row.
func touch(tx fleet.Tx, kind adminapi.Kind, key string) error {
	version, err := tx.NextVersion()
	if err != nil {
		return err
	}
	return tx.PutDirty(fleet.DirtyRow{Kind: kind, Key: key, Version: version})
}
