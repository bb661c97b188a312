package windows_test

import (
	"encoding/json"
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
