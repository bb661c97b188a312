package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/config"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

func TestLoadReadsAWholeFile(t *testing.T) {
	files := serverfiles.Write(t)
	got, err := config.Load(files.WriteConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(*got, files.Config) {
		t.Errorf("got %+v, want %+v", *got, files.Config)
	}
}

func TestLoadNamesWhatIsWrong(t *testing.T) {
	files := serverfiles.Write(t)
	for name, tc := range map[string]struct {
		change func(*serverconfig.Config)
		want   string
	}{
		"no host":           {func(c *serverconfig.Config) { c.Host = "" }, "host is missing"},
		"host is a URL":     {func(c *serverconfig.Config) { c.Host = "https://mdm" }, "give a DNS name"},
		"no store":          {func(c *serverconfig.Config) { c.Store.SQLite = nil }, "store.sqlite is missing"},
		"no platform":       {func(c *serverconfig.Config) { c.Apple = nil }, "apple is missing"},
		"push in clear":     {func(c *serverconfig.Config) { c.Apple.Push.URL = "http://push" }, "https address"},
		"rights":            {func(c *serverconfig.Config) { c.Apple.AccessRights = 8192 }, "at most 8191"},
		"silence":           {func(c *serverconfig.Config) { c.SilentAfter = 0 }, "silentAfter must be"},
		"renewed too early": {func(c *serverconfig.Config) { c.Apple.Identity.RenewBefore = c.Apple.Identity.Validity }, "must be shorter"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := *files
			apple := *files.Config.Apple
			changed.Config.Apple = &apple
			tc.change(&changed.Config)
			_, err := config.Load(changed.WriteConfig(t))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
}

func TestLoadRefusesAMisspeltField(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(path, []byte(`{"hots": "mdm"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(path); err == nil || !strings.Contains(err.Error(), "hots") {
		t.Errorf("got %v, want an error that names the field", err)
	}
}
