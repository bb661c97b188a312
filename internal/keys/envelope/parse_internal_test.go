package envelope

import (
	"testing"

	"github.com/kubemdm/kubemdm/internal/keys/keyuri"
)

// FuzzParse never asks a KMS.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"version": 1, "algorithm": "RSA-OAEP", "keyURI": "awskms:key-id=alias/seal", "wrappedKey": "AAAA", "nonce": "AAAAAAAAAAAAAAAA", "ciphertext": "AAAAAAAAAAAAAAAAAAAAAAAA"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		sealed, err := parse(b)
		if err == nil && (len(sealed.Nonce) != nonceSize || hashes[sealed.Algorithm] == 0 || keyuri.Check(sealed.KeyURI) != nil) {
			t.Errorf("took %q", b)
		}
	})
}
