//go:build pkcs11

package keys

import (
	"context"
	"crypto"
	"crypto/rsa"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"

	"github.com/ThalesGroup/crypto11"
	"go.step.sm/crypto/kms/apiv1"
	"go.step.sm/crypto/kms/pkcs11"
	"go.step.sm/crypto/kms/uri"

	"github.com/kubemdm/kubemdm/internal/keys/keyuri"
)

// tokenKey is a key on a token. It is looked up for each use, since handles die with the session that they are of.
type tokenKey struct {
	token *token
	// name is the key's URI as the library reads it.
	name, pin string
	public    *rsa.PublicKey
}

func openToken(ctx context.Context, key keyuri.Key, pin string) (crypto.Signer, error) {
	k := newTokenKey(key, pin)
	var err error
	k.public, err = ask(ctx, k.token, pin, func(kms *pkcs11.PKCS11) (*rsa.PublicKey, error) {
		public, err := kms.GetPublicKey(&apiv1.GetPublicKeyRequest{Name: k.name})
		if err != nil {
			return nil, err
		}
		if err := checkRSA(public); err != nil {
			return nil, err
		}
		return public.(*rsa.PublicKey), nil
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

func openTokenDecrypter(ctx context.Context, key keyuri.Key, pin string) (crypto.Decrypter, error) {
	signer, err := openToken(ctx, key, pin)
	if err != nil {
		return nil, err
	}
	return tokenDecrypter{signer.(*tokenKey)}, nil
}

func newTokenKey(key keyuri.Key, pin string) *tokenKey {
	values := url.Values{}
	if len(key.ID) > 0 {
		values.Set("id", hex.EncodeToString(key.ID))
	}
	if key.Object != "" {
		values.Set("object", key.Object)
	}
	return &tokenKey{token: tokenOf(key), name: uri.New(pkcs11.Scheme, values).String(), pin: pin}
}

// Public returns an *rsa.PublicKey.
func (k *tokenKey) Public() crypto.PublicKey { return k.public }

// Sign makes a PSS signature if opts is *rsa.PSSOptions. A token without CKM_RSA_PKCS_PSS refuses that (ErrRefused): it can sign certificate
// requests, and no TLS handshake.
func (k *tokenKey) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return ask(context.Background(), k.token, k.pin, func(kms *pkcs11.PKCS11) ([]byte, error) {
		signer, err := kms.CreateSigner(&apiv1.CreateSignerRequest{SigningKey: k.name})
		if err != nil {
			return nil, err
		}
		if !k.public.Equal(signer.Public()) {
			return nil, errExchanged
		}
		return signer.Sign(random, digest, opts)
	})
}

// errExchanged: a certificate belongs to the key that was there.
var errExchanged = fmt.Errorf("%w: the token has another key by this name than before: put the old one back, or have a certificate issued for the new one", ErrRefused)

type tokenDecrypter struct{ key *tokenKey }

func (d tokenDecrypter) Public() crypto.PublicKey { return d.key.public }

func (d tokenDecrypter) Decrypt(random io.Reader, ciphertext []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	return ask(context.Background(), d.key.token, d.key.pin, func(kms *pkcs11.PKCS11) ([]byte, error) {
		decrypter, err := kms.CreateDecrypter(&apiv1.CreateDecrypterRequest{DecryptionKey: d.key.name})
		if err != nil {
			return nil, err
		}
		return decrypter.Decrypt(random, ciphertext, opts)
	})
}

// ensureToken makes a key only after openToken has not found it, which it says of a new session only: a session that has lost its login sees no keys.
func ensureToken(ctx context.Context, key keyuri.Key, pin string) (signer crypto.Signer, made bool, err error) {
	signer, err = openToken(ctx, key, pin)
	if !isNoKey(err) {
		return signer, false, err
	}
	if key.Object == "" || len(key.ID) == 0 {
		return nil, false, fmt.Errorf("%w, and to make one the key URI needs both object and id, such as object=apns;id=01", ErrNoKey)
	}
	k := newTokenKey(key, pin)
	made, err = ask(ctx, k.token, pin, func(kms *pkcs11.PKCS11) (bool, error) {
		// Somebody else in this process may have made it meanwhile.
		if _, err := kms.GetPublicKey(&apiv1.GetPublicKeyRequest{Name: k.name}); !isNoKey(explainToken(err)) {
			return false, err
		}
		return true, generate(k.token, key, pin)
	})
	if err != nil {
		return nil, false, err
	}
	signer, err = openToken(ctx, key, pin)
	return signer, made, err
}

// generate makes the key pair. It bypasses the KMS library, whose keys can decrypt as well.
func generate(t *token, key keyuri.Key, pin string) error {
	token, err := crypto11.Configure(&crypto11.Config{Path: t.module, TokenLabel: t.label, Pin: pin, MaxSessions: maxSessions})
	if err != nil {
		return err
	}
	defer token.Close()
	public, err := crypto11.NewAttributeSetWithIDAndLabel(key.ID, []byte(key.Object))
	if err != nil {
		return err
	}
	private := public.Copy()
	for set, usage := range map[*crypto11.AttributeSet]crypto11.AttributeType{&public: crypto11.CkaEncrypt, &private: crypto11.CkaDecrypt} {
		if err := set.Set(usage, false); err != nil {
			return err
		}
	}
	// The library adds that it is sensitive and not extractable.
	_, err = token.GenerateRSAKeyPairWithAttributes(public, private, minBits)
	return err
}
