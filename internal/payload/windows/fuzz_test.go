package windows_test

import (
	"encoding/json"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/payload/content"
	"github.com/kubemdm/kubemdm/internal/payload/windows"
)

// Whatever a document says, what is rendered of it are commands that a Profile may hold, in at most two levels.
func FuzzSyncML(f *testing.F) {
	exportedByTool, err := os.ReadFile("testdata/exported.xml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(exportedByTool))
	f.Add(one(lockTimeout, "int", "15"))
	f.Add("<Atomic><Exec><Item><Target><LocURI>./Vendor/MSFT/RemoteWipe/doWipe</LocURI></Target></Item></Exec></Atomic>")
	f.Fuzz(func(t *testing.T, text string) {
		rendered, err := windows.Render(inline(text), content.Sources{})
		if err != nil {
			return
		}
		var profile adminapi.WindowsProfile
		if err := json.Unmarshal(rendered.Template, &profile); err != nil {
			t.Fatal(err)
		}
		for _, c := range profile.Commands {
			below := c.Commands
			if c.Verb != adminapi.VerbAtomic && c.Verb != adminapi.VerbSequence {
				below = []adminapi.SyncMLCommand{c}
			}
			for _, c := range below {
				if len(c.Commands) > 0 || !strings.HasPrefix(c.LocURI, "./") || strings.Contains(strings.ToLower(c.LocURI), "/remotewipe") {
					t.Errorf("%+v", c)
				}
			}
		}
	})
}

// However the path of a node is written that erases a PC, no raw command reaches it.
func FuzzRawLocURI(f *testing.F) {
	f.Add("./Device/Vendor/MSFT/RemoteWipe/doWipe")
	f.Add("./Vendor/MSFT/%2552emote%57ipe/do%57ipe/%25zz")
	f.Add("./User/Vendor%2fMSFT%2FRemoteWipe/doWipe")
	f.Fuzz(func(t *testing.T, uri string) {
		raw := &v1alpha1.RawAction{Windows: &v1alpha1.RawWindowsCommand{Verb: v1alpha1.RawExec, LocURI: uri}}
		if windows.ValidateCommand(&v1alpha1.CommandAction{Type: v1alpha1.ActionRaw, Raw: raw}) != nil {
			return
		}
		for name := range strings.SplitSeq(uri, "/") {
			for range len(name) {
				name = plain(name)
			}
			if path := "/" + strings.ToLower(name) + "/"; strings.Contains(path, "/remotewipe/") && strings.Contains(strings.ToLower(uri), "vendor/msft/") {
				t.Errorf("%q passes", uri)
			}
		}
	})
}

// plain decodes a name once, if it can be.
func plain(name string) string {
	if decoded, err := url.PathUnescape(name); err == nil {
		return decoded
	}
	return name
}

// A value that was written once is written the same a second time.
func FuzzValue(f *testing.F) {
	f.Add("int", "007")
	f.Add("b64", "AAEC\n")
	f.Add("xml", "<a/>")
	f.Fuzz(func(t *testing.T, format, value string) {
		written := func(value string) (string, error) {
			rendered, err := windows.Render(settings(setting(lockTimeout, v1alpha1.SettingFormat(format), value)), content.Sources{})
			if err != nil {
				return "", err
			}
			var profile adminapi.WindowsProfile
			err = json.Unmarshal(rendered.Template, &profile)
			return profile.Commands[0].Data, err
		}
		once, err := written(value)
		if err != nil {
			return
		}
		if twice, err := written(once); err != nil || twice != once {
			t.Errorf("%q, then %q and %v", once, twice, err)
		}
	})
}
