//go:build !pkcs11

package keys_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/internal/keys"
)

func TestABuildWithoutPKCS11SaysSo(t *testing.T) {
	const uri = "pkcs11:module-path=/usr/lib/softhsm/libsofthsm2.so;token=push;object=apns;id=01"
	_, opening := keys.Open(t.Context(), uri, keys.Options{PIN: "1234"})
	_, _, making := keys.Ensure(t.Context(), uri, keys.Options{PIN: "1234"})
	_, decrypting := keys.OpenDecrypter(t.Context(), uri, keys.Options{PIN: "1234"})
	for _, err := range []error{opening, making, decrypting} {
		if !errors.Is(err, keys.ErrUnsupported) || !strings.Contains(err.Error(), "-tags pkcs11") {
			t.Errorf("got %v", err)
		}
	}
	keys.Close()
}
