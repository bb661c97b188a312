package scale_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/apiwrites"
)

// The bars (docs/scale.md).
const (
	barMemory  = 600 // MB, at 100,000 devices
	barGrowth  = 6   // KB, for each device more
	barRollout = 20  // writes, and one for each device that refuses
	barRestart = time.Minute
	// many is how many devices have what they share in common, so that one more costs only what is its own.
	many = 10000
	// electionEvents is what Kubernetes' leader election says of a new leader.
	electionEvents = 1
	// grace is for how long a rollout is watched after its last answer: longer than the longest gap between two counts of a Profile.
	grace = 90 * time.Second
	// relabelled is how many devices get another label at most, writers how many write at a time.
	relabelled = 10000
	writers    = 16
)

// create: devices enrolled, and the manager makes a Device of each and tells the server what it should have.
func (w *world) create() {
	w.startServer()
	w.quiet(still)
	m := w.begin()
	w.must(w.fleet.enroll(w.Context(), w.n))
	w.apply("ring", profileFor(map[string]string{labelRing: "pilot"}, "Pilot")) // which has the server look at the store, where another process wrote
	saved := w.saveWhile("create")
	w.eventually("every device has a Device that is Ready", func() bool {
		return w.scrape(`kubemdm_conditions{condition="Ready",kind="Device",status="True"}`) == w.n
	})
	m.took()
	saved()
	m.report("create")
	w.save("heap?gc=1", "create")
	w.must(w.fleet.installed(w.Context(), w.n))
	w.profile(profileName(0), "is counted", func(s *mdmv1alpha1.ProfileStatus) bool { return ptr.Deref(s.Installed, 0) > 0 })
	w.quiet(recount)
}

// footprint is what a manager has resident, in MB, that has just started with this many devices.
type footprint struct {
	devices int
	rss     float64
}

// growsWithin compares a footprint with that of fewer devices, unless those were too few.
func (f footprint) growsWithin(t *testing.T, fewer footprint) {
	if fewer.devices < many || fewer.devices >= f.devices {
		return
	}
	each := (f.rss - fewer.rss) * 1024 / float64(f.devices-fewer.devices)
	say("growth", f.devices, "manager_kb_per_device=%.1f", each)
	if each > barGrowth {
		t.Errorf("a device more costs the manager %.1f KB, want less than %d", each, barGrowth)
	}
}

// restart: another manager finds all as it should be. It returns what that has resident.
func (w *world) restart() footprint {
	w.manager.stop()
	m := w.begin()
	w.startManager()
	saved := w.saveWhile("restart")
	w.eventually("the manager has looked at every Device", func() bool {
		return w.scrape(`controller_runtime_reconcile_total{controller="device",`) >= w.n && w.scrape(`workqueue_depth{`) == 0
	})
	m.took()
	saved()
	writes := m.report("restart")
	w.save("heap?gc=1", "restart")
	if events := writes.Touching(apiwrites.Events).Total(); writes.Total() > events || events > electionEvents {
		w.Errorf("a restart wrote %s", writes)
	}
	if m.seconds > barRestart.Seconds() {
		w.Errorf("a restart took %.0f s, want less than %s", m.seconds, barRestart)
	}
	now := footprint{devices: w.n, rss: w.manager.usage().rss}
	if now.rss > barMemory {
		w.Errorf("the manager has %.0f MB resident, want less than %d", now.rss, barMemory)
	}
	return now
}

// rollOut: one Profile for all devices. A tenth of them is silent, a few refuse it.
func (w *world) rollOut() {
	refusals := min(maxRefusals, w.n/100)
	m := w.begin()
	w.apply("rollout", profileFor(map[string]string{labelOrganization: "example"}, "Example"))
	w.profile("rollout", "is for all", func(s *mdmv1alpha1.ProfileStatus) bool { return ptr.Deref(s.Targeted, 0) == int32(w.n) })
	w.must(w.fleet.answer(w.Context(), w.n, refusals))
	refused := 0
	for i := range refusals {
		if !isSilent(i) {
			refused++
		}
	}
	awaited := int32(w.n - w.n/silentEvery - refused)
	w.profile("rollout", "is counted", func(s *mdmv1alpha1.ProfileStatus) bool { return ptr.Deref(s.Installed, 0) == awaited })
	m.took()
	w.eventually("nobody looks any more", func() bool { return time.Since(m.begun).Seconds() > m.seconds+grace.Seconds() })
	writes := m.report("rollout")
	if got := writes.Total() - writes.Touching(apiwrites.Events).Total() - 1; got > barRollout+refused { // the Profile itself is this test's
		w.Errorf("a rollout that %d devices refused wrote %s", refused, writes)
	}
}

// relabel: some devices get a label that a Profile selects.
func (w *world) relabel() {
	count := min(relabelled, w.n)
	m := w.begin()
	w.label(count)
	w.profile("ring", "is for the relabelled", func(s *mdmv1alpha1.ProfileStatus) bool { return ptr.Deref(s.Targeted, 0) == int32(count) })
	m.took()
	w.quiet(still)
	m.own = count
	m.report("relabel")
	w.save("heap?gc=1", "relabel")
}

// label puts the label on some devices.
func (w *world) label(count int) {
	devices := &metav1.PartialObjectMetadataList{}
	devices.SetGroupVersionKind(mdmv1alpha1.GroupVersion.WithKind("DeviceList"))
	w.must(w.api.List(w.Context(), devices, client.InNamespace(namespace), client.Limit(int64(count))))
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"labels":{%q:"pilot"}}}`, labelRing))
	var all sync.WaitGroup
	for share := range slices.Chunk(devices.Items, count/writers) {
		all.Go(func() {
			for i := range share {
				if err := w.api.Patch(w.Context(), &share[i], patch); err != nil {
					w.Error(err)
				}
			}
		})
	}
	all.Wait()
}
