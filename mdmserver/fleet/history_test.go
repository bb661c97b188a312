package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// tale puts entries into words.
func tale(entries []adminapi.HistoryEntry) []string {
	var words []string
	for _, e := range entries {
		text := strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s", e.Type, e.RequestType, e.Artifact, e.Action)), " ")
		if e.Message != "" {
			text += ": " + e.Message
		}
		words = append(words, text)
	}
	return words
}

// entries reads the history after a number.
func (w *world) entries(after int64) []adminapi.HistoryEntry {
	w.t.Helper()
	page, err := w.History(w.ctx, after, 0, 0)
	w.must(err)
	if page.StoreEpoch != w.StoreEpoch() {
		w.t.Errorf("store epoch = %q, want %q", page.StoreEpoch, w.StoreEpoch())
	}
	return page.Items
}

// wantTale checks what happened since, and returns it with the place to look from next.
func (w *world) wantTale(since *int64, want ...string) []adminapi.HistoryEntry {
	w.t.Helper()
	entries := w.entries(*since)
	if got := tale(entries); !slices.Equal(got, want) {
		w.t.Fatalf("history is\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	for _, e := range entries {
		if e.Seq <= *since || !e.At.Equal(w.clock.Now()) {
			w.t.Errorf("entry %+v after %d", e, *since)
		}
		*since = e.Seq
	}
	return entries
}

func TestHistoryOfAMac(t *testing.T) {
	w := newWorld(t)
	var since int64
	m := w.enroll("A")
	w.wantTale(&since, "Enrolled: by the token fleet/token")
	w.put("ns/p", "v1")
	w.assign(keys{"ns/p"}, m)
	w.act("ns/info", info, m)
	w.wantTale(&since)

	d := m.idle()
	sent := w.wantTale(&since, "Sent DeviceInformation ns/info")
	if sent[0].CommandUUID != d.CommandUUID || sent[0].DeviceID != "A" || sent[0].Channel != "A" {
		t.Errorf("the entry of command %s is %+v", d.CommandUUID, sent[0])
	}
	next := m.answer(d, fleet.StatusNotNow)
	w.wantTale(&since, "NotNow DeviceInformation ns/info", "Sent InstallProfile ns/p")
	m.answer(next, fleet.StatusError)
	w.wantTale(&since, "Failed InstallProfile ns/p: said Error")
	m.answer(next, fleet.StatusAcknowledged) // an answer counts once
	w.wantTale(&since)
	m.settle()
	w.wantTale(&since, "Sent DeviceInformation ns/info", "Acknowledged DeviceInformation ns/info")
	m.idle()
	w.wantTale(&since)

	w.put("ns/p", "v2")
	u := m.user("ann")
	m.settle()
	u.settle()
	w.wantTale(&since, "Sent InstallProfile ns/p", "Acknowledged InstallProfile ns/p")
	w.assign(nil, m)
	m.answer(m.idle(), fleet.StatusError)
	w.wantTale(&since, "Sent RemoveProfile ns/p", "Failed RemoveProfile ns/p: said Error")

	w.wantErr(w.Authenticate(w.ctx, w.identity(tokenHash), m.ch, factsOf("A"), topic), fleet.ErrReenrolmentBlocked)
	w.wantErr(w.Authenticate(w.ctx, w.identity(tokenHash), m.ch, factsOf("A"), topic), fleet.ErrReenrolmentBlocked)
	w.wantTale(&since, "Blocked: token fleet/token: against enrolment "+m.id.EnrollmentID+": the device is enrolled already and may not be taken over")

	w.clock.advance(365*day - fleet.DefaultRenewBefore)
	renewal := m.idle()
	fresh := m.renew(renewal)
	m.answer(renewal, fleet.StatusAcknowledged)
	w.must(w.TokenUpdate(w.ctx, fresh.id, fresh.ch, pushInfo(fresh.ch), nil, false))
	w.wantTale(&since, "Sent Renew", "Acknowledged Renew", "Renewed")
	fresh.intend(adminapi.IntentUnenroll)
	fresh.answer(fresh.idle(), fleet.StatusAcknowledged)
	w.wantTale(&since, "Sent Unenroll", "Acknowledged Unenroll", "Ended: Unenrolled")
}

func TestHistoryTellsWhatCannotBeSent(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	since := w.entries(0)[0].Seq
	w.enc.broken["ns/p"], w.enc.broken[adminapi.AppleDeviceInformation] = errors.New("no such variable"), errors.New("no such query")
	w.put("ns/p", "v1")
	w.assign(keys{"ns/p"}, m)
	w.act("ns/info", info, m)
	m.settle()
	w.wantTale(&since, "Failed DeviceInformation ns/info: no such query", "Failed InstallProfile ns/p: no such variable")
}

func TestHistoryOfAWipe(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	since := w.entries(0)[0].Seq
	w.act("ns/wipe", adminapi.AppleCommand{RequestType: adminapi.AppleEraseDevice, GeneratePIN: true}, m)
	result, err := w.ActionResult(w.ctx, "ns/wipe", "A")
	w.must(err)
	m.settle()
	entries := w.wantTale(&since, "Sent EraseDevice ns/wipe", "Acknowledged EraseDevice ns/wipe", "Ended: Wiped")
	if text := fmt.Sprint(entries); strings.Contains(text, result.PIN) || strings.Contains(text, "<answer/>") {
		t.Errorf("the history holds a secret: %s", text)
	}
}

func TestHistoryOfAPC(t *testing.T) {
	w := newWorld(t)
	var since int64
	p := w.newPC("A")
	w.wantTale(&since, "Enrolled: by the token fleet/"+windowsTokenHash)
	w.putProfile("ns/a", "v1", set(nodeA, "int", "1"), set(nodeB, "int", "2"))
	p.assign("ns/a")
	p.sync()
	w.wantTale(&since, "Sent InstallProfile ns/a", "Acknowledged InstallProfile ns/a")
	p.sync()
	w.clock.advance(fleet.DefaultVerifyEvery)
	p.sync() // reading back what is as it should be
	w.wantTale(&since)
	p.nodes[nodeA], p.nodes[nodeB] = "5", "5"
	w.clock.advance(fleet.DefaultVerifyEvery)
	p.sync()
	w.wantTale(&since, "Drifted ns/a: "+nodeA, "Sent InstallProfile ns/a", "Acknowledged InstallProfile ns/a")

	w.putProfile("ns/c", "v1", set(nodeA, "int", "9"))
	p.assign("ns/a", "ns/c")
	p.sync()
	w.wantTale(&since, "Failed InstallProfile ns/c: ns/a sets "+nodeA+" to another value")

	p.assign("ns/a")
	p.run("ns/reboot", windowsExec(adminapi.WindowsRestart, rebootNode))
	p.run("ns/raw", windowsExec(adminapi.WindowsRaw, "./x"))
	p.refuses["Exec ./x"] = 405
	p.sync()
	told := w.wantTale(&since, "Sent RebootNow ns/reboot", "Sent Raw ns/raw", "Acknowledged RebootNow ns/reboot",
		"Failed Raw ns/raw: ./x: the command is not allowed on this node (405)")
	if told[0].Channel != "A" || told[0].DeviceID != "A" {
		t.Errorf("the entry is %+v", told[0])
	}
	p.refuses["Delete "+nodeB] = 405
	p.assign()
	p.sync()
	w.wantTale(&since, "Sent RemoveProfile ns/a", "Failed RemoveProfile ns/a: "+nodeB+": nothing wants the setting any more, but Windows keeps it: "+
		"the command is not allowed on this node (405)")
	w.intend("A", adminapi.IntentUnenroll)
	p.refuses["Exec "+unenrollNode] = 500
	p.sync()
	delete(p.refuses, "Exec "+unenrollNode)
	w.clock.advance(time.Hour)
	told = w.entries(since)
	since = told[len(told)-1].Seq
	if got := tale(told); len(got) != 2 || got[0] != "Sent Unenroll" || !strings.HasPrefix(got[1], "NotNow Unenroll: ") {
		t.Errorf("history is %q", got)
	}
	p.sync()
	w.wantTale(&since, "Sent Unenroll", "Acknowledged Unenroll", "Ended: Unenrolled")
}

func TestHistoryOfALongJobOfAPC(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	since := w.entries(0)[0].Seq
	install := windowsExec(adminapi.WindowsInstallMSI, msiNode)
	install.Await = &adminapi.WindowsAwait{LocURI: msiNode + "/Status", Done: []string{"70"}, Failed: []string{"60"}}
	p.nodes[msiNode+"/Status"] = "10"
	p.run("ns/msi", install)
	p.sync()
	p.sync()
	w.wantTale(&since, "Sent InstallMSI ns/msi")
	p.nodes[msiNode+"/Status"] = "60"
	p.sync()
	told := w.entries(since)
	if len(told) != 1 || told[0].Type != adminapi.HistoryFailed || told[0].Action != "ns/msi" || !strings.Contains(told[0].Message, "reads 60") {
		t.Errorf("history is %q", tale(told))
	}
}

func TestHistoryOfASettingThatThePCPutsOff(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	since := w.entries(0)[0].Seq
	w.putProfile("ns/a", "v1", set(nodeA, "int", "1"))
	p.assign("ns/a")
	p.refuses["Add "+nodeA] = 500
	p.sync()
	if got := tale(w.entries(since)); len(got) != 2 || !strings.HasPrefix(got[1], "NotNow InstallProfile ns/a: "+nodeA) {
		t.Errorf("history is %q", got)
	}
	p.refuses = map[string]int{}
	p.reads[nodeA] = "7"
	since = w.entries(0)[2].Seq
	p.sync()
	w.wantTale(&since, "Sent InstallProfile ns/a", "Failed InstallProfile ns/a: "+nodeA+": the device reads another value than it accepted")
}

// What is not committed did not happen, and what is has its entry.
func TestHistoryIsOfTheSameTransaction(t *testing.T) {
	w := newWorld(t)
	disk := w.fillable()
	m := w.enroll("A")
	w.act("ns/info", info, m)
	d := m.idle()
	since := w.entries(0)[1].Seq
	disk.full = true
	_, err := w.Connect(w.ctx, m.id, m.ch, fleet.Report{Status: fleet.StatusAcknowledged, CommandUUID: d.CommandUUID})
	w.wantErr(err, fleet.ErrUnavailable)
	w.wantTale(&since)
	disk.full = false
	m.answer(d, fleet.StatusAcknowledged)
	w.wantTale(&since, "Acknowledged DeviceInformation ns/info")
	disk.full = true
	m.idle() // writes nothing, or it would fail
}

// watched says when a view is over.
type watched struct {
	fleet.Store
	views chan struct{}
}

func (s *watched) View(ctx context.Context, fn func(fleet.Tx) error) error {
	err := s.Store.View(ctx, fn)
	select {
	case s.views <- struct{}{}:
	default:
	}
	return err
}

func TestHistoryIsPolled(t *testing.T) {
	w := newWorld(t)
	watch := &watched{Store: w.store}
	w.store = watch
	w.Fleet = w.startFleet(w.enc)
	m := w.enroll("A")
	page, err := w.History(w.ctx, -1, time.Hour, 0)
	w.must(err)
	if len(page.Items) != 0 || page.Next != w.entries(0)[0].Seq {
		t.Fatalf("the page is %+v", page)
	}
	now, err := w.History(w.ctx, page.Next, 0, 0)
	w.must(err)
	if len(now.Items) != 0 || now.Next != page.Next {
		t.Fatalf("with nothing new the page is %+v", now)
	}
	if old, err := w.History(w.ctx, page.Next+1_000_000, time.Hour, 0); err != nil || len(old.Items) != 0 || old.Next != page.Next {
		t.Fatalf("after a number of another store the page is %+v, %v", old, err)
	}

	type answer struct {
		page *adminapi.HistoryPage
		err  error
	}
	poll := func(ctx context.Context) chan answer {
		answers := make(chan answer, 1)
		go func() {
			page, err := w.History(ctx, now.Next, time.Hour, 1)
			answers <- answer{page, err}
		}()
		return answers
	}
	w.put("ns/p", "v1")
	w.assign(keys{"ns/p"}, m)
	watch.views = make(chan struct{}, 2)
	first, second := poll(w.ctx), poll(w.ctx)
	for range cap(watch.views) {
		<-watch.views // both have looked and wait
	}
	m.idle() // which makes nothing dirty
	for _, got := range []answer{<-first, <-second} {
		w.must(got.err)
		if words := tale(got.page.Items); !slices.Equal(words, []string{"Sent InstallProfile ns/p"}) || got.page.Next != got.page.Items[0].Seq {
			t.Errorf("a poll brought %q, next %d", words, got.page.Next)
		}
	}
	now.Next = w.entries(0)[1].Seq
	ctx, cancel := context.WithCancel(w.ctx)
	watch.views = make(chan struct{}, 1)
	third := poll(ctx)
	<-watch.views
	cancel()
	if got := <-third; !errors.Is(got.err, context.Canceled) {
		t.Errorf("a poll that was canceled: %+v", got)
	}
}

func TestHistoryIsForgotten(t *testing.T) {
	w := newWorld(t)
	m, other := w.enroll("A"), w.enroll("B")
	act := func(from, to int) {
		for i := from; i < to; i++ {
			w.act(adminapi.Key(fmt.Sprintf("ns/%d", i)), info, m)
			m.settle()
		}
	}
	act(0, adminapi.MaxHistory)
	other.idle()
	if got := len(w.entries(0)); got != 2+2*adminapi.MaxHistory {
		t.Fatalf("before a sweep there are %d entries", got)
	}
	w.must(w.Sweep(w.ctx))
	count := func(want int) {
		t.Helper()
		if got := w.entries(0); len(got) != want+1 || got[0].DeviceID != "B" || !slices.IsSortedFunc(got, func(a, b adminapi.HistoryEntry) int { return int(a.Seq - b.Seq) }) {
			t.Fatalf("there are %d entries of which the first is %+v", len(got), got[0])
		}
	}
	count(adminapi.MaxHistory)
	act(adminapi.MaxHistory, adminapi.MaxHistory+3)
	w.must(w.Sweep(w.ctx))
	count(adminapi.MaxHistory)
	d, err := w.DeviceDetail(w.ctx, "A")
	w.must(err)
	if len(d.History) != adminapi.MaxHistory || d.History[0].Type != adminapi.HistoryAcknowledged || d.History[0].Action != adminapi.Key(fmt.Sprintf("ns/%d", adminapi.MaxHistory+2)) {
		t.Errorf("the detail has %d entries, first %+v", len(d.History), d.History[0])
	}

	w.clock.advance(30 * day)
	w.must(w.Sweep(w.ctx))
	count(adminapi.MaxHistory)
	last, err := w.History(w.ctx, -1, 0, 0)
	w.must(err)
	w.clock.advance(time.Second)
	w.must(w.Sweep(w.ctx))
	if got := w.entries(0); len(got) != 0 {
		t.Fatalf("after a month there are %d entries", len(got))
	}
	act(1000, 1001)
	if got := w.entries(last.Next); len(got) != 2 {
		t.Errorf("whoever follows sees %q", tale(got))
	}
}
