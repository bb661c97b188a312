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
	files.AddWindows(t)
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
	files.AddWindows(t)
	signIn := serverconfig.SignIn{IssuerURL: "https://login.example.test", ClientID: "kubemdm", Dir: "/signin", Token: "fleet/staff"}
	for name, tc := range map[string]struct {
		change func(*serverconfig.Config)
		want   string
	}{
		"no host":           {func(c *serverconfig.Config) { c.Host = "" }, "host is missing"},
		"host is a URL":     {func(c *serverconfig.Config) { c.Host = "https://mdm" }, "give a DNS name"},
		"no store":          {func(c *serverconfig.Config) { c.Store.SQLite = nil }, "store is missing"},
		"no platform":       {func(c *serverconfig.Config) { c.Apple, c.Windows = nil, nil }, "apple and windows are missing"},
		"push in clear":     {func(c *serverconfig.Config) { c.Apple.Push.URL = "http://push" }, "https address"},
		"rights":            {func(c *serverconfig.Config) { c.Apple.AccessRights = 8192 }, "at most 8191"},
		"silence":           {func(c *serverconfig.Config) { c.SilentAfter = 0 }, "silentAfter must be"},
		"renewed too early": {func(c *serverconfig.Config) { c.Apple.Identity.RenewBefore = c.Apple.Identity.Validity }, "apple.identity.renewBefore must be shorter"},
		"no WSTEP CA":       {func(c *serverconfig.Config) { c.Windows.Identity.Dir = "" }, "windows.identity.dir is missing"},
		"never polled":      {func(c *serverconfig.Config) { c.Windows.PollEvery = 0 }, "windows.pollEvery must be"},
		"never verified":    {func(c *serverconfig.Config) { c.Windows.VerifyEvery = -1 }, "windows.verifyEvery must be"},
		"one host for both": {func(c *serverconfig.Config) { c.Windows.ManagementHost = c.Host + ":8443" }, "another DNS name than host"},
		"management URL":    {func(c *serverconfig.Config) { c.Windows.ManagementHost = "https://mdm" }, "windows.managementHost is"},
		"unknown proof":     {func(c *serverconfig.Config) { c.Windows.Authentication.Require = "Nothing" }, "Digest, Certificate or Signature"},
		"proxy by name":     {func(c *serverconfig.Config) { c.Windows.Authentication.TrustedProxies = []string{"proxy"} }, `has "proxy"`},
		"issuer in clear": {func(c *serverconfig.Config) {
			c.Windows.SignIn = &signIn
			c.Windows.SignIn.IssuerURL = "http://login"
		}, "windows.signIn.issuerURL is"},
		"no token for PCs": {func(c *serverconfig.Config) {
			c.Windows.SignIn = &serverconfig.SignIn{IssuerURL: signIn.IssuerURL, ClientID: "kubemdm", Dir: "/signin"}
		}, "windows.signIn.token is missing"},
		"Apple's issuer in clear": {func(c *serverconfig.Config) {
			c.Apple.SignIn = &serverconfig.SignIn{IssuerURL: "http://login", ClientID: "kubemdm", Dir: "/signin"}
		}, "apple.signIn.issuerURL is"},
		"Apple's issuer without a folder": {func(c *serverconfig.Config) {
			c.Apple.SignIn = &serverconfig.SignIn{IssuerURL: "https://login.example.test", ClientID: "kubemdm"}
		}, "apple.signIn.dir is missing"},
		"a token for Apple devices": {func(c *serverconfig.Config) {
			c.Apple.SignIn = &serverconfig.SignIn{IssuerURL: "https://login.example.test", ClientID: "kubemdm", Dir: "/signin", Token: "fleet/staff"}
		}, "apple.signIn.token must be empty"},
		"a colour by name":   {func(c *serverconfig.Config) { c.Page.Color = "red" }, "give #rrggbb"},
		"help in clear":      {func(c *serverconfig.Config) { c.Page.SupportURL = "http://help.example.test" }, "page.supportURL is"},
		"a script as help":   {func(c *serverconfig.Config) { c.Page.SupportURL = "javascript:alert(1)" }, "page.supportURL is"},
		"nowhere to sign in": {func(c *serverconfig.Config) { c.Page.SignInToken = "fleet/staff" }, "page.signInToken needs apple.signIn"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := *files
			apple := *files.Config.Apple
			pcs := *files.Config.Windows
			changed.Config.Apple, changed.Config.Windows = &apple, &pcs
			tc.change(&changed.Config)
			_, err := config.Load(changed.WriteConfig(t))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
}

// A server for one platform needs nothing of the other.
func TestLoadTakesOnePlatform(t *testing.T) {
	files := serverfiles.Write(t)
	files.AddWindows(t)
	for name, one := range map[string]serverconfig.Config{"Apple": {Apple: files.Config.Apple}, "Windows": {Windows: files.Config.Windows}} {
		only := *files
		only.Config.Apple, only.Config.Windows = one.Apple, one.Windows
		if _, err := config.Load(only.WriteConfig(t)); err != nil {
			t.Errorf("%s alone: %v", name, err)
		}
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
