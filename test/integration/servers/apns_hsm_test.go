//go:build pkcs11

package servers_test

import (
	"os"
	"strings"
	"testing"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/softhsm"
)

// The key is made in the token, where it stays.
func TestAPushKeyInAnHSM(t *testing.T) {
	token := softhsm.New(t)
	w := newKMSWorld(t, func(away bool) {
		from, to := token.Dir, token.Dir+".away"
		if !away {
			from, to = to, from
		}
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	})
	w.secret("hsm", map[string][]byte{"pin": []byte(softhsm.PIN + "\n")})
	w.walk(mdmv1alpha1.KMSKey{URI: token.URI("push", 1), PINSecretRef: &mdmv1alpha1.KeyReference{Name: "hsm", Key: "pin"}})
	listed := softhsm.Tool(t, "--list-objects", "--type", "privkey")
	if !strings.Contains(listed, "never extractable") || strings.Count(listed, "Private Key Object") != 1 {
		t.Errorf("the token holds\n%s", listed)
	}
}
