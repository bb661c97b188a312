//go:build pkcs11

package envelope_test

import (
	"bytes"
	"crypto/rsa"
	"errors"
	"testing"

	"github.com/kubemdm/kubemdm/internal/keys"
	"github.com/kubemdm/kubemdm/internal/keys/envelope"
	"github.com/kubemdm/kubemdm/test/softhsm"
)

func TestSealForATokenAndOpen(t *testing.T) {
	token := softhsm.New(t)
	token.Generate(t, "sealing", 2, "rsa:2048", "--usage-decrypt")
	token.Generate(t, "other", 3, "rsa:2048", "--usage-decrypt")
	options := keys.Options{PIN: softhsm.PIN}
	key, err := keys.OpenDecrypter(t.Context(), token.URI("sealing", 2), options)
	if err != nil {
		t.Fatal(err)
	}
	for name, uri := range map[string]string{"": token.URI("sealing", 2), "another": token.URI("other", 3)} {
		sealed, err := envelope.Seal(key.Public().(*rsa.PublicKey), uri, []byte("a secret"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := envelope.Open(t.Context(), sealed, options)
		switch {
		case name == "" && (err != nil || !bytes.Equal(got, []byte("a secret"))):
			t.Errorf("got %q, %v", got, err)
		case name != "" && (err == nil || errors.Is(err, keys.ErrNoKey)):
			t.Errorf("with another key: %q, %v", got, err)
		}
	}
}
