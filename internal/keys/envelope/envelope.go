package envelope

import (
	"bytes"
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // OAEP's hash for tokens
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/kubemdm/kubemdm/internal/keys"
	"github.com/kubemdm/kubemdm/internal/keys/keyuri"
)

// Bounds in bytes: a Secret, where sealed files may lie too, holds 1 MiB at most, and base64 adds a third.
const (
	maxPlain  = 512 << 10
	maxSealed = 1 << 20
	keySize   = 32
)

// version of the format.
const version = 1

// The ways to wrap the data key, as JSON Web Algorithms calls them (RFC 7518, section 4.3). PKCS#11 tokens, SoftHSM among them, often do OAEP with
// SHA-1 only; what OAEP asks of its hash SHA-1 still gives.
const (
	oaep    = "RSA-OAEP"
	oaep256 = "RSA-OAEP-256"
)

// file is a sealed file, in JSON.
type file struct {
	Version   int    `json:"version"`
	Algorithm string `json:"algorithm"`
	KeyURI    string `json:"keyURI"`
	// WrappedKey is an AES-256 key, encrypted with the RSA key; Nonce and Ciphertext are of AES-256-GCM.
	WrappedKey []byte `json:"wrappedKey"`
	Nonce      []byte `json:"nonce"`
	Ciphertext []byte `json:"ciphertext"`
}

// Seal encrypts plain, 512 KiB at most, for the RSA key in a KMS that keyURI names and whose public key is given. It asks nobody.
func Seal(public *rsa.PublicKey, keyURI string, plain []byte) ([]byte, error) {
	if err := keyuri.Check(keyURI); err != nil {
		return nil, err
	}
	if len(plain) > maxPlain {
		return nil, fmt.Errorf("the file has more than %d bytes, too much to be sealed", maxPlain)
	}
	f := file{Version: version, Algorithm: oaep256, KeyURI: keyURI}
	if keyuri.Backend(keyURI) == keyuri.PKCS11 {
		f.Algorithm = oaep
	}
	key := make([]byte, keySize)
	rand.Read(key) // never fails
	var err error
	if f.WrappedKey, err = rsa.EncryptOAEP(hashes[f.Algorithm].New(), rand.Reader, public, key, nil); err != nil {
		return nil, fmt.Errorf("encrypting the data key: %w", err)
	}
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	f.Nonce = make([]byte, aead.NonceSize())
	rand.Read(f.Nonce)
	f.Ciphertext = aead.Seal(nil, f.Nonce, plain, f.bound())
	return json.MarshalIndent(f, "", "  ")
}

// Open asks the KMS that a sealed file names for the data key and returns the content. Its errors are those of keys.Open, or say that the file is
// not a sealed one or was changed.
func Open(ctx context.Context, sealed []byte, o keys.Options) ([]byte, error) {
	f, err := parse(sealed)
	if err != nil {
		return nil, err
	}
	decrypter, err := keys.OpenDecrypter(ctx, f.KeyURI, o)
	if err != nil {
		return nil, err
	}
	key, err := decrypter.Decrypt(rand.Reader, f.WrappedKey, &rsa.OAEPOptions{Hash: hashes[f.Algorithm]})
	if err != nil {
		return nil, fmt.Errorf("decrypting the data key: %w", err)
	}
	if len(key) != keySize {
		return nil, errChanged
	}
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, f.Nonce, f.Ciphertext, f.bound())
	if err != nil {
		return nil, errChanged
	}
	return plain, nil
}

var errChanged = errors.New("the sealed file was changed after it was sealed: seal the original again")

var hashes = map[string]crypto.Hash{oaep: crypto.SHA1, oaep256: crypto.SHA256}

// nonceSize and tagSize are those of AES-GCM, in bytes.
const (
	nonceSize = 12
	tagSize   = 16
)

// parse reads a sealed file and checks all that can be checked without its key.
func parse(sealed []byte) (*file, error) {
	if len(sealed) > maxSealed {
		return nil, fmt.Errorf("the sealed file has more than %d bytes", maxSealed)
	}
	decoder := json.NewDecoder(bytes.NewReader(sealed))
	decoder.DisallowUnknownFields()
	f := &file{}
	if err := decoder.Decode(f); err != nil {
		return nil, errors.New("it is not a sealed file, which is JSON as mdmserver seal writes it")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows after the sealed file")
	}
	switch {
	case f.Version != version:
		return nil, fmt.Errorf("the sealed file has the version %d, and this program knows %d only", f.Version, version)
	case hashes[f.Algorithm] == 0:
		return nil, fmt.Errorf("the algorithm of the sealed file is neither %s nor %s", oaep, oaep256)
	case len(f.Nonce) != nonceSize || len(f.Ciphertext) < tagSize || len(f.WrappedKey) == 0:
		return nil, errors.New("the sealed file is not complete")
	}
	if err := keyuri.Check(f.KeyURI); err != nil {
		return nil, fmt.Errorf("the sealed file: %w", err)
	}
	return f, nil
}

// bound is what the content is bound to: nobody can lead its reader to another key.
func (f *file) bound() []byte { return fmt.Appendf(nil, "%d %s %s", f.Version, f.Algorithm, f.KeyURI) }

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
