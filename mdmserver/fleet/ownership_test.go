package fleet_test

import (
	"errors"
	"testing"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

func TestIdentifierHasOneOwnerInItsScope(t *testing.T) {
	w := newWorld(t)
	a := adminapi.Artifact{Key: "ns/a", Scope: adminapi.ScopeSystem, Identifier: "com.example", Digest: "v1"}
	w.putArtifact(a)
	b := a
	b.Key = "ns/b"
	_, err := w.PutArtifact(w.ctx, b)
	w.wantCode(err, adminapi.CodeIdentifierConflict)
	var e *adminapi.Error
	if !errors.As(err, &e) || e.Owner != "ns/a" {
		t.Errorf("the conflict names %q as the owner", e.Owner)
	}
	b.Scope = adminapi.ScopeUser
	w.putArtifact(b)
	b.Scope = adminapi.ScopeSystem
	_, err = w.PutArtifact(w.ctx, b)
	w.wantCode(err, adminapi.CodeInvalid)
	a.Template = make([]byte, adminapi.MaxArtifact+1)
	_, err = w.PutArtifact(w.ctx, a)
	w.wantCode(err, adminapi.CodeTooLarge)
}

func TestEditOfTheIdentifierInstallsTheNewThenRemovesTheOld(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.put("ns/p", "v1")
	w.assign(keys{"ns/p"}, m)
	m.settle()
	edited := adminapi.Artifact{Key: "ns/p", Scope: adminapi.ScopeSystem, Identifier: "new", Digest: "v2"}
	w.putArtifact(edited)
	d := m.answer(m.idle(), fleet.StatusNotNow)
	w.wantDelivery(d, "nothing") // the old one stays until the new one is there
	m.wantSettle("install ns/p v2", "remove id.ns/p")

	edited.Identifier, edited.Digest = "newer", "v3"
	w.putArtifact(edited)
	w.wantDelivery(m.answer(m.idle(), fleet.StatusError), "nothing") // also when it refuses the new one
	m.wantSettle()
	w.must(w.DeleteArtifact(w.ctx, "ns/p", false))
	m.wantSettle("remove new")
	if w.artifact("ns/p") != nil {
		t.Error("the withdrawn artifact stays after its last removal")
	}
}

func TestNothingIsRemovedWhileAnAssignedArtifactCarriesItsIdentifier(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.putArtifact(adminapi.Artifact{Key: "ns/a", Scope: adminapi.ScopeSystem, Identifier: "com.example", Digest: "v1"})
	w.assign(keys{"ns/a"}, m)
	m.settle()
	w.must(w.DeleteArtifact(w.ctx, "ns/a", false))
	w.putArtifact(adminapi.Artifact{Key: "ns/b", Scope: adminapi.ScopeSystem, Identifier: "com.example", Digest: "v1"})
	w.assign(keys{"ns/b"}, m)
	m.wantSettle("install ns/b v1")
	if w.artifact("ns/a") != nil {
		t.Error("the artifact that was replaced stays though no device has it")
	}
	w.putArtifact(adminapi.Artifact{Key: "ns/b", Scope: adminapi.ScopeSystem, Identifier: "com.example", Digest: "v2"})
	m.answer(m.idle(), fleet.StatusError) // v1 is still there
	w.assign(nil, m)
	m.wantSettle("remove com.example")
}

func TestWithdrawalSurvivesItsProfile(t *testing.T) {
	w := newWorld(t)
	m, silent := w.enroll("A"), w.enroll("B")
	w.put("ns/p", "v1")
	w.assign(keys{"ns/p"}, m, silent)
	m.settle()
	silent.settle()
	w.must(w.DeleteArtifact(w.ctx, "ns/p", false))
	w.must(w.DeleteArtifact(w.ctx, "ns/p", false))
	w.must(w.DeleteArtifact(w.ctx, "ns/unknown", false))
	if a := w.artifact("ns/p"); a == nil || !a.Withdrawn || a.Removing != 2 || a.Targeted != 0 {
		t.Errorf("artifact = %+v", a)
	}
	w.restore(w.backup()) // the server restarts
	m.wantSettle("remove id.ns/p")
	if a := w.artifact("ns/p"); a == nil || a.Removing != 1 {
		t.Errorf("artifact = %+v", a)
	}
	w.must(w.CheckOut(w.ctx, silent.id, silent.ch))
	if a := w.artifact("ns/p"); a != nil {
		t.Errorf("no device has it and it is still there: %+v", a)
	}
	w.put("ns/p", "v1")
	m.wantSettle() // assignments went with the withdrawal
}

func TestRetainLeavesTheProfileOnTheDevice(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.put("ns/p", "v1")
	w.assign(keys{"ns/p"}, m)
	m.settle()
	w.must(w.DeleteArtifact(w.ctx, "ns/p", true))
	m.wantSettle()
	if a := w.artifact("ns/p"); a != nil {
		t.Errorf("artifact = %+v, want it forgotten", a)
	}
}

func TestArtifactPutAgainWhileItIsWithdrawn(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.put("ns/p", "v1")
	w.assign(keys{"ns/p"}, m)
	m.settle()
	w.must(w.DeleteArtifact(w.ctx, "ns/p", false))
	w.put("ns/p", "v1")
	w.assign(keys{"ns/p"}, m)
	m.wantSettle()
	if a := w.artifact("ns/p"); a.Withdrawn || a.Installed != 1 {
		t.Errorf("artifact = %+v", a)
	}
}

func TestUserArtifactsGoToEveryUserAndCountByTheWorst(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	ann := m.user("ann")
	w.putArtifact(adminapi.Artifact{Key: "ns/u", Scope: adminapi.ScopeUser, Identifier: "u", Digest: "v1"})
	w.put("ns/s", "v1")
	w.assign(keys{"ns/u", "ns/s"}, m)
	bob := m.user("bob")
	m.wantSettle("install ns/s v1")
	ann.wantSettle("install ns/u v1")
	if a := w.artifact("ns/u"); a.Targeted != 1 || a.Installed != 0 || a.Pending != 1 {
		t.Errorf("with bob missing: %+v", a)
	}
	bob.answer(bob.idle(), fleet.StatusError)
	if a := w.artifact("ns/u"); a.Failed != 1 || a.Installed != 0 {
		t.Errorf("with bob failing: %+v", a)
	}
	if d := w.device("A"); d.Users != 2 || d.FailingCount != 1 {
		t.Errorf("device = %+v", d)
	}
	w.must(w.CheckOut(w.ctx, bob.id, bob.ch))
	if a := w.artifact("ns/u"); a.Installed != 1 || a.Failed != 0 {
		t.Errorf("without bob: %+v", a)
	}
	if d := w.device("A"); d.Users != 1 || d.FailingCount != 0 || d.State != adminapi.DeviceEnrolled {
		t.Errorf("device = %+v", d)
	}
	w.must(w.DeleteArtifact(w.ctx, "ns/u", false))
	m.wantSettle()
	ann.wantSettle("remove u")
}

func TestUserChannelNeedsItsDevice(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.wantErr(w.AllowUserChannel(w.ctx, m.id, userChannel("B", "ann")), fleet.ErrWrongIdentity)
	w.wantErr(w.TokenUpdate(w.ctx, m.id, userChannel("B", "ann"), fleet.PushInfo{}, nil, false), fleet.ErrWrongIdentity)
	fresh := w.identity(tokenHash)
	w.must(w.Authenticate(w.ctx, fresh, deviceChannel("C"), factsOf("C"), topic))
	w.wantErr(w.TokenUpdate(w.ctx, fresh, userChannel("C", "ann"), fleet.PushInfo{}, nil, false), fleet.ErrNotEnrolled)
	w.wantErr(w.Authenticate(w.ctx, w.identity(tokenHash), userChannel("D", "ann"), factsOf("D"), topic), fleet.ErrNotEnrolled)
	d := fleet.Report{Status: fleet.StatusIdle}
	if command, err := w.Connect(w.ctx, m.id, userChannel("A", "nobody"), d); err != nil || command != nil {
		t.Errorf("a channel without TokenUpdate got %s, %v", command, err)
	}
}
