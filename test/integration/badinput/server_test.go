package badinput_test

import (
	"context"
	"os"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/devicesim"
)

// command is a DeviceCommand for one Device.
func command(name, device string, action mdmv1alpha1.CommandAction) *mdmv1alpha1.DeviceCommand {
	return &mdmv1alpha1.DeviceCommand{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: mdmv1alpha1.DeviceCommandSpec{
		ServerRef: mdmv1alpha1.LocalReference{Name: "mdm"}, Action: action,
		Target: mdmv1alpha1.CommandTarget{DeviceRef: &mdmv1alpha1.LocalReference{Name: device}},
	}}
}

// deviceOf waits for the Device that was discovered for a Mac.
func (w *world) deviceOf(mac *devicesim.Device) *mdmv1alpha1.Device {
	w.Helper()
	return w.deviceBySerial(mac.Hardware().SerialNumber)
}

func (w *world) deviceBySerial(serial string) *mdmv1alpha1.Device {
	w.Helper()
	var found *mdmv1alpha1.Device
	w.eventually("the Device", func(ctx context.Context) string {
		all := &mdmv1alpha1.DeviceList{}
		if err := api.List(ctx, all, client.InNamespace(w.ns)); err != nil {
			return err.Error()
		}
		for i, d := range all.Items {
			if d.Status.Hardware != nil && d.Status.Hardware.SerialNumber == serial && d.Status.Enrollment.State == mdmv1alpha1.EnrollmentEnrolled {
				found = &all.Items[i]
				return ""
			}
		}
		return "not yet"
	})
	return found
}

// While a server is away nothing is lost and no status is rewritten; what was applied meanwhile happens when it is back.
func TestAServerThatIsUnreachable(t *testing.T) {
	w := newWorld(t)
	macs := w.installed("wifi", 1)
	w.pod.Stop()
	w.expect(&mdmv1alpha1.MDMServer{}, "mdm", "Reachable=False/ServerUnreachable")
	w.create(profile("meanwhile", mobileconfig("com.example.meanwhile", "Guests"), team))
	w.expect(&mdmv1alpha1.Profile{}, "meanwhile", "Ready=False/ServerUnreachable")
	p := &mdmv1alpha1.Profile{}
	poke(w, "wifi", p)
	for _, condition := range []string{"Ready", "Accepted", "Published", "Converged"} {
		if !meta.IsStatusConditionTrue(p.Status.Conditions, condition) {
			t.Errorf("a Profile that is in order was written anew: %s", show(p.Status.Conditions))
		}
	}
	w.pod.Start()
	w.expect(&mdmv1alpha1.MDMServer{}, "mdm", "Ready=True/Connected")
	w.converge("meanwhile", macs)
	w.expect(&mdmv1alpha1.Profile{}, "wifi", "Converged=True/Installed")
}

// After a store was restored from yesterday the manager tells it again what it wants. Commands that are finished are not repeated, and the Device of
// whoever enrolled since says so.
func TestAStoreThatIsRestored(t *testing.T) {
	w := newWorld(t)
	macs := w.installed("wifi", 1)
	w.pod.Stop()
	store := w.pod.Mount().Store.SQLite.Path
	yesterday, err := os.ReadFile(store)
	w.must(err)
	w.pod.Start()
	w.expect(&mdmv1alpha1.MDMServer{}, "mdm", "Ready=True/Connected")

	edit(w, "wifi", &mdmv1alpha1.Profile{}, func(p *mdmv1alpha1.Profile) { p.Spec.Apple.Mobileconfig.Inline = mobileconfig(wifi, "Guests") })
	w.converge("wifi", macs)
	w.create(command("restart", w.deviceOf(macs[0]).Name, mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionRestart}))
	w.expect(&mdmv1alpha1.DeviceCommand{}, "restart", "Published=True/Ready")
	w.idle(macs)
	w.expect(&mdmv1alpha1.DeviceCommand{}, "restart", "Succeeded=True/Done")
	newcomer := w.enrol("late", map[string]string{"example.com/team": "other"}, 1)[0]
	late := w.deviceOf(newcomer)

	w.pod.Stop()
	w.must(os.WriteFile(store, yesterday, 0o600))
	w.pod.Start()
	w.expect(&mdmv1alpha1.Device{}, late.Name, "Enrolled=False/UnknownToServer")
	w.converge("wifi", macs)
	w.idle(macs)
	if content := string(macs[0].Profiles()[wifi].Content); !strings.Contains(content, "Guests") || macs[0].Restarts() != 1 {
		t.Errorf("the Mac restarted %d times and has %s", macs[0].Restarts(), content)
	}
	if err := newcomer.Idle(t.Context()); err == nil || !newcomer.Enrolled() {
		t.Errorf("the newcomer: %v, still enrolled: %v", err, newcomer.Enrolled())
	}
}

// A wipe whose confirmations are not those of this enrolment reaches nobody, nor does a command for nobody.
func TestCommandsThatMeanNobody(t *testing.T) {
	w := newWorld(t)
	macs := w.enrol("design", team, 1)
	device := w.deviceOf(macs[0])
	wipe := func(serial, enrolment string) mdmv1alpha1.CommandAction {
		return mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionWipe, Wipe: &mdmv1alpha1.WipeAction{SerialNumber: serial, EnrollmentID: enrolment}}
	}
	serial, enrolment := device.Status.Hardware.SerialNumber, device.Status.Enrollment.ID
	nobody := command("nobody", "", mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionRestart})
	nobody.Spec.Target = mdmv1alpha1.CommandTarget{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"example.com/team": "desing"}}}
	for want, c := range map[string]*mdmv1alpha1.DeviceCommand{
		"Accepted=False/ConfirmationMismatch": command("wrong-serial", device.Name, wipe("ANOTHER", enrolment)),
		"Failed=True/ConfirmationMismatch":    command("wrong-enrolment", device.Name, wipe(serial, "an-earlier-one")),
		"Accepted=False/DeviceNotFound":       command("wrong-device", "nobody", mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionRestart}),
		"Accepted=False/NoTargets":            nobody,
	} {
		w.create(c)
		w.expect(&mdmv1alpha1.DeviceCommand{}, c.Name, want)
	}
	w.idle(macs)
	if len(macs[0].Answers()) != 0 || !macs[0].Enrolled() {
		t.Errorf("the Mac was sent %v", macs[0].Answers())
	}
}

// Deleting everything, as the end of a namespace or a prune does, finishes also when the server goes first, and wipes and unenrols nothing.
func TestDeletingEverythingWipesNothing(t *testing.T) {
	for name, serverFirst := range map[string]bool{"with the server": false, "after the server": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			macs := w.installed("wifi", 1)
			device := w.deviceOf(macs[0])
			w.create(command("restart", device.Name, mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionRestart}))
			w.expect(&mdmv1alpha1.DeviceCommand{}, "restart", "Published=True/Ready")
			if serverFirst {
				w.pod.Stop()
				w.delete(&mdmv1alpha1.MDMServer{}, "mdm")
			}
			w.delete(&mdmv1alpha1.DeviceCommand{}, "restart")
			w.delete(&mdmv1alpha1.Profile{}, "wifi")
			w.delete(&mdmv1alpha1.EnrollmentToken{}, "design")
			w.delete(&mdmv1alpha1.Device{}, device.Name)
			if !serverFirst {
				w.idle(macs)
			}
			if !macs[0].Enrolled() || macs[0].Restarts() != 0 {
				t.Errorf("the Mac is enrolled: %v, and restarted %d times", macs[0].Enrolled(), macs[0].Restarts())
			}
		})
	}
}

// delete returns when the object is gone.
func (w *world) delete(obj client.Object, name string) {
	w.Helper()
	w.must(api.Get(w.Context(), w.key(name), obj))
	w.must(api.Delete(w.Context(), obj))
	w.eventually("the end of "+name, func(ctx context.Context) string {
		if err := api.Get(ctx, w.key(name), obj); !apierrors.IsNotFound(err) {
			return "it is still there"
		}
		return ""
	})
}
