package windows_test

import (
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
	"github.com/kubemdm/kubemdm/mdmserver/windows/wire"
)

// piece is a Results with a part of a value.
func piece(uri, data string, size int, more bool) string {
	meta, moreData := "", ""
	if size > 0 {
		meta = fmt.Sprintf(`<Meta><Format>chr</Format><Size>%d</Size></Meta>`, size)
	}
	if more {
		moreData = "<MoreData/>"
	}
	return `<Results><CmdID>2</CmdID><MsgRef>1</MsgRef><CmdRef>4</CmdRef><Item><Source><LocURI>` + uri + `</LocURI></Source>` + meta + `<Data>` + data + `</Data>` + moreData + `</Item></Results>`
}

// asksForMore says whether the reply wants the next message.
func asksForMore(m *wire.Message) bool {
	for _, c := range m.Commands {
		if c.Name == wire.CmdAlert && c.Data == wire.AlertNextMessage {
			return true
		}
	}
	return false
}

func TestAValueInSeveralMessages(t *testing.T) {
	d := newDesk(t)
	for i, step := range []struct {
		msgID    int
		commands string
		status   string
		more     bool
		results  []fleet.WindowsResult
	}{
		{2, piece("./A", "abc", 9, true), "4 ", true, nil},
		{3, piece("./A", "def", 0, true), "4 ", true, nil},
		{3, piece("./A", "def", 0, true), "4 ", true, nil}, // the reply was lost
		{4, piece("./A", "ghi", 0, false) + "<Final/>", "4 ", false, []fleet.WindowsResult{{MsgRef: "1", CmdRef: "4", LocURI: "./A", Format: "chr", Data: "abcdefghi"}}},
		{4, piece("./A", "ghi", 0, false) + "<Final/>", "4 ", false, []fleet.WindowsResult{{MsgRef: "1", CmdRef: "4", LocURI: "./A", Format: "chr", Data: "abcdefghi"}}},
		{5, piece("./A", "new", 0, false) + "<Final/>", "", false, []fleet.WindowsResult{{MsgRef: "1", CmdRef: "4", LocURI: "./A", Data: "new"}}},
	} {
		m := d.say(t, step.msgID, step.commands)
		want := []string{"0 SyncHdr 212"}
		if step.status != "" {
			want = append(want, "2 Results "+map[bool]string{true: "213", false: "200"}[step.more])
		}
		told := d.told[len(d.told)-1]
		if got := statuses(m); !reflect.DeepEqual(got, want) || asksForMore(m) != step.more || told.More != step.more {
			t.Errorf("step %d: answered %q, asked for more: %v, told %+v", i, got, asksForMore(m), told)
		}
		if !reflect.DeepEqual(told.Results, step.results) {
			t.Errorf("step %d: fleet was told %+v, want %+v", i, told.Results, step.results)
		}
	}
}

func TestAValueThatIsNotWhatWasAnnounced(t *testing.T) {
	for name, tc := range map[string]struct {
		messages []string
		last     string
		more     bool
	}{
		"no size":        {[]string{piece("./A", "abc", 0, true)}, "411", true}, // or begun before the server started
		"over the limit": {[]string{piece("./A", "abc", 4<<20+1, true)}, "416", true},
		"too short":      {[]string{piece("./A", "abc", 9, true), piece("./A", "def", 0, false)}, "424", false},
		"too long":       {[]string{piece("./A", "abc", 4, true), piece("./A", "def", 0, true)}, "424", true},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			var m *wire.Message
			for i, commands := range tc.messages {
				m = d.say(t, i+1, commands+"<Final/>")
			}
			if got := statuses(m); len(got) != 2 || got[1] != "2 Results "+tc.last {
				t.Errorf("answered %q", got)
			}
			if told := d.told[len(d.told)-1]; len(told.Results) > 0 || told.More != tc.more {
				t.Errorf("fleet was told %+v, and that the package goes on: %v", told.Results, told.More)
			}
		})
	}
}

// A value that was given up is forgotten: by another node, by a message without it, by another session.
func TestAValueThatIsGivenUp(t *testing.T) {
	for name, between := range map[string]string{
		"another node": piece("./B", "x", 2, true),
		"nothing":      "<Alert><CmdID>1</CmdID><Data>1222</Data></Alert>",
	} {
		d := newDesk(t)
		d.say(t, 1, piece("./A", "abc", 6, true))
		d.say(t, 2, between)
		d.say(t, 3, piece("./A", "def", 0, false)+"<Final/>")
		if got := d.told[2].Results; len(got) != 1 || got[0].Data != "def" {
			t.Errorf("%s: fleet was told %+v", name, got)
		}
	}
	d := newDesk(t)
	d.say(t, 1, piece("./A", "abc", 6, true))
	body := syncml("PC1", "2", 2, "", piece("./A", "def", 0, false))
	r := request(body)
	r.Header.Set("MS-Signature", d.device.Sign(t, []byte(body)))
	d.serve(r)
	if got := d.told[1].Results; len(got) != 1 || got[0].Data != "def" {
		t.Errorf("another session: fleet was told %+v", got)
	}
}

// Large values of many devices are bounded together; what nobody goes on with makes room after a while.
func TestLargeValuesAreBoundedTogether(t *testing.T) {
	d := newDesk(t)
	big := strings.Repeat("x", 3<<20)
	send := func(device int) int {
		number := strconv.Itoa(device)
		cred := digestCred(number, identity.DigestNonce(digestSecret, d.now))
		return d.serve(request(syncml("PC"+number, "1", 1, cred, piece("./A", big, 4<<20, true)))).Code
	}
	for device := range 21 {
		if code := send(device); code != http.StatusOK {
			t.Fatalf("device %d was answered %d", device, code)
		}
	}
	if code := send(21); code != http.StatusTooManyRequests {
		t.Errorf("63 MiB are taken and the next device was answered %d", code)
	}
	d.now = d.now.Add(11 * time.Minute)
	if code := send(21); code != http.StatusOK {
		t.Errorf("after eleven minutes it was answered %d", code)
	}
}

// A missing Final means that the package goes on, but real clients leave it out of answers: these get their orders, or are asked once.
func TestAMissingFinal(t *testing.T) {
	answer := `<Status><CmdID>1</CmdID><MsgRef>1</MsgRef><CmdRef>1</CmdRef><Cmd>Get</Cmd><Data>200</Data></Status>`
	events := `<Alert><CmdID>1</CmdID><Data>1201</Data></Alert>`
	get := []fleet.WindowsOrder{{ID: "1", Command: adminapi.SyncMLCommand{Verb: adminapi.VerbGet, LocURI: "./X"}}}
	for name, tc := range map[string]struct {
		commands   string
		orders     []fleet.WindowsOrder
		more, asks bool
	}{
		"events":                  {events, nil, true, true},
		"events and Final":        {events + "<Final/>", nil, false, false},
		"answers, and work":       {answer, get, false, false},
		"answers, and no work":    {answer, nil, false, true},
		"answers and Final":       {answer + "<Final/>", nil, false, false},
		"nothing":                 {"", nil, false, false},
		"answer to our own alert": {strings.Replace(answer, "Get", "Alert", 1), nil, false, false},
		"asks to go on":           {`<Alert><CmdID>1</CmdID><Data>1222</Data></Alert><Final/>`, nil, true, true},
	} {
		d := newDesk(t)
		d.orders = tc.orders
		if m := d.say(t, 1, tc.commands); d.told[0].More != tc.more || asksForMore(m) != tc.asks {
			t.Errorf("%s: told %+v, asked for more: %v", name, d.told[0], asksForMore(m))
		}
	}
	d := newDesk(t)
	if m := d.say(t, 501, events); asksForMore(m) {
		t.Error("a session that never ends is asked to go on")
	}
}

func TestASessionIsAborted(t *testing.T) {
	d := newDesk(t)
	d.say(t, 1, `<Alert><CmdID>1</CmdID><Data>1223</Data></Alert><Final/>`)
	if !d.told[0].Aborted {
		t.Errorf("fleet was told %+v", d.told[0])
	}
}

// What an alert says is cut off, between two characters.
func TestLongAlertsAreClipped(t *testing.T) {
	d := newDesk(t)
	d.say(t, 1, `<Alert><CmdID>1</CmdID><Data>1226</Data><Item><Meta><Type>`+strings.Repeat("t", 2000)+`</Type></Meta><Data>x`+strings.Repeat("ä", 4000)+`</Data></Item></Alert><Final/>`)
	if a := d.told[0].Alerts[0]; len(a.Type) != 1024 || a.Data != "x"+strings.Repeat("ä", 2047) {
		t.Errorf("type of %d bytes, data of %d", len(a.Type), len(a.Data))
	}
}
