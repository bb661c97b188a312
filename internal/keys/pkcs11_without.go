//go:build !pkcs11

package keys

import (
	"context"
	"crypto"
	"fmt"

	"github.com/kubemdm/kubemdm/internal/keys/keyuri"
)

// A module is a shared library: it takes a build with cgo, which the default one, a static binary, is not.
var errNoPKCS11 = fmt.Errorf("%w, so the key on a token cannot be used: run an image built with it (CGO_ENABLED=1 go build -tags pkcs11), or keep the key in AWS KMS", ErrUnsupported)

func openToken(context.Context, keyuri.Key, string) (crypto.Signer, error) {
	return nil, errNoPKCS11
}

func ensureToken(context.Context, keyuri.Key, string) (crypto.Signer, bool, error) {
	return nil, false, errNoPKCS11
}

func openTokenDecrypter(context.Context, keyuri.Key, string) (crypto.Decrypter, error) {
	return nil, errNoPKCS11
}

func closeTokens() {}
