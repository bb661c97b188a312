package fleet_test

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

const camera = policy + "Camera/AllowCamera"

func windowsArtifact(t testing.TB, key adminapi.Key, digest string, commands ...adminapi.SyncMLCommand) adminapi.Artifact {
	t.Helper()
	template, err := json.Marshal(adminapi.WindowsProfile{Commands: commands})
	if err != nil {
		t.Fatal(err)
	}
	scope := adminapi.ScopeSystem
	if len(commands) > 0 && strings.HasPrefix(commands[0].LocURI, "./User/") {
		scope = adminapi.ScopeUser
	}
	return adminapi.Artifact{Key: key, Platform: adminapi.PlatformWindows, Scope: scope, Identifier: string(key), Digest: digest, Template: template}
}

var askedFirst = []string{
	"Get ./DevInfo/Man", "Get ./DevInfo/Mod", "Get ./DevDetail/SwV", "Get ./DevDetail/Ext/Microsoft/SMBIOSSerialNumber",
	"Get ./DevDetail/Ext/Microsoft/DeviceName", "Get ./DevDetail/Ext/Microsoft/OSPlatform",
}

// introduced is what a device is asked and told before it is enrolled: from then on it gives reasons.
var introduced = append(askedFirst[:6:6],
	"Add ./Device/Vendor/MSFT/DMClient/Provider/KubeMDM/SyncApplicationVersion", "Replace ./Device/Vendor/MSFT/DMClient/Provider/KubeMDM/SyncApplicationVersion")

func TestFirstSessionSaysWhatThePCIsAndThenAppliesItsProfiles(t *testing.T) {
	w := newWorld(t)
	p := w.enrollPC("A")
	if d := w.device("A"); d.State != adminapi.DevicePending {
		t.Fatalf("before its first session the device is %s", d.State)
	}
	w.putProfile("ns/p", "v1", set(camera, "int", "0"))
	p.assign("ns/p")
	p.wantSync(append(introduced[:8:8], "Add "+camera, "Get "+camera)...)
	p.wantNode(camera, "0")
	w.wantCounts("ns/p", 1, 0)
	d := w.device("A")
	if d.State != adminapi.DeviceEnrolled || d.SerialNumber != "SN-A" || d.Model != "Book 3" || d.ModelName != "Contoso Book 3" ||
		d.OSVersion != "10.0.26100.1742" || d.BuildVersion != "26100.1742" || d.DeviceName != "DESKTOP-A" || d.ProductName != "Windows 11 Enterprise" ||
		d.UDID != "A" || d.Authentication != adminapi.AuthDigest {
		t.Errorf("device = %+v", d)
	}
	p.wantSync()
}

func TestFactsAreAskedAgainAfterADayAndAfterAnUpdate(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	p.nodes["./DevDetail/SwV"] = "10.0.26100.2000"
	w.clock.advance(24*time.Hour - time.Second)
	p.wantSync()
	w.clock.advance(time.Second)
	p.wantSync(askedFirst...)
	if d := w.device("A"); d.OSVersion != "10.0.26100.2000" || d.SerialNumber != "SN-A" {
		t.Errorf("device = %+v", d)
	}
	p.replaced = []fleet.WindowsResult{{LocURI: "./DevDetail/SwV", Data: "10.0.27000.1"}}
	p.nodes["./DevDetail/SwV"] = "10.0.27000.1"
	p.wantSync(askedFirst...)
	p.wantSync()

	p.replaced = []fleet.WindowsResult{{LocURI: "./DevInfo/Mod", Data: "Book 4"}, {LocURI: "./DevInfo/Man", Data: "Contoso"}}
	p.nodes["./DevDetail/Ext/Microsoft/SMBIOSSerialNumber"] = "SN-OTHER"
	p.wantSync()
	w.clock.advance(25 * time.Hour)
	p.nodes["./DevInfo/Mod"] = "Book 4"
	p.sync()
	if d := w.device("A"); d.ModelName != "Contoso Book 4" || d.SerialNumber != "SN-A" {
		t.Errorf("a device may say another model and no other serial number: %+v", d)
	}
}

func TestIdleSessionWritesNothing(t *testing.T) {
	w := newWorld(t)
	disk := w.fillable()
	p := w.newPC("A")
	w.putProfile("ns/p", "v1", set(camera, "int", "0"))
	p.assign("ns/p")
	p.sync()
	p.login = "user"
	p.sync()
	w.must(w.FlushSeen(w.ctx))

	disk.full = true
	w.clock.advance(time.Hour)
	p.replaced = []fleet.WindowsResult{{LocURI: "./DevInfo/DmV", Data: "1.3"}}
	p.alerts = []fleet.WindowsAlert{{Code: 1224, Type: "com.microsoft.mdm.something.new", Data: "?"}, {Code: 1226, Type: "com.microsoft:mdm.SCEP"}}
	p.wantSync()
	disk.full = false
	w.must(w.FlushSeen(w.ctx))
	if d := w.device("A"); !d.LastSeen.Equal(w.clock.Now()) {
		t.Errorf("the contact is forgotten: %v", d.LastSeen)
	}
}

func TestLostRepliesAreGivenAgain(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	atomic := adminapi.SyncMLCommand{Verb: adminapi.VerbAtomic, Commands: []adminapi.SyncMLCommand{
		command(adminapi.VerbReplace, policy+"A/a", "1"), command(adminapi.VerbAdd, policy+"A/b", "2"),
	}}
	p.nodes[policy+"A/a"] = "0"
	w.putProfile("ns/p", "v1", set(camera, "int", "0"), atomic)
	p.assign("ns/p")
	m := p.first()
	orders := p.say(m)
	for rounds := 0; len(orders) > 0; rounds++ {
		if again := p.say(m); !reflect.DeepEqual(orders, again) {
			t.Fatalf("the repeated message %s got\n%+v, not\n%+v", m.MsgID, again, orders)
		}
		m = p.answer(orders)
		orders = p.say(m)
	}
	if again := p.say(m); len(again) > 0 {
		t.Errorf("the repeated last message got %+v", again)
	}
	w.wantCounts("ns/p", 1, 0)
	if n := strings.Count(strings.Join(p.got, "\n"), "Add "+camera); n != 1 {
		t.Errorf("the setting was sent %d times", n)
	}
	w.clock.advance(2 * time.Hour)
	p.session--
	w.putProfile("ns/p", "v2", set(camera, "int", "1"))
	p.sync()
	p.wantNode(camera, "1")
}

func TestClientThatNumbersItsSessionsAlike(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	m := fleet.WindowsMessage{SessionID: "1", MsgID: "1", First: true}
	w.must(w.WakeNow(w.ctx, []string{"A"}))
	if got := p.say(m); len(got) > 0 {
		t.Fatalf("orders = %+v", got)
	}
	w.putProfile("ns/p", "v1", set(camera, "int", "0"))
	p.assign("ns/p")
	if got := p.say(m); len(got) != 1 {
		t.Errorf("orders = %+v", got)
	}
}

func TestSessionThatCannotBeReadBeginsAnew(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	w.putProfile("ns/p", "v1", set(camera, "int", "0"))
	p.assign("ns/p")
	p.open()
	w.must(w.store.Update(w.ctx, func(tx fleet.Tx) error {
		return tx.PutSession(fleet.SessionRow{DeviceID: "A", SessionID: "1", MsgID: "1", State: []byte("garbage"), UpdatedAt: w.clock.Now()})
	}))
	p.sync()
	w.wantCounts("ns/p", 1, 0)
}

func TestSessionThatBreaksOffIsMadeUpFor(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	w.putProfile("ns/p", "v1", set(camera, "int", "0"))
	p.assign("ns/p")
	if got := p.open(); len(got) != 1 || got[0].Command.Verb != adminapi.VerbAdd {
		t.Fatalf("orders = %+v", got)
	}
	p.wantSync("Replace "+camera, "Add "+camera, "Get "+camera) // the first attempt may have got through
	w.wantCounts("ns/p", 1, 0)

	w.putProfile("ns/p", "v2", set(camera, "int", "1"))
	m := p.answer(p.open())
	m.Aborted = true
	if orders := p.say(m); len(orders) > 0 {
		t.Errorf("an aborted session got %+v", orders)
	}
	w.wantCounts("ns/p", 0, 0)
	p.wantSync("Replace "+camera, "Get "+camera)
	w.wantCounts("ns/p", 1, 0)
}

func TestAnswersInSeveralMessages(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	w.putProfile("ns/p", "v1", set(camera, "int", "0"), set(policy+"A/a", "int", "7"))
	p.assign("ns/p")
	orders := p.open()
	for len(orders) > 0 {
		all := p.answer(orders)
		part := all
		doubt := all.Statuses[0]
		doubt.Code = 500
		part.More, part.Statuses, part.Results = true, []fleet.WindowsStatus{all.Statuses[0], doubt}, nil // the first one counts
		if got := p.say(part); len(got) > 0 {
			t.Fatalf("a message that goes on got %+v", got)
		}
		p.msg++
		all.MsgID, all.Statuses = strconv.Itoa(p.msg), all.Statuses[1:]
		orders = p.say(all)
	}
	w.wantCounts("ns/p", 1, 0)
}

func TestLongListsComeInPages(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	var commands []adminapi.SyncMLCommand
	for i := range 250 {
		commands = append(commands, set(policy+"Many/n"+strconv.Itoa(i), "int", strconv.Itoa(i)))
	}
	w.putProfile("ns/many", "v1", commands...)
	big := strings.Repeat("x", 100<<10)
	w.putProfile("ns/big", "v1", set(policy+"Big/a", "chr", big), set(policy+"Big/b", "chr", big), set(policy+"Big/c", "chr", big), set(policy+"Big/d", "chr", strings.Repeat(big, 3)))
	p.assign("ns/many", "ns/big")
	orders := p.open()
	for messages := 1; len(orders) > 0; messages++ {
		size := 0
		for i, o := range orders {
			if size += len(o.Command.Data); o.ID != strconv.Itoa(i+1) {
				t.Fatalf("order %d has the ID %s", i, o.ID)
			}
		}
		if len(orders) > 100 || size > 260<<10 && len(orders) > 1 {
			t.Fatalf("message %d has %d commands and %d bytes", messages, len(orders), size)
		}
		orders = p.say(p.answer(orders))
	}
	w.wantCounts("ns/many", 1, 0)
	w.wantCounts("ns/big", 1, 0)
}

func TestSessionThatNeverEndsGetsNothingMore(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	w.putProfile("ns/p", "v1", set(camera, "int", "0"))
	p.assign("ns/p")
	p.open()
	next := func() []fleet.WindowsOrder {
		p.msg++
		return p.say(fleet.WindowsMessage{SessionID: strconv.Itoa(p.session), MsgID: strconv.Itoa(p.msg)})
	}
	for range 498 {
		next()
	}
	w.putProfile("ns/p", "v2", set(camera, "int", "1"))
	if got := next(); len(got) != 1 {
		t.Errorf("message 500 got %+v", got)
	}
	w.putProfile("ns/p", "v3", set(camera, "int", "2"))
	if got := next(); len(got) != 0 {
		t.Errorf("message 501 got %+v", got)
	}
	p.sync()
	w.wantCounts("ns/p", 1, 0)
}

func TestPCIsWokenAgainForWhatIsLeft(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	wantWake := func(channel string, after time.Duration) {
		t.Helper()
		w.must(w.store.View(w.ctx, func(tx fleet.Tx) error {
			row, err := tx.Channel(channel)
			want := w.clock.Now().Add(after)
			if after < 0 {
				want = time.Time{}
			}
			if err == nil && !row.WakeAt.Equal(want) {
				t.Errorf("%s is woken at %v, want %v", channel, row.WakeAt, want)
			}
			return err
		}))
	}
	wantWake("A", -1)
	w.putProfile("ns/p", "v1", set(camera, "int", "0"))
	w.putProfile("ns/u", "v1", set("./User/x", "int", "0"))
	p.assign("ns/p", "ns/u")
	wantWake("A", 0)
	orders := p.open()
	wantWake("A", 10*time.Minute)
	p.finish(orders)
	wantWake("A", -1)
	wantWake("A:user", time.Hour) // nobody is logged in
	p.run("ns/msi", adminapi.WindowsCommand{
		RequestType: adminapi.WindowsInstallMSI, Commands: []adminapi.SyncMLCommand{command(adminapi.VerbExec, msiNode, "")},
		Await: &adminapi.WindowsAwait{LocURI: msiNode + "/Status", Done: []string{"70"}},
	})
	wantWake("A", 0)
	p.sync()
	wantWake("A", 2*time.Minute)
	p.nodes[msiNode+"/Status"], p.login = "70", "user"
	p.sync()
	wantWake("A", -1)
	wantWake("A:user", -1)
}

func TestIgnoredPCIsAskedNothing(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	w.putProfile("ns/p", "v1", set(camera, "int", "0"))
	p.assign("ns/p")
	p.intend(adminapi.IntentIgnore)
	w.clock.advance(48 * time.Hour)
	p.wantSync()
	p.intend(adminapi.IntentManage)
	p.wantSync(append(askedFirst[:6:6], "Add "+camera, "Get "+camera)...)
}
