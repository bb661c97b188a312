package windows_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/test/devicesim/windows"
)

func set(locURI, format, data string) adminapi.SyncMLCommand {
	return adminapi.SyncMLCommand{Verb: adminapi.VerbSet, LocURI: locURI, Format: format, Data: data}
}

// settled has sessions until the profile is installed everywhere.
func (w *world) settled(pc *windows.PC, name string) {
	w.t.Helper()
	for range 3 {
		session(w.t, pc, windows.SessionOptions{})
		if a := w.artifact(name); a.Targeted > 0 && a.Installed == a.Targeted {
			return
		}
	}
	w.t.Fatalf("not installed: %+v", w.artifact(name))
}

func TestServerAppliesSettings(t *testing.T) {
	w := newWorld(t, nil)
	pc, d := w.enrolled(1, nil)
	const cortana, root = areas + "Experience/AllowCortana", "./Device/Vendor/MSFT/WiFi/Profile/Office/WlanXml"
	pc.SetNode(cortana, windows.Node{Format: "int", Data: "1"}) // 418 to an Add
	w.publish("desk", "1", adminapi.ScopeSystem, []adminapi.SyncMLCommand{
		set(camera, "int", "00"), set(cortana, "int", "0"), set(areas+"A/Flag", "bool", "1"), set(areas+"A/Text", "chr", `<enabled/><data id="x" value="1 & 2"/>`),
		set(root, "xml", "<WLANProfile>\n  <name>Office</name>\n</WLANProfile>"), set(areas+"A/Blob", "b64", "QUJD\nREVG"),
	}, d)
	w.settled(pc, "desk")
	for uri, want := range map[string]string{camera: "0", cortana: "0", areas + "A/Flag": "true", areas + "A/Text": `<enabled/><data id="x" value="1 & 2"/>`, areas + "A/Blob": "QUJDREVG"} {
		if n, _ := pc.Node(uri); n.Data != want {
			t.Errorf("%s is %q, not %q", uri, n.Data, want)
		}
	}
	pc.RemoveNode(camera) // 404 to a Replace
	w.publish("desk", "2", adminapi.ScopeSystem, []adminapi.SyncMLCommand{set(camera, "int", "1"), set(areas+"A/Flag", "bool", "false")}, d)
	w.settled(pc, "desk")
	if n, _ := pc.Node(camera); n.Data != "1" {
		t.Errorf("after an edit the camera is %+v", n)
	}
	for _, gone := range []string{cortana, root, areas + "A/Text"} {
		if n, has := pc.Node(gone); has {
			t.Errorf("%s is still %q", gone, n.Data)
		}
	}
	if report := session(t, pc, windows.SessionOptions{Login: windows.LoginNone}); report.Messages > 2 {
		t.Errorf("nothing is due, but %+v", report)
	}
	w.assign(d)
	session(t, pc, windows.SessionOptions{})
	if n, has := pc.Node(camera); has {
		t.Errorf("no profile is left, but the camera is %q", n.Data)
	}
}

func TestServerTellsWhatPCsRefuse(t *testing.T) {
	w := newWorld(t, nil)
	pc, d := w.enrolled(1, nil)
	secret := "TOP SECRET VALUE"
	for name, test := range map[string]struct {
		command adminapi.SyncMLCommand
		rules   []windows.Rule
		said    string // in the message; empty: installed
	}{
		"read-only":      {set("./DevInfo/DmV", "chr", secret), nil, "405"},
		"no such CSP":    {set("./Device/Vendor/Else/X", "chr", secret), nil, "404"},
		"wrong format":   {set(areas+"DeviceLock/MinDevicePasswordLength", "chr", secret), nil, "406"},
		"not the format": {set(areas+"B/Number", "int", secret), nil, "415"},
		"decoded":        {set(areas+"B/Error", "chr", secret), []windows.Rule{{LocURI: areas + "B/Error", Code: 403, OriginalError: "0x80070005"}}, "access is denied"},
		"reads wrongly":  {set(areas+"B/Lies", "chr", secret), []windows.Rule{{LocURI: areas + "B/Lies", Verb: "Add", Code: 200}}, "B/Lies"},
		"unreadable":     {set(areas+"B/Hidden", "chr", secret), []windows.Rule{{LocURI: areas + "B/Hidden", Verb: "Get", Code: 405}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			pc.Script(test.rules...)
			w.publish("one", name, adminapi.ScopeSystem, []adminapi.SyncMLCommand{test.command}, d)
			for range 2 {
				session(t, pc, windows.SessionOptions{})
			}
			a := w.artifact("one")
			switch {
			case test.said == "" && a.Installed != 1:
				t.Errorf("%+v", a)
			case test.said != "" && (a.Failed != 1 || len(a.Failing) != 1 || !strings.Contains(a.Failing[0].Message, test.said)):
				t.Errorf("%+v, not %s", a, test.said)
			}
			if len(a.Failing) > 0 && strings.Contains(a.Failing[0].Message, secret) {
				t.Errorf("a value is told: %s", a.Failing[0].Message)
			}
		})
	}
	if e := w.known(pc).LastError; e == nil || e.Code == 0 || e.LocURI == "" {
		t.Errorf("the last error is %+v", e)
	}
}

func TestServerSendsAnAtomicAsAWhole(t *testing.T) {
	w := newWorld(t, nil)
	pc, d := w.enrolled(1, nil)
	pc.SetNode(areas+"A/Two", windows.Node{Format: "int", Data: "0"})
	w.publish("both", "1", adminapi.ScopeSystem, []adminapi.SyncMLCommand{{Verb: adminapi.VerbAtomic, Commands: []adminapi.SyncMLCommand{
		{Verb: adminapi.VerbAdd, LocURI: areas + "A/One", Format: "int", Data: "1"}, {Verb: adminapi.VerbAdd, LocURI: areas + "A/Two", Format: "int", Data: "2"},
	}}}, d)
	w.settled(pc, "both")
	for uri, want := range map[string]string{areas + "A/One": "1", areas + "A/Two": "2"} {
		if n, _ := pc.Node(uri); n.Data != want {
			t.Errorf("%s is %q", uri, n.Data)
		}
	}
	pc.Script(windows.Rule{LocURI: areas + "A/Four", Code: 405})
	w.publish("both", "2", adminapi.ScopeSystem, []adminapi.SyncMLCommand{{Verb: adminapi.VerbAtomic, Commands: []adminapi.SyncMLCommand{
		set(areas+"A/Three", "int", "3"), set(areas+"A/Four", "int", "4"),
	}}}, d)
	session(t, pc, windows.SessionOptions{})
	if _, has := pc.Node(areas + "A/Three"); has {
		t.Error("half of an Atomic is left")
	}
	if a := w.artifact("both"); a.Installed != 0 || a.Failed+a.Pending != 1 {
		t.Errorf("%+v", a)
	}
}

func TestServerRepairsDrift(t *testing.T) {
	w := newWorld(t, func(c *serverconfig.Windows) { c.VerifyEvery = serverconfig.Duration(300 * time.Millisecond) })
	pc, d := w.enrolled(1, nil)
	w.publish("desk", "1", adminapi.ScopeSystem, []adminapi.SyncMLCommand{set(camera, "int", "0"), set(areas+"A/B", "int", "7")}, d)
	w.settled(pc, "desk")
	pc.SetNode(camera, windows.Node{Format: "int", Data: "1"})
	pc.RemoveNode(areas + "A/B")
	w.eventually("both settings are back", func() bool {
		session(t, pc, windows.SessionOptions{})
		one, _ := pc.Node(camera)
		other, _ := pc.Node(areas + "A/B")
		return one.Data == "0" && other.Data == "7"
	})
	if drift := w.known(pc).LastDrift; drift == nil || drift.Artifact != "fleet/desk" || drift.LocURI == "" {
		t.Errorf("the drift was %+v", drift)
	}
}

func TestServerWaitsForUsers(t *testing.T) {
	w := newWorld(t, nil)
	pc, d := w.enrolled(1, nil)
	const start = "./User/Vendor/MSFT/Policy/Config/Start/HideLock"
	w.publish("menu", "1", adminapi.ScopeUser, []adminapi.SyncMLCommand{set(start, "int", "1")}, d)
	for _, login := range []windows.Login{windows.LoginNone, windows.LoginOthers} {
		session(t, pc, windows.SessionOptions{Login: login})
	}
	if _, has := pc.Node(start); has || w.artifact("menu").Failed > 0 {
		t.Errorf("without the user: %v, %+v", has, w.artifact("menu"))
	}
	w.settled(pc, "menu")
	if n, _ := pc.Node(start); n.Data != "1" {
		t.Errorf("with the user: %+v", n)
	}
}

// A profile that is longer than a message comes in pages.
func TestServerSendsLongProfiles(t *testing.T) {
	w := newWorld(t, nil)
	pc, d := w.enrolled(1, nil)
	commands := []adminapi.SyncMLCommand{}
	for i := range 700 {
		commands = append(commands, set(fmt.Sprintf("%sLong/N%d", areas, i), "chr", strings.Repeat("x", 1000)))
	}
	w.publish("long", "1", adminapi.ScopeSystem, commands, d)
	report := session(t, pc, windows.SessionOptions{})
	if a := w.artifact("long"); a.Installed != 1 || report.Messages < 4 {
		t.Errorf("%d messages: %+v", report.Messages, a)
	}
	w.assign(d)
	session(t, pc, windows.SessionOptions{})
	if _, has := pc.Node(areas + "Long/N699"); has {
		t.Error("the end of a long profile was not removed")
	}
}

func TestServerSharesNodes(t *testing.T) {
	w := newWorld(t, nil)
	pc, d := w.enrolled(1, nil)
	w.publish("a", "1", adminapi.ScopeSystem, []adminapi.SyncMLCommand{set(camera, "int", "0")})
	w.publish("b", "1", adminapi.ScopeSystem, []adminapi.SyncMLCommand{set(camera, "int", "0"), set(areas+"A/B", "int", "1")})
	w.publish("c", "1", adminapi.ScopeSystem, []adminapi.SyncMLCommand{set(areas+"A/B", "int", "2")})
	w.assign(d, "fleet/a", "fleet/b", "fleet/c")
	for range 2 {
		session(t, pc, windows.SessionOptions{})
	}
	if a, b, c := w.artifact("a"), w.artifact("b"), w.artifact("c"); a.Installed != 1 || b.Installed != 1 || c.Failed != 1 {
		t.Errorf("a %+v, b %+v, c %+v", a, b, c)
	}
	w.assign(d, "fleet/b")
	session(t, pc, windows.SessionOptions{})
	if n, _ := pc.Node(camera); n.Data != "0" {
		t.Error("a node that another profile wants was removed")
	}
	w.assign(d)
	session(t, pc, windows.SessionOptions{})
	if _, has := pc.Node(camera); has {
		t.Error("a node that nobody wants is left")
	}
}
