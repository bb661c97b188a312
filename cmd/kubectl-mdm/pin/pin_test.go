package pin_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/doingtest"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/looktest"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/pin"
)

func command(name string, action mdmv1alpha1.ActionType, age time.Duration, device string) *mdmv1alpha1.DeviceCommand {
	c := &mdmv1alpha1.DeviceCommand{ObjectMeta: looktest.Meta(name)}
	c.CreationTimestamp = looktest.Ago(age)
	c.Spec.Action.Type = action
	if device != "" {
		c.Spec.Target.DeviceRef = &mdmv1alpha1.LocalReference{Name: device}
	}
	return c
}

func pins(command string, all ...livev1alpha1.PIN) *livev1alpha1.DevicePIN {
	return &livev1alpha1.DevicePIN{ObjectMeta: looktest.Meta(command), Server: "berlin", PINs: all}
}

func world(t *testing.T, more ...client.Object) *doingtest.World {
	team := command("team", mdmv1alpha1.ActionLock, time.Hour, "")
	team.Status.Results = []mdmv1alpha1.CommandResult{{Device: "ana"}, {Device: "carla"}}
	return doingtest.New(t, append(more,
		looktest.Device("ana", "S1", mdmv1alpha1.PlatformApple), looktest.Device("ben", "S2", mdmv1alpha1.PlatformApple),
		command("old", mdmv1alpha1.ActionLock, 3*time.Hour, "ana"), team, command("restart", mdmv1alpha1.ActionRestart, time.Minute, "ana"),
		pins("team", livev1alpha1.PIN{Device: "ana", SerialNumber: "S1", PIN: "123456"}, livev1alpha1.PIN{Device: "carla", SerialNumber: "S3", PIN: "654321"}),
		pins("old", livev1alpha1.PIN{Device: "ana", SerialNumber: "S1", PIN: "000000"}),
	)...)
}

func TestByTheCommand(t *testing.T) {
	w := world(t)
	w.WantError(w.Run(pin.Command, "team"))
	if want := "PINs of the command team\n    DEVICE   SERIAL   PIN\n    ana      S1       123456\n    carla    S3       654321\n"; w.Out.String() != want {
		t.Errorf("%q", w.Out.String())
	}
}

// The newest command of the device counts, of Lock and Wipe, and the PINs of others stay where they are.
func TestByTheDevice(t *testing.T) {
	w := world(t)
	w.WantError(w.Run(pin.Command, "--device", "S1", "-o", "json"))
	var got livev1alpha1.DevicePIN
	if err := json.Unmarshal(w.Out.Bytes(), &got); err != nil || len(got.PINs) != 1 || got.PINs[0].PIN != "123456" {
		t.Errorf("%v: %s", err, &w.Out)
	}
	w = world(t, command("new", mdmv1alpha1.ActionWipe, time.Minute, "ana"), pins("new", livev1alpha1.PIN{Device: "ana", PIN: "777777"}))
	w.WantError(w.Run(pin.Command, "--device", "ana"))
	w.WantOutput("PINs of the command new", "777777")
	w.WantError(w.Run(pin.Command, "--device", "ben"), "no DeviceCommand", "of type Lock or Wipe is for ben")
}

func TestWhoMayNotIsTold(t *testing.T) {
	resource := schema.GroupResource{Group: "live.mdm.kubemdm.io", Resource: "devicepins"}
	var fail error
	w := world(t)
	w.Fail = func(_, kind, _ string) error {
		if kind == "DevicePIN" {
			return fail
		}
		return nil
	}
	for want, err := range map[string]error{
		"you may not read PINs. That takes get and the verb reveal":               apierrors.NewForbidden(resource, "team", errors.New("no")),
		"kubectl mdm pin team --namespace fleet":                                  apierrors.NewForbidden(resource, "team", errors.New("no")),
		"the live view does not answer":                                           apierrors.NewServiceUnavailable("no server"),
		"kubectl get secret team-pin --namespace fleet":                           apierrors.NewNotFound(resource, ""),
		"there is no PIN of the command team in the namespace fleet: no Mac has ": apierrors.NewNotFound(resource, "team"),
	} {
		fail = err
		w.WantError(w.Run(pin.Command, "team"), want)
	}
	fail = nil
	w.WantError(w.Run(pin.Command), "name the DeviceCommand, or the device with --device")
	w.WantError(w.Run(pin.Command, "team", "--device", "ana"), "name the DeviceCommand, or the device")
}

func TestPINThatIsNotThereYet(t *testing.T) {
	w := world(t, command("new", mdmv1alpha1.ActionLock, time.Minute, "ana"), pins("new"))
	w.WantError(w.Run(pin.Command, "new"), "the command new has sent no PIN yet")
}
