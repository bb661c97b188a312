package windows_test

import (
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/devicesim/windows"
)

const (
	camera = "./Device/Vendor/MSFT/Policy/Config/Camera/AllowCamera"
	areas  = "./Vendor/MSFT/Policy/Config/"
)

// session has a session that must succeed.
func session(t *testing.T, pc *windows.PC, opts windows.SessionOptions) *windows.Report {
	t.Helper()
	report, err := pc.Session(t.Context(), opts)
	fatal(t, err)
	return report
}

func TestEachCommandHasItsStatus(t *testing.T) {
	s := newServer(t)
	pc := s.enrolled(nil)
	pc.SetNode(areas+"Experience/AllowCortana", windows.Node{Format: "int", Data: "1"})
	user := "./User/Vendor/MSFT/Policy/Config/Start/HideLock"
	for name, test := range map[string]struct {
		command string
		login   windows.Login
		code    int
	}{
		"add":                   {do("1", "Add", camera, "int", "0"), "", 200},
		"add of what exists":    {do("1", "Add", areas+"Experience/AllowCortana", "int", "0"), "", 418},
		"replace":               {do("1", "Replace", "./Device/Vendor/MSFT/Policy/Config/Experience/AllowCortana", "int", "0"), "", 200},
		"replace of nothing":    {do("1", "Replace", areas+"Experience/AllowFindMyDevice", "int", "0"), "", 404},
		"delete of nothing":     {do("1", "Delete", areas+"Experience/AllowFindMyDevice", "", ""), "", 404},
		"get of nothing":        {do("1", "Get", areas+"Experience/AllowFindMyDevice", "", ""), "", 404},
		"outside the tree":      {do("1", "Add", "./Vendor/Else/X", "int", "0"), "", 404},
		"not relative":          {do("1", "Get", "/Vendor/MSFT", "", ""), "", 404},
		"an empty segment":      {do("1", "Get", "./Vendor//MSFT", "", ""), "", 400},
		"read-only":             {do("1", "Replace", "./DevInfo/DevId", "chr", "x"), "", 405},
		"exec of a setting":     {do("1", "Exec", camera, "", ""), "", 405},
		"get of an action":      {do("1", "Get", "./Device/Vendor/MSFT/RemoteWipe/doWipe", "", ""), "", 405},
		"unknown way to wipe":   {do("1", "Exec", "./Device/Vendor/MSFT/RemoteWipe/doWash", "", ""), "", 404},
		"text for a number":     {do("1", "Replace", areas+"Experience/AllowCortana", "int", "yes"), "", 415},
		"an unknown format":     {do("1", "Replace", areas+"Experience/AllowCortana", "integer", "1"), "", 415},
		"another format":        {do("1", "Add", areas+"DeviceLock/MinDevicePasswordLength", "chr", "8"), "", 406},
		"broken XML":            {do("1", "Add", "./Vendor/MSFT/WiFi/Profile/x/WlanXml", "xml", "<a>"), "", 415},
		"broken base64":         {do("1", "Add", "./Vendor/MSFT/Personalization/x", "b64", "?"), "", 415},
		"no certificate":        {do("1", "Add", "./Device/Vendor/MSFT/RootCATrustedCertificates/Root/AA/EncodedCertificate", "b64", "AAAA"), "", 400},
		"user":                  {do("1", "Add", user, "int", "1"), windows.LoginUser, 200},
		"user not logged in":    {do("1", "Add", user, "int", "1"), windows.LoginNone, 405},
		"another user":          {do("1", "Replace", user, "int", "1"), windows.LoginOthers, 405},
		"unenrol from another":  {do("1", "Exec", "./Device/Vendor/MSFT/DMClient/Provider/Test/Unenroll", "chr", "Other"), "", 400},
		"exec before add":       {do("1", "Exec", "./Device/Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/%7BA%7D/DownloadInstall", "xml", ""), "", 404},
		"one of several items":  {strings.Replace(do("1", "Delete", camera+"2", "", ""), "</Delete>", "<Item><Target><LocURI>./Vendor/MSFT/Policy/Config/Experience/AllowCortana</LocURI></Target></Item></Delete>", 1), "", 200},
		"a verb within another": {within("Sequence", "9", do("1", "Get", "./DevInfo/DevId", "", "")), "", 200},
	} {
		t.Run(name, func(t *testing.T) {
			before := snapshot(pc)
			defer restore(pc, before)
			s.gives(test.command)
			session(t, pc, windows.SessionOptions{Login: test.login})
			if got := s.statuses()["1"]; got != test.code {
				t.Errorf("%s: %d, not %d", test.command, got, test.code)
			}
		})
	}
}

var touched = []string{camera, areas + "Experience/AllowCortana", "./User/Vendor/MSFT/Policy/Config/Start/HideLock"}

func snapshot(pc *windows.PC) map[string]windows.Node {
	nodes := map[string]windows.Node{}
	for _, uri := range touched {
		if n, ok := pc.Node(uri); ok {
			nodes[uri] = n
		}
	}
	return nodes
}

func restore(pc *windows.PC, nodes map[string]windows.Node) {
	for _, uri := range touched {
		pc.RemoveNode(uri)
	}
	for uri, n := range nodes {
		pc.SetNode(uri, n)
	}
}

func TestValuesReadAsWindowsWritesThem(t *testing.T) {
	s := newServer(t)
	pc := s.enrolled(nil)
	s.gives(
		do("1", "Add", camera, "int", " 007\n")+do("2", "Add", areas+"A/B", "bool", "1")+do("3", "Add", areas+"A/C", "chr", " <a&b> ")+
			do("4", "Add", areas+"A/D", "b64", "AA\nAA"),
		do("1", "Get", camera, "", "")+do("2", "Get", areas+"A/B", "", "")+do("3", "Get", areas+"A/C", "", "")+do("4", "Get", areas+"A/D", "", "")+
			do("5", "Get", areas+"A", "", "")+do("6", "Get", "./DevDetail/Ext/Microsoft/SMBIOSSerialNumber", "", "")+
			do("7", "Get", "./Device/Vendor/MSFT/Policy/Result/A/B", "", ""),
	)
	session(t, pc, windows.SessionOptions{})
	want := map[string]string{
		camera: "7", areas + "A/B": "true", areas + "A/C": " <a&b> ", areas + "A/D": "AAAA", areas + "A": "B/C/D",
		"./DevDetail/Ext/Microsoft/SMBIOSSerialNumber": "PC0001", "./Device/Vendor/MSFT/Policy/Result/A/B": "true",
	}
	if got := s.results(); !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

func TestAtomicIsAllOrNothing(t *testing.T) {
	s := newServer(t)
	pc := s.enrolled(nil)
	good, other := do("2", "Add", camera, "int", "0"), do("3", "Add", areas+"A/B", "int", "1")
	for name, test := range map[string]struct {
		atomic string
		codes  map[string]int
		kept   bool
	}{
		"good":    {within("Atomic", "1", good, other), map[string]int{"1": 200, "2": 200, "3": 200}, true},
		"failing": {within("Atomic", "1", good, do("3", "Replace", areas+"A/X", "int", "1"), do("4", "Add", areas+"A/B", "int", "1")), map[string]int{"1": 507, "2": 216, "3": 404, "4": 215}, false},
		"get":     {within("Atomic", "1", good, do("3", "Get", "./DevInfo/DevId", "", "")), map[string]int{"1": 507, "2": 216, "3": 500}, false},
		"nested":  {within("Atomic", "1", within("Atomic", "2", good[:0]+do("3", "Add", camera, "int", "0"))), map[string]int{"1": 507, "2": 500}, false},
		"twice":   {within("Atomic", "1", good, do("3", "Replace", camera, "int", "1")), map[string]int{"1": 507, "2": 216, "3": 500}, false},
	} {
		t.Run(name, func(t *testing.T) {
			pc.RemoveNode(camera)
			pc.RemoveNode(areas + "A")
			s.gives(test.atomic)
			session(t, pc, windows.SessionOptions{})
			if got := s.statuses(); !maps.Equal(got, test.codes) {
				t.Errorf("%v, not %v", got, test.codes)
			}
			if _, kept := pc.Node(camera); kept != test.kept {
				t.Errorf("kept: %v", kept)
			}
		})
	}
}

func TestScriptedAnswers(t *testing.T) {
	s := newServer(t)
	pc := s.enrolled(nil)
	version := "./Device/Vendor/MSFT/DMClient/Provider/Test/SyncApplicationVersion"
	pc.Script(windows.Rule{LocURI: camera, Code: 500, OriginalError: "0x86000011", Times: 1}, windows.Rule{LocURI: "./Device/Vendor/MSFT/Reboot/RebootNow", Crash: true})
	s.gives(do("1", "Add", version, "chr", "5.0"), do("2", "Add", camera, "int", "0"), do("3", "Add", camera, "int", "0"))
	session(t, pc, windows.SessionOptions{})
	if got := s.heard[2].Statuses[1].Data; got.Code != 500 || got.Error != "0x86000011" {
		t.Errorf("%+v", got)
	}
	if s.statuses()["3"] != 200 {
		t.Error("a rule held twice")
	}
	s.gives(do("1", "Exec", "./Device/Vendor/MSFT/Reboot/RebootNow", "null", ""))
	if _, err := pc.Session(t.Context(), windows.SessionOptions{}); !errors.Is(err, windows.ErrInterrupted) || pc.Restarts() != 1 {
		t.Errorf("restarted %d times: %v", pc.Restarts(), err)
	}
	if id, err := strconv.ParseInt(s.heard[0].SessionID, 16, 64); err != nil || id != 2 {
		t.Errorf("session %s", s.heard[0].SessionID)
	}
}

func TestPCsRefuseBadReplies(t *testing.T) {
	get := do("2", "Get", "./DevInfo/DevId", "", "")
	for name, change := range map[string][2]string{
		"no status of SyncHdr":  {"<CmdRef>0</CmdRef>", "<CmdRef>1</CmdRef>"},
		"not at first":          {"<SyncBody>", "<SyncBody>" + do("0x", "Get", "./DevInfo/DevId", "", "")},
		"no status of Replace":  {"<Status><CmdID>P</CmdID><MsgRef>1</MsgRef><CmdRef>3</CmdRef><Cmd>Replace</Cmd><Data>200</Data></Status>", ""},
		"a CmdID twice":         {"<CmdID>2</CmdID>", "<CmdID>S</CmdID>"},
		"CmdID 0":               {"<CmdID>2</CmdID>", "<CmdID>0</CmdID>"},
		"another session":       {"<SessionID>1", "<SessionID>2"},
		"another message":       {"<MsgID>1", "<MsgID>9"},
		"another device":        {"<Target><LocURI>", "<Target><LocURI>X"},
		"another protocol":      {"DM/1.2", "DM/1.1"},
		"another namespace":     {"SYNCML:SYNCML1.2", "SYNCML:SYNCML1.1"},
		"header out of order":   {"<VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto>", "<VerProto>DM/1.2</VerProto><VerDTD>1.2</VerDTD>"},
		"an unknown command":    {get, strings.ReplaceAll(get, "Get>", "Fetch>")},
		"no item":               {get, "<Get><CmdID>2</CmdID></Get>"},
		"data before target":    {get, "<Get><CmdID>2</CmdID><Item><Data>x</Data><Target><LocURI>./DevInfo</LocURI></Target></Item></Get>"},
		"data with elements":    {get, "<Add><CmdID>2</CmdID><Item><Target><LocURI>./DevInfo</LocURI></Target><Data><enabled/></Data></Item></Add>"},
		"a format without meta": {get, strings.Replace(do("2", "Add", camera, "int", "0"), ` xmlns="syncml:metinf"`, "", 1)},
		"status of nothing":     {get, `<Status><CmdID>2</CmdID><MsgRef>1</MsgRef><CmdRef>99</CmdRef><Cmd>Alert</Cmd><Data>200</Data></Status>`},
		"more after Final":      {"<Final/>", "<Final/>" + do("3", "Get", "./DevInfo/DevId", "", "")},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			pc := s.enrolled(nil)
			s.sync = func(body string) string { return strings.Replace(body, change[0], change[1], 1) }
			s.gives(get)
			if _, err := pc.Session(t.Context(), windows.SessionOptions{}); !errors.Is(err, windows.ErrMalformed) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestServersAbort(t *testing.T) {
	s := newServer(t)
	pc := s.enrolled(nil)
	s.gives("<Alert><CmdID>1</CmdID><Data>1223</Data></Alert>" + do("2", "Add", camera, "int", "0"))
	session(t, pc, windows.SessionOptions{})
	if _, has := pc.Node(camera); has || len(s.heard) != 1 {
		t.Errorf("after alert 1223: %d messages, the camera is set: %v", len(s.heard), has)
	}
}

func TestPCsProveThemselves(t *testing.T) {
	s := newServer(t)
	pc := s.enrolled(nil)
	report := session(t, pc, windows.SessionOptions{})
	if report.Challenges != 0 || s.heard[0].certificate == nil || !s.heard[0].certificate.Equal(pc.Identity().Certificate) {
		t.Errorf("%+v with %v", report, s.heard[0].certificate)
	}
	s.nonces += 5
	if report := session(t, pc, windows.SessionOptions{}); report.Challenges != 1 {
		t.Errorf("with a nonce that is old: %+v", report)
	}
	s.gives()
	session(t, pc, windows.SessionOptions{Login: windows.LoginNone})
	if s.heard[0].certificate != nil {
		t.Error("SYSTEM reached the certificate of a user")
	}
	pc.SetNode("./Device/Vendor/MSFT/DMClient/Provider/Test/RequireMessageSigning", windows.Node{Format: "bool", Data: "true"})
	s.gives()
	session(t, pc, windows.SessionOptions{})
	if signer := s.heard[0].signer; signer == nil || !signer.Equal(pc.Identity().Certificate) {
		t.Errorf("signed by %v", signer)
	}
	s.demand = 401
	s.sync = func(body string) string { return strings.Replace(body, "<Data>200", "<Data>401", 1) }
	refused := new(windows.StatusError)
	if _, err := pc.Session(t.Context(), windows.SessionOptions{}); !errors.As(err, &refused) || refused.Code != 401 {
		t.Errorf("refused: %v", err)
	}
}

func TestLostRepliesAreAskedForAgain(t *testing.T) {
	s := newServer(t)
	network := &devicesim.Network{}
	pc := s.enrolled(func(o *windows.Options) { o.Network = network })
	s.gives(do("1", "Add", camera, "int", "0"))
	network.LoseNext(1, devicesim.LoseReply, func(r *http.Request) bool { return r.URL.Path == "/management" })
	session(t, pc, windows.SessionOptions{})
	if s.heard[0].MsgID != "1" || s.heard[1].MsgID != "1" || s.heard[0].SessionID != s.heard[1].SessionID {
		t.Errorf("sent %+v", s.heard)
	}
	network.LoseEvery(1, devicesim.LoseRequest)
	if _, err := pc.Session(t.Context(), windows.SessionOptions{}); !errors.Is(err, devicesim.ErrNetwork) {
		t.Errorf("without a network: %v", err)
	}
}

func TestBasicCredentials(t *testing.T) {
	s := newServer(t)
	s.demand = 0
	s.doc = func(doc string) string {
		at := strings.LastIndex(doc, `value="DIGEST"`)
		return doc[:at] + `value="BASIC"` + doc[at+len(`value="DIGEST"`):]
	}
	session(t, s.enrolled(nil), windows.SessionOptions{})
	if want := base64.StdEncoding.EncodeToString([]byte(user + ":" + secret)); s.heard[0].Cred != want {
		t.Errorf("credentials %s", s.heard[0].Cred)
	}
}

// A server that is busy says when to come back.
func TestBusyServersAreGivenTheirTime(t *testing.T) {
	s := newServer(t)
	var waits []time.Duration
	pc := s.enrolled(func(o *windows.Options) {
		o.After = func(d time.Duration) <-chan time.Time {
			waits = append(waits, d)
			s.raw = nil
			return atOnce(d)
		}
	})
	for status, want := range map[int]time.Duration{http.StatusTooManyRequests: 7 * time.Second, http.StatusServiceUnavailable: 30 * time.Second} {
		waits = nil
		s.raw = func(w http.ResponseWriter, _ string) {
			w.Header().Set("Retry-After", "7")
			w.Header().Set("Content-Length", "0")
			w.WriteHeader(status)
		}
		session(t, pc, windows.SessionOptions{})
		if len(waits) != 1 || waits[0] != want {
			t.Errorf("after %d waited %v", status, waits)
		}
	}
	s.raw = func(w http.ResponseWriter, _ string) {
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusNotFound)
	}
	status := new(windows.HTTPError)
	if _, err := pc.Session(t.Context(), windows.SessionOptions{}); !errors.As(err, &status) || status.Status != http.StatusNotFound {
		t.Errorf("nobody there: %v", err)
	}
}

func TestLongResultsComeInParts(t *testing.T) {
	s := newServer(t)
	pc := s.enrolled(func(o *windows.Options) {
		o.MaxChunk = 10
		o.Habits = windows.Habits{OmitMsgRef: true, OmitHeaderStatus: true, OmitContentType: true}
	})
	long := strings.Repeat("0123456789", 3) + "end"
	pc.SetNode(areas+"A/Long", windows.Node{Format: "chr", Data: long})
	s.gives(do("1", "Get", areas+"A/Long", "", "") + do("2", "Get", "./DevInfo/DmV", "", ""))
	session(t, pc, windows.SessionOptions{})
	if got := s.results(); got[areas+"A/Long"] != long || got["./DevInfo/DmV"] != "1.3" {
		t.Errorf("%v", got)
	}
	if len(s.heard) != 5 || s.heard[1].Results[0].Size != len(long) || s.heard[1].Final != nil || s.heard[4].Final == nil || s.heard[1].Results[0].MsgRef != "" {
		t.Errorf("%+v", s.heard)
	}
	if s.heard[1].header.Get("Content-Type") != "" || s.heard[1].Statuses[0].CmdRef == "0" {
		t.Errorf("the habits: %+v", s.heard[1])
	}
	s.sync = func(body string) string { return strings.Replace(body, "<Data>213", "<Data>200", 1) }
	s.gives(do("1", "Get", areas+"A/Long", "", ""))
	if _, err := pc.Session(t.Context(), windows.SessionOptions{}); !errors.Is(err, windows.ErrMalformed) {
		t.Errorf("a part that was not accepted: %v", err)
	}
}
