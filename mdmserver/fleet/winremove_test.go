package fleet_test

import (
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

func TestNodeStaysWhileAProfileWantsIt(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	w.putProfile("ns/a", "v1", set(nodeA, "int", "1"), set(nodeB, "int", "2"))
	w.putProfile("ns/b", "v1", set("./Vendor/MSFT/Policy/Config/Area/a", "int", "1")) // the same node by another name
	p.nodes["./Vendor/MSFT/Policy/Config/Area/a"] = "1"
	p.assign("ns/a", "ns/b")
	p.sync()
	w.wantCounts("ns/a", 1, 0)
	w.wantCounts("ns/b", 1, 0)

	p.assign("ns/a")
	p.wantSync()
	if b := w.artifact("ns/b"); b.Removing != 0 {
		t.Errorf("what others want is not being removed: %+v", b)
	}
	p.assign("ns/b")
	p.wantSync("Delete "+nodeB, "Replace ./Vendor/MSFT/Policy/Config/Area/a", "Get ./Vendor/MSFT/Policy/Config/Area/a")
}

func TestEditTakesAwayWhatItLeavesOut(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	w.putProfile("ns/a", "v1", set(nodeA, "int", "1"), set(nodeB, "int", "2"))
	p.assign("ns/a")
	p.sync()
	w.putProfile("ns/a", "v2", set(nodeA, "int", "1"), set(camera, "int", "3"))
	p.refuses["Add "+camera] = 405 // what was left out goes even if the rest fails
	p.wantSync("Delete "+nodeB, "Replace "+nodeA, "Add "+camera)
	w.wantCounts("ns/a", 0, 1)
	p.assign()
	p.wantSync("Delete " + nodeA)
	p.wantSync()
}

func TestWithdrawnProfileIsForgottenOnceItIsGone(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	w.putProfile("ns/a", "v1", set(nodeA, "int", "1"))
	w.putProfile("ns/b", "v1", set(nodeB, "int", "1"))
	p.assign("ns/a", "ns/b")
	p.sync()
	w.must(w.DeleteArtifact(w.ctx, "ns/a", false))
	if a := w.artifact("ns/a"); a == nil || !a.Withdrawn || a.Removing != 1 {
		t.Fatalf("artifact = %+v", a)
	}
	p.wantSync("Delete " + nodeA)
	if a := w.artifact("ns/a"); a != nil {
		t.Errorf("artifact = %+v", a)
	}
	w.must(w.DeleteArtifact(w.ctx, "ns/b", true))
	p.wantSync()
	p.wantNode(nodeB, "1")
	if b := w.artifact("ns/b"); b != nil {
		t.Errorf("artifact = %+v", b)
	}
}

func TestRemovalThatIsNotPossible(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	w.putProfile("ns/a", "v1", set(nodeA, "int", "1"), set(nodeB, "int", "2"), set(camera, "int", "3"))
	p.assign("ns/a")
	p.sync()
	delete(p.nodes, nodeB)
	p.refuses["Delete "+nodeA] = 405
	p.refuses["Delete "+camera] = 500
	p.assign()
	p.wantSync("Delete "+nodeA, "Delete "+nodeB, "Delete "+camera)
	if e := w.device("A").LastError; e == nil || e.Code != 405 || e.LocURI != nodeA {
		t.Errorf("last error = %+v", e)
	}
	if a := w.artifact("ns/a"); a.Removing != 1 {
		t.Errorf("artifact = %+v", a)
	}
	p.refuses = map[string]int{}
	p.wantSync("Delete " + camera)
	p.wantNode(nodeA, "1")
	p.wantSync()
	if a := w.artifact("ns/a"); a.Removing != 0 {
		t.Errorf("artifact = %+v", a)
	}
}

func TestDeleteSparesWhatIsWantedBelow(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	w.putProfile("ns/parent", "v1", adminapi.SyncMLCommand{Verb: adminapi.VerbSet, LocURI: policy + "Area", Format: "node"})
	w.putProfile("ns/child", "v1", set(nodeA, "int", "1"))
	p.assign("ns/parent", "ns/child")
	p.sync()
	p.assign("ns/child")
	p.wantSync()
	p.wantNode(nodeA, "1")
	if a := w.artifact("ns/parent"); a.Removing != 0 {
		t.Errorf("artifact = %+v", a)
	}
}

func TestDrift(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	w.putProfile("ns/a", "v1", set(nodeA, "int", "1"), set(nodeB, "int", "2"))
	w.putProfile("ns/b", "v1", set(camera, "int", "3"))
	p.assign("ns/a", "ns/b")
	p.sync()
	w.clock.advance(8*time.Hour - time.Second)
	p.nodes[nodeB] = "9"
	p.wantSync()
	w.clock.advance(time.Second)
	p.wantSync("Get "+nodeA, "Get "+nodeB, "Get "+camera, "Replace "+nodeB, "Get "+nodeB)
	p.wantNode(nodeB, "2")
	drift := w.device("A").LastDrift
	if drift == nil || drift.Artifact != "ns/a" || drift.LocURI != nodeB || !drift.At.Equal(w.clock.Now()) {
		t.Errorf("drift = %+v", drift)
	}
	w.wantCounts("ns/a", 1, 0)
	p.wantSync()

	w.clock.advance(8 * time.Hour)
	delete(p.nodes, nodeA)
	p.refuses["Get "+camera] = 500
	p.wantSync("Get "+nodeA, "Get "+nodeB, "Get "+camera, "Replace "+nodeA, "Add "+nodeA, "Get "+nodeA)
	p.wantSync("Get " + camera) // it could not tell
	delete(p.refuses, "Get "+camera)
	p.wantSync("Get " + camera)
	p.wantSync()

	w.clock.advance(8 * time.Hour)
	p.nodes[nodeA] = "9"
	p.refuses["Replace "+nodeA] = 405
	p.sync()
	w.wantFailure("ns/a", nodeA, "405")
	w.wantCounts("ns/b", 1, 0)
}

func TestDriftIsNotSeenWhileItsRepairIsLost(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	w.putProfile("ns/a", "v1", set(nodeA, "int", "1"))
	p.assign("ns/a")
	p.sync()
	w.clock.advance(8 * time.Hour)
	p.nodes[nodeA] = "9"
	p.say(p.answer(p.open())) // the device never gets the reply
	p.wantSync("Get "+nodeA, "Replace "+nodeA, "Get "+nodeA)
	p.wantNode(nodeA, "1")
	p.wantSync()
}

func TestFirstProfileByKeyWinsANode(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	w.putProfile("ns/b", "v1", set(nodeA, "chr", "s3cret"), set(nodeB, "int", "1"))
	p.assign("ns/b")
	p.sync()
	w.putProfile("ns/a", "v1", set(nodeA, "chr", "other"))
	p.assign("ns/a", "ns/b")
	p.wantSync("Replace "+nodeA, "Get "+nodeA)
	w.wantCounts("ns/a", 1, 0)
	w.wantFailure("ns/b", "ns/a sets "+nodeA+" to another value")
	w.clock.advance(8 * time.Hour)
	p.wantSync("Get " + nodeA) // the loser repairs nothing
	p.assign("ns/b")
	p.wantSync("Replace "+nodeA, "Replace "+nodeB, "Get "+nodeA, "Get "+nodeB)
	w.wantCounts("ns/b", 1, 0)
	p.wantNode(nodeA, "s3cret")

	p.assign("ns/a", "ns/b")
	p.sync()
	w.wantCounts("ns/b", 0, 1)
	w.putProfile("ns/a", "v2", set(nodeA, "chr", "s3cret"))
	w.drain()
	p.sync()
	w.wantFeed("artifact ns/a", "artifact ns/b", "device A") // it fails no longer
	w.wantCounts("ns/a", 1, 0)
	w.wantCounts("ns/b", 1, 0)
	p.wantSync()
}

func TestProfilesThatAgreeShareANode(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	w.putProfile("ns/a", "v1", set(nodeA, "bool", "true"))
	w.putProfile("ns/b", "v1", set(nodeA, "bool", "1"))
	p.assign("ns/a", "ns/b")
	p.sync()
	w.wantCounts("ns/a", 1, 0)
	w.wantCounts("ns/b", 1, 0)
}
