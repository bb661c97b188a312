package windows_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/devicesim/windows"
	"github.com/kubemdm/kubemdm/test/pki"
)

func run(requestType string, commands ...adminapi.SyncMLCommand) adminapi.WindowsCommand {
	return adminapi.WindowsCommand{RequestType: requestType, Commands: commands}
}

func exec(locURI, format, data string) adminapi.SyncMLCommand {
	return adminapi.SyncMLCommand{Verb: adminapi.VerbExec, LocURI: locURI, Format: format, Data: data}
}

var (
	restart = run(adminapi.WindowsRestart, exec("./Device/Vendor/MSFT/Reboot/RebootNow", "null", ""))
	details = run(adminapi.WindowsDeviceInformation,
		adminapi.SyncMLCommand{Verb: adminapi.VerbGet, LocURI: "./DevDetail/SwV"}, adminapi.SyncMLCommand{Verb: adminapi.VerbGet, LocURI: "./DevDetail/Ext/Microsoft/TotalRAM"})
)

func TestServerRunsActions(t *testing.T) {
	w := newWorld(t, nil)
	pc, d := w.enrolled(1, func(o *windows.Options) { o.MaxChunk = 6 }) // what it tells comes in parts
	if r := w.act(pc, d, "info", details); r.State != adminapi.TargetSucceeded || !strings.Contains(string(w.outcome(d, "info").Body), "10.0.26200.6901") {
		t.Errorf("%+v: %s", r, r.Body)
	}
	if r := w.act(pc, d, "restart", restart); r.State != adminapi.TargetSucceeded || pc.Restarts() != 1 {
		t.Errorf("restarted %d times: %+v", pc.Restarts(), r)
	}
	raw := run(adminapi.WindowsRaw, adminapi.SyncMLCommand{Verb: adminapi.VerbGet, LocURI: "./Vendor/Else"})
	if r := w.act(pc, d, "raw", raw); r.State != adminapi.TargetFailed || !strings.Contains(r.Message, "404") {
		t.Errorf("%+v", r)
	}
	if r := w.act(pc, d, "wipe", run(adminapi.WindowsWipe, exec("./Device/Vendor/MSFT/RemoteWipe/doWipe", "chr", ""))); r.State != adminapi.TargetSucceeded || pc.Wiped() != "doWipe" {
		t.Errorf("wiped by %q: %+v", pc.Wiped(), r)
	}
	if d := w.known(pc); d.State != adminapi.DeviceEnded || d.EndReason != adminapi.EndWiped {
		t.Errorf("%+v", d)
	}
	fatal(t, pc.EnrollWithPassword(t.Context(), host, "ada@example.test", "any"))
	session(t, pc, windows.SessionOptions{})
	if again := w.known(pc); again.State != adminapi.DeviceEnrolled || again.EnrollmentID == d.EnrollmentID {
		t.Errorf("enrolled again: %+v", again)
	}
}

func TestServerAwaitsInstallations(t *testing.T) {
	w := newWorld(t, nil)
	pc, d := w.enrolled(1, nil)
	install := func(code string) adminapi.WindowsCommand {
		branch := "./Device/Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/%7B" + code + "%7D/"
		job := fmt.Sprintf(`<MsiInstallJob id="{%s}"><Product Version="1.0"><Download><ContentURLList><ContentURL>https://example.test/a.msi</ContentURL></ContentURLList></Download><Validation><FileHash>%064d</FileHash></Validation></Product></MsiInstallJob>`, code, 1)
		c := run(adminapi.WindowsInstallMSI, adminapi.SyncMLCommand{Verb: adminapi.VerbAdd, LocURI: branch + "DownloadInstall"}, exec(branch+"DownloadInstall", "xml", job))
		c.Await = &adminapi.WindowsAwait{LocURI: branch + "Status", Done: []string{"70"}, Failed: []string{"30", "60"}, ErrorLocURI: branch + "LastError"}
		return c
	}
	pc.FailInstall("{B}", "1603")
	w.order(d, "good", install("A"))
	w.order(d, "bad", install("B"))
	for range 3 {
		session(t, pc, windows.SessionOptions{})
	}
	if r := w.outcome(d, "good"); r.State != adminapi.TargetDelivered {
		t.Errorf("on its way: %+v", r)
	}
	session(t, pc, windows.SessionOptions{})
	if r := w.outcome(d, "good"); r.State != adminapi.TargetSucceeded {
		t.Errorf("done: %+v", r)
	}
	if r := w.outcome(d, "bad"); r.State != adminapi.TargetFailed || !strings.Contains(r.Message, "0x00000643") {
		t.Errorf("failed: %+v", r)
	}
}

func TestPCsLeave(t *testing.T) {
	for name, test := range map[string]struct {
		leave  func(*world, *windows.PC, adminapi.Device)
		reason string
	}{
		"by themselves": {func(w *world, pc *windows.PC, _ adminapi.Device) { fatal(w.t, pc.Unenroll(w.t.Context())) }, adminapi.EndCheckedOut},
		"by a command": {func(w *world, pc *windows.PC, d adminapi.Device) {
			leave := run(adminapi.WindowsUnenroll)
			if r := w.act(pc, d, "leave", leave); r.State != adminapi.TargetSucceeded {
				w.t.Errorf("%+v", r)
			}
		}, adminapi.EndUnenrolled},
		"as it is intended": {func(w *world, pc *windows.PC, d adminapi.Device) {
			w.intend(d, adminapi.IntentUnenroll)
			session(w.t, pc, windows.SessionOptions{})
		}, adminapi.EndUnenrolled},
		"told by their agent": {func(w *world, pc *windows.PC, d adminapi.Device) {
			w.intend(d, adminapi.IntentUnenroll)
			w.eventually("the agent makes Windows leave", func() bool {
				_, err := pc.PollAgent(w.t.Context())
				fatal(w.t, err)
				return !pc.Enrolled()
			})
		}, adminapi.EndUnenrolled},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			pc := w.pc(1, nil)
			fatal(t, pc.EnrollByAgent(t.Context(), host, "any"))
			session(t, pc, windows.SessionOptions{})
			test.leave(w, pc, w.known(pc))
			if d := w.known(pc); pc.Enrolled() || d.State != adminapi.DeviceEnded || d.EndReason != test.reason {
				t.Errorf("enrolled %v: %+v", pc.Enrolled(), d)
			}
		})
	}
}

// An agent has Windows sync when there is work, and says nothing when there is none.
func TestAgentsWakePCs(t *testing.T) {
	w := newWorld(t, nil)
	pc := w.pc(1, nil)
	fatal(t, pc.EnrollByAgent(t.Context(), host, "any"))
	session(t, pc, windows.SessionOptions{})
	w.eventually("there is nothing to do", func() bool {
		n, err := pc.PollAgent(t.Context())
		fatal(t, err)
		return *n == windows.Notifications{}
	})
	d := w.known(pc)
	w.order(d, "restart", restart)
	w.eventually("the PC restarts", func() bool {
		_, err := pc.PollAgent(t.Context())
		fatal(t, err)
		return pc.Restarts() == 1
	})
	if r := w.outcome(d, "restart"); r.State != adminapi.TargetSucceeded {
		t.Errorf("%+v", r)
	}
}

// A new generation of the CA comes under PCs that work: they renew onto it ahead of time, and keep their enrolment.
func TestServerRenewsPCs(t *testing.T) {
	w := newWorld(t, nil)
	pc, before := w.enrolled(1, nil)
	old, first := pc.Identity(), pc.Provisioning()
	if err := pc.Renew(t.Context()); faultOf(t, err).ErrorType != "NotEligibleToRenew" {
		t.Errorf("long before it is due: %v", err)
	}
	next := pki.NewIdentityCA(t, "windows identity 2")
	w.Put(t, "wstep/2.crt", next.CertPEM())
	w.Put(t, "wstep/2.key", next.KeyPEM(t))
	w.Put(t, "wstep/"+serverconfig.RolesFile, []byte(`{"1": "Retired", "2": "Active"}`))
	w.eventually("the new generation issues", func() bool { return pc.Renew(t.Context()) == nil })
	if err := pc.Identity().Certificate.CheckSignatureFrom(next.Cert); err != nil || first.ManagementURL != pc.Provisioning().ManagementURL {
		t.Errorf("the certificate is of %s: %v", pc.Identity().Certificate.Issuer, err)
	}
	_, err := pc.Session(t.Context(), windows.SessionOptions{Forge: func(m *windows.Message) { m.Identity = old }})
	check(t, err) // a session that was under way with the old certificate
	session(t, pc, windows.SessionOptions{})
	after := w.known(pc)
	if after.EnrollmentID != before.EnrollmentID || !after.IdentityNotAfter.Equal(pc.Identity().Certificate.NotAfter) || after.State != adminapi.DeviceEnrolled {
		t.Errorf("before %+v, after %+v", before, after)
	}
	key, err := devicesim.NewKey()
	fatal(t, err)
	if _, err := pc.RequestRenewal(t.Context(), old, key); err == nil {
		t.Error("a certificate that was replaced renews")
	}
}

// Left to itself, a PC renews when its certificate comes to its end.
func TestPCsRenewInTime(t *testing.T) {
	w := newWorld(t, func(c *serverconfig.Windows) {
		c.Identity.RenewBefore = c.Identity.Validity - serverconfig.Duration(24*time.Hour)
	})
	renewed := make(chan struct{}, 1)
	ctx, stop := context.WithCancel(t.Context())
	pc, _ := w.enrolled(1, func(o *windows.Options) {
		o.Now = func() time.Time { return time.Now().Add(25 * time.Hour) } // its clock, not the server's
		o.OnEvent = func(e devicesim.Event) {
			if e.Kind == devicesim.EventRenewed {
				stop()
				renewed <- struct{}{}
			}
		}
	})
	old := pc.Identity().Certificate
	_ = pc.Run(ctx)
	<-renewed
	if pc.Identity().Certificate.Equal(old) {
		t.Error("the certificate is the old one")
	}
	session(t, pc, windows.SessionOptions{})
}

func TestServerWithFlakyNetwork(t *testing.T) {
	w := newWorld(t, nil)
	pc := w.pc(1, nil)
	w.network.LoseNext(1, devicesim.LoseReply, func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/enroll") })
	fatal(t, pc.EnrollWithPassword(t.Context(), host, "ada@example.test", "any"))
	w.network.LoseEvery(3, devicesim.LoseReply)
	session(t, pc, windows.SessionOptions{})
	d := w.known(pc)
	var commands []adminapi.SyncMLCommand
	for i := range 20 {
		commands = append(commands, set(fmt.Sprintf("%sA/N%d", areas, i), "int", "1"))
	}
	w.publish("desk", "1", adminapi.ScopeSystem, commands, d)
	w.order(d, "restart", restart)
	w.order(d, "info", details)
	w.settled(pc, "desk")
	for range 3 {
		session(t, pc, windows.SessionOptions{})
	}
	if r, i := w.outcome(d, "restart"), w.outcome(d, "info"); r.State != adminapi.TargetSucceeded || i.State != adminapi.TargetSucceeded || pc.Restarts() != 1 {
		t.Errorf("restarted %d times: %+v, %+v", pc.Restarts(), r, i)
	}
	adds := 0
	for _, a := range pc.Answers() {
		if a.Verb == "Add" && strings.HasPrefix(a.LocURI, areas) {
			adds++
		}
	}
	if adds != len(commands) {
		t.Errorf("%d settings took %d Adds", len(commands), adds)
	}
}

// A server that starts again before any message of a session goes on with it, and does nothing twice.
func TestServerGoesOnWithASession(t *testing.T) {
	w := newWorld(t, nil)
	pc, d := w.enrolled(1, nil)
	w.publish("desk", "1", adminapi.ScopeSystem, []adminapi.SyncMLCommand{set(camera, "int", "0")}, d)
	w.order(d, "restart", restart)
	messages := 0
	report := session(t, pc, windows.SessionOptions{Forge: func(*windows.Message) {
		messages++
		w.stop()
		w.start()
	}})
	if messages < 3 || report.Messages != messages {
		t.Errorf("%d messages in %d attempts", report.Messages, messages)
	}
	if r, a := w.outcome(d, "restart"), w.artifact("desk"); r.State != adminapi.TargetSucceeded || pc.Restarts() != 1 || a.Installed != 1 {
		t.Errorf("restarted %d times: %+v, %+v", pc.Restarts(), r, a)
	}
}

func TestServerPutsUpWithHabits(t *testing.T) {
	for name, habits := range map[string]windows.Habits{
		"no status of SyncHdr":      {OmitHeaderStatus: true},
		"no Final":                  {OmitFinal: true},
		"no Content-Type":           {OmitContentType: true},
		"no MsgRef":                 {OmitMsgRef: true},
		"MsgID after a challenge":   {NextMsgIDAfterChallenge: true},
		"all of them, in one place": {OmitHeaderStatus: true, OmitFinal: true, OmitContentType: true, OmitMsgRef: true, NextMsgIDAfterChallenge: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			pc, d := w.enrolled(1, func(o *windows.Options) { o.Habits = habits })
			w.publish("desk", "1", adminapi.ScopeSystem, []adminapi.SyncMLCommand{set(camera, "int", "0")}, d)
			w.settled(pc, "desk")
			if r := w.act(pc, d, "info", details); r.State != adminapi.TargetSucceeded {
				t.Errorf("%+v", r)
			}
			forged := false
			stale := func(m *windows.Message) {
				m.Identity = nil
				if !forged { // a nonce of another time
					m.Body, forged = []byte(strings.Replace(string(m.Body), "<Data>", "<Data>x", 1)), true
				}
			}
			if report := session(t, pc, windows.SessionOptions{Forge: stale}); report.Challenges != 1 {
				t.Errorf("with an old nonce: %+v", report)
			}
		})
	}
}
