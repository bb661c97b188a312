package config_test

import (
	"bytes"
	"encoding/base64"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/config"
	"github.com/kubemdm/kubemdm/test/awsfake"
	"github.com/kubemdm/kubemdm/test/pki"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

// move makes a variable of a file, encoded if it is a sealing key.
func move(t *testing.T, files *serverfiles.Files, name, variable string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(files.Dir, name))
	if err != nil {
		t.Fatal(err)
	}
	value := string(b)
	if variable == "KUBEMDM_SEALING_K1" {
		value = base64.StdEncoding.EncodeToString(b)
	}
	t.Setenv(variable, value)
	remove(t, files, name)
}

func TestEveryCredentialCanBeAVariable(t *testing.T) {
	files := serverfiles.Write(t)
	files.AddWindows(t)
	files.Config.Windows.SignIn = &serverconfig.SignIn{Dir: filepath.Join(files.Dir, "signin")}
	files.Put(t, "signin/"+serverconfig.ClientSecretFile, []byte("secret\n"))
	files.Config.Apple.SignIn = &serverconfig.SignIn{Dir: filepath.Join(files.Dir, "apple-signin")}
	files.Put(t, "apple-signin/"+serverconfig.ClientSecretFile, []byte("Apple's\n"))
	key, err := os.ReadFile(filepath.Join(files.Dir, "sealing/k1"))
	if err != nil {
		t.Fatal(err)
	}
	for name, variable := range map[string]string{
		"serving/tls.crt": "KUBEMDM_SERVING_TLS_CRT", "serving/tls.key": "KUBEMDM_SERVING_TLS_KEY", "serving/ca.crt": "KUBEMDM_SERVING_CA_CRT",
		"admin/tls.crt": "KUBEMDM_ADMIN_TLS_CRT", "admin/tls.key": "KUBEMDM_ADMIN_TLS_KEY", "admin/ca.crt": "KUBEMDM_ADMIN_CA_CRT",
		"sealing/k1": "KUBEMDM_SEALING_K1", "sealing/primary": "KUBEMDM_SEALING_PRIMARY",
		"push/tls.crt": "KUBEMDM_PUSH_TLS_CRT", "push/tls.key": "KUBEMDM_PUSH_TLS_KEY",
		"identity/1.crt": "KUBEMDM_IDENTITY_1_CRT", "identity/1.key": "KUBEMDM_IDENTITY_1_KEY", "identity/roles.json": "KUBEMDM_IDENTITY_ROLES_JSON",
		"wstep/1.crt": "KUBEMDM_WSTEP_1_CRT", "wstep/1.key": "KUBEMDM_WSTEP_1_KEY", "wstep/roles.json": "KUBEMDM_WSTEP_ROLES_JSON",
		"signin/client-secret": "KUBEMDM_SIGNIN_CLIENT_SECRET", "apple-signin/client-secret": "KUBEMDM_APPLE_SIGNIN_CLIENT_SECRET",
	} {
		move(t, files, name, variable)
	}
	for _, folder := range []string{"serving", "admin", "sealing", "push", "identity", "wstep", "signin", "apple-signin"} {
		remove(t, files, folder)
	}
	c := open(t, files)
	if len(c.Refused()) != 0 {
		t.Fatalf("refused: %v", c.Refused())
	}
	if !bytes.Equal(c.Sealing().Keys["k1"], key) || !bytes.Equal(c.ServingCAPEM(), files.WebCA.CertPEM()) || c.SignInSecret() != "secret" ||
		c.AppleSignInSecret() != "Apple's" || len(c.IdentityCAs()) != 1 || len(c.WSTEPCAs()) != 1 {
		t.Error("not all is what it was in files")
	}
	if _, topic, ok := c.Push(); !ok || topic != serverfiles.Topic {
		t.Errorf("push topic %q, %v", topic, ok)
	}

	// Files come first.
	files.WritePair(t, "serving", files.WebCA.Issue(t, pki.Leaf{CN: "from a file"}), nil)
	c.Reload()
	if got := c.Serving().Leaf.Subject.CommonName; got != "from a file" || len(c.ServingCAPEM()) == 0 {
		t.Errorf("serving %q", got)
	}
	remove(t, files, "serving")
	c.Reload()
	if got := c.Serving().Leaf.Subject.CommonName; got != serverfiles.Host {
		t.Errorf("serving %q without files", got)
	}
}

func TestVariablesForAKMS(t *testing.T) {
	aws := awsfake.Start(t)
	private := awsfake.NewKey(t)
	aws.Put(pushID, awsfake.SignVerify, private)
	aws.Put(sealID, awsfake.EncryptDecrypt, private)
	files := serverfiles.Write(t)
	putKMSPair(t, files, &private.PublicKey, pushURI)
	move(t, files, "push/key.uri", "KUBEMDM_PUSH_KEY_URI")
	sealFile(t, files, "sealing/k1", &private.PublicKey)
	move(t, files, "sealing/k1.sealed", "KUBEMDM_SEALING_K1_SEALED")
	sealFile(t, files, "admin/tls.key", &private.PublicKey)
	move(t, files, "admin/tls.key.sealed", "KUBEMDM_ADMIN_TLS_KEY_SEALED")
	c := open(t, files)
	if _, _, ok := c.Push(); !ok || len(c.Refused()) != 0 || len(c.Sealing().Keys["k1"]) != 32 {
		t.Errorf("refused: %v", c.Refused())
	}
}

func TestAVariableThatIsNone(t *testing.T) {
	const secret = "c2VjcmV0"
	files := serverfiles.Write(t)
	t.Setenv("KUBEMDM_PUSH_TLS_CERT", secret)
	t.Setenv("KUBEMDM_IDENTITY_0_CRT", secret)
	t.Setenv("KUBEMDM_SERVING_TLS_KEY", "")
	log := &bytes.Buffer{}
	if _, err := config.Open(files.Config, slog.New(slog.NewTextHandler(log, nil)), time.Now); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"KUBEMDM_PUSH_TLS_CERT", "KUBEMDM_IDENTITY_0_CRT"} {
		if !strings.Contains(log.String(), name) {
			t.Errorf("nothing is said of %s:\n%s", name, log)
		}
	}
	if strings.Contains(log.String(), secret) || strings.Contains(log.String(), "KUBEMDM_SERVING") {
		t.Errorf("the log has\n%s", log)
	}
	t.Setenv("KUBEMDM_SEALING_K2", "not base64")
	if _, err := config.Open(files.Config, slog.New(slog.DiscardHandler), time.Now); err == nil || !strings.Contains(err.Error(), "KUBEMDM_SEALING_K2 must hold") || strings.Contains(err.Error(), "not base64") {
		t.Errorf("got %v", err)
	}
	t.Setenv("KUBEMDM_SEALING_K2", secret)
	if _, err := config.Open(files.Config, slog.New(slog.DiscardHandler), time.Now); err == nil || !strings.Contains(err.Error(), "k2 has 6 bytes") {
		t.Errorf("got %v", err)
	}
}
