//go:build pkcs11

package config_test

import (
	"crypto/rsa"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/internal/keys"
	"github.com/kubemdm/kubemdm/internal/keys/envelope"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/config"
	"github.com/kubemdm/kubemdm/test/serverfiles"
	"github.com/kubemdm/kubemdm/test/softhsm"
)

func TestKeysOnAToken(t *testing.T) {
	token := softhsm.New(t)
	token.Generate(t, "sealing", 2, "rsa:2048", "--usage-decrypt")
	options := keys.Options{PIN: softhsm.PIN}
	key, _, err := keys.Ensure(t.Context(), token.URI("apns", 1), options)
	if err != nil {
		t.Fatal(err)
	}
	decrypter, err := keys.OpenDecrypter(t.Context(), token.URI("sealing", 2), options)
	if err != nil {
		t.Fatal(err)
	}
	files := serverfiles.Write(t)
	putKMSPair(t, files, key.Public(), token.URI("apns", 1))
	plain, err := os.ReadFile(filepath.Join(files.Dir, "admin/tls.key"))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := envelope.Seal(decrypter.Public().(*rsa.PublicKey), token.URI("sealing", 2), plain)
	if err != nil {
		t.Fatal(err)
	}
	files.Put(t, "admin/tls.key"+serverconfig.SealedSuffix, sealed)
	remove(t, files, "admin/tls.key")
	files.Put(t, "admin/key.pin", []byte(softhsm.PIN+"\n"))

	c := open(t, files)
	if reason := c.Refused()[config.FolderPush]; !strings.Contains(reason, "no PIN") {
		t.Errorf("refusal is %q", reason)
	}
	files.Put(t, "push/key.pin", []byte(softhsm.PIN+"\n"))
	c.Reload()
	if _, _, ok := c.Push(); !ok {
		t.Errorf("refused: %v", c.Refused())
	}

	remove(t, files, "push/key.pin")
	remove(t, files, "admin/key.pin")
	t.Setenv("KUBEMDM_KMS_PIN", softhsm.PIN)
	c = open(t, files)
	if _, _, ok := c.Push(); !ok || len(c.Refused()) != 0 {
		t.Errorf("refused: %v", c.Refused())
	}
}
