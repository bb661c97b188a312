//go:build pkcs11

package push_test

import (
	"os"
	"testing"

	"github.com/kubemdm/kubemdm/internal/keys"
	"github.com/kubemdm/kubemdm/test/softhsm"
)

func TestPushWithAKeyOnAToken(t *testing.T) {
	token := softhsm.New(t)
	key, _, err := keys.Ensure(t.Context(), token.URI("apns", 1), keys.Options{PIN: softhsm.PIN})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, nil)
	w.mountKey(t, key)
	move := func(from, to string) func() {
		return func() {
			if err := os.Rename(from, to); err != nil {
				t.Fatal(err)
			}
		}
	}
	pauseAndRecover(t, w, "not available", move(token.Dir, token.Dir+".away"), move(token.Dir+".away", token.Dir))
}
