package devicesim_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/micromdm/plist"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/test/devicesim"
)

// next lets the device ask for its next command and returns the command's type and UUID, both empty when there is none. The device does nothing
// with it.
func (w *world) next(t *testing.T, device *devicesim.Device) (requestType, uuid string) {
	t.Helper()
	status, reply, err := idle(t, device).Send(t.Context(), &http.Client{Transport: w.network})
	fatal(t, err)
	var command struct {
		CommandUUID string
		Command     struct{ RequestType string }
	}
	if len(reply) > 0 {
		fatal(t, plist.Unmarshal(reply, &command))
	}
	if status != http.StatusOK {
		t.Fatalf("an Idle was answered %d", status)
	}
	return command.Command.RequestType, command.CommandUUID
}

func (w *world) report(t *testing.T, device *devicesim.Device, fields map[string]any) (status int) {
	t.Helper()
	message, err := device.PrepareReport(fields)
	fatal(t, err)
	return send(t, w, message)
}

// An answer that the server cannot read is stored, closes its command as failed, and the next command comes.
func TestServerClosesCommandsWithPoisonousAnswers(t *testing.T) {
	deep := any("bottom")
	for range 100 {
		deep = []any{deep}
	}
	for name, fields := range map[string]map[string]any{
		"deeply nested":  {"Status": "Acknowledged", "QueryResponses": deep},
		"unknown status": {"Status": "Delighted"},
		"no error chain": {"Status": "Error", "ErrorChain": "none"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			mac, device := w.enrolled(t, devicesim.Mac("E2E", 1), nil)
			w.order(t, device, "fleet/poisoned", adminapi.AppleCommand{RequestType: adminapi.AppleDeviceInformation})
			w.order(t, device, "fleet/after", adminapi.AppleCommand{RequestType: adminapi.AppleSecurityInfo})
			_, fields["CommandUUID"] = w.next(t, mac)
			if status := w.report(t, mac, fields); status != http.StatusOK {
				t.Fatalf("answered %d", status)
			}
			if r := w.outcome(t, mac, "fleet/poisoned"); r.State != adminapi.TargetFailed || r.Message == "" || !bytes.Contains(r.Body, []byte(mac.Hardware().UDID)) {
				t.Errorf("%s %q, body %.60q; want Failed, with what the device sent", r.State, r.Message, r.Body)
			}
			fatal(t, mac.Idle(t.Context()))
			if r := w.outcome(t, mac, "fleet/after"); r.State != adminapi.TargetSucceeded || countAnswers(mac, "DeviceInformation") != 0 {
				t.Errorf("%s; the poisoned command came again %d times", r.State, countAnswers(mac, "DeviceInformation"))
			}
		})
	}
}

// An answer over the limit cannot be verified, since its signature is over all of it, and so closes nothing. Its command is offered less and less
// often, holds nobody up and ends at its deadline.
func TestServerOutlivesAnswersThatAreTooLarge(t *testing.T) {
	w := newWorld(t)
	mac, device := w.enrolled(t, devicesim.Mac("E2E", 1), nil)
	_, err := w.PutAction(t.Context(), adminapi.Action{
		Key: "fleet/apps", SpecHash: "1", Apple: &adminapi.AppleCommand{RequestType: adminapi.AppleInstalledApplicationList},
		Deadline: w.now().Add(30 * time.Minute), Targets: []adminapi.ActionTarget{{DeviceID: device.ID, EnrollmentID: device.EnrollmentID}},
	})
	fatal(t, err)
	w.order(t, device, "fleet/after", adminapi.AppleCommand{RequestType: adminapi.AppleSecurityInfo})
	offered := 0
	for {
		requestType, uuid := w.next(t, mac)
		if requestType != adminapi.AppleInstalledApplicationList {
			break
		}
		if offered++; offered > 10 {
			t.Fatal("the command whose answer is too large keeps all others from the device")
		}
		huge, err := mac.PrepareReport(map[string]any{"Status": "Acknowledged", "CommandUUID": uuid, "InstalledApplicationList": strings.Repeat("a", 11<<20)})
		fatal(t, err)
		// The server may close the connection before it has read all.
		if status, _, err := huge.Send(t.Context(), &http.Client{Transport: w.network}); err == nil && status != http.StatusRequestEntityTooLarge {
			t.Fatalf("an answer of 11 MiB: %d", status)
		}
	}
	fatal(t, mac.Idle(t.Context()))
	if r := w.outcome(t, mac, "fleet/after"); r.State != adminapi.TargetSucceeded {
		t.Errorf("the next command: %+v", r)
	}
	if r := w.outcome(t, mac, "fleet/apps"); r.State != adminapi.TargetDelivered {
		t.Errorf("an answer that nobody verified counted: %+v", r)
	}
	w.pass(t, 31*time.Minute)
	if r := w.outcome(t, mac, "fleet/apps"); r.State != adminapi.TargetExpired || r.Message == "" {
		t.Errorf("at the deadline: %+v", r)
	}
}
