package fleet

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

func TestSameValue(t *testing.T) {
	const admx = `<enabled/><data id="a" value="1"/><data id="b" value="2"/>`
	for _, c := range []struct {
		format, wrote, reads string
		want                 bool
	}{
		{"bool", "true", "1", true},
		{"bool", "True", "true", true},
		{"bool", "false", "0", true},
		{"bool", "true", "false", false},
		{"bool", "true", "", false},
		{"bool", "maybe", " maybe ", true},
		{"int", "7", "007", true},
		{"int", " 7\n", "7", true},
		{"int", "-1", "1", false},
		{"int", "7", "seven", false},
		{"INT", "07", "7", true},
		{"int", "99999999999999999999", "99999999999999999999", true},
		{"float", "1.50", "1.5", true},
		{"float", "1.5", "1.6", false},
		{"b64", "QUJD\nREVG", "QUJDREVG", true},
		{"bin", "QUJD", "QUJE", false},
		{"date", "20270101 ", "20270101", true},
		{"time", "10:00", "11:00", false},
		{"xml", "<a><b x='1' y=\"2\"/></a>", "<a>\n  <b y=\"2\" x=\"1\"></b>\n</a>", true},
		{"xml", "<a>x</a>", "<a> x </a>", true},
		{"xml", "<a><b/><c/></a>", "<a><c/><b/></a>", false},
		{"xml", "<a>x</a>", "<a>y</a>", false},
		{"xml", "<a x='1'/>", "<a x='2'/>", false},
		{"xml", "<n:a/>", "<m:a/>", false},
		{"xml", "<a", "<a", true},
		{"xml", "<a>", "<a></a>", false},
		{"xml", "<!DOCTYPE x><a/>", "<a/>", false},
		{"chr", "a", "a", true},
		{"chr", "a", "A", false},
		{"chr", "a ", "a", false},
		{"chr", "a\r\nb", "a\nb", true},
		{"chr", "<x> & </x>", "&lt;x&gt; &amp; &lt;/x&gt;", true},
		{"chr", "<x><y/></x>", "<x> <y/> </x>", false},
		{"", "a", "a", true},
		{"chr", admx, `<Enabled/>`, false},
		{"chr", admx, "<enabled></enabled>\n<data value=\"2\" id=\"b\"></data><data id='a' value='1' />", true},
		{"chr", admx, "&lt;enabled/&gt;&lt;data id=\"a\" value=\"1\"/&gt;&lt;data id=\"b\" value=\"2\"/&gt;", true},
		{"chr", admx, `<enabled/><data id="a" value="1"/>`, false},
		{"chr", "<disabled/>", "<enabled/>", false},
		{"int", "1", strings.Repeat("0", 1<<20) + "1", false},
	} {
		if got := sameValue(c.format, c.wrote, c.reads); got != c.want {
			t.Errorf("sameValue(%q, %q, %q) = %v", c.format, c.wrote, c.reads, got)
		}
	}
}

func FuzzSameValue(f *testing.F) {
	for _, seed := range [][3]string{
		{"xml", "<a b='1'>x</a>", "<a/>"}, {"chr", "<enabled/><data id='a' value='b'/>", "&lt;enabled/&gt;"}, {"bool", "true", "1"}, {"int", "1", "01"},
		{"float", "NaN", "1e309"}, {"xml", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "<a>c</a>"}, {"b64", "QQ==", "QQ\n=="},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, format, a, b string) {
		sameValue(format, a, b)
		if !sameValue(format, a, a) || !sameValue(format, b, b) {
			t.Errorf("%q: a value differs from itself: %q or %q", format, a, b)
		}
	})
}

func FuzzWindowsProfile(f *testing.F) {
	f.Add([]byte(`{"commands":[{"verb":"Set","locURI":"./Device/x","format":"int","data":"1"},{"verb":"Atomic","commands":[{"verb":"Add","locURI":"./Vendor/y"}]}]}`), true)
	f.Add([]byte(`{"commands":[{"verb":"Set","locURI":"./User/x"}]}`), false)
	f.Fuzz(func(t *testing.T, template []byte, system bool) {
		scope := adminapi.ScopeUser
		if system {
			scope = adminapi.ScopeSystem
		}
		p, err := parseWindowsProfile(template, scope)
		if err != nil {
			if adminapi.CodeOf(err) != adminapi.CodeInvalid {
				t.Errorf("refused with %v", err)
			}
			return
		}
		state := sessionState{Jobs: []*job{{Kind: jobApply, Steps: newSteps(p.Commands)}}}
		orders := state.send("1")
		if len(orders) == 0 {
			t.Fatal("an accepted profile sends nothing")
		}
		if _, err := json.Marshal(state); err != nil {
			t.Error(err)
		}
	})
}

func TestHRESULT(t *testing.T) {
	for s, want := range map[string]string{
		"0x86000002": "0x86000002", " 0X8007000d ": "0x8007000D", "0x5": "0x00000005", "-2147023293": "0x80070643", "2147944003": "0x80070643", "0": "0x00000000",
		"": "", "0x": "", "0x123456789": "", "4294967296": "", "-2147483649": "", "secret": "", "0xg": "",
	} {
		if got := hresult(s); got != want {
			t.Errorf("hresult(%q) = %q, want %q", s, got, want)
		}
	}
}
