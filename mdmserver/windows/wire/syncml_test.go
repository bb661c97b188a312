package wire_test

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/mdmserver/windows/wire"
	"github.com/kubemdm/kubemdm/test/conformance"
	"github.com/kubemdm/kubemdm/test/golden"
)

// reply has one of everything that a server says, and of what a client says in Cred, Results and MoreData.
var reply = wire.Message{
	Header: wire.Header{
		SessionID: "1F", MsgID: "2", Target: "9A8B", Source: "https://mdm.example.test/api/mdm/microsoft/management",
		Cred: &wire.Cred{Type: "syncml:auth-md5", Format: "b64", Data: "q8vV5A=="},
	},
	Commands: []wire.Command{
		{Name: wire.CmdStatus, CmdID: "5", MsgRef: "2", CmdRef: wire.HeaderRef, Cmd: wire.CmdHeader, Data: wire.StatusOK,
			Chal: &wire.Chal{Type: "syncml:auth-md5", Format: "b64", NextNonce: "bm9uY2U="}},
		{Name: wire.CmdStatus, CmdID: "6", MsgRef: "2", CmdRef: "3", Cmd: "Replace", Data: "404", OriginalError: `0x"86000002"`},
		{Name: wire.CmdAlert, CmdID: "7", Data: wire.AlertNextMessage},
		{Name: "Get", CmdID: "1", Items: []wire.Item{{Target: "./DevDetail/SwV"}}},
		{Name: wire.CmdAtomic, CmdID: "2", Commands: []wire.Command{
			{Name: "Add", CmdID: "3", Items: []wire.Item{{Target: "./Device/Vendor/MSFT/A?list=StructData&x", Meta: wire.Meta{Format: "chr", Type: "text/plain"}, Data: "<enabled/>\r\n]]>"}}},
			{Name: "Replace", CmdID: "4", Items: []wire.Item{{Target: "./Device/Vendor/MSFT/Empty", Meta: wire.Meta{Format: "chr"}}}},
		}},
		{Name: wire.CmdResults, CmdID: "8", MsgRef: "1", CmdRef: "4", Items: []wire.Item{
			{Source: "./DevDetail/Ext", Meta: wire.Meta{Format: "node", Type: "text/plain", Size: 4000}, Data: "part", More: true}}},
	},
	Final: true,
}

func TestEncodeSyncML(t *testing.T) {
	golden.Check(t, "testdata/syncml_reply.xml", reply.Encode())
}

func TestWhatIsEncodedIsDecoded(t *testing.T) {
	got, err := wire.DecodeSyncML(reply.Encode())
	if err != nil {
		t.Fatal(err)
	}
	want := reply
	want.Commands = slices.Clone(reply.Commands)
	want.Commands[0].Chal = nil // the server is challenged by nobody
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("got %+v\nwant %+v", *got, want)
	}
}

func message(body string) string {
	return `<SyncML xmlns="SYNCML:SYNCML1.2"><SyncHdr><SessionID>1</SessionID><MsgID>1</MsgID><Source><LocURI>PC</LocURI></Source></SyncHdr>` + body + `</SyncML>`
}

func TestDecodeTakesWhatClientsSend(t *testing.T) {
	for name, tc := range map[string]struct {
		body string
		want []wire.Command
	}{
		"no body": {"", nil},
		"prefixes, white space and a byte order": {
			`<x:SyncBody xmlns:x="SYNCML:SYNCML1.2"><x:Alert><x:Data> 1201
</x:Data><x:CmdID> 2 </x:CmdID></x:Alert></x:SyncBody>`,
			[]wire.Command{{Name: "Alert", CmdID: "2", Data: "1201"}}},
		"a status without MsgRef and with Windows' error": {
			`<SyncBody xmlns:msft="http://schemas.microsoft.com/MobileDevice/MDM"><Status><CmdID>1</CmdID><CmdRef>4</CmdRef><Cmd>Add</Cmd><Data msft:originalerror="0x86000011">418</Data></Status></SyncBody>`,
			[]wire.Command{{Name: "Status", CmdID: "1", MsgRef: "1", CmdRef: "4", Cmd: "Add", Data: "418", OriginalError: "0x86000011"}}},
		"meta of the command for its items": {
			`<SyncBody><Results><CmdID>1</CmdID><MsgRef>3</MsgRef><CmdRef>4</CmdRef><Meta><Format>int</Format><Type>text/plain</Type></Meta>
<Item><Source><LocURI>./A</LocURI></Source><Data>7</Data></Item><Item><Source><LocURI>./B</LocURI></Source><Meta><Format>bool</Format></Meta><Data>true</Data></Item></Results></SyncBody>`,
			[]wire.Command{{Name: "Results", CmdID: "1", MsgRef: "3", CmdRef: "4", Items: []wire.Item{
				{Source: "./A", Meta: wire.Meta{Format: "int", Type: "text/plain"}, Data: "7"},
				{Source: "./B", Meta: wire.Meta{Format: "bool", Type: "text/plain"}, Data: "true"}}}}},
		"data in CDATA, as entities and as XML": {
			`<SyncBody><Replace><CmdID>1</CmdID><Item><Data><![CDATA[<a b="1"/>]]></Data></Item><Item><Data>&lt;a/&gt; &#x41;</Data></Item><Item><Data>
<a b="1"><c/>&amp;</a> </Data></Item></Replace></SyncBody>`,
			[]wire.Command{{Name: "Replace", CmdID: "1", Items: []wire.Item{{Data: `<a b="1"/>`}, {Data: "<a/> A"}, {Data: `<a b="1"><c/>&amp;</a>`}}}}},
		"a chunk": {
			`<SyncBody><Alert><CmdID>1</CmdID><Data>1226</Data><Item><Meta><Size xmlns="syncml:metinf">9</Size></Meta><Data>four</Data><MoreData/></Item></Alert></SyncBody>`,
			[]wire.Command{{Name: "Alert", CmdID: "1", Data: "1226", Items: []wire.Item{{Meta: wire.Meta{Size: 9}, Data: "four", More: true}}}}},
		"commands in an Atomic, and one that nobody knows": {
			`<SyncBody><Atomic><CmdID>1</CmdID><Meta><Type>x</Type></Meta><Sequence><CmdID>2</CmdID><Get><CmdID>3</CmdID></Get></Sequence></Atomic><Fancy><CmdID>4</CmdID></Fancy></SyncBody>`,
			[]wire.Command{
				{Name: "Atomic", CmdID: "1", Commands: []wire.Command{{Name: "Sequence", CmdID: "2", Commands: []wire.Command{{Name: "Get", CmdID: "3"}}}}},
				{Name: "Fancy", CmdID: "4"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := wire.DecodeSyncML([]byte(message(tc.body)))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got.Commands, tc.want) || got.Final {
				t.Errorf("got %+v, final %v\nwant %+v", got.Commands, got.Final, tc.want)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	long := strings.Repeat("1", 65)
	header := func(session, msg, source string) string {
		return "<SyncML><SyncHdr><SessionID>" + session + "</SessionID><MsgID>" + msg + "</MsgID><Source><LocURI>" + source + "</LocURI></Source></SyncHdr></SyncML>"
	}
	for name, tc := range map[string]struct{ body, want string }{
		"nothing":            {"", "no element"},
		"no XML":             {"\x03\x01\x6a\x00", "reading SyncML"},
		"cut off":            {`<SyncML><SyncHdr><SessionID>1`, "reading SyncML"},
		"two documents":      {"<SyncML/><SyncML/>", "more than one"},
		"SOAP":               {"<Envelope><SyncHdr/></Envelope>", "no SyncHdr"},
		"document type":      {`<!DOCTYPE SyncML [<!ENTITY a "b">]>` + message(""), "document type"},
		"entity":             {message("<SyncBody>&bomb;</SyncBody>"), "line 1 is no well-formed XML"},
		"instruction":        {message(`<?php x?>`), "processing instruction"},
		"too deep":           {message(strings.Repeat("<a>", 40) + strings.Repeat("</a>", 40)), "nest too deeply"},
		"too many":           {message(strings.Repeat("<a/>", 50_001)), "too many elements"},
		"no session":         {header("", "1", "PC"), "session"},
		"no message number":  {header("1", "", "PC"), "number"},
		"message number 0":   {header("1", "0", "PC"), "number"},
		"no device":          {header("1", "1", " "), "device"},
		"long device":        {header("1", "1", strings.Repeat("a", 256)), "device"},
		"long session":       {header(long, "1", "PC"), "64 bytes"},
		"long message":       {header("1", strings.Repeat("0", 64)+"1", "PC"), "64 bytes"},
		"long command":       {message("<SyncBody><" + strings.Repeat("a", 65) + "/></SyncBody>"), "64 bytes"},
		"long inner command": {message("<SyncBody><Atomic><Add><CmdID>" + long + "</CmdID></Add></Atomic></SyncBody>"), "64 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := wire.DecodeSyncML([]byte(tc.body)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
}

// The sample session of MS-MDM section 4 is understood.
func TestTheSpecificationsSession(t *testing.T) {
	examples, ok := conformance.Path(t, "examples")
	if !ok {
		return
	}
	for file, commands := range map[string]int{"mdm-4-0.xml": 2, "mdm-4-1.xml": 3, "mdm-4-2.xml": 5} {
		body, err := os.ReadFile(filepath.Join(examples, file))
		if err != nil {
			t.Fatal(err)
		}
		m, err := wire.DecodeSyncML(body)
		if err != nil || len(m.Commands) != commands || !m.Final || m.Header.SessionID != "1" {
			t.Errorf("%s: %+v, %v", file, m, err)
		}
	}
}

// FuzzDecodeSyncML: what is understood is the same after it was written and read again.
func FuzzDecodeSyncML(f *testing.F) {
	f.Add(reply.Encode())
	f.Add([]byte(message(`<SyncBody><Atomic><CmdID>1</CmdID><Atomic/></Atomic><Alert><Data>1201</Data></Alert></SyncBody>`)))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := wire.DecodeSyncML(body)
		if err != nil {
			return
		}
		again, err := wire.DecodeSyncML(m.Encode())
		if err != nil {
			t.Fatalf("%q became unreadable: %v", body, err)
		}
		if again.Header.Source != m.Header.Source || len(again.Commands) != len(m.Commands) || again.Final != m.Final {
			t.Fatalf("%q became %+v", body, again)
		}
	})
}
