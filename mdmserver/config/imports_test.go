package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/config"
	"github.com/kubemdm/kubemdm/test/pki"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

// A CA of an import that is missing or broken costs no other device anything; a good one is taken up without a restart.
func TestTheCAOfAnImportIsReloaded(t *testing.T) {
	files := serverfiles.Write(t)
	path := filepath.Join(files.Dir, "nano", serverconfig.CAFile)
	files.Config.Apple.Imports = []serverconfig.Import{{Name: "nano", ServerPath: "/mdm", CheckInPath: "/checkin", CAFile: path}}
	c := open(t, files)
	if c.Refused()[config.FolderImport+"nano"] == "" || len(c.ImportCAs()) != 0 {
		t.Errorf("without a CA: %v", c.Refused())
	}
	one, two := pki.NewCA(t, "one"), pki.NewCA(t, "two")
	files.Put(t, "nano/"+serverconfig.CAFile, append(one.CertPEM(), two.CertPEM()...))
	c.Reload()
	if got := c.ImportCA("nano"); len(got) != 2 || !got[1].Equal(two.Cert) || len(c.Refused()) != 0 || len(c.ImportCAs()) != 2 {
		t.Errorf("%d certificates, refused %v", len(got), c.Refused())
	}
	files.Put(t, "nano/"+serverconfig.CAFile, []byte("nothing"))
	c.Reload()
	if reason := c.Refused()[config.FolderImport+"nano"]; !strings.Contains(reason, "no PEM certificate") || len(c.ImportCAs()) != 2 {
		t.Errorf("refused %q, and %d certificates are in use", reason, len(c.ImportCAs()))
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	c.Reload()
	if len(c.ImportCA("nano")) != 2 || c.ImportCA("other") != nil {
		t.Error("the last good certificates are gone")
	}
}

func TestLoadNamesWhatIsWrongWithAnImport(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*serverconfig.Import)
		want   string
	}{
		"no CA":        {func(i *serverconfig.Import) { i.CAFile = "" }, "apple.imports[nano].caFile is missing"},
		"own path":     {func(i *serverconfig.Import) { i.ServerPath = "/apple/command" }, "apple.imports[nano].serverPath: /apple/command is a path of this server's own"},
		"no path":      {func(i *serverconfig.Import) { i.CheckInPath = "checkin" }, `apple.imports[nano].checkInPath: "checkin" is no path`},
		"the same one": {func(i *serverconfig.Import) { i.Name = "other" }, "apple.imports[other] is there twice"},
	} {
		t.Run(name, func(t *testing.T) {
			files := serverfiles.Write(t)
			i := serverconfig.Import{Name: "nano", ServerPath: "/mdm", CheckInPath: "/checkin", CAFile: "/ca.crt"}
			tc.change(&i)
			files.Config.Apple.Imports = []serverconfig.Import{i, {Name: "other", ServerPath: "/mdm", CheckInPath: "/checkin", CAFile: "/ca.crt"}}
			if _, err := config.Load(files.WriteConfig(t)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
}
