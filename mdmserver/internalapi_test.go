package mdmserver_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/test/devicesim"
)

// What the contract test of mdmserver/admin shows with a stand-in holds with the real domain and store too.
func TestTheInternalAPIOnTheRealDomain(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	mac, device := w.enrolled(t, 1)
	target := []adminapi.ActionTarget{{DeviceID: device.ID, EnrollmentID: device.EnrollmentID}}
	info := adminapi.Action{Key: "fleet/info", SpecHash: "1", Targets: target, Apple: &adminapi.AppleCommand{RequestType: adminapi.AppleDeviceInformation}}

	if _, err := w.admin.PutArtifact(ctx, wifi("d1", "Office")); err != nil {
		t.Fatal(err)
	}
	rival := wifi("d1", "Office")
	rival.Key = "fleet/rival"
	var conflict *adminapi.Error
	if _, err := w.admin.PutArtifact(ctx, rival); !errors.As(err, &conflict) || conflict.Code != adminapi.CodeIdentifierConflict || conflict.Owner != "fleet/wifi" {
		t.Errorf("a second owner of an identifier: %v", err)
	}
	reply, err := w.admin.PutAssignments(ctx, adminapi.AssignmentBatch{Assignments: []adminapi.Assignment{
		{DeviceID: device.ID, EnrollmentID: device.EnrollmentID, Artifacts: []adminapi.Key{"fleet/wifi", "fleet/later"}},
		{DeviceID: device.ID + "x", EnrollmentID: device.EnrollmentID}}})
	if err != nil || len(reply.Stale) != 1 || len(reply.Missing) != 1 {
		t.Errorf("assigning: %+v, %v", reply, err)
	}
	if all, err := adminapi.All(ctx, w.admin.Assignments); err != nil || len(all) != 1 || len(all[0].Artifacts) != 2 {
		t.Errorf("assignments: %+v, %v", all, err)
	}

	if _, err := w.admin.PutAction(ctx, info); err != nil {
		t.Fatal(err)
	}
	if err := w.admin.CancelAction(ctx, info.Key); err != nil {
		t.Fatal(err)
	}
	if status, err := w.admin.Action(ctx, info.Key); err != nil || status.Counts[adminapi.TargetCanceled] != 1 || status.FinishedAt.IsZero() {
		t.Errorf("the canceled action: %+v, %v", status, err)
	}
	if _, err := w.admin.Action(ctx, "fleet/never"); adminapi.CodeOf(err) != adminapi.CodeNotFound {
		t.Errorf("an unknown action: %v", err)
	}

	intents := func(intent adminapi.Intent) {
		t.Helper()
		reply, err := w.admin.PutIntents(ctx, adminapi.IntentBatch{Intents: []adminapi.DeviceIntent{
			{DeviceID: device.ID, EnrollmentID: device.EnrollmentID, Intent: intent}, {DeviceID: device.ID, EnrollmentID: "an earlier one", Intent: intent}}})
		if err != nil || len(reply.Stale) != 1 {
			t.Fatalf("%s: %+v, %v", intent, reply, err)
		}
	}
	intents(adminapi.IntentIgnore)
	w.await(t, func(c adminapi.Change) bool { return c.Device != nil && c.Device.Ignored })
	if err := mac.Idle(ctx); err != nil || len(mac.Profiles()) > 1 {
		t.Errorf("an ignored Mac was given a profile: %v", err)
	}
	intents(adminapi.IntentRelease)
	w.await(t, func(c adminapi.Change) bool { return c.Device != nil && c.Device.EndReason == adminapi.EndReleased })

	if err := w.admin.DeleteToken(ctx, "fleet/token-1"); err != nil {
		t.Fatal(err)
	}
	if tokens, err := adminapi.All(ctx, w.admin.Tokens); err != nil || len(tokens) != 0 {
		t.Errorf("tokens: %+v, %v", tokens, err)
	}
}

// A token that was deleted enrols nobody.
func TestADeletedTokenIsUnknown(t *testing.T) {
	w := newWorld(t)
	url := w.token(t, "fleet/gone")
	if err := w.admin.DeleteToken(t.Context(), "fleet/gone"); err != nil {
		t.Fatal(err)
	}
	var status *devicesim.StatusError
	if err := w.mac(t, 1).Enroll(t.Context(), url); !errors.As(err, &status) || status.Code != http.StatusNotFound {
		t.Errorf("got %v, want 404", err)
	}
}

// A change that the manager could not write is offered again, and one that it has not acknowledged when it dies goes to its successor.
func TestARefusedChangeIsOfferedAgain(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.enrolled(t, 1)
	w.settle(t)
	if _, err := w.admin.PutArtifact(ctx, wifi("d1", "Office")); err != nil {
		t.Fatal(err)
	}
	first, err := w.admin.Changes(ctx, 0, 10)
	if err != nil || len(first.Changes) != 1 {
		t.Fatalf("%+v, %v", first, err)
	}
	c := first.Changes[0]
	nack := adminapi.Acks{StoreEpoch: first.StoreEpoch, Nacks: []adminapi.Nack{{Ack: adminapi.Ack{Kind: c.Kind, Key: c.Key, Version: c.Version}, RetryAfterSeconds: 0}}}
	if err := w.admin.Ack(ctx, nack); err != nil {
		t.Fatal(err)
	}
	again, err := w.admin.Changes(ctx, 0, 10)
	if err != nil || len(again.Changes) != 1 || again.Changes[0].Key != c.Key {
		t.Errorf("after the refusal: %+v, %v", again, err)
	}
}
