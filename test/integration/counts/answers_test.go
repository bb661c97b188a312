package counts_test

import (
	"errors"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/devicesim"
)

const installProfile = "InstallProfile"

// asked counts the commands of a type that a device has answered.
func asked(d *devicesim.Device, requestType string) int {
	n := 0
	for _, a := range d.Answers() {
		if a.RequestType == requestType {
			n++
		}
	}
	return n
}

// counters are those of a Profile: targeted, installed, pending, notNow, failed.
type counters struct{ targeted, installed, pending, notNow, failed int32 }

// counted waits until the status of the Profile wifi says this of its current content, with Converged for this reason.
func (w *world) counted(want counters, reason string) *mdmv1alpha1.Profile {
	w.Helper()
	return w.countedOf("wifi", want, reason)
}

func (w *world) countedOf(name string, want counters, reason string) *mdmv1alpha1.Profile {
	w.Helper()
	return await(w, name, &mdmv1alpha1.Profile{}, "counted "+reason, func(p *mdmv1alpha1.Profile) bool { return want.are(p, reason) })
}

// are says whether these are the counters of a Profile.
func (c counters) are(p *mdmv1alpha1.Profile, reason string) bool {
	s := p.Status
	converged := meta.FindStatusCondition(s.Conditions, mdmv1alpha1.ProfileConverged)
	got := counters{ptr.Deref(s.Targeted, 0), ptr.Deref(s.Installed, 0), ptr.Deref(s.Pending, 0), ptr.Deref(s.NotNow, 0), ptr.Deref(s.Failed, 0)}
	return got == c && converged != nil && converged.Reason == reason && converged.ObservedGeneration == p.Generation
}

// A device that answers Error is not asked again until the content changes, one that answers NotNow is asked again when it is idle next, and
// people see both.
func TestRefusalsAndDelaysAreSeenAndHeeded(t *testing.T) {
	w := newWorld(t)
	fleet := w.enroll("ANSWER", 3, nil)
	refusing, busy := fleet.Devices[1], fleet.Devices[2]
	refusing.Script(devicesim.Rule{RequestType: installProfile, Do: devicesim.AnswerError})
	busy.Script(devicesim.Rule{RequestType: installProfile, Times: 1, Do: devicesim.AnswerNotNow})

	w.create(wifi("Office"))
	w.counted(counters{targeted: 3, pending: 3}, mdmv1alpha1.ProfileRollingOut)
	w.must(fleet.Idle(t.Context(), workers))
	p := w.counted(counters{targeted: 3, installed: 1, pending: 1, notNow: 1, failed: 1}, mdmv1alpha1.ProfileRefused)
	refused := w.deviceOf(refusing)
	if f := p.Status.Failing; len(f) != 1 || f[0].Device != refused.Name || f[0].Message == "" {
		t.Errorf("the Profile names %+v as failing, want %s with its reason", f, refused.Name)
	}
	for _, d := range fleet.Devices {
		want := 0
		if d == refusing {
			want = 1
		}
		device := await(w, w.deviceOf(d).Name, &mdmv1alpha1.Device{}, "told of refusals", func(o *mdmv1alpha1.Device) bool {
			return len(o.Status.Failing) == want && is(o, mdmv1alpha1.DeviceProfilesApplied) == (want == 0)
		})
		if want == 1 && (device.Status.Failing[0].Profile != "wifi" || device.Status.Failing[0].Message != p.Status.Failing[0].Message) {
			t.Errorf("the Device says %+v", device.Status.Failing)
		}
	}

	w.must(fleet.Idle(t.Context(), workers))
	w.counted(counters{targeted: 3, installed: 2, failed: 1}, mdmv1alpha1.ProfileRefused)
	w.must(fleet.Idle(t.Context(), workers))
	for i, want := range []int{1, 1, 2} {
		if got := asked(fleet.Devices[i], installProfile); got != want {
			t.Errorf("device %d was asked %d times, want %d", i, got, want)
		}
	}

	refusing.ClearScript()
	p = w.counted(counters{targeted: 3, installed: 2, failed: 1}, mdmv1alpha1.ProfileRefused)
	setSSID(p, "Home")
	w.must(api.Update(t.Context(), p))
	w.counted(counters{targeted: 3, pending: 3}, mdmv1alpha1.ProfileRollingOut)
	w.must(fleet.Idle(t.Context(), workers))
	w.counted(counters{targeted: 3, installed: 3}, mdmv1alpha1.ProfileInstalled)
	await(w, refused.Name, &mdmv1alpha1.Device{}, "free of refusals", func(o *mdmv1alpha1.Device) bool {
		return len(o.Status.Failing) == 0 && is(o, mdmv1alpha1.DeviceProfilesApplied)
	})
	if got := asked(refusing, installProfile); got != 2 {
		t.Errorf("the device that had refused was asked %d times, want once more after the edit", got)
	}
}

// A restart that a device never answers ends Unconfirmed, and is not sent again.
func TestAnUnansweredRestartIsUnconfirmed(t *testing.T) {
	w := newWorld(t)
	mac := w.enroll("CRASH", 1, nil).Devices[0]
	mac.Script(devicesim.Rule{RequestType: "RestartDevice", Do: devicesim.Crash})
	device := w.deviceOf(mac).Name
	w.create(command("restart", mdmv1alpha1.CommandTarget{DeviceRef: &mdmv1alpha1.LocalReference{Name: device}}, mdmv1alpha1.ActionRestart))
	await(w, "restart", &mdmv1alpha1.DeviceCommand{}, "queued", func(c *mdmv1alpha1.DeviceCommand) bool {
		return c.Status.Counts != nil && c.Status.Counts.Queued == 1
	})
	if err := mac.Idle(t.Context()); !errors.Is(err, devicesim.ErrInterrupted) {
		t.Fatalf("the Mac ended its connection with %v instead of crashing", err)
	}
	await(w, "restart", &mdmv1alpha1.DeviceCommand{}, "delivered", func(c *mdmv1alpha1.DeviceCommand) bool {
		return c.Status.Counts.Delivered == 1 && c.Status.FinishedAt == nil
	})
	for range 3 {
		w.must(mac.Idle(t.Context()))
	}
	c := await(w, "restart", &mdmv1alpha1.DeviceCommand{}, "finished", func(c *mdmv1alpha1.DeviceCommand) bool { return c.Status.FinishedAt != nil })
	if *c.Status.Counts != (mdmv1alpha1.CommandCounts{Unconfirmed: 1}) {
		t.Errorf("counts %+v", *c.Status.Counts)
	}
	if r := c.Status.Results; len(r) != 1 || r[0].Device != device || r[0].State != "Unconfirmed" || !strings.Contains(r[0].Message, "not sent again") {
		t.Errorf("results %+v", r)
	}
	if mac.Restarts() != 1 {
		t.Errorf("the Mac restarted %d times", mac.Restarts())
	}
}

// command is a DeviceCommand without parameters.
func command(name string, target mdmv1alpha1.CommandTarget, action mdmv1alpha1.ActionType) *mdmv1alpha1.DeviceCommand {
	return &mdmv1alpha1.DeviceCommand{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: mdmv1alpha1.DeviceCommandSpec{
		ServerRef: mdmv1alpha1.LocalReference{Name: serverName}, Target: target, Action: mdmv1alpha1.CommandAction{Type: action},
	}}
}
