package xmlplist_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/internal/xmlplist"
)

func TestUnmarshal(t *testing.T) {
	for name, c := range map[string]struct {
		in  string
		err error
	}{
		"as deep as allowed": {in: nested(xmlplist.MaxDepth - 1)},
		"one level deeper":   {in: nested(xmlplist.MaxDepth), err: xmlplist.ErrDepth},
		"a bomb":             {in: nested(1 << 20), err: xmlplist.ErrDepth},
		"wide, not deep":     {in: "<plist><array>" + strings.Repeat("<array></array>", 1000) + "</array></plist>"},
		"empty elements":     {in: "<plist><array>" + strings.Repeat("<true/>", 1000) + "</array></plist>"},
		"binary":             {in: "bplist00\xa0\x08\x00", err: xmlplist.ErrBinary},
	} {
		t.Run(name, func(t *testing.T) {
			var v any
			if err := xmlplist.Unmarshal([]byte(c.in), &v); !errors.Is(err, c.err) {
				t.Errorf("error %v, want %v", err, c.err)
			}
		})
	}
}

func TestWhatIsNotAPropertyListIsAnError(t *testing.T) {
	for _, in := range []string{"", "hello", "<plist><dict>", "<html></html>"} {
		var v any
		if err := xmlplist.Unmarshal([]byte(in), &v); err == nil {
			t.Errorf("%q was decoded as %v", in, v)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte("<plist><dict><key>a</key><integer>-1</integer><key>b</key><data>YQ==</data></dict></plist>"))
	f.Add([]byte("<plist><array><date>2026-01-01T00:00:00Z</date><real>1.5</real><true/></array></plist>"))
	f.Fuzz(func(_ *testing.T, in []byte) {
		var v any
		_ = xmlplist.Unmarshal(in, &v) // must return
		var dict map[string]string
		_ = xmlplist.Unmarshal(in, &dict)
	})
}

// nested returns a property list with this many arrays in one another.
func nested(arrays int) string {
	return "<plist>" + strings.Repeat("<array>", arrays) + strings.Repeat("</array>", arrays) + "</plist>"
}
