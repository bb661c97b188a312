package devicecommand_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/test/managed"
)

// enrol makes a Device mac-<i> whose device has enrolled, and waits until it is managed.
func enrol(b *managed.Bench, i int) *managed.Mac {
	b.Helper()
	d := managed.Device(fmt.Sprint("mac-", i), fmt.Sprint("C", i), map[string]string{"team": "design"})
	b.Create(d)
	mac := b.Fleet.Enrol(fmt.Sprint("UDID-", i), fmt.Sprint("C", i), nil)
	b.UntilIs(d, "Ready=True/Ready", "Enrolled=True/Ready")
	return mac
}

// bench has one managed device.
func bench(t *testing.T) (*managed.Bench, *managed.Mac) {
	t.Helper()
	b := managed.New(t)
	return b, enrol(b, 0)
}

// started is a restart of mac-0 that the server has.
func started(b *managed.Bench, ttl *int32) *mdmv1alpha1.DeviceCommand {
	b.Helper()
	c := managed.Command("reboot", "mac-0", mdmv1alpha1.ActionRestart)
	c.Spec.TTLSecondsAfterFinished = ttl
	b.Create(c)
	b.UntilIs(c, "Succeeded=False/Running")
	return c
}

// finished is a restart that mac-0 has confirmed.
func finished(b *managed.Bench, mac *managed.Mac, ttl *int32) *mdmv1alpha1.DeviceCommand {
	b.Helper()
	c := started(b, ttl)
	mac.Connect(managed.Acknowledge)
	b.UntilIs(c, "Succeeded=True/Done")
	return c
}

// selecting is a command for all devices with the labels.
func selecting(name string, labels map[string]string, action mdmv1alpha1.ActionType) *mdmv1alpha1.DeviceCommand {
	c := managed.Command(name, "", action)
	c.Spec.Target = mdmv1alpha1.CommandTarget{Selector: &metav1.LabelSelector{MatchLabels: labels}}
	return c
}

// types lists the request types of commands.
func types(deliveries []managed.Delivery) []string {
	var all []string
	for _, d := range deliveries {
		if d.Action != nil {
			all = append(all, d.Action.Command.RequestType)
		}
	}
	return all
}

func expectTypes(b *managed.Bench, got []managed.Delivery, want ...string) {
	b.Helper()
	if !slices.Equal(types(got), want) {
		b.Errorf("the device was asked for %v, want %v", types(got), want)
	}
}

func TestCommandSucceeds(t *testing.T) {
	b, mac := bench(t)
	c := managed.Command("reboot", "mac-0", mdmv1alpha1.ActionRestart)
	b.Create(c)
	b.UntilIs(c, "Accepted=True/Ready", "Published=True/Ready", "Ready=True/Ready", "Succeeded=False/Running", "Failed=absent")
	if *c.Status.Total != 1 || c.Status.Counts.Queued != 1 || c.Status.StartedAt == nil || c.Status.FinishedAt != nil {
		t.Errorf("status %+v", c.Status)
	}
	expectTypes(b, mac.Connect(managed.Acknowledge), adminapi.AppleRestartDevice)
	b.UntilIs(c, "Succeeded=True/Done", "Ready=True/Ready", "Failed=absent", "Reconciling=absent")
	s := c.Status
	if *s.Counts != (mdmv1alpha1.CommandCounts{Succeeded: 1}) || s.FinishedAt == nil || s.PINSecretRef != nil {
		t.Errorf("status %+v", s)
	}
	b.UntilAcked(adminapi.KindAction)
	if len(s.Results) != 1 || s.Results[0].Device != "mac-0" || s.Results[0].State != "Succeeded" || s.Results[0].FinishedAt == nil {
		t.Errorf("results %+v", s.Results)
	}
}

func TestRefusedCommandFails(t *testing.T) {
	b, mac := bench(t)
	enrol(b, 1)
	c := selecting("info", nil, mdmv1alpha1.ActionSecurityInfo)
	c.Spec.ActiveDeadlineSeconds = 3600
	b.Create(c)
	b.UntilIs(c, "Succeeded=False/Running")
	mac.Connect(managed.Refuse)
	b.Advance(2 * time.Hour)
	b.Must(b.Fleet.Sweep(t.Context()))
	b.UntilIs(c, "Failed=True/SomeFailed", "Succeeded=False/SomeFailed", "Ready=True/Ready")
	if *c.Status.Counts != (mdmv1alpha1.CommandCounts{Failed: 1, Expired: 1}) {
		t.Errorf("counts %+v", *c.Status.Counts)
	}
	i := slices.IndexFunc(c.Status.Results, func(r mdmv1alpha1.CommandResult) bool { return r.Device == "mac-0" })
	if i < 0 || c.Status.Results[i].State != "Failed" || c.Status.Results[i].Message != "no thanks" {
		t.Errorf("results %+v", c.Status.Results)
	}
}

func TestDeadlineEndsWhatIsOpen(t *testing.T) {
	b, _ := bench(t)
	c := started(b, nil)
	b.Advance(8 * 24 * time.Hour)
	b.Must(b.Fleet.Sweep(t.Context()))
	b.UntilIs(c, "Failed=True/DeadlineExceeded", "Succeeded=False/DeadlineExceeded")
}

func TestTargetIsResolvedOnce(t *testing.T) {
	b, mac := bench(t)
	other := managed.Device("other", "CX", map[string]string{"team": "sales"})
	b.Create(other)
	b.Fleet.Enrol("UDID-X", "CX", nil)
	b.UntilIs(other, "Ready=True/Ready", "Enrolled=True/Ready")
	c := selecting("reboot", map[string]string{"team": "design"}, mdmv1alpha1.ActionRestart)
	b.Create(c)
	b.UntilIs(c, "Succeeded=False/Running")
	late := enrol(b, 1)
	b.Manage() // the manager starts anew and knows only what is written
	for range 3 {
		b.Round()
	}
	expectTypes(b, late.Connect(managed.Acknowledge))
	expectTypes(b, mac.Connect(managed.Acknowledge), adminapi.AppleRestartDevice)
	b.UntilIs(c, "Succeeded=True/Done")
	if *c.Status.Total != 1 {
		t.Errorf("total %d", *c.Status.Total)
	}
}

func TestDeviceThatLeavesEndsItsPart(t *testing.T) {
	b, mac := bench(t)
	c := selecting("info", nil, mdmv1alpha1.ActionSecurityInfo)
	b.Create(c)
	b.UntilIs(c, "Succeeded=False/Running")
	mac.CheckOut()
	b.UntilIs(c, "Accepted=True/Ready", "Failed=True/SomeFailed")
	if c.Status.Counts.EnrolmentEnded != 1 {
		t.Errorf("counts %+v", *c.Status.Counts)
	}
}

func TestCommandWaitsForItsDevice(t *testing.T) {
	b := managed.New(t)
	c := managed.Command("reboot", "mac-0", mdmv1alpha1.ActionRestart)
	b.Create(c)
	if wait := b.ReconcileNow(c).RequeueAfter; wait <= 0 || wait > 7*24*time.Hour {
		t.Errorf("the next look comes after %v, want the deadline", wait)
	}
	b.Expect(c, "Accepted=False/DeviceNotFound")
	d := managed.Device("mac-0", "C0", nil)
	b.Create(d)
	b.UntilIs(c, "Accepted=False/DeviceNotEnrolled", "Reconciling=True/DeviceNotEnrolled")
	mac := b.Fleet.Enrol("UDID-0", "C0", nil)
	b.UntilIs(c, "Succeeded=False/Running")
	expectTypes(b, mac.Connect(managed.Acknowledge), adminapi.AppleRestartDevice)
}

// What can never be sent ends at once, says why, and stays so.
func TestCommandsOfWhichNothingIsSent(t *testing.T) {
	for name, c := range map[string]struct {
		command func(*managed.Mac) *mdmv1alpha1.DeviceCommand
		reason  string
	}{
		"no device matches": {func(*managed.Mac) *mdmv1alpha1.DeviceCommand {
			return selecting("x", map[string]string{"team": "nobody"}, mdmv1alpha1.ActionRestart)
		}, mdmv1alpha1.DeviceCommandNoTargets},
		"another server's device": {func(*managed.Mac) *mdmv1alpha1.DeviceCommand {
			return managed.Command("x", "foreign", mdmv1alpha1.ActionRestart)
		}, mdmv1alpha1.DeviceCommandWrongServer},
		"the deadline has passed": {func(*managed.Mac) *mdmv1alpha1.DeviceCommand {
			c := managed.Command("x", "mac-0", mdmv1alpha1.ActionRestart)
			c.Spec.ActiveDeadlineSeconds = 0
			return c
		}, mdmv1alpha1.DeviceCommandDeadlineExceeded},
		"wipe of another serial number": {func(m *managed.Mac) *mdmv1alpha1.DeviceCommand {
			return wipe("C1", m.EnrollmentID())
		}, mdmv1alpha1.DeviceCommandConfirmationMismatch},
		"wipe of an earlier enrolment": {func(*managed.Mac) *mdmv1alpha1.DeviceCommand {
			return wipe("C0", "00000000-0000-0000-0000-000000000000")
		}, mdmv1alpha1.DeviceCommandConfirmationMismatch},
	} {
		t.Run(name, func(t *testing.T) {
			b, mac := bench(t)
			foreign := managed.Device("foreign", "CF", nil)
			foreign.Spec.ServerRef.Name = "other"
			b.Create(foreign)
			command := c.command(mac)
			b.Create(command)
			b.UntilIs(command, "Accepted=False/"+c.reason, "Failed=True/"+c.reason, "Succeeded=False/"+c.reason, "Stalled=True/"+c.reason, "Reconciling=absent")
			version := command.ResourceVersion
			if command.Status.FinishedAt == nil {
				t.Error("it has not finished")
			}
			expectTypes(b, mac.Connect(managed.Acknowledge))
			b.Advance(time.Hour)
			b.Round()
			b.Expect(command, "Stalled=True/"+c.reason, "Ready=False/"+c.reason)
			if command.ResourceVersion != version {
				t.Error("it was written again")
			}
		})
	}
}

func wipe(serial, enrolment string) *mdmv1alpha1.DeviceCommand {
	c := managed.Command("x", "mac-0", mdmv1alpha1.ActionWipe)
	c.Spec.Action.Wipe = &mdmv1alpha1.WipeAction{SerialNumber: serial, EnrollmentID: enrolment, PIN: mdmv1alpha1.PINNone}
	return c
}

func TestConfirmedWipeHitsThisEnrolmentOnly(t *testing.T) {
	b, mac := bench(t)
	c := wipe("C0", mac.EnrollmentID())
	b.Create(c)
	b.UntilIs(c, "Succeeded=False/Running")
	again := b.Fleet.Enrol("UDID-0", "C0", nil)
	expectTypes(b, again.Connect(managed.Acknowledge))
	b.UntilIs(c, "Failed=True/SomeFailed")
	if c.Status.Counts.EnrolmentEnded != 1 {
		t.Errorf("counts %+v", *c.Status.Counts)
	}
	d := managed.Device("mac-0", "", nil)
	b.Until("the Device shows it", func() bool { return b.Is(d, "Ready=True/Ready") && d.Status.Enrollment.ID == again.EnrollmentID() })
	second := wipe("C0", again.EnrollmentID())
	second.Name = "y"
	b.Create(second)
	b.UntilIs(second, "Succeeded=False/Running")
	expectTypes(b, again.Connect(managed.Acknowledge), adminapi.AppleEraseDevice)
	b.UntilIs(second, "Succeeded=True/Done")
}

func TestWipeIsWantedStillAfterARestartOfTheServer(t *testing.T) {
	b, mac := bench(t)
	c := wipe("C0", mac.EnrollmentID())
	b.Create(c)
	b.UntilIs(c, "Succeeded=False/Running")
	b.Fleet.Restart()
	expectTypes(b, mac.Connect(managed.Acknowledge))
	b.Connect()
	b.Until("it is confirmed", func() bool {
		return slices.Contains(types(mac.Connect(managed.Acknowledge)), adminapi.AppleEraseDevice)
	})
	b.UntilIs(c, "Succeeded=True/Done")
}

func TestFinishedCommandIsNeverSentAgain(t *testing.T) {
	b, mac := bench(t)
	c := finished(b, mac, nil)
	b.Fleet.Replace()
	b.Connect()
	mac = b.Fleet.Enrol("UDID-0", "C0", nil)
	d := managed.Device("mac-0", "", nil)
	b.UntilIs(d, "Ready=True/Ready", "Enrolled=True/Ready")
	for range 3 {
		b.Round()
	}
	expectTypes(b, mac.Connect(managed.Acknowledge))
	b.Expect(c, "Succeeded=True/Done")
}

func TestUnfinishedCommandIsSentToAnotherStore(t *testing.T) {
	b, _ := bench(t)
	c := started(b, nil)
	b.Fleet.Replace()
	mac := b.Fleet.Enrol("UDID-0", "C0", nil)
	b.Connect()
	b.Until("it is sent anew", func() bool { return len(types(mac.Connect(managed.Acknowledge))) == 1 })
	b.UntilIs(c, "Succeeded=True/Done")
}

func TestCommandAppliedAgainShowsTheOldResult(t *testing.T) {
	b, mac := bench(t)
	c := finished(b, mac, nil)
	finished := c.Status.FinishedAt.Time
	b.Delete("reboot", c)
	b.Until("it has gone", func() bool { return !b.Get("reboot", c) })
	b.Advance(24 * time.Hour)
	again := managed.Command("reboot", "mac-0", mdmv1alpha1.ActionRestart)
	b.Create(again)
	b.UntilIs(again, "Succeeded=True/Done")
	if !again.Status.FinishedAt.Time.Equal(finished) {
		t.Errorf("finished %v, want the first time %v", again.Status.FinishedAt, finished)
	}
	expectTypes(b, mac.Connect(managed.Acknowledge))
}

func TestUnconfirmedRestartCountsAsDone(t *testing.T) {
	b, mac := bench(t)
	c := started(b, nil)
	mac.Take()
	b.Advance(10 * time.Minute)
	b.Must(b.Fleet.Sweep(t.Context()))
	b.UntilIs(c, "Succeeded=True/Done", "Failed=absent")
	if c.Status.Counts.Unconfirmed != 1 || !strings.Contains(managed.Message(c, "Succeeded"), "never confirmed") {
		t.Errorf("counts %+v, message %q", *c.Status.Counts, managed.Message(c, "Succeeded"))
	}
}

func TestNameOfARunningCommandIsTaken(t *testing.T) {
	b, mac := bench(t)
	c := managed.Command("x", "mac-0", mdmv1alpha1.ActionRestart)
	b.Create(c)
	b.UntilIs(c, "Succeeded=False/Running")
	mac.Take() // delivered, so that deletion does not cancel it
	b.Delete("x", c)
	b.Until("it has gone", func() bool { return !b.Get("x", c) })
	other := managed.Command("x", "mac-0", mdmv1alpha1.ActionShutDown)
	b.Create(other)
	b.UntilIs(other, "Published=False/SpecConflict", "Reconciling=True/SpecConflict")
	b.Advance(10 * time.Minute)
	b.Must(b.Fleet.Sweep(t.Context())) // the restart was never answered
	b.UntilIs(other, "Published=True/Ready", "Succeeded=False/Running")
}

func TestDeletionCancelsWhatWasNotDelivered(t *testing.T) {
	b, mac := bench(t)
	c := started(b, nil)
	b.Delete("reboot", c)
	b.Until("it has gone", func() bool { return !b.Get("reboot", c) })
	expectTypes(b, mac.Connect(managed.Acknowledge))
}

func TestDeletionFinishesWithoutServer(t *testing.T) {
	b, _ := bench(t)
	c := started(b, nil)
	b.Disconnect()
	b.Delete(managed.ServerName, &mdmv1alpha1.MDMServer{})
	b.Told()
	b.Delete("reboot", c)
	b.ReconcileNow(c)
	if told := strings.Join(b.Told(), "\n"); b.Get("reboot", c) || !strings.Contains(told, "Warning ServerNotFound") {
		t.Errorf("it is still there, or nobody was told: %s", told)
	}
}

func TestProgressIsWrittenInGrowingIntervals(t *testing.T) {
	b, first := bench(t)
	macs := []*managed.Mac{first, enrol(b, 1), enrol(b, 2)}
	c := selecting("info", nil, mdmv1alpha1.ActionSecurityInfo)
	b.Create(c)
	b.ReconcileNow(c)
	b.Expect(c, "Succeeded=False/Running")
	macs[0].Connect(managed.Acknowledge)
	wait := time.Duration(0)
	b.Poll("the manager has heard", func() bool {
		wait = b.ReconcileNow(c).RequeueAfter
		return wait > 0
	})
	if b.Get("info", c); c.Status.Counts.Queued != 3 || wait > time.Second {
		t.Errorf("counts %+v, next look after %v", *c.Status.Counts, wait)
	}
	b.Poll("the progress is written", func() bool {
		b.Advance(time.Second)
		b.ReconcileNow(c)
		return b.Get("info", c) && c.Status.Counts.Queued == 2 && c.Status.Counts.Succeeded == 1
	})
	for _, m := range macs {
		m.Connect(managed.Acknowledge)
	}
	b.Poll("the end is written at once", func() bool {
		b.ReconcileNow(c)
		return b.Is(c, "Succeeded=True/Done")
	})
}

func TestTimeToLive(t *testing.T) {
	b, mac := bench(t)
	c := finished(b, mac, new(int32(3600)))
	if wait := b.ReconcileNow(c).RequeueAfter; wait <= 50*time.Minute || wait > time.Hour {
		t.Errorf("the next look comes after %v", wait)
	}
	b.Advance(time.Hour)
	b.Until("it has gone", func() bool { return !b.Get("reboot", c) })
}
