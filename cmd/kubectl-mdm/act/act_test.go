package act_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/act"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/doingtest"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/looktest"
)

// verb is the command of a name.
func verb(name string) func(*cli.Env) *cobra.Command {
	return func(e *cli.Env) *cobra.Command {
		all := act.Commands(e)
		return all[slices.IndexFunc(all, func(c *cobra.Command) bool { return c.Name() == name })]
	}
}

// device is an enrolled Mac of a team.
func device(name, serial, team string) *mdmv1alpha1.Device {
	d := looktest.Device(name, serial, mdmv1alpha1.PlatformApple)
	d.Labels = map[string]string{"team": team}
	return d
}

func fleet() []client.Object {
	gone := device("gone", "S9", "design")
	gone.Status.Enrollment.State = mdmv1alpha1.EnrollmentEnded
	return []client.Object{device("ana", "S1", "design"), device("ben", "S2", "design"), device("carla", "S3", "sales"), gone}
}

// answer is an operator whose devices end in a state.
func answer(counts mdmv1alpha1.CommandCounts, results ...mdmv1alpha1.CommandResult) func(client.Object) {
	return func(o client.Object) {
		c := o.(*mdmv1alpha1.DeviceCommand)
		at := metav1.NewTime(looktest.Now)
		c.Status.FinishedAt, c.Status.Counts, c.Status.Results = &at, &counts, results
		c.Status.Total = new(counts.Succeeded + counts.Failed + counts.Unconfirmed)
		looktest.With(c, looktest.Well(mdmv1alpha1.DeviceCommandAccepted), looktest.Well(mdmv1alpha1.DeviceCommandPublished))
		if counts.Failed > 0 {
			looktest.With(c, looktest.Not(mdmv1alpha1.DeviceCommandSucceeded, mdmv1alpha1.DeviceCommandSomeFailed, "1 devices did not do it"),
				looktest.Is(mdmv1alpha1.DeviceCommandFailed, metav1.ConditionTrue, mdmv1alpha1.DeviceCommandSomeFailed, "1 devices did not do it"))
			return
		}
		if c.Spec.Action.Type == mdmv1alpha1.ActionLock {
			c.Status.PINSecretRef = &mdmv1alpha1.LocalReference{Name: c.Name + "-pin"}
		}
		looktest.With(c, looktest.Well(mdmv1alpha1.DeviceCommandSucceeded))
	}
}

var done = answer(mdmv1alpha1.CommandCounts{Succeeded: 1}, mdmv1alpha1.CommandResult{Device: "ana", State: "Succeeded"})

// only is the one DeviceCommand that was created.
func only(t *testing.T, w *doingtest.World) *mdmv1alpha1.DeviceCommand {
	t.Helper()
	if len(w.Created) != 1 {
		t.Fatalf("%d objects were created\n%s", len(w.Created), &w.ErrOut)
	}
	return w.Created[0].(*mdmv1alpha1.DeviceCommand)
}

func TestCommandsThatAreMade(t *testing.T) {
	for _, tc := range []struct {
		args string
		want mdmv1alpha1.CommandAction
	}{
		{"restart ana", mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionRestart}},
		{"restart S1", mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionRestart}}, // by its serial number
		{"shutdown ana", mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionShutDown}},
		{"unenroll ana --yes", mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionUnenroll}},
		{"lock ana", mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionLock}},
		{"lock ana --message Lost --phone 112 --pin None", mdmv1alpha1.CommandAction{
			Type: mdmv1alpha1.ActionLock, Lock: &mdmv1alpha1.LockAction{Message: "Lost", PhoneNumber: "112", PIN: mdmv1alpha1.PINNone},
		}},
		{"wipe ana --serial S1 --yes --method Cloud --data-plan Preserve --obliteration Always", mdmv1alpha1.CommandAction{
			Type: mdmv1alpha1.ActionWipe, Wipe: &mdmv1alpha1.WipeAction{
				SerialNumber: "S1", EnrollmentID: "7f0c1c0e", Method: mdmv1alpha1.WipeCloud, DataPlan: mdmv1alpha1.DataPlanPreserve,
				ObliterationBehavior: mdmv1alpha1.ObliterationAlways,
			},
		}},
	} {
		w := doingtest.New(t, fleet()...)
		w.Operator = done
		args := strings.Fields(tc.args)
		w.WantError(w.Run(verb(args[0]), append(args[1:], "--deadline", "2h")...))
		c := only(t, w)
		if !strings.HasPrefix(c.Name, args[0]+"-ana-") || c.Spec.Target.DeviceRef.Name != "ana" || c.Spec.ServerRef.Name != "berlin" || c.Spec.ActiveDeadlineSeconds != 7200 {
			t.Errorf("%s made %s: %+v", tc.args, c.Name, c.Spec)
		}
		if got := c.Spec.Action; got.Type != tc.want.Type || (got.Lock == nil) != (tc.want.Lock == nil) || got.Lock != nil && *got.Lock != *tc.want.Lock ||
			(got.Wipe == nil) != (tc.want.Wipe == nil) || got.Wipe != nil && *got.Wipe != *tc.want.Wipe {
			t.Errorf("%s made the action %+v", tc.args, got)
		}
		w.WantOutput("devicecommand.mdm.kubemdm.io/"+c.Name+" created\n", "DEVICE   STATE       MESSAGE", "✓ ana", "1 device: 1 succeeded")
	}
}

func TestSeveralDevicesGetOneCommandEach(t *testing.T) {
	w := doingtest.New(t, fleet()...)
	w.WantError(w.Run(verb("restart"), "ana", "ben", "gone", "--wait=false"))
	if len(w.Created) != 3 {
		t.Fatalf("%d commands", len(w.Created))
	}
	w.WantNotes("gone is not enrolled: the command waits for it until its deadline")
	w.WantError(w.Run(verb("restart"), "ana", "ben", "--name", "x"), "--name names one DeviceCommand")
	w.WantError(w.Run(verb("restart"), "ana", "--name", "mine", "--wait=false"))
	w.WantOutput("devicecommand.mdm.kubemdm.io/mine created")
}

func TestSelectorAsksAPerson(t *testing.T) {
	for _, tc := range []struct {
		typed string
		args  []string
		made  int
		err   string
	}{
		{"y\n", nil, 1, ""},
		{"Yes\n", nil, 1, ""},
		{"\n", nil, 0, "not confirmed: nothing was done"},
		{"", nil, 0, "nobody answered, nothing was done: without a terminal say --yes"},
		{"", []string{"--yes"}, 1, ""},
	} {
		w := doingtest.New(t, fleet()...)
		w.In = tc.typed
		err := w.Run(verb("restart"), append(tc.args, "-l", "team in (design)", "--wait=false")...)
		if tc.err == "" {
			w.WantError(err)
		} else {
			w.WantError(err, tc.err)
		}
		if len(tc.args) == 0 {
			w.WantNotes("This will restart 2 devices of the MDMServer berlin: ana, ben. Go on? [y/N]")
		}
		if len(w.Created) != tc.made {
			t.Fatalf("%q made %d commands", tc.typed, len(w.Created))
		}
		if tc.made == 1 {
			if c := only(t, w); c.Spec.Target.Selector.MatchExpressions[0].Key != "team" || c.Spec.Target.DeviceRef != nil || c.Spec.ServerRef.Name != "berlin" {
				t.Errorf("%+v", c.Spec)
			}
		}
	}
}

func TestSelectorOverSeveralServers(t *testing.T) {
	other := device("olaf", "S4", "design")
	other.Spec.ServerRef.Name = "oslo"
	w := doingtest.New(t, append(fleet(), other)...)
	w.WantError(w.Run(verb("restart"), "-l", "team=design", "-y"), "several MDMServers", "--server (berlin, oslo)")
	w.WantError(w.Run(verb("restart"), "-l", "team=design", "-y", "--server", "oslo", "--wait=false"))
	if c := only(t, w); c.Spec.ServerRef.Name != "oslo" {
		t.Errorf("%+v", c.Spec)
	}
	w.WantError(w.Run(verb("restart"), "-l", "team=none", "-y"), "no enrolled device", "team=none", "nothing was sent")
}

func TestWipeNeedsTheSerialNumber(t *testing.T) {
	for _, tc := range []struct {
		typed string
		args  []string
		err   string
	}{
		{"S1\n", nil, ""},
		{"s1\n", nil, "that is not the serial number of ana: nothing was sent"},
		{"yes\n", nil, "that is not the serial number"},
		{"", nil, "nobody answered"},
		{"", []string{"--yes"}, "--yes is not enough for a wipe"},
		{"", []string{"--yes", "--serial", "S2"}, "--serial is not the serial number of ana"},
		{"", []string{"--serial", "S1"}, "nobody answered"},
		{"S1\n", []string{"--serial", "S1"}, ""},
	} {
		w := doingtest.New(t, fleet()...)
		w.In, w.Operator = tc.typed, done
		err := w.Run(verb("wipe"), append([]string{"ana"}, tc.args...)...)
		if tc.err != "" {
			w.WantError(err, tc.err)
			if len(w.Created) != 0 {
				t.Errorf("%q %v made a wipe", tc.typed, tc.args)
			}
			continue
		}
		w.WantError(err)
		w.WantNotes("This erases all that is on ana (MacBook Pro", "serial number S1", "enrolled since 2026-05-22")
		if wipe := only(t, w).Spec.Action.Wipe; wipe.SerialNumber != "S1" || wipe.EnrollmentID != "7f0c1c0e" {
			t.Errorf("%+v", wipe)
		}
	}
}

func TestWhatIsNeverWiped(t *testing.T) {
	unnamed := device("unnamed", "", "design")
	unnamed.Spec.SerialNumber = "S7" // claimed, but the device does not tell it
	w := doingtest.New(t, append(fleet(), unnamed)...)
	w.WantError(w.Run(verb("wipe"), "gone", "--yes", "--serial", "S9"), "gone is not enrolled (Ended)")
	w.WantError(w.Run(verb("wipe"), "unnamed", "--yes", "--serial", "S7"), "tells no serial number")
	w.WantError(w.Run(verb("wipe"), "-l", "team=design"), "unknown shorthand flag")
	w.WantError(w.Run(verb("wipe"), "ana", "ben"), "accepts 1 arg(s)")
	w.WantError(w.Run(verb("unenroll"), "-l", "team=design"), "unknown shorthand flag")
	w.In = "n\n"
	w.WantError(w.Run(verb("unenroll"), "ana", "ben"), "not confirmed")
	w.WantNotes("This will end the enrolment of ana, ben. Go on?")
	if len(w.Created) != 0 {
		t.Errorf("%d commands were made", len(w.Created))
	}
}

func TestFailureIsAnError(t *testing.T) {
	w := doingtest.New(t, fleet()...)
	w.Operator = answer(mdmv1alpha1.CommandCounts{Succeeded: 1, Failed: 1},
		mdmv1alpha1.CommandResult{Device: "ana", State: "Succeeded"}, mdmv1alpha1.CommandResult{Device: "ben", State: "Failed", Message: "a PC cannot be locked"})
	w.WantError(w.Run(verb("lock"), "-l", "team=design", "-y"), "1 devices did not do it")
	w.WantOutput("✗ ben", "a PC cannot be locked", "2 devices: 1 succeeded, 1 failed")
	if strings.Index(w.Out.String(), "ben") > strings.Index(w.Out.String(), "✓ ana") {
		t.Errorf("what failed does not come first:\n%s", &w.Out)
	}
}

func TestWaitingTellsHowFarItIs(t *testing.T) {
	w := doingtest.New(t, fleet()...)
	w.Operator = func(o client.Object) {
		c := o.(*mdmv1alpha1.DeviceCommand)
		c.Status.Total, c.Status.Counts = new(int32(3)), &mdmv1alpha1.CommandCounts{Queued: 2, Succeeded: 1}
		looktest.With(c, looktest.Well(mdmv1alpha1.DeviceCommandAccepted), looktest.Well(mdmv1alpha1.DeviceCommandPublished),
			looktest.Not(mdmv1alpha1.DeviceCommandSucceeded, mdmv1alpha1.DeviceCommandRunning, "2 devices have not answered yet"))
	}
	w.WantError(w.Run(verb("restart"), "ana", "--name", "r", "--timeout", "100ms"),
		"r: not done after 100ms: r: 1 of 3 answered (2 queued, 1 succeeded)", "kubectl delete devicecommand r cancels it")
	w.WantNotes("Waiting: the operator has not seen r yet", "Waiting: r: 1 of 3 answered (2 queued, 1 succeeded)")
}

func TestPINComesAfterALock(t *testing.T) {
	w := doingtest.New(t, fleet()...)
	w.Operator = done
	w.WantError(w.Run(verb("lock"), "ana", "--name", "l"))
	w.WantNotes("kubectl mdm pin l shows it to who may know it")
	for _, args := range [][]string{{"lock", "ana", "--pin", "None"}, {"restart", "ana"}} {
		w.WantError(w.Run(verb(args[0]), args[1:]...))
		if strings.Contains(w.ErrOut.String(), "PIN") {
			t.Errorf("%v speaks of a PIN:\n%s", args, &w.ErrOut)
		}
	}
}

// What an admission policy says is written for people, and nothing stands before it.
func TestPolicySpeaksForItself(t *testing.T) {
	const message = "jane may create DeviceCommands in namespace fleet, but none of type Wipe: this takes the verb wipe on devicecommands.mdm.kubemdm.io."
	resource := schema.GroupResource{Group: "mdm.kubemdm.io", Resource: "devicecommands"}
	w := doingtest.New(t, fleet()...)
	w.Fail = func(verb, _, name string) error {
		if verb != "create" {
			return nil
		}
		return apierrors.NewForbidden(resource, name, errors.New("ValidatingAdmissionPolicy 'kubemdm-actions' with binding 'kubemdm-actions' denied request: "+message))
	}
	if err := w.Run(verb("wipe"), "ana", "--yes", "--serial", "S1"); err == nil || err.Error() != message {
		t.Errorf("the error is %q", err)
	}
	w.Fail = doingtest.Forbid("create", "DeviceCommand")
	w.WantError(w.Run(verb("restart"), "ana"), "the cluster does not let you do this; --help lists the rights", "no right")
	w.Fail = nil
	calls := 0
	w.Fail = func(v, k, n string) error {
		if v == "create" {
			calls++
		}
		if calls == 2 {
			return doingtest.Forbid("create", "DeviceCommand")(v, k, n)
		}
		return nil
	}
	w.WantError(w.Run(verb("restart"), "ana", "ben", "--wait=false"), "1 of 2 commands were created, then one was refused")
}

func TestWhatIsAskedForMakesSense(t *testing.T) {
	w := doingtest.New(t, fleet()...)
	for args, want := range map[string]string{
		"":                              "name the devices, or select them with --selector",
		"ana -l team=design":            "not both",
		"ana --server berlin":           "--server goes with --selector",
		"ana --deadline 5s":             "--deadline must be between 1m0s and 8760h0m0s",
		"nobody":                        "no Device in the namespace fleet has the name or serial number nobody",
		"-l team==,, --yes":             "reading --selector",
		"ana ben --name both --timeout": "flag needs an argument",
	} {
		w.WantError(w.Run(verb("restart"), strings.Fields(args)...), want)
	}
	if len(w.Created) != 0 {
		t.Errorf("%d commands were made", len(w.Created))
	}
}
