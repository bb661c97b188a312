package fleet_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

const (
	nodeA = policy + "Area/a"
	nodeB = policy + "Area/b"
)

func inAtomic(commands ...adminapi.SyncMLCommand) adminapi.SyncMLCommand {
	return adminapi.SyncMLCommand{Verb: adminapi.VerbAtomic, Commands: commands}
}

func inSequence(commands ...adminapi.SyncMLCommand) adminapi.SyncMLCommand {
	return adminapi.SyncMLCommand{Verb: adminapi.VerbSequence, Commands: commands}
}

func TestWriting(t *testing.T) {
	add, replace := adminapi.VerbAdd, adminapi.VerbReplace
	type nodes map[string]string
	for name, c := range map[string]struct {
		has      nodes
		commands []adminapi.SyncMLCommand
		want     []string
		nodes    nodes
	}{
		"a node that is there": {
			nodes{nodeA: "old"}, []adminapi.SyncMLCommand{set(nodeA, "chr", "new")},
			[]string{"Add " + nodeA, "Replace " + nodeA, "Get " + nodeA}, nodes{nodeA: "new"},
		},
		"a raw Add of a node that is there": {
			nodes{nodeA: "old"}, []adminapi.SyncMLCommand{command(add, nodeA, "new")},
			[]string{"Add " + nodeA, "Replace " + nodeA, "Get " + nodeA}, nodes{nodeA: "new"},
		},
		"a raw Replace of a node that is not": {
			nil, []adminapi.SyncMLCommand{command(replace, nodeA, "new")},
			[]string{"Replace " + nodeA, "Add " + nodeA, "Get " + nodeA}, nodes{nodeA: "new"},
		},
		"an Atomic in which both are wrong": {
			nodes{nodeA: "old"}, []adminapi.SyncMLCommand{inAtomic(command(add, nodeA, "1"), command(replace, nodeB, "2"))},
			[]string{"Atomic", "Add " + nodeA, "Replace " + nodeB, "Atomic", "Replace " + nodeA, "Add " + nodeB, "Get " + nodeA, "Get " + nodeB},
			nodes{nodeA: "1", nodeB: "2"},
		},
		"a Sequence of which only the rest is sent again": {
			nodes{nodeA: "old"}, []adminapi.SyncMLCommand{inSequence(command(add, nodeA, "1"), command(adminapi.VerbExec, nodeB, ""), set(camera, "int", "2"))},
			[]string{"Sequence", "Add " + nodeA, "Exec " + nodeB, "Add " + camera, "Sequence", "Replace " + nodeA, "Get " + nodeA, "Get " + camera},
			nodes{nodeA: "1", camera: "2"},
		},
		"a Delete of a node that is not there": {
			nil, []adminapi.SyncMLCommand{command(adminapi.VerbDelete, nodeA, ""), set(nodeB, "int", "1")},
			[]string{"Delete " + nodeA, "Add " + nodeB, "Get " + nodeB}, nodes{nodeB: "1"},
		},
		"what cannot be read": {
			nil, []adminapi.SyncMLCommand{
				{Verb: adminapi.VerbSet, LocURI: nodeA, Format: "chr", Data: "secret", Unverified: true}, {Verb: adminapi.VerbAdd, LocURI: nodeB, Format: "node"},
			},
			[]string{"Add " + nodeA, "Add " + nodeB}, nodes{nodeA: "secret", nodeB: ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			disk := w.fillable()
			p := w.newPC("A")
			clear(p.nodes)
			maps.Copy(p.nodes, c.has)
			w.putProfile("ns/p", "v1", c.commands...)
			p.assign("ns/p")
			p.wantSync(c.want...)
			w.wantCounts("ns/p", 1, 0)
			if !maps.Equal(p.nodes, map[string]string(c.nodes)) {
				t.Errorf("the device has %v", p.nodes)
			}
			p.wantSync()
			w.clock.advance(9 * time.Hour) // what nobody can read is not checked either
			if got := p.sync(); slices.ContainsFunc(got, func(s string) bool { return !strings.HasPrefix(s, "Get ") }) {
				t.Errorf("later: %v", got)
			}
			w.must(w.FlushSeen(w.ctx))
			disk.full = true // nothing is to be stored any more
			p.wantSync()
		})
	}
}

func TestRefusedSettingFailsInWordsAndWithoutItsValue(t *testing.T) {
	for name, c := range map[string]struct {
		code     int
		original string
		commands []adminapi.SyncMLCommand
		want     []string
	}{
		"405":                   {405, "0x86000011", []adminapi.SyncMLCommand{set(nodeA, "chr", "s3cret")}, []string{nodeA, "405", "0x86000011", "not allowed on this node"}},
		"404 for both verbs":    {404, "", []adminapi.SyncMLCommand{set(nodeA, "chr", "s3cret")}, []string{nodeA, "404", "no such node"}},
		"an unknown HRESULT":    {400, "0x8abcdef0", []adminapi.SyncMLCommand{set(nodeA, "chr", "s3cret")}, []string{nodeA, "(400; 0x8ABCDEF0)"}},
		"the part of an Atomic": {425, "0x80070005", []adminapi.SyncMLCommand{inAtomic(set(nodeB, "chr", "1"), set(nodeA, "chr", "s3cret"))}, []string{nodeA, "access is denied"}},
		"no HRESULT at all":     {400, strings.Repeat("x", 5000), []adminapi.SyncMLCommand{set(nodeA, "chr", "s3cret")}, []string{nodeA}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			p := w.newPC("A")
			for _, verb := range []string{"Add ", "Replace "} {
				p.refuses[verb+nodeA], p.original[verb+nodeA] = c.code, c.original
			}
			w.putProfile("ns/p", "v1", c.commands...)
			w.putProfile("ns/q", "v1", set(camera, "int", "0"))
			p.assign("ns/p", "ns/q")
			p.sync()
			w.wantFailure("ns/p", c.want...)
			w.wantCounts("ns/q", 1, 0)
			d := w.device("A")
			if d.LastError == nil || d.LastError.Code != c.code || d.LastError.LocURI != nodeA || len(d.LastError.Original) > 10 || len(d.Failing) != 1 {
				t.Errorf("device = %+v, last error %+v", d, d.LastError)
			}
			if text := d.LastError.Message + d.Failing[0].Message; strings.Contains(text, "s3cret") || len(d.Failing[0].Message) > 1024 {
				t.Errorf("it says %q", text)
			}
			p.wantSync()
			p.refuses = map[string]int{}
			w.putProfile("ns/p", "v2", c.commands...)
			p.sync()
			w.wantCounts("ns/p", 1, 0)
			if d := w.device("A"); len(d.Failing) != 0 {
				t.Errorf("an edit did not make it good: %+v", d.Failing)
			}
		})
	}
}

func TestDeviceThatCannotNowIsAskedAgainWithPauses(t *testing.T) {
	for _, code := range []int{500, 503, 507, 214, 215} {
		w := newWorld(t)
		p := w.newPC("A")
		p.refuses["Add "+nodeA], p.refuses["Replace "+nodeA] = code, code
		w.putProfile("ns/p", "v1", set(nodeA, "int", "1"))
		p.assign("ns/p")
		tries := 0
		for range 20 {
			if got := p.sync(); len(got) > 1 {
				t.Fatalf("%d: it was tried more than once in a session: %v", code, got)
			} else if len(got) == 1 {
				tries++
			}
			w.clock.advance(time.Minute)
		}
		if a := w.artifact("ns/p"); tries != 6 || a.NotNow != 1 || a.Failed != 0 {
			t.Errorf("%d: %d tries, %+v", code, tries, a)
		}
		p.refuses = map[string]int{}
		w.clock.advance(time.Hour)
		p.sync()
		w.wantCounts("ns/p", 1, 0)
	}
}

func TestVerification(t *testing.T) {
	for name, c := range map[string]struct {
		format, wrote, reads string
		code                 int
		installed, tells     bool
	}{
		"another spelling":         {"bool", "true", "1", 0, true, false},
		"another value":            {"int", "5", "6", 0, false, false},
		"nobody may read it":       {"chr", "x", "", 405, true, false},
		"the feature is not there": {"chr", "x", "", 406, true, false},
		"no permission to read":    {"chr", "x", "", 425, true, false},
		"it is gone":               {"chr", "x", "", 404, false, false},
		"the Get is refused":       {"chr", "x", "", 400, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			p := w.newPC("A")
			p.reads[nodeA] = c.reads
			p.refuses["Get "+nodeA] = c.code
			w.putProfile("ns/p", "v1", set(nodeA, c.format, c.wrote))
			p.assign("ns/p")
			p.wantSync("Add "+nodeA, "Get "+nodeA)
			if c.installed {
				w.wantCounts("ns/p", 1, 0)
				return
			}
			w.wantFailure("ns/p", nodeA)
			if told := w.device("A").LastError != nil; told != c.tells {
				t.Errorf("last error = %+v", w.device("A").LastError)
			}
		})
	}
}

func TestAnswerIsForTheDigestThatWasSent(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	w.putProfile("ns/p", "v1", set(nodeA, "int", "1"))
	p.assign("ns/p")
	orders := p.open()
	w.putProfile("ns/p", "v2", set(nodeA, "int", "2"))
	orders = p.say(p.answer(orders))
	w.wantCounts("ns/p", 0, 0)
	p.finish(orders)
	w.wantCounts("ns/p", 1, 0)
	p.wantNode(nodeA, "2")

	w.putProfile("ns/p", "v3", set(nodeA, "int", "3"))
	orders = p.open()
	p.assign()
	p.finish(orders)
	if a := w.artifact("ns/p"); a.Targeted != 0 || a.Installed != 0 {
		t.Errorf("an unassigned artifact is %+v", a)
	}
	p.sync()
	p.wantNode(nodeA, "")
}

func TestUserScopeWaitsForTheUser(t *testing.T) {
	const node = "./User/Vendor/MSFT/Policy/Config/Experience/AllowWindowsSpotlight"
	w := newWorld(t)
	p := w.newPC("A")
	w.putProfile("ns/u", "v1", set(node, "int", "0"))
	w.putProfile("ns/d", "v1", set(camera, "int", "0"))
	p.assign("ns/u", "ns/d")
	p.wantSync("Add "+camera, "Get "+camera)
	for _, login := range []string{"others", "none"} {
		p.login = login
		p.wantSync()
	}
	if a := w.artifact("ns/u"); a.Pending != 1 {
		t.Errorf("artifact = %+v", a)
	}
	p.login = "user"
	p.wantSync("Add "+node, "Get "+node)
	w.wantCounts("ns/u", 1, 0)
	p.assign("ns/d")
	p.login = "none"
	p.wantSync()
	if a := w.artifact("ns/u"); a.Removing != 1 {
		t.Errorf("artifact = %+v", a)
	}
	p.login = "user"
	p.wantSync("Delete " + node)
	p.wantSync()
}

func TestMalformedProfileIsRefused(t *testing.T) {
	w := newWorld(t)
	for name, a := range map[string]adminapi.Artifact{
		"no JSON":                {Key: "ns/p", Platform: adminapi.PlatformWindows, Template: []byte("<plist/>")},
		"no commands":            windowsArtifact(t, "ns/p", "v1"),
		"an unknown verb":        windowsArtifact(t, "ns/p", "v1", command("Copy", nodeA, "")),
		"no LocURI":              windowsArtifact(t, "ns/p", "v1", command(adminapi.VerbExec, "", "")),
		"a LocURI outside":       windowsArtifact(t, "ns/p", "v1", set("/Device/Vendor", "chr", "")),
		"an endless LocURI":      windowsArtifact(t, "ns/p", "v1", set("./"+strings.Repeat("x", 5000), "chr", "")),
		"an empty Atomic":        windowsArtifact(t, "ns/p", "v1", inAtomic()),
		"an Atomic in a Atomic":  windowsArtifact(t, "ns/p", "v1", inAtomic(inAtomic(set(nodeA, "chr", "")))),
		"a Set with commands":    windowsArtifact(t, "ns/p", "v1", adminapi.SyncMLCommand{Verb: adminapi.VerbSet, LocURI: nodeA, Commands: inAtomic(set(nodeA, "chr", "")).Commands}),
		"a user's node":          windowsArtifact(t, "ns/p", "v1", set(nodeA, "chr", ""), set("./user/x", "chr", "")),
		"a device's node":        windowsArtifact(t, "ns/p", "v1", set("./User/x", "chr", ""), set(nodeA, "chr", "")),
		"a device's in a Atomic": windowsArtifact(t, "ns/p", "v1", set("./User/x", "chr", ""), inAtomic(set(nodeA, "chr", ""))),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.PutArtifact(w.ctx, a)
			w.wantCode(err, adminapi.CodeInvalid)
		})
	}
	w.putProfile("ns/p", "v1", set(nodeA, "chr", ""))
	_, err := w.PutArtifact(w.ctx, adminapi.Artifact{Key: "ns/p", Scope: adminapi.ScopeSystem, Identifier: "x", Digest: "v2"})
	w.wantCode(err, adminapi.CodeInvalid)
}

func TestDeviceThatContradictsItself(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	p.refuses["Add "+nodeA], p.refuses["Replace "+nodeA] = 418, 404
	w.putProfile("ns/p", "v1", set(nodeA, "int", "1"))
	p.assign("ns/p")
	p.wantSync("Add "+nodeA, "Replace "+nodeA)
	w.wantFailure("ns/p", nodeA, "404")
}

func TestAtomicThatFailsWithoutSayingWhere(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	w.putProfile("ns/p", "v1", inAtomic(set(nodeA, "int", "1"), set(nodeB, "int", "2")))
	p.assign("ns/p")
	m := p.answer(p.open())
	m.Statuses[0].Code = 507
	m.Statuses = m.Statuses[:1]
	p.say(m)
	if a := w.artifact("ns/p"); a.NotNow != 1 {
		t.Errorf("artifact = %+v", a)
	}
	if e := w.device("A").LastError; e == nil || e.Code != 507 || e.LocURI != nodeA {
		t.Errorf("last error = %+v", e)
	}
	p.refuses["Replace "+nodeB] = 500
	p.sync()
	if e := w.device("A").LastError; e == nil || e.Code != 500 || e.LocURI != nodeB {
		t.Errorf("last error = %+v", e)
	}
}
