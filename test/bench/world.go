package main

import (
	"fmt"
	"path/filepath"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

// world makes the servers when a case first needs them.
type world struct {
	*harness
	// sqlite keeps the state of all our servers in SQLite.
	sqlite bool
	own    map[string]*ours
	db     *cluster // of our servers
	theirs *peer
}

// once makes a server with its devices, or returns the one that was made before.
func (w *world) once(name string, configure func(*serverfiles.Files), populate func(*ours)) *ours {
	if o := w.own[name]; o != nil {
		return o
	}
	o := w.newOurs(name, w.database(name), configure)
	w.own[name] = o
	o.start()
	o.db.hastily(func() { populate(o) })
	o.stop()
	return o
}

// onSQLite is the server that is measured with SQLite.
const onSQLite = "sqlite"

// database is the one function that says where our servers keep their state; nil is SQLite.
func (w *world) database(name string) *cluster {
	if w.sqlite || name == onSQLite {
		return nil
	}
	if w.db == nil {
		w.db = w.newCluster()
	}
	return w.db
}

func (w *world) apple() *ours { return w.once("apple", nil, enrolApple(fleetSize)) }

// enrolling is a server that devices can enrol with, which takes a push certificate.
func (w *world) enrolling() *ours {
	return w.once("enrolling", nil, func(o *ours) { enrol(o, fleetSize) })
}

func (w *world) large() *ours { return w.once("large", nil, enrolApple(large)) }

func (w *world) windows() *ours { return w.once("windows", w.onlyWindows, enrolPCs(false)) }

func (w *world) agents() *ours { return w.once("agents", w.onlyWindows, enrolPCs(true)) }

// largeSQLite has imported its devices, which takes less time and leaves the same in the store.
func (w *world) largeSQLite() *ours { return w.once(onSQLite, importing, (*ours).importDevices) }

func (w *world) peer() *peer {
	if w.theirs == nil {
		w.theirs = w.newPeer()
		w.theirs.start()
		w.theirs.db.hastily(func() { enrol(w.theirs, fleetSize) })
		w.theirs.stop()
	}
	return w.theirs
}

func enrol(s side, count int) {
	for ; count > 0; count -= batch {
		s.prepare(min(count, batch))
		s.devices().keep()
	}
}

func enrolApple(count int) func(*ours) {
	return func(o *ours) {
		enrol(o, count)
		o.stopPushing()
	}
}

func (w *world) onlyWindows(f *serverfiles.Files) {
	f.AddWindows(w)
	f.Config.Apple = nil
}

// enrolPCs gives each a token of its own: with the same one, PCs with the same key would get the same certificate.
func enrolPCs(agents bool) func(*ours) {
	return func(o *ours) {
		p := PCs{Agents: agents}
		for range pcs {
			p.Secrets = append(p.Secrets, o.token(adminapi.PlatformWindows))
		}
		o.do("EnrolPCs", p)
	}
}

const oldServer, oldPath = "old", "/old"

func importing(f *serverfiles.Files) {
	f.Config.Apple.Imports = []serverconfig.Import{{Name: oldServer, ServerPath: oldPath, CheckInPath: oldPath, CAFile: filepath.Join(f.Dir, "identity", "1.crt")}}
}

func (o *ours) importDevices() {
	for first := 0; first < large; first += adminapi.MaxImport {
		b := adminapi.ImportBatch{Import: oldServer}
		for i := range adminapi.MaxImport {
			b.Enrollments = append(b.Enrollments, imported(first+i))
		}
		reply, err := o.admin.Import(o.ctx, b)
		o.must(err)
		for _, r := range reply.Results {
			if r.Outcome != adminapi.Imported {
				o.Fatalf("importing a device: %s: %s", r.Outcome, r.Message)
			}
		}
	}
}

func imported(index int) adminapi.ImportedEnrollment {
	mac := devicesim.Mac("BENCH", index)
	return adminapi.ImportedEnrollment{
		Device:            adminapi.Device{ID: mac.UDID, Kind: adminapi.EnrollmentDevice, UDID: mac.UDID, SerialNumber: mac.SerialNumber, Model: mac.Model, OSVersion: mac.OSVersion},
		PayloadIdentifier: "com.example.old", ServerURL: "https://" + serverfiles.Host + oldPath, CheckInURL: "https://" + serverfiles.Host + oldPath,
		Topic: serverfiles.Topic, AccessRights: 8191, CertificateSHA256: fmt.Sprintf("%064x", index+1),
		Channels: []adminapi.ImportedChannel{{ID: mac.UDID, PushToken: fmt.Appendf(nil, "%032d", index), PushMagic: "magic"}},
	}
}
