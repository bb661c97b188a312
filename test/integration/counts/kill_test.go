package counts_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/devicesim"
)

// busyMacs are the devices that answer commands while the manager is killed: the first half from the beginning, the other while there is none.
const busyMacs = 40

// The manager is killed while results arrive, and again while its successor catches up. Afterwards every command has one final result for each
// device, which is the device's own and never changes, and every Device tells what became of its device meanwhile.
func TestTheManagerIsKilledWhileResultsArrive(t *testing.T) {
	w := newWorld(t)
	fleet := w.enroll("BUSY", busyMacs, func(o *devicesim.Options) { o.PollInterval = 200 * time.Millisecond })
	aside := w.enroll("ASIDE", 2, nil)
	leaving, refusing := aside.Devices[0], aside.Devices[1]
	refusing.Script(devicesim.Rule{RequestType: installProfile, Do: devicesim.AnswerError})
	w.create(wifi("Office"))
	w.counted(counters{targeted: busyMacs + 2, pending: busyMacs + 2}, mdmv1alpha1.ProfileRollingOut)
	w.stopManager()
	manager := w.launch()

	told := w.follow()
	commands := w.order(fleet)
	w.eventually("the server has all commands", func(context.Context) bool { return len(told.started()) == len(commands)+2 })
	for _, mac := range fleet.Devices[busyMacs/2:] {
		mac.PowerOff()
	}
	w.run(fleet)
	w.eventually("results arrive", func(context.Context) bool { return len(told.finished()) >= busyMacs/4 })
	manager.kill()

	// None of this comes to the knowledge of a manager before the next one starts.
	for _, mac := range fleet.Devices[busyMacs/2:] {
		mac.PowerOn()
	}
	w.must(leaving.Unenroll(t.Context()))
	w.must(refusing.Idle(t.Context()))
	w.eventually("all devices have answered", func(context.Context) bool {
		return !slices.ContainsFunc(fleet.Devices, func(d *devicesim.Device) bool { return len(d.Answers()) < 4 })
	})
	late, err := devicesim.New(devicesim.Options{Hardware: devicesim.Mac("LATE", 0), Client: w.devices, Roots: w.roots, Key: keys.Key, Waker: w.pushes})
	w.must(err)
	w.must(late.Enroll(t.Context(), w.enrollURL))

	before := len(told.finished())
	manager = w.launch()
	w.eventually("the next manager catches up", func(context.Context) bool { return len(told.finished()) > before })
	manager.kill()
	t.Logf("killed after %d and after %d of %d commands were finished", before, len(told.finished()), len(commands)+2)
	w.launch()
	w.eventually("all commands are finished", func(context.Context) bool { return len(told.finished()) == len(commands)+2 })

	w.checkCommands(told, fleet, commands)
	all := append([]*devicesim.Device{leaving, refusing, late}, fleet.Devices...)
	w.checkDevices(all)
	w.counted(counters{targeted: busyMacs + 2, installed: busyMacs, pending: 1, failed: 1}, mdmv1alpha1.ProfileRefused)
	await(w, "all", &mdmv1alpha1.EnrollmentToken{}, "used once for each device", func(e *mdmv1alpha1.EnrollmentToken) bool {
		return ptr.Deref(e.Status.Uses, 0) == int32(len(all))
	})
}

// order makes a command of each device's own, half of them with a PIN, and two for all. It returns the device of each of the former.
func (w *world) order(fleet *devicesim.Fleet) map[string]*devicesim.Device {
	w.Helper()
	everybody := mdmv1alpha1.CommandTarget{Selector: &metav1.LabelSelector{MatchLabels: team}}
	w.create(command("ask-all", everybody, mdmv1alpha1.ActionDeviceInformation))
	w.create(command("restart-all", everybody, mdmv1alpha1.ActionRestart))
	names := map[string]string{} // of Devices, by serial number
	for _, d := range w.listDevices() {
		names[d.Spec.SerialNumber] = d.Name
	}
	single := map[string]*devicesim.Device{}
	for i, mac := range fleet.Devices {
		action, name := mdmv1alpha1.ActionSecurityInfo, fmt.Sprintf("ask-%d", i)
		if i%2 == 0 {
			action, name = mdmv1alpha1.ActionLock, fmt.Sprintf("lock-%d", i)
		}
		w.create(command(name, mdmv1alpha1.CommandTarget{DeviceRef: &mdmv1alpha1.LocalReference{Name: names[mac.Hardware().SerialNumber]}}, action))
		single[name] = mac
	}
	return single
}

// history is every status of every DeviceCommand.
type history struct {
	mu       sync.Mutex
	statuses map[string][]mdmv1alpha1.DeviceCommandStatus
}

// follow watches all DeviceCommands until the test ends.
func (w *world) follow() *history {
	w.Helper()
	h := &history{statuses: map[string][]mdmv1alpha1.DeviceCommandStatus{}}
	watch, err := api.Watch(w.Context(), &mdmv1alpha1.DeviceCommandList{}, client.InNamespace(w.ns))
	w.must(err)
	w.until(watch.Stop, func() error {
		for e := range watch.ResultChan() {
			if c, ok := e.Object.(*mdmv1alpha1.DeviceCommand); ok {
				h.mu.Lock()
				h.statuses[c.Name] = append(h.statuses[c.Name], c.Status)
				h.mu.Unlock()
			}
		}
		return nil
	})
	return h
}

// of returns every status of one command.
func (h *history) of(name string) []mdmv1alpha1.DeviceCommandStatus {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.statuses[name])
}

func (h *history) started() []string {
	return h.names(func(s mdmv1alpha1.DeviceCommandStatus) bool { return s.StartedAt != nil })
}

func (h *history) finished() []string {
	return h.names(func(s mdmv1alpha1.DeviceCommandStatus) bool { return s.FinishedAt != nil })
}

// names lists the commands of which something is true now.
func (h *history) names(holds func(mdmv1alpha1.DeviceCommandStatus) bool) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var names []string
	for name, statuses := range h.statuses {
		if holds(statuses[len(statuses)-1]) {
			names = append(names, name)
		}
	}
	return names
}

func (w *world) checkCommands(told *history, fleet *devicesim.Fleet, single map[string]*devicesim.Device) {
	w.Helper()
	for _, name := range append(slices.Collect(maps.Keys(single)), "ask-all", "restart-all") {
		statuses := told.of(name)
		i := slices.IndexFunc(statuses, func(s mdmv1alpha1.DeviceCommandStatus) bool { return s.FinishedAt != nil })
		for _, later := range statuses[i:] {
			if !equality.Semantic.DeepEqual(later, statuses[i]) {
				w.Errorf("%s changed after it had finished:\n%+v\n%+v", name, statuses[i], later)
			}
		}
		want := mdmv1alpha1.CommandCounts{Succeeded: 1}
		if single[name] == nil { // of the two that stood aside one left, and one obeys
			want = mdmv1alpha1.CommandCounts{Succeeded: busyMacs + 1, EnrolmentEnded: 1}
		}
		if got := *statuses[i].Counts; got != want {
			w.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	for name, mac := range single {
		device := w.deviceOf(mac).Name
		if r := told.of(name)[len(told.of(name))-1].Results; len(r) != 1 || r[0].Device != device {
			w.Errorf("%s for %s has the results %+v", name, device, r)
		}
		if lock := mac.Locked(); lock != nil {
			pins := &corev1.Secret{}
			if w.get(name+"-pin", pins); string(pins.Data[device]) != lock.PIN {
				w.Errorf("%s: the PIN in the Secret is not the one that locks the device", name)
			}
		}
	}
	for _, mac := range fleet.Devices {
		if got := len(mac.Answers()); got != 4 || mac.Restarts() != 1 {
			w.Errorf("%s ran %d commands instead of 4 and restarted %d times", mac.Hardware().SerialNumber, got, mac.Restarts())
		}
	}
}

// checkDevices compares every Device with its device.
func (w *world) checkDevices(all []*devicesim.Device) {
	w.Helper()
	w.eventually("there is a Device of each device", func(context.Context) bool { return len(w.listDevices()) == len(all) })
	for _, d := range all {
		await(w, w.deviceOf(d).Name, &mdmv1alpha1.Device{}, "true", func(o *mdmv1alpha1.Device) bool { return tells(o, d) })
	}
}

// tells says whether a Device is true of its device.
func tells(o *mdmv1alpha1.Device, d *devicesim.Device) bool {
	h, s := d.Hardware(), o.Status
	refused := slices.ContainsFunc(d.Answers(), func(a devicesim.Answer) bool { return a.RequestType == installProfile && a.Status == "Error" })
	if s.Enrollment == nil || s.Hardware == nil || s.OS == nil || s.Hardware.UDID != h.UDID || s.OS.Version != h.OSVersion || s.DeviceName != h.DeviceName {
		return false
	}
	if !d.Enrolled() {
		return s.Enrollment.State == mdmv1alpha1.EnrollmentEnded && s.Enrollment.EndReason == "CheckedOut" && !is(o, mdmv1alpha1.DeviceEnrolled)
	}
	return s.Enrollment.State == mdmv1alpha1.EnrollmentEnrolled && s.Enrollment.ID == d.Identity().Certificate.Subject.CommonName &&
		is(o, mdmv1alpha1.DeviceEnrolled) && is(o, mdmv1alpha1.ConditionReady) && is(o, mdmv1alpha1.DeviceProfilesApplied) != refused
}
