package counts_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/devicesim"
)

const (
	macs         = 1000
	idleCheckIns = 10000
	// maxWrites of a Profile's edit over the whole fleet, that of the person who edits included.
	maxWrites = 10
	// flushPeriod is how often a server stores when devices were last seen.
	flushPeriod = 30 * time.Second
)

// An idle fleet causes no write, and an edit of its Profile a handful, whatever its size and its devices. They are counted by the API server.
func TestWritesOfALargeFleet(t *testing.T) {
	w := newWorld(t)
	clock := stopwatch(t)
	before := w.written()
	fleet := w.enroll("COUNT", macs, nil)
	clock("enrolled, with a Device of each")
	w.create(wifi("Office"))
	w.run(fleet)
	w.converged(macs)
	clock("installed everywhere")
	w.create(onPCs("1"))
	office := w.enrollPCs(pcs)
	clock("enrolled PCs, with a Device of each")
	w.have(office, "1")
	clock("installed on PCs")
	w.recount(macs + pcs)
	settled := w.settled()
	t.Logf("to enrol %d Macs and %d PCs and to give them Profiles: %s", macs, pcs, settled.Since(before))

	came := w.until(func() {}, func() error { return office.comeForNothing(t.Context()) }) // it ends by itself
	sent := w.checkInIdle(fleet)
	came()
	clock("idle")
	after := w.settled()
	t.Logf("%d idle check-ins, and %d sessions and polls of PCs: %s", sent, 2*idleRounds*pcs, after.Since(settled))
	if after.Total() != settled.Total() {
		t.Errorf("an idle fleet caused %s", after.Since(settled))
	}

	p := w.converged(macs)
	setSSID(p, "Home")
	w.must(api.Update(t.Context(), p))
	w.converged(macs)
	clock("edited everywhere")
	settled = w.settled()
	edited := settled.Since(after)
	t.Logf("a Profile's edit for %d Macs: %s", macs, edited)
	if edited.Total() > maxWrites {
		t.Errorf("an edit caused %s, want at most %d", edited, maxWrites)
	}
	for _, d := range fleet.Devices {
		if installs := d.Profiles()[p.Status.Identifier].Installs; installs != 2 {
			t.Fatalf("%s installed the Profile %d times, want 2", d.Hardware().SerialNumber, installs)
		}
	}
	w.editOnPCs(office, settled)
}

// converged waits until the Profile, as it is now, is on this many devices and on no fewer than it is for.
func (w *world) converged(count int32) *mdmv1alpha1.Profile {
	w.Helper()
	return w.counted(counters{targeted: count, installed: count}, mdmv1alpha1.ProfileInstalled)
}

// recount has the MDMServer count its devices now and not within the minute, and waits for what follows from that.
func (w *world) recount(enrolled int32) {
	w.Helper()
	const request = "once"
	server := &mdmv1alpha1.MDMServer{}
	w.get(serverName, server)
	asked := server.DeepCopy()
	metav1.SetMetaDataAnnotation(&asked.ObjectMeta, mdmv1alpha1.AnnotationRequestedAt, request)
	w.must(api.Patch(w.Context(), asked, client.MergeFrom(server)))
	await(w, serverName, server, "counted", func(s *mdmv1alpha1.MDMServer) bool {
		return s.Status.LastHandledRequest == request && ptr.Deref(s.Status.Enrolled, 0) == enrolled && ptr.Deref(s.Status.Behind, -1) == 0
	})
	await(w, "push", &mdmv1alpha1.APNSCertificate{}, "accepted by Apple", func(c *mdmv1alpha1.APNSCertificate) bool {
		return is(c, mdmv1alpha1.APNSCertificatePushAccepted)
	})
}

// checkInIdle sends idle check-ins until there were enough, and for longer than a server waits until it stores when devices were seen. It returns
// how many there were.
func (w *world) checkInIdle(fleet *devicesim.Fleet) (sent int) {
	w.Helper()
	messages := map[*devicesim.Device]devicesim.Message{}
	for _, d := range fleet.Devices {
		idle, err := d.PrepareIdle()
		w.must(err)
		messages[d] = idle
	}
	for begun := time.Now(); sent < idleCheckIns || time.Since(begun) < flushPeriod+time.Second; sent += len(fleet.Devices) {
		w.must(fleet.Each(w.Context(), workers, func(ctx context.Context, d *devicesim.Device) error {
			status, command, err := messages[d].Send(ctx, w.devices)
			if err == nil && (status != http.StatusOK || len(command) > 0) {
				err = fmt.Errorf("an idle check-in was answered %d with a command of %d bytes", status, len(command))
			}
			return err
		}))
	}
	return sent
}

// stopwatch returns a function that logs what was done since its last call.
func stopwatch(t *testing.T) func(what string) {
	last := time.Now()
	return func(what string) {
		t.Logf("%5.1f s: %s", time.Since(last).Seconds(), what)
		last = time.Now()
	}
}
