package fleet_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

const (
	wipeNode     = "./Device/Vendor/MSFT/RemoteWipe/doWipe"
	rebootNode   = "./Device/Vendor/MSFT/Reboot/RebootNow"
	unenrollNode = "./Device/Vendor/MSFT/DMClient/Provider/KubeMDM/Unenroll"
	msiNode      = "./Device/Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/X"
)

func windowsExec(request, uri string) adminapi.WindowsCommand {
	return adminapi.WindowsCommand{RequestType: request, Commands: []adminapi.SyncMLCommand{command(adminapi.VerbExec, uri, "")}}
}

// answers reads the body of a result.
func (p *pc) answers(key adminapi.Key) (found []map[string]any) {
	p.t.Helper()
	r, err := p.ActionResult(p.ctx, key, p.name)
	p.must(err)
	p.must(json.Unmarshal(r.Body, &found))
	return found
}

func TestWindowsActionTellsWhatTheDeviceSaid(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	p.nodes["./DevDetail/SwV"] = "10.0.27000.1"
	p.run("ns/info", adminapi.WindowsCommand{RequestType: adminapi.WindowsDeviceInformation, Commands: []adminapi.SyncMLCommand{
		{Verb: adminapi.VerbGet, LocURI: "./DevDetail/SwV"},
	}})
	w.wantTarget("ns/info", "A", adminapi.TargetQueued)
	p.sync()
	w.wantTarget("ns/info", "A", adminapi.TargetSucceeded)
	if got := p.answers("ns/info"); len(got) != 1 || got[0]["locURI"] != "./DevDetail/SwV" || got[0]["status"] != 200.0 || got[0]["data"] != "10.0.27000.1" {
		t.Errorf("answers = %v", got)
	}
	if d := w.device("A"); d.OSVersion != "10.0.27000.1" || d.BuildVersion != "27000.1" {
		t.Errorf("device = %+v", d)
	}

	p.refuses["Replace "+nodeA], p.original["Replace "+nodeA] = 405, "0x86000011"
	p.run("ns/raw", adminapi.WindowsCommand{RequestType: adminapi.WindowsRaw, Commands: []adminapi.SyncMLCommand{command(adminapi.VerbReplace, nodeA, "s3cret")}})
	p.sync()
	r, err := w.ActionResult(w.ctx, "ns/raw", "A")
	w.must(err)
	if r.State != adminapi.TargetFailed || !strings.Contains(r.Message, "405") || !strings.Contains(r.Message, "not allowed on this node") || strings.Contains(r.Message, "s3cret") {
		t.Errorf("result = %+v", r)
	}
	if got := p.answers("ns/raw"); got[0]["originalError"] != "0x86000011" || got[0]["data"] != nil {
		t.Errorf("answers = %v", got)
	}
	p.wantSync()
}

func TestBodyOfAResultIsBounded(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	c := adminapi.WindowsCommand{RequestType: adminapi.WindowsRaw}
	for _, n := range []string{"a", "b", "c"} {
		p.nodes["./"+n] = strings.Repeat(n, 600<<10)
		c.Commands = append(c.Commands, adminapi.SyncMLCommand{Verb: adminapi.VerbGet, LocURI: "./" + n})
	}
	p.run("ns/raw", c)
	p.sync()
	w.wantTarget("ns/raw", "A", adminapi.TargetSucceeded)
	if got := p.answers("ns/raw"); len(got) != 3 || len(got[0]["data"].(string)) != 600<<10 || got[1]["data"] != nil {
		t.Errorf("%d answers", len(got))
	}
}

func TestActionForSeveralPlatforms(t *testing.T) {
	w := newWorld(t)
	p, m := w.newPC("A"), w.enroll("M")
	both := []adminapi.ActionTarget{{DeviceID: "A", EnrollmentID: p.id.EnrollmentID}, {DeviceID: "M", EnrollmentID: m.id.EnrollmentID}}
	restart := windowsExec(adminapi.WindowsRestart, rebootNode)
	_, err := w.PutAction(w.ctx, adminapi.Action{
		Key: "ns/restart", SpecHash: "s", Targets: both, Windows: &restart, Apple: &adminapi.AppleCommand{RequestType: adminapi.AppleRestartDevice},
	})
	w.must(err)
	w.wantDelivery(m.idle(), adminapi.AppleRestartDevice)
	p.wantSync("Exec " + rebootNode)
	w.wantTarget("ns/restart", "A", adminapi.TargetSucceeded)

	_, err = w.PutAction(w.ctx, adminapi.Action{
		Key: "ns/lock", SpecHash: "s", Targets: both, Apple: &adminapi.AppleCommand{RequestType: adminapi.AppleDeviceLock, GeneratePIN: true},
		Unsupported: map[adminapi.Platform]string{adminapi.PlatformWindows: "Windows has no desktop lock"},
	})
	w.must(err)
	w.wantTarget("ns/lock", "A", adminapi.TargetFailed)
	w.wantTarget("ns/lock", "M", adminapi.TargetQueued)
	r, err := w.ActionResult(w.ctx, "ns/lock", "A")
	if w.must(err); r.Message != "Windows has no desktop lock" || r.HasPIN {
		t.Errorf("result = %+v", r)
	}
	p.wantSync()
}

func TestRestartOfAPCIsNeverSentTwice(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	p.silent["Exec "+rebootNode] = true
	p.run("ns/restart", windowsExec(adminapi.WindowsRestart, rebootNode))
	p.wantSync("Exec " + rebootNode)
	w.wantTarget("ns/restart", "A", adminapi.TargetDelivered)
	p.wantSync()
	w.wantTarget("ns/restart", "A", adminapi.TargetUnconfirmed)
}

func TestUnansweredActionIsSentAgainUntilItsDeadline(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	p.silent["Get "+nodeA] = true
	_, err := w.PutAction(w.ctx, adminapi.Action{
		Key: "ns/raw", SpecHash: "s", Deadline: w.clock.Now().Add(time.Hour), Targets: []adminapi.ActionTarget{{DeviceID: "A", EnrollmentID: p.id.EnrollmentID}},
		Windows: &adminapi.WindowsCommand{RequestType: adminapi.WindowsRaw, Commands: []adminapi.SyncMLCommand{{Verb: adminapi.VerbGet, LocURI: nodeA}}},
	})
	w.must(err)
	p.wantSync("Get " + nodeA)
	p.wantSync("Get " + nodeA)
	w.clock.advance(time.Hour)
	p.wantSync()
	w.wantTarget("ns/raw", "A", adminapi.TargetExpired)
}

func TestActionThatTheDeviceDidNotGetTo(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	p.refuses["Exec "+nodeA] = 215
	p.run("ns/raw", windowsExec(adminapi.WindowsRaw, nodeA))
	p.wantSync("Exec " + nodeA)
	w.wantTarget("ns/raw", "A", adminapi.TargetNotNow)
	p.refuses["Exec "+nodeA] = 500 // it tried: nobody knows how far it came
	p.wantSync("Exec " + nodeA)
	w.wantTarget("ns/raw", "A", adminapi.TargetFailed)
	p.wantSync()
}

func TestWipeOfAPCEndsTheEnrolment(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	w.putProfile("ns/p", "v1", set(camera, "int", "0"))
	p.assign("ns/p")
	p.refuses["Exec "+wipeNode] = 500
	p.run("ns/wipe", windowsExec(adminapi.WindowsWipe, wipeNode))
	p.wantSync("Exec "+wipeNode, "Add "+camera, "Get "+camera) // nothing goes along with what may end it all
	w.wantTarget("ns/wipe", "A", adminapi.TargetFailed)
	p.refuses = map[string]int{}
	p.run("ns/again", windowsExec(adminapi.WindowsWipe, wipeNode))
	p.wantSync("Exec " + wipeNode)
	w.wantTarget("ns/again", "A", adminapi.TargetSucceeded)
	if d := w.device("A"); d.State != adminapi.DeviceEnded || d.EndReason != adminapi.EndWiped {
		t.Errorf("device = %+v", d)
	}
	_, err := p.Manage(w.ctx, p.id, "A", p.by, p.first())
	w.wantErr(err, fleet.ErrNotEnrolled)
}

func TestDestructiveActionOfARestoredStoreIsHeld(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	p.run("ns/wipe", windowsExec(adminapi.WindowsWipe, wipeNode))
	w.restore(w.backup())
	p.wantSync()
	w.wantTarget("ns/wipe", "A", adminapi.TargetQueued)
	p.run("ns/wipe", windowsExec(adminapi.WindowsWipe, wipeNode))
	p.wantSync("Exec " + wipeNode)
	w.wantTarget("ns/wipe", "A", adminapi.TargetSucceeded)
}

func TestWaysToUnenrolAPC(t *testing.T) {
	asked := []fleet.WindowsAlert{{Code: 1226, Type: "com.microsoft:mdm.unenrollment.userrequest", Fmt: "int", Data: "1"}}
	for name, c := range map[string]struct {
		do   func(*pc)
		want string
		sent []string
	}{
		"by a command":                 {func(p *pc) { p.run("ns/u", adminapi.WindowsCommand{RequestType: adminapi.WindowsUnenroll}) }, adminapi.EndUnenrolled, []string{"Exec " + unenrollNode}},
		"by intent":                    {func(p *pc) { p.intend(adminapi.IntentUnenroll) }, adminapi.EndUnenrolled, []string{"Exec " + unenrollNode}},
		"by its user":                  {func(p *pc) { p.alerts = asked }, adminapi.EndCheckedOut, nil},
		"by its agent, as is intended": {func(p *pc) { p.intend(adminapi.IntentUnenroll); p.alerts = asked }, adminapi.EndUnenrolled, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			p := w.newPC("A")
			w.putProfile("ns/p", "v1", set(camera, "int", "0"))
			p.assign("ns/p")
			p.sync()
			c.do(p)
			p.wantSync(c.sent...)
			if d := w.device("A"); d.State != adminapi.DeviceEnded || d.EndReason != c.want {
				t.Errorf("device = %+v", d)
			}
		})
	}
}

func TestRefusedUnenrolmentIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	p.intend(adminapi.IntentUnenroll)
	p.refuses["Exec "+unenrollNode] = 500
	p.wantSync("Exec " + unenrollNode)
	if e := w.device("A").LastError; e == nil || e.LocURI != unenrollNode {
		t.Errorf("last error = %+v", e)
	}
	p.wantSync()
	w.clock.advance(time.Hour)
	p.refuses = map[string]int{}
	p.wantSync("Exec " + unenrollNode)
	if d := w.device("A"); d.State != adminapi.DeviceEnded {
		t.Errorf("device = %+v", d)
	}
}

func TestUnenrolActionOfAnAppleDeviceRemovesItsEnrolmentProfile(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("M")
	w.act("ns/u", adminapi.AppleCommand{RequestType: adminapi.AppleUnenroll}, m)
	d := m.idle()
	w.wantDelivery(d, "remove "+params.PayloadIdentifier)
	m.answer(d, fleet.StatusAcknowledged)
	w.wantTarget("ns/u", "M", adminapi.TargetSucceeded)
	if d := w.device("M"); d.State != adminapi.DeviceEnded || d.EndReason != adminapi.EndUnenrolled {
		t.Errorf("device = %+v", d)
	}
}

func TestLongJobIsAwaited(t *testing.T) {
	install := adminapi.WindowsCommand{
		RequestType: adminapi.WindowsInstallMSI,
		Commands:    []adminapi.SyncMLCommand{command(adminapi.VerbAdd, msiNode+"/DownloadInstall", ""), command(adminapi.VerbExec, msiNode+"/DownloadInstall", "<MsiInstallJob/>")},
		Await:       &adminapi.WindowsAwait{LocURI: msiNode + "/Status", Done: []string{"70"}, Failed: []string{"30", "60"}, ErrorLocURI: msiNode + "/LastError"},
	}
	start := []string{"Add " + msiNode + "/DownloadInstall", "Exec " + msiNode + "/DownloadInstall"}
	ask := "Get " + msiNode + "/Status"
	for name, c := range map[string]struct {
		end     string
		state   adminapi.TargetState
		message string
		asked   []string
	}{
		"success": {"70", adminapi.TargetSucceeded, "", []string{ask}},
		"failure": {"60", adminapi.TargetFailed, "the installation failed", []string{ask, "Get " + msiNode + "/LastError"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			p := w.newPC("A")
			p.nodes[msiNode+"/DownloadInstall"] = "" // from an earlier attempt
			p.run("ns/msi", install)
			p.wantSync(start...)
			w.wantTarget("ns/msi", "A", adminapi.TargetDelivered)
			p.wantSync(ask) // there is no status yet
			p.nodes[msiNode+"/Status"] = "50"
			p.wantSync(ask)
			p.nodes[msiNode+"/Status"], p.nodes[msiNode+"/LastError"] = c.end, "-2147023293"
			p.wantSync(c.asked...)
			r, err := w.ActionResult(w.ctx, "ns/msi", "A")
			if w.must(err); r.State != c.state || !strings.Contains(r.Message, c.message) {
				t.Errorf("result = %+v", r)
			}
			if got := p.answers("ns/msi"); len(got) != 2+len(c.asked) || got[2]["data"] != c.end {
				t.Errorf("answers = %v", got)
			}
			p.wantSync()
		})
	}
}

func TestCertificateThatIsThereAlready(t *testing.T) {
	const node = "./Device/Vendor/MSFT/RootCATrustedCertificates/Root/AB/EncodedCertificate"
	for _, verb := range []adminapi.SyncMLVerb{adminapi.VerbAdd, adminapi.VerbSet} {
		w := newWorld(t)
		p := w.newPC("A")
		p.nodes[node] = "old"
		p.run("ns/cert", adminapi.WindowsCommand{RequestType: adminapi.WindowsInstallCertificate, Commands: []adminapi.SyncMLCommand{command(verb, node, "MII")}})
		p.sync()
		w.wantTarget("ns/cert", "A", adminapi.TargetSucceeded)
		p.run("ns/raw", adminapi.WindowsCommand{RequestType: adminapi.WindowsRaw, Commands: []adminapi.SyncMLCommand{command(adminapi.VerbAdd, node, "MII")}})
		p.wantSync("Add " + node)
		w.wantTarget("ns/raw", "A", adminapi.TargetFailed)
	}
}

func TestNodesOfAnActionThatAreThereAlready(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	p.nodes[nodeB] = "old"
	p.run("ns/raw", adminapi.WindowsCommand{RequestType: adminapi.WindowsRaw, Commands: []adminapi.SyncMLCommand{set(nodeA, "chr", "1"), set(nodeB, "chr", "2")}})
	p.wantSync("Add "+nodeA, "Add "+nodeB, "Replace "+nodeB)
	w.wantTarget("ns/raw", "A", adminapi.TargetSucceeded)
	p.wantNode(nodeB, "2")
}

func TestActionThatCannotBeSent(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]*adminapi.WindowsCommand{
		"nothing":             nil,
		"no commands":         {RequestType: adminapi.WindowsRaw},
		"no LocURI":           {RequestType: adminapi.WindowsRaw, Commands: []adminapi.SyncMLCommand{{Verb: adminapi.VerbGet}}},
		"an end without node": {RequestType: adminapi.WindowsRaw, Commands: []adminapi.SyncMLCommand{command(adminapi.VerbExec, nodeA, "")}, Await: &adminapi.WindowsAwait{}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.PutAction(w.ctx, adminapi.Action{Key: "ns/a", SpecHash: "s", Windows: c})
			w.wantCode(err, adminapi.CodeInvalid)
		})
	}
}
