package fleet_test

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

const windowsTokenHash = "hash-of-the-token-for-windows"

// pc is a Windows device that keeps its nodes in a map and answers every order.
type pc struct {
	*world
	name  string
	id    fleet.Identity
	by    adminapi.ManagementAuthentication
	login string
	nodes map[string]string
	// refuses maps "Verb LocURI" to the status of a command that is not carried out; original to its HRESULT.
	refuses  map[string]int
	original map[string]string
	// mood, if set, refuses commands as it likes: 0 carries one out.
	mood func(adminapi.SyncMLCommand) int
	// reads changes what a Get of a node brings.
	reads map[string]string
	// silent are the orders, as in refuses, that get no answer.
	silent map[string]bool
	// replaced and alerts go with the first message of the next session.
	replaced []fleet.WindowsResult
	alerts   []fleet.WindowsAlert

	session, msg int
	// got are the orders of the session, in words.
	got []string
}

// enrollPC enrols a Windows device up to the point where its first session would begin.
func (w *world) enrollPC(name string) *pc {
	w.t.Helper()
	return w.enrollPCWith(name, windowsTokenHash)
}

func (w *world) enrollPCWith(name, hash string) *pc {
	w.t.Helper()
	p := &pc{
		world: w, name: name, by: adminapi.AuthDigest, refuses: map[string]int{}, original: map[string]string{}, reads: map[string]string{}, silent: map[string]bool{},
		nodes: map[string]string{
			"./DevInfo/Man": "Contoso", "./DevInfo/Mod": "Book 3", "./DevDetail/SwV": "10.0.26100.1742",
			"./DevDetail/Ext/Microsoft/SMBIOSSerialNumber": "SN-" + name, "./DevDetail/Ext/Microsoft/DeviceName": "DESKTOP-" + name,
			"./DevDetail/Ext/Microsoft/OSPlatform": "Windows 11 Enterprise",
		},
	}
	_, err := w.PutToken(w.ctx, adminapi.Token{Key: "fleet/" + adminapi.Key(hash), Hash: hash, Platforms: []adminapi.Platform{adminapi.PlatformWindows}})
	w.must(err)
	claim := fleet.WindowsClaim{DeviceID: name, PublicKeySHA256: "key of " + name}
	_, err = w.EnrollWindows(w.ctx, fleet.WindowsCredential{TokenHash: hash}, claim, func(g fleet.Grant) ([]byte, error) {
		var der []byte
		der, p.id = w.certificate(g.EnrollmentID)
		return der, nil
	})
	w.must(err)
	return p
}

// newPC is an enrolled device whose first session is over.
func (w *world) newPC(name string) *pc {
	w.t.Helper()
	p := w.enrollPC(name)
	p.sync()
	return p
}

// first is the message that opens a session.
func (p *pc) first() fleet.WindowsMessage {
	p.session++
	p.msg = 1
	p.got = nil
	m := fleet.WindowsMessage{SessionID: strconv.Itoa(p.session), MsgID: "1", First: true, Login: p.login, Replaced: p.replaced, Alerts: p.alerts}
	p.replaced, p.alerts = nil, nil
	return m
}

// say sends one message.
func (p *pc) say(m fleet.WindowsMessage) []fleet.WindowsOrder {
	p.t.Helper()
	orders, err := p.Manage(p.ctx, p.id, p.name, p.by, m)
	p.must(err)
	return orders
}

// open begins a session and returns the first orders.
func (p *pc) open() []fleet.WindowsOrder {
	p.t.Helper()
	return p.say(p.first())
}

// answer carries orders out and returns the message that says so.
func (p *pc) answer(orders []fleet.WindowsOrder) fleet.WindowsMessage {
	ref := strconv.Itoa(p.msg)
	p.msg++
	m := fleet.WindowsMessage{SessionID: strconv.Itoa(p.session), MsgID: strconv.Itoa(p.msg)}
	for _, o := range orders {
		p.carryOut(&m, ref, o)
	}
	return m
}

// sync runs a session to its end and returns its orders, in words.
func (p *pc) sync() []string {
	p.t.Helper()
	return p.finish(p.open())
}

// finish runs an open session to its end.
func (p *pc) finish(orders []fleet.WindowsOrder) []string {
	p.t.Helper()
	for rounds := 0; len(orders) > 0; rounds++ {
		if rounds > 1000 {
			p.t.Fatal("the session never ends")
		}
		orders = p.say(p.answer(orders))
	}
	return p.got
}

func (p *pc) carryOut(m *fleet.WindowsMessage, ref string, o fleet.WindowsOrder) {
	c := o.Command
	if c.Verb != adminapi.VerbAtomic && c.Verb != adminapi.VerbSequence {
		p.carryOutOne(m, ref, o.ID, c)
		return
	}
	before := maps.Clone(p.nodes)
	inner := fleet.WindowsMessage{}
	p.got = append(p.got, string(c.Verb))
	for i, in := range c.Commands {
		p.carryOutOne(&inner, ref, o.Inner[i], in)
	}
	code := 200
	failed := func(s fleet.WindowsStatus) bool { return s.Code >= 300 }
	if c.Verb == adminapi.VerbAtomic && slices.ContainsFunc(inner.Statuses, failed) {
		p.nodes, code = before, 507
		for i := range inner.Statuses {
			if !failed(inner.Statuses[i]) {
				inner.Statuses[i].Code = 216
			}
		}
	}
	m.Statuses = append(append(m.Statuses, fleet.WindowsStatus{MsgRef: ref, CmdRef: o.ID, Code: code}), inner.Statuses...)
	m.Results = append(m.Results, inner.Results...)
}

func (p *pc) carryOutOne(m *fleet.WindowsMessage, ref, id string, c adminapi.SyncMLCommand) {
	words := string(c.Verb) + " " + c.LocURI
	p.got = append(p.got, words)
	if p.silent[words] {
		return
	}
	code := p.refuses[words]
	if p.mood != nil {
		code = p.mood(c)
	}
	if code == 0 {
		code = p.execute(c)
	}
	m.Statuses = append(m.Statuses, fleet.WindowsStatus{MsgRef: ref, CmdRef: id, Code: code, OriginalError: p.original[words]})
	if c.Verb != adminapi.VerbGet || code != 200 {
		return
	}
	value := p.nodes[c.LocURI]
	if changed, ok := p.reads[c.LocURI]; ok {
		value = changed
	}
	m.Results = append(m.Results, fleet.WindowsResult{MsgRef: ref, CmdRef: id, LocURI: c.LocURI, Format: "chr", Data: value})
}

func (p *pc) execute(c adminapi.SyncMLCommand) int {
	_, there := p.nodes[c.LocURI]
	switch {
	case c.Verb == adminapi.VerbExec:
	case c.Verb == adminapi.VerbAdd && there:
		return 418
	case c.Verb != adminapi.VerbAdd && !there:
		return 404
	case c.Verb == adminapi.VerbDelete:
		maps.DeleteFunc(p.nodes, func(uri, _ string) bool { return uri == c.LocURI || strings.HasPrefix(uri, c.LocURI+"/") })
	case c.Verb == adminapi.VerbAdd || c.Verb == adminapi.VerbReplace:
		p.nodes[c.LocURI] = c.Data
	}
	return 200
}

// wantSync runs a session and checks its orders.
func (p *pc) wantSync(want ...string) {
	p.t.Helper()
	if got := p.sync(); !slices.Equal(got, want) {
		p.t.Fatalf("the session was\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// wantNode checks what the device has at a node; "" is none.
func (p *pc) wantNode(uri, want string) {
	p.t.Helper()
	if got := p.nodes[uri]; got != want {
		p.t.Fatalf("%s reads %q, want %q", uri, got, want)
	}
}

const policy = "./Device/Vendor/MSFT/Policy/Config/"

func set(uri, format, data string) adminapi.SyncMLCommand {
	return adminapi.SyncMLCommand{Verb: adminapi.VerbSet, LocURI: uri, Format: format, Data: data}
}

func command(verb adminapi.SyncMLVerb, uri, data string) adminapi.SyncMLCommand {
	return adminapi.SyncMLCommand{Verb: verb, LocURI: uri, Format: "chr", Data: data}
}

// putProfile stores a Windows artifact of the commands; its scope is that of the first.
func (w *world) putProfile(key adminapi.Key, digest string, commands ...adminapi.SyncMLCommand) *adminapi.ArtifactStatus {
	w.t.Helper()
	st, err := w.PutArtifact(w.ctx, windowsArtifact(w.t, key, digest, commands...))
	w.must(err)
	return st
}

// assignPC sets what the device should have.
func (p *pc) assign(list ...adminapi.Key) {
	p.t.Helper()
	reply, err := p.PutAssignments(p.ctx, adminapi.AssignmentBatch{Assignments: []adminapi.Assignment{
		{DeviceID: p.name, EnrollmentID: p.id.EnrollmentID, Artifacts: list},
	}})
	p.must(err)
	if len(reply.Stale) > 0 {
		p.t.Fatalf("stale assignments: %v", reply.Stale)
	}
}

// run stores a Windows action for the device.
func (p *pc) run(key adminapi.Key, c adminapi.WindowsCommand) {
	p.t.Helper()
	_, err := p.PutAction(p.ctx, adminapi.Action{
		Key: key, SpecHash: "spec", Windows: &c, Targets: []adminapi.ActionTarget{{DeviceID: p.name, EnrollmentID: p.id.EnrollmentID}},
	})
	p.must(err)
}

// wantCounts checks how many devices an artifact is installed on and failed on.
func (w *world) wantCounts(key adminapi.Key, installed, failed int) {
	w.t.Helper()
	a := w.artifact(key)
	if a == nil || a.Installed != installed || a.Failed != failed {
		w.t.Fatalf("%s: %+v, want %d installed and %d failed", key, a, installed, failed)
	}
}

// wantFailure checks the only failure of an artifact.
func (w *world) wantFailure(key adminapi.Key, parts ...string) {
	w.t.Helper()
	a := w.artifact(key)
	if a == nil || len(a.Failing) != 1 {
		w.t.Fatalf("%s: %+v, want one failure", key, a)
	}
	for _, part := range parts {
		if !strings.Contains(a.Failing[0].Message, part) {
			w.t.Fatalf("the failure of %s says %q, want %q in it", key, a.Failing[0].Message, part)
		}
	}
}

// intend sets what the cluster wants of the enrolment.
func (p *pc) intend(i adminapi.Intent) {
	p.t.Helper()
	_, err := p.PutIntents(p.ctx, adminapi.IntentBatch{Intents: []adminapi.DeviceIntent{{DeviceID: p.name, EnrollmentID: p.id.EnrollmentID, Intent: i}}})
	p.must(err)
}

// fillable puts a disk under the store that a test can make full.
func (w *world) fillable() *fullStore {
	w.t.Helper()
	disk := &fullStore{Store: w.store}
	w.store = disk
	w.Fleet = w.startFleet(w.enc)
	return disk
}
