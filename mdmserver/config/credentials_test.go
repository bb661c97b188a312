package config_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/config"
	"github.com/kubemdm/kubemdm/test/pki"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

func open(t *testing.T, files *serverfiles.Files) *config.Credentials {
	t.Helper()
	c, err := config.Open(files.Config, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

func TestOpenReadsEveryFolder(t *testing.T) {
	files := serverfiles.Write(t)
	c := open(t, files)
	if c.Serving().Leaf.Subject.CommonName != serverfiles.Host || !bytes.Equal(c.ServingCAPEM(), files.WebCA.CertPEM()) {
		t.Error("the serving pair is not the mounted one")
	}
	if cert, cas := c.Admin(); cert.Leaf.Subject.CommonName != "server" || !cas.Equal(files.AdminCA.Pool()) {
		t.Error("the admin pair is not the mounted one")
	}
	if _, topic, ok := c.Push(); !ok || topic != serverfiles.Topic {
		t.Errorf("push topic is %q, %v", topic, ok)
	}
	if s := c.Sealing(); s.Primary != "k1" || len(s.Keys["k1"]) != 32 {
		t.Errorf("sealing keys are %v", s.Primary)
	}
	cas := c.IdentityCAs()
	if len(cas) != 1 || cas[0].Generation != 1 || cas[0].Role != serverconfig.RoleActive || !cas[0].Cert.Equal(files.IdentityCA.Cert) {
		t.Errorf("identity CAs are %+v", cas)
	}
	if refused := c.Refused(); len(refused) != 0 {
		t.Errorf("refused: %v", refused)
	}
}

// A server for Windows alone has no folder of Apple's, and the generations of its CA are apart from those of Apple devices.
func TestOpenReadsWhatAPlatformNeeds(t *testing.T) {
	files := serverfiles.Write(t)
	files.AddWindows(t)
	files.Config.Apple = nil
	files.Config.Windows.SignIn = &serverconfig.SignIn{Dir: filepath.Join(files.Dir, "signin")}
	files.Put(t, "signin/"+serverconfig.ClientSecretFile, []byte("secret\n"))
	c := open(t, files)
	if cas := c.WSTEPCAs(); len(cas) != 1 || cas[0].Role != serverconfig.RoleActive || !cas[0].Cert.Equal(files.WSTEPCA.Cert) {
		t.Errorf("WSTEP CAs are %+v", cas)
	}
	if c.IdentityCAs() != nil {
		t.Error("there are generations of a CA for Apple devices")
	}
	if _, _, ok := c.Push(); ok {
		t.Error("there is a push certificate")
	}
	if got := c.SignInSecret(); got != "secret" {
		t.Errorf("the client secret is %q", got)
	}

	files.Put(t, "wstep/"+serverconfig.RolesFile, []byte(`{"1": "Next"}`))
	files.Put(t, "signin/"+serverconfig.ClientSecretFile, nil)
	c.Reload()
	refused := c.Refused()
	if !strings.Contains(refused[config.FolderWSTEP], "exactly one") || !strings.Contains(refused[config.FolderSignIn], "missing or empty") {
		t.Errorf("refused: %v", refused)
	}
	if len(c.WSTEPCAs()) != 1 || c.SignInSecret() != "secret" {
		t.Error("the last good content is not in use")
	}
}

// The people in front of Apple devices may sign in elsewhere than those of PCs.
func TestEachPlatformSignsInByItsOwnClient(t *testing.T) {
	files := serverfiles.Write(t)
	files.AddWindows(t)
	files.Config.Windows.SignIn = &serverconfig.SignIn{Dir: filepath.Join(files.Dir, "signin")}
	files.Config.Apple.SignIn = &serverconfig.SignIn{Dir: filepath.Join(files.Dir, "apple-signin")}
	files.Put(t, "signin/"+serverconfig.ClientSecretFile, []byte("of PCs"))
	if _, err := config.Open(files.Config, slog.New(slog.DiscardHandler), time.Now); err == nil || !strings.Contains(err.Error(), config.FolderAppleSignIn) {
		t.Errorf("a server without the secret of its client starts: %v", err)
	}
	files.Put(t, "apple-signin/"+serverconfig.ClientSecretFile, []byte("of Macs\n"))
	c := open(t, files)
	if pcs, macs := c.SignInSecret(), c.AppleSignInSecret(); pcs != "of PCs" || macs != "of Macs" {
		t.Errorf("the secrets are %q and %q", pcs, macs)
	}
	files.Put(t, "apple-signin/"+serverconfig.ClientSecretFile, []byte("another"))
	c.Reload()
	if got := c.AppleSignInSecret(); got != "another" {
		t.Errorf("the secret is still %q", got)
	}
}

// A bad folder must be told apart from all others by its error, which says what is wrong.
func TestOpenSaysWhatIsWrong(t *testing.T) {
	files := serverfiles.Write(t)
	otherCert, otherKey := pki.PEM(t, files.WebCA.Issue(t, pki.Leaf{CN: "other"}))
	expired, expiredKey := pki.PEM(t, files.WebCA.Issue(t, pki.Leaf{CN: "old", NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)}))
	for name, tc := range map[string]struct {
		put  map[string][]byte
		want []string
	}{
		"key of another certificate": {map[string][]byte{"serving/tls.crt": otherCert}, []string{"serving folder", "no pair"}},
		"expired":                    {map[string][]byte{"serving/tls.crt": expired, "serving/tls.key": expiredKey}, []string{"serving folder", "expired at", "renew"}},
		"file missing":               {map[string][]byte{"admin/tls.key": nil}, []string{"admin folder", "tls.key is missing"}},
		"no client CA":               {map[string][]byte{"admin/ca.crt": []byte("x")}, []string{"ca.crt holds no PEM"}},
		"no active generation":       {map[string][]byte{"identity/roles.json": []byte(`{"1": "Next"}`)}, []string{"identity folder", "exactly one"}},
		"unknown role":               {map[string][]byte{"identity/roles.json": []byte(`{"1": "Boss"}`)}, []string{"generation 1", `"Boss" is unknown`}},
		"generation not there":       {map[string][]byte{"identity/roles.json": []byte(`{"1": "Active", "2": "Next"}`)}, []string{"generation 2", "2.crt is missing"}},
		"not a CA":                   {map[string][]byte{"identity/1.crt": otherCert, "identity/1.key": otherKey}, []string{"not a CA"}},
		"short sealing key":          {map[string][]byte{"sealing/k1": []byte("short")}, []string{"k1 has 5 bytes"}},
		"primary key lost":           {map[string][]byte{"sealing/primary": []byte("k9")}, []string{`"k9"`, "restore it"}},
	} {
		t.Run(name, func(t *testing.T) {
			bad := *files
			bad.Dir = t.TempDir()
			if err := os.CopyFS(bad.Dir, os.DirFS(files.Dir)); err != nil {
				t.Fatal(err)
			}
			apple := *files.Config.Apple
			apple.Identity.Dir = filepath.Join(bad.Dir, "identity")
			bad.Config.ServingDir, bad.Config.AdminDir = filepath.Join(bad.Dir, "serving"), filepath.Join(bad.Dir, "admin")
			bad.Config.SealingDir, bad.Config.Apple = filepath.Join(bad.Dir, "sealing"), &apple
			for file, content := range tc.put {
				bad.Put(t, file, content)
			}
			_, err := config.Open(bad.Config, slog.New(slog.DiscardHandler), time.Now)
			for _, want := range tc.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want an error with %q", err, want)
				}
			}
		})
	}
}

func TestAGoodNewPairReplacesTheOldOne(t *testing.T) {
	files := serverfiles.Write(t)
	c := open(t, files)
	files.WritePair(t, "serving", files.WebCA.Issue(t, pki.Leaf{CN: "renewed"}), files.WebCA)
	c.Reload()
	if got := c.Serving().Leaf.Subject.CommonName; got != "renewed" {
		t.Errorf("serving %q, want the renewed certificate", got)
	}
}

func TestPushChangedTellsOfAnotherPushCertificateOnly(t *testing.T) {
	files := serverfiles.Write(t)
	c := open(t, files)
	changed := c.PushChanged()
	files.WritePair(t, "serving", files.WebCA.Issue(t, pki.Leaf{CN: "renewed"}), files.WebCA)
	c.Reload()
	if isClosed(changed) {
		t.Error("another folder's change was told")
	}
	files.WritePair(t, "push", files.PushCA.Issue(t, pki.Leaf{CN: "renewed", UID: serverfiles.Topic}), nil)
	c.Reload()
	if !isClosed(changed) || isClosed(c.PushChanged()) {
		t.Error("the change must close the channel, and a new one must be open")
	}
}

func TestABadNewPairNeverReplacesAGoodOne(t *testing.T) {
	files := serverfiles.Write(t)
	c := open(t, files)
	good := c.Serving()
	cert, key := pki.PEM(t, files.WebCA.Issue(t, pki.Leaf{CN: "half"}))
	files.Put(t, "serving/tls.crt", cert)
	c.Reload()
	if c.Serving() != good {
		t.Error("half a pair went into use")
	}
	if reason := c.Refused()[config.FolderServing]; !strings.Contains(reason, "no pair") {
		t.Errorf("refusal is %q", reason)
	}
	files.Put(t, "serving/tls.key", key)
	c.Reload()
	if c.Serving().Leaf.Subject.CommonName != "half" || len(c.Refused()) != 0 {
		t.Error("the whole pair is not in use")
	}
	files.Put(t, "serving/tls.key", []byte("garbage"))
	c.Reload()
	files.Put(t, "serving/tls.key", key)
	c.Reload()
	if refused := c.Refused(); len(refused) != 0 {
		t.Errorf("the pair in use was put back, and is still refused: %v", refused)
	}
}

func TestAPairThatIsValidLaterIsTakenWhenItsTimeHasCome(t *testing.T) {
	files := serverfiles.Write(t)
	now := time.Now()
	c, err := config.Open(files.Config, slog.New(slog.DiscardHandler), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	files.WritePair(t, "serving", files.WebCA.Issue(t, pki.Leaf{CN: "soon", NotBefore: now.Add(time.Hour)}), nil)
	c.Reload()
	if c.Serving().Leaf.Subject.CommonName == "soon" {
		t.Fatal("taken too early")
	}
	now = now.Add(2 * time.Hour)
	c.Reload()
	if c.Serving().Leaf.Subject.CommonName != "soon" {
		t.Error("not taken though it is valid now")
	}
}

func TestAServerWithoutPushCertificateStartsAndTakesOneLater(t *testing.T) {
	files := serverfiles.Write(t)
	for _, name := range []string{"push/tls.crt", "push/tls.key"} {
		if err := os.Remove(filepath.Join(files.Dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	c := open(t, files)
	if _, _, ok := c.Push(); ok || len(c.Refused()) != 0 {
		t.Error("an empty push folder is neither a certificate nor an error")
	}
	files.WritePair(t, "push", files.PushCA.Issue(t, pki.Leaf{CN: "no topic"}), nil)
	c.Reload()
	if reason := c.Refused()[config.FolderPush]; !strings.Contains(reason, "no topic") {
		t.Errorf("refusal is %q", reason)
	}
	files.WritePair(t, "push", files.PushCA.Issue(t, pki.Leaf{CN: "APSP", UID: serverfiles.Topic}), nil)
	c.Reload()
	if _, topic, ok := c.Push(); !ok || topic != serverfiles.Topic || len(c.Refused()) != 0 {
		t.Error("the push certificate is not in use")
	}
}

// Whoever replaces a sealing key would make what is stored unreadable at the next start: the server keeps the old one and complains.
func TestASealingKeyInUseCannotBeTakenAway(t *testing.T) {
	files := serverfiles.Write(t)
	c := open(t, files)
	old := c.Sealing()
	files.Put(t, "sealing/k2", bytes.Repeat([]byte{2}, 32))
	files.Put(t, "sealing/primary", []byte("k2\n"))
	c.Reload()
	if s := c.Sealing(); s.Primary != "k2" || !bytes.Equal(s.Keys["k1"], old.Keys["k1"]) {
		t.Fatal("an added key is not in use")
	}
	if err := os.Remove(filepath.Join(files.Dir, "sealing/k1")); err != nil {
		t.Fatal(err)
	}
	c.Reload()
	if c.Sealing().Keys["k1"] == nil {
		t.Error("a key in use was forgotten")
	}
	if reason := c.Refused()[config.FolderSealing]; !strings.Contains(reason, "k1") {
		t.Errorf("refusal is %q", reason)
	}
}

// Kubelet swaps a hidden folder that the visible names link into.
func TestFoldersAsKubeletMountsThem(t *testing.T) {
	files := serverfiles.Write(t)
	dir := filepath.Join(files.Dir, "serving")
	if err := os.Rename(dir, filepath.Join(files.Dir, "first")); err != nil {
		t.Fatal(err)
	}
	link := func(target string) {
		t.Helper()
		next := filepath.Join(dir, "..data_tmp")
		if err := os.Symlink(target, next); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	link(filepath.Join(files.Dir, "first"))
	for _, name := range []string{"tls.crt", "tls.key", "ca.crt"} {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	c := open(t, files)
	files.WritePair(t, "second", files.WebCA.Issue(t, pki.Leaf{CN: "swapped"}), files.WebCA)
	link(filepath.Join(files.Dir, "second"))
	c.Reload()
	if got := c.Serving().Leaf.Subject.CommonName; got != "swapped" {
		t.Errorf("serving %q after the swap", got)
	}
}
