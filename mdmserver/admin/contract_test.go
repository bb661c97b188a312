package admin_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

var (
	when     = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	artifact = adminapi.Artifact{Key: "fleet/wifi", Scope: adminapi.ScopeSystem, Identifier: "io.example.wifi", Digest: "d1", Template: []byte("<plist/>"), Sign: true}
	action   = adminapi.Action{Key: "fleet/restart.now", SpecHash: "h1", Deadline: when, Apple: &adminapi.AppleCommand{RequestType: adminapi.AppleRestartDevice},
		Targets: []adminapi.ActionTarget{{DeviceID: "U1", EnrollmentID: "E1"}}}
	token = adminapi.Token{Key: "fleet/office", Hash: strings.Repeat("0a", 32), MaxUses: 3, Labels: map[string]string{"site": "x"}}
	acks  = adminapi.Acks{StoreEpoch: "s.1", Acks: []adminapi.Ack{{Kind: adminapi.KindDevice, Key: "U1", Version: 7}},
		Nacks: []adminapi.Nack{{Ack: adminapi.Ack{Kind: adminapi.KindToken, Key: "fleet/office", Version: 8}, RetryAfterSeconds: 5}}}
	assignments = adminapi.AssignmentBatch{Assignments: []adminapi.Assignment{{DeviceID: "U1", EnrollmentID: "E1", Artifacts: []adminapi.Key{"fleet/wifi"}}}}
	automated   = adminapi.Automated{Key: "fleet/business", Digest: "d1", Devices: map[string]string{"C02": "macs", "C03": ""}, Profiles: []adminapi.AutomatedProfile{
		{Name: "macs", AwaitConfiguration: true, MinimumOS: map[string]adminapi.OSVersion{"Mac": {Version: "15.4.1", Build: "24E263"}}}, {Name: "others", SignIn: true}}}
	imports = adminapi.ImportBatch{Import: "nanomdm", DryRun: true, Enrollments: []adminapi.ImportedEnrollment{{Device: adminapi.Device{ID: "U1"}, Topic: "t",
		Certificate: []byte{1}, Channels: []adminapi.ImportedChannel{{ID: "U1", PushToken: []byte{2}, PushMagic: "m", TokenAt: when}}}}}
	state = adminapi.ArtifactState{Artifact: "fleet/wifi", DeviceID: "U1", Channel: "U1:ann", Identifier: "io.example.wifi", Digest: "d1", Since: when, LastSeen: when,
		Outcome: adminapi.ArtifactSent, Attempts: 3, NextAttempt: when, Responding: true}
	entry = adminapi.HistoryEntry{Seq: 7, At: when, DeviceID: "U1", Channel: "U1:ann", Type: adminapi.HistoryFailed, Artifact: "fleet/wifi", Action: "fleet/lock",
		RequestType: "InstallProfile", CommandUUID: "C1", Message: "no"}
	intents = adminapi.IntentBatch{Intents: []adminapi.DeviceIntent{{DeviceID: "U1", EnrollmentID: "E1", Intent: adminapi.IntentIgnore}}}
)

// Every method of the client reaches its own method of the fleet with what it was given, and brings back what the fleet answered.
func TestEveryCallReachesTheFleetAndComesBack(t *testing.T) {
	ctx := t.Context()
	for name, tc := range map[string]struct {
		call   func(c *adminapi.Client) (any, error)
		want   string // the call that the fleet sees
		answer any    // what the fleet answers
	}{
		"Changes": {func(c *adminapi.Client) (any, error) { return c.Changes(ctx, time.Second, 10) },
			"Changes 42 1s 10", &adminapi.Changes{StoreEpoch: "s.1", Changes: []adminapi.Change{{Kind: adminapi.KindDevice, Key: "U1", Version: 3,
				Device: &adminapi.Device{ID: "U1", State: adminapi.DeviceEnrolled, EnrolledAt: when}}}}},
		"Ack": {func(c *adminapi.Client) (any, error) { return nil, c.Ack(ctx, acks) }, fmt.Sprint("Ack ", acks), nil},
		"PutArtifact": {func(c *adminapi.Client) (any, error) { return c.PutArtifact(ctx, artifact) },
			fmt.Sprint("PutArtifact ", artifact), &adminapi.ArtifactStatus{Key: artifact.Key, Targeted: 2, Installed: 1, Pending: 1}},
		"DeleteArtifact":     {func(c *adminapi.Client) (any, error) { return nil, c.DeleteArtifact(ctx, artifact.Key, false) }, "DeleteArtifact fleet/wifi false", nil},
		"DeleteArtifactKeep": {func(c *adminapi.Client) (any, error) { return nil, c.DeleteArtifact(ctx, artifact.Key, true) }, "DeleteArtifact fleet/wifi true", nil},
		"PutAssignments": {func(c *adminapi.Client) (any, error) { return c.PutAssignments(ctx, assignments) },
			fmt.Sprint("PutAssignments ", assignments), &adminapi.AssignmentReply{Stale: []string{"U9"}, Missing: []adminapi.Key{"fleet/x"}}},
		"PutAction": {func(c *adminapi.Client) (any, error) { return c.PutAction(ctx, action) },
			fmt.Sprint("PutAction ", action.Key, action.SpecHash, action.Deadline, action.Targets, *action.Apple),
			&adminapi.ActionStatus{Key: action.Key, Total: 1, Counts: map[adminapi.TargetState]int{adminapi.TargetQueued: 1}, CreatedAt: when}},
		"CancelAction": {func(c *adminapi.Client) (any, error) { return nil, c.CancelAction(ctx, action.Key) }, "CancelAction fleet/restart.now", nil},
		"Action": {func(c *adminapi.Client) (any, error) { return c.Action(ctx, action.Key) },
			"Action fleet/restart.now", &adminapi.ActionStatus{Key: action.Key, Total: 4, CreatedAt: when}},
		"ActionResults": {func(c *adminapi.Client) (any, error) { return c.ActionResults(ctx, action.Key, "U1", 5) },
			"ActionResults fleet/restart.now U1 5", &adminapi.Page[adminapi.ActionResult]{StoreEpoch: "s.1", Items: []adminapi.ActionResult{{DeviceID: "U2"}}, Next: "U2"}},
		"ActionResult": {func(c *adminapi.Client) (any, error) { return c.ActionResult(ctx, action.Key, "U1") },
			"ActionResult fleet/restart.now U1", &adminapi.ActionResult{DeviceID: "U1", PIN: "123456", Body: []byte("<plist/>")}},
		"PutToken": {func(c *adminapi.Client) (any, error) { return c.PutToken(ctx, token) },
			fmt.Sprint("PutToken ", token), &adminapi.TokenStatus{Key: token.Key, Uses: 2, LastUsed: when}},
		"DeleteToken": {func(c *adminapi.Client) (any, error) { return nil, c.DeleteToken(ctx, token.Key) }, "DeleteToken fleet/office", nil},
		"PutAutomated": {func(c *adminapi.Client) (any, error) { return c.PutAutomated(ctx, automated) },
			fmt.Sprint("PutAutomated ", automated), &adminapi.AutomatedStatus{Key: automated.Key, Digest: "d1", Devices: 2}},
		"DeleteAutomated": {func(c *adminapi.Client) (any, error) { return nil, c.DeleteAutomated(ctx, automated.Key) }, "DeleteAutomated fleet/business", nil},
		"Automated": {func(c *adminapi.Client) (any, error) { return c.Automated(ctx, "fleet/a", 7) },
			"ListAutomated fleet/a 7", &adminapi.Page[adminapi.AutomatedStatus]{StoreEpoch: "s.1", Items: []adminapi.AutomatedStatus{{Key: "fleet/b", Devices: 3}}}},
		"PutIntents": {func(c *adminapi.Client) (any, error) { return c.PutIntents(ctx, intents) },
			fmt.Sprint("PutIntents ", intents), &adminapi.IntentReply{Stale: []string{"U2"}}},
		"Import": {func(c *adminapi.Client) (any, error) { return c.Import(ctx, imports) },
			fmt.Sprint("Import ", imports), &adminapi.ImportReply{Results: []adminapi.ImportResult{{DeviceID: "U1", Outcome: adminapi.Imported}}}},
		"DeviceDetail": {func(c *adminapi.Client) (any, error) { return c.DeviceDetail(ctx, "U1") },
			"DeviceDetail U1", &adminapi.DeviceDetail{Device: adminapi.Device{ID: "U1", LastSeen: when}, Artifacts: []adminapi.ArtifactState{state}, History: []adminapi.HistoryEntry{entry}}},
		"ArtifactStates": {func(c *adminapi.Client) (any, error) { return c.ArtifactStates(ctx, artifact.Key, "place", 5) },
			"ArtifactStates fleet/wifi place 5", &adminapi.Page[adminapi.ArtifactState]{StoreEpoch: "s.1", Items: []adminapi.ArtifactState{state}, Next: "another"}},
		"History": {func(c *adminapi.Client) (any, error) { return c.History(ctx, 0, time.Second, 5) },
			"History 0 1s 5", &adminapi.HistoryPage{StoreEpoch: "s.1", Items: []adminapi.HistoryEntry{entry}, Next: 7}},
		"HistoryToCome": {func(c *adminapi.Client) (any, error) { return c.History(ctx, -1, 0, 5) },
			"History -1 0s 5", &adminapi.HistoryPage{StoreEpoch: "s.1", Next: 7}},
		"Push": {func(c *adminapi.Client) (any, error) { return nil, c.Push(ctx, []string{"U1", "U2"}) }, "WakeNow [U1 U2]", nil},
		"Devices": {func(c *adminapi.Client) (any, error) { return c.Devices(ctx, "U1", 5) },
			"ListDevices U1 5", &adminapi.Page[adminapi.Device]{StoreEpoch: "s.1", Items: []adminapi.Device{{ID: "U2", Responding: true}}}},
		"Artifacts": {func(c *adminapi.Client) (any, error) { return c.Artifacts(ctx, "", 5) },
			"ListArtifacts  5", &adminapi.Page[adminapi.ArtifactStatus]{StoreEpoch: "s.1", Items: []adminapi.ArtifactStatus{{Key: "fleet/wifi"}}, Next: "fleet/wifi"}},
		"Assignments": {func(c *adminapi.Client) (any, error) { return c.Assignments(ctx, "", 5) },
			"ListAssignments  5", &adminapi.Page[adminapi.Assignment]{StoreEpoch: "s.1", Items: assignments.Assignments}},
		"Actions": {func(c *adminapi.Client) (any, error) { return c.Actions(ctx, "fleet/a", 1000) },
			"ListActions fleet/a 1000", &adminapi.Page[adminapi.ActionStatus]{StoreEpoch: "s.1", Items: []adminapi.ActionStatus{{Key: "fleet/b"}}}},
		"Tokens": {func(c *adminapi.Client) (any, error) { return c.Tokens(ctx, "", 1) },
			"ListTokens  1", &adminapi.Page[adminapi.TokenStatus]{StoreEpoch: "s.1", Items: []adminapi.TokenStatus{{Key: "fleet/office"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			f := &domain{answer: tc.answer}
			s := serve(t, f)
			got, err := tc.call(s.client)
			if err != nil {
				t.Fatal(err)
			}
			if f.called != tc.want {
				t.Errorf("the fleet saw %q, want %q", f.called, tc.want)
			}
			if tc.answer != nil && !reflect.DeepEqual(got, tc.answer) {
				t.Errorf("the client got %+v, want %+v", got, tc.answer)
			}

			f.err = fmt.Errorf("writing: %w", fleet.ErrUnavailable)
			if _, err := tc.call(s.client); adminapi.CodeOf(err) != adminapi.CodeUnavailable {
				t.Errorf("with the store unavailable the client got %v", err)
			}
		})
	}
}

func TestInfoIsServed(t *testing.T) {
	s := serve(t, &domain{})
	got, err := s.client.Info(t.Context())
	if err != nil || got.Version != "test" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// The live view is read by managers of which at most one leads.
func TestAReplacedManagerReadsTheLiveView(t *testing.T) {
	ctx := t.Context()
	s := serve(t, &domain{lease: 43})
	for name, call := range map[string]func() error{
		"DeviceDetail":   func() error { _, err := s.client.DeviceDetail(ctx, "U1"); return err },
		"ArtifactStates": func() error { _, err := s.client.ArtifactStates(ctx, artifact.Key, "", 5); return err },
		"History":        func() error { _, err := s.client.History(ctx, 0, 0, 5); return err },
	} {
		if err := call(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A manager that was replaced may read, but not change anything and not take changes from its successor.
func TestAReplacedManagerIsRefused(t *testing.T) {
	ctx := t.Context()
	f := &domain{lease: 43, answer: &adminapi.Changes{}}
	s := serve(t, f)
	for name, call := range map[string]func() error{
		"Ack":             func() error { return s.client.Ack(ctx, acks) },
		"PutArtifact":     func() error { _, err := s.client.PutArtifact(ctx, artifact); return err },
		"DeleteArtifact":  func() error { return s.client.DeleteArtifact(ctx, artifact.Key, false) },
		"PutAssignments":  func() error { _, err := s.client.PutAssignments(ctx, assignments); return err },
		"PutAction":       func() error { _, err := s.client.PutAction(ctx, action); return err },
		"CancelAction":    func() error { return s.client.CancelAction(ctx, action.Key) },
		"PutToken":        func() error { _, err := s.client.PutToken(ctx, token); return err },
		"DeleteToken":     func() error { return s.client.DeleteToken(ctx, token.Key) },
		"PutAutomated":    func() error { _, err := s.client.PutAutomated(ctx, automated); return err },
		"DeleteAutomated": func() error { return s.client.DeleteAutomated(ctx, automated.Key) },
		"PutIntents":      func() error { _, err := s.client.PutIntents(ctx, intents); return err },
		"Push":            func() error { return s.client.Push(ctx, []string{"U1"}) },
	} {
		if err := call(); adminapi.CodeOf(err) != adminapi.CodeAnotherManager || f.called != "" {
			t.Errorf("%s: %v, the fleet saw %q", name, err, f.called)
		}
	}
}

func TestErrorsOfTheDomainKeepTheirCode(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want *adminapi.Error
	}{
		"conflict": {&adminapi.Error{Code: adminapi.CodeIdentifierConflict, Message: "taken", Owner: "fleet/other"},
			&adminapi.Error{Code: adminapi.CodeIdentifierConflict, Message: "taken", Owner: "fleet/other"}},
		"wrapped":     {fmt.Errorf("storing: %w", &adminapi.Error{Code: adminapi.CodeNotFound, Message: "gone"}), &adminapi.Error{Code: adminapi.CodeNotFound, Message: "gone"}},
		"unknown":     {errors.New("disk serial 4711 exploded"), &adminapi.Error{Code: adminapi.CodeInternal, Message: "the server failed; its log says why"}},
		"unavailable": {fmt.Errorf("%w: full", fleet.ErrUnavailable), &adminapi.Error{Code: adminapi.CodeUnavailable, Message: "the store is unavailable: full"}},
		"canceled": {context.Canceled,
			&adminapi.Error{Code: adminapi.CodeUnavailable, Message: "the server is stopping, or the call took too long: try again"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, &domain{err: tc.err})
			_, err := s.client.PutArtifact(t.Context(), artifact)
			var got *adminapi.Error
			if !errors.As(err, &got) || *got != *tc.want {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}
