package softhsm

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/kubemdm/kubemdm/internal/keys"
)

// Module is where the Debian package puts the PKCS#11 module.
const Module = "/usr/lib/softhsm/libsofthsm2.so"

// Label and PIN of the tokens.
const (
	Label = "kubemdm test"
	PIN   = "81726354"
)

// Token is a token in a folder.
type Token struct {
	// Dir is SoftHSM's folder of tokens: without it the token is gone.
	Dir string
}

// New makes a token that lives as long as the test, and points the whole process to it (SOFTHSM2_CONF).
func New(t testing.TB) *Token {
	t.Helper()
	home := t.TempDir()
	token := &Token{Dir: filepath.Join(home, "tokens")}
	if err := os.Mkdir(token.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(home, "softhsm2.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", token.Dir), 0o600); err != nil {
		t.Fatal(err)
	}
	// The module reads its configuration when it is initialised: whoever used it before must have let it go.
	keys.Close()
	t.Cleanup(keys.Close)
	t.Setenv("SOFTHSM2_CONF", config)
	run(t, "softhsm2-util", "--module", Module, "--init-token", "--free", "--label", Label, "--pin", PIN, "--so-pin", PIN)
	return token
}

// URI names a key of the token by its label and id, a number from 1 to 99.
func (*Token) URI(object string, id int) string {
	return fmt.Sprintf("pkcs11:module-path=%s;token=kubemdm%%20test;object=%s;id=%02d", Module, object, id)
}

// Generate makes a key pair with pkcs11-tool, of a type such as rsa:2048 or EC:prime256v1 and with a usage such as --usage-decrypt.
func (*Token) Generate(t testing.TB, object string, id int, keyType, usage string) {
	t.Helper()
	Tool(t, "--keypairgen", "--key-type", keyType, usage, "--label", object, "--id", fmt.Sprintf("%02d", id))
}

// Tool runs pkcs11-tool (Debian package opensc) as the token's user and returns what it prints.
func Tool(t testing.TB, args ...string) string {
	t.Helper()
	return run(t, "pkcs11-tool", append([]string{"--module", Module, "--token-label", Label, "--login", "--pin", PIN}, args...)...)
}

func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}
