package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/test/pki"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

// connections are those that a replica may make to its database.
const connections = 10

// ours is one mdmserver with a database of its own.
type ours struct {
	*load
	files  *serverfiles.Files
	db     *cluster // nil: SQLite
	server *process
	admin  *adminapi.Client
	// profile is the folder for profiles of the measured time, empty for none.
	profile string
	// number makes names and digests that were not there before.
	number   int
	assigned bool
	// targets are the devices that stay, in their enrolments.
	targets []adminapi.ActionTarget
}

// newOurs prepares a server that no one has enrolled at yet.
func (h *harness) newOurs(name string, db *cluster, configure func(*serverfiles.Files)) *ours {
	o := &ours{load: h.newLoad(name), files: serverfiles.Write(h), db: db}
	if configure != nil {
		configure(o.files)
	}
	if db != nil {
		db.database(name)
		o.files.Config.Store = serverconfig.Store{Postgres: &serverconfig.Postgres{Dir: db.secret(name), MaxConnections: connections}}
	}
	o.files.Config.Listen = serverconfig.Listen{Devices: h.freeAddress(), Admin: h.freeAddress(), Health: h.freeAddress()}
	o.admin = o.files.Manager(h, o.files.Config.Listen.Admin)
	return o
}

func (o *ours) start() {
	program, args := "mdmserver", []string{"--config", o.files.WriteConfig(o)}
	if o.profile != "" {
		program, args = "profiled", append(args, "--profile", o.profile)
	}
	o.server = o.spawn("mdmserver", exec.CommandContext(o.ctx, o.program(program), args...))
	o.await(o.server, "mdmserver", 5*time.Millisecond, o.ready)
	o.do("Connect", Setup{CA: o.files.WebCA.Cert.Raw, Hosts: map[string]string{
		serverfiles.Host: o.files.Config.Listen.Devices, serverfiles.ManagementHost: o.files.Config.Listen.Devices,
	}})
}

// ready asks the server as kubelet does.
func (o *ours) ready(ctx context.Context) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+o.files.Config.Listen.Health+"/readyz", nil)
	o.must(err)
	res, err := http.DefaultTransport.RoundTrip(r)
	return err == nil && res.Body.Close() == nil && res.StatusCode == http.StatusOK
}

func (o *ours) stop() { o.server.stop() }

func (o *ours) pid() int { return o.server.cmd.Process.Pid }

func (o *ours) devices() *load { return o.load }

// mark begins and ends the measured time of a profile.
func (o *ours) mark() {
	if o.profile != "" {
		o.must(o.server.cmd.Process.Signal(syscall.SIGUSR1))
	}
}

func (o *ours) cpu() (server, database time.Duration) {
	if o.db != nil {
		database = o.db.cpu()
	}
	return o.harness.cpu(o.server), database
}

// token stores an EnrollmentToken and returns its secret.
func (o *ours) token(platform adminapi.Platform) string {
	secret := rand.Text()
	hash := sha256.Sum256([]byte(secret))
	o.number++
	_, err := o.admin.PutToken(o.ctx, adminapi.Token{Key: adminapi.Key(fmt.Sprintf("fleet/token-%d", o.number)), Hash: hex.EncodeToString(hash[:]), Platforms: []adminapi.Platform{platform}})
	o.must(err)
	return secret
}

func (o *ours) prepare(count int) {
	o.load.prepare(Enrolment{Count: count, URL: "https://" + serverfiles.Host + "/enroll/" + o.token(adminapi.PlatformApple)})
}

// stopPushing has the push certificate expire, with the next start: the peer does not push either.
func (o *ours) stopPushing() {
	now := time.Now()
	expired := pki.Leaf{CN: "APSP:1", UID: serverfiles.Topic, NotBefore: now.Add(-2 * time.Hour), NotAfter: now.Add(-time.Hour)}
	o.files.WritePair(o, "push", o.files.PushCA.Issue(o, expired), nil)
}

// find lists the devices that stay, once.
func (o *ours) find() {
	if o.targets != nil {
		return
	}
	all, err := adminapi.All(o.ctx, o.admin.Devices)
	o.must(err)
	for _, d := range all {
		if slices.Contains(o.udids, d.ID) {
			o.targets = append(o.targets, adminapi.ActionTarget{DeviceID: d.ID, EnrollmentID: d.EnrollmentID})
		}
	}
}

// queue asks for an action of each device by itself, as DeviceCommands for one device do.
func (o *ours) queue() {
	o.find()
	group, ctx := errgroup.WithContext(o.ctx)
	group.SetLimit(enrolling)
	for _, target := range o.targets {
		o.number++
		action := adminapi.Action{Key: adminapi.Key(fmt.Sprintf("fleet/info-%d", o.number)), SpecHash: "1", Targets: []adminapi.ActionTarget{target},
			Apple: &adminapi.AppleCommand{RequestType: adminapi.AppleDeviceInformation, Queries: queries}}
		group.Go(func() error {
			_, err := o.admin.PutAction(ctx, action)
			return err
		})
	}
	o.must(group.Wait())
}

// assign gives all devices the Profile, once; rollout then edits it.
func (o *ours) assign() {
	if o.assigned {
		return
	}
	o.assigned = true
	o.rollout()
	var batch adminapi.AssignmentBatch
	o.find()
	for _, t := range o.targets {
		batch.Assignments = append(batch.Assignments, adminapi.Assignment{DeviceID: t.DeviceID, EnrollmentID: t.EnrollmentID, Artifacts: []adminapi.Key{"fleet/wifi"}})
	}
	_, err := o.admin.PutAssignments(o.ctx, batch)
	o.must(err)
	o.measure("Connections", 1)
}

func (o *ours) rollout() {
	o.number++
	_, err := o.admin.PutArtifact(o.ctx, adminapi.Artifact{Key: "fleet/wifi", Scope: adminapi.ScopeSystem, Identifier: profileIdentifier, Digest: fmt.Sprint("d", o.number), Template: wifi(o.number)})
	o.must(err)
}
