package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

const (
	// version is the first byte of a sealed value. Version 1 is: version, length of the key id, key id, nonce, ciphertext with tag.
	version = 1
	keySize = 32
	maxID   = 255
)

// ErrMalformed is the error of a value that Seal never made, or that was altered.
var ErrMalformed = errors.New("the sealed value is malformed or was altered")

// KeyLostError says that a value was sealed with a key that is not loaded. It cannot be read again without that key.
type KeyLostError struct{ KeyID string }

func (e *KeyLostError) Error() string {
	return fmt.Sprintf("sealing key %q is missing: restore it to the sealing keys; what it sealed cannot be read without it", e.KeyID)
}

// Keyring holds the keys, 32 bytes each, by id. The primary one writes, all of them read.
type Keyring struct {
	Primary string
	Keys    map[string][]byte
}

// ReadKeyring reads a folder: serverconfig.PrimaryFile names the id of the primary key, every other file is a key and its name the id. Files
// whose names begin with a dot are not keys (a mounted Secret has some).
func ReadKeyring(dir fs.FS) (Keyring, error) {
	ring := Keyring{Keys: map[string][]byte{}}
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return ring, fmt.Errorf("reading the sealing keys: %w", err)
	}
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") {
			continue
		}
		content, err := fs.ReadFile(dir, name)
		if err != nil {
			return ring, fmt.Errorf("reading sealing key %s: %w", name, err)
		}
		if name == serverconfig.PrimaryFile {
			ring.Primary = strings.TrimSpace(string(content))
			continue
		}
		ring.Keys[name] = content
	}
	return ring, ring.check()
}

func (r Keyring) check() error {
	for id, key := range r.Keys {
		if len(key) != keySize || len(id) > maxID {
			return fmt.Errorf("sealing key %q has %d bytes; a key has %d, and its id at most %d characters", id, len(key), keySize, maxID)
		}
	}
	if r.Primary == "" {
		return fmt.Errorf("the file %s, which names the sealing key that writes, is missing or empty", serverconfig.PrimaryFile)
	}
	if _, ok := r.Keys[r.Primary]; !ok {
		return &KeyLostError{KeyID: r.Primary}
	}
	return nil
}

// Sealer implements fleet.Sealer. It asks for the keyring at each use, so that keys may be added and the primary one changed while it runs.
type Sealer struct {
	keyring func() Keyring
}

// New returns a Sealer over the keyring that the function returns at the time.
func New(keyring func() Keyring) *Sealer { return &Sealer{keyring: keyring} }

// Seal encrypts plain with the primary key. The value opens only with the same context.
func (s *Sealer) Seal(plain, context []byte) ([]byte, error) {
	ring := s.keyring()
	header := append([]byte{version, byte(len(ring.Primary))}, ring.Primary...)
	aead, err := ring.aead(ring.Primary)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return nil, fmt.Errorf("making a nonce: %w", err)
	}
	return aead.Seal(append(header, nonce...), nonce, plain, bind(header, context)), nil
}

// Open decrypts what Seal made with this context. Errors: *KeyLostError, ErrMalformed.
func (s *Sealer) Open(sealed, context []byte) ([]byte, error) {
	if len(sealed) < 2 || sealed[0] != version || len(sealed) < 2+int(sealed[1]) {
		return nil, ErrMalformed
	}
	header, rest := sealed[:2+int(sealed[1])], sealed[2+int(sealed[1]):]
	aead, err := s.keyring().aead(string(header[2:]))
	if err != nil {
		return nil, err
	}
	if len(rest) < aead.NonceSize() {
		return nil, ErrMalformed
	}
	plain, err := aead.Open([]byte{}, rest[:aead.NonceSize()], rest[aead.NonceSize():], bind(header, context))
	if err != nil {
		return nil, ErrMalformed
	}
	return plain, nil
}

func (r Keyring) aead(id string) (cipher.AEAD, error) {
	key, ok := r.Keys[id]
	if !ok {
		return nil, &KeyLostError{KeyID: id}
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("sealing key %q: %w", id, err)
	}
	return cipher.NewGCM(block)
}

// bind is the additional data: the header, whose length it states itself, and the context.
func bind(header, context []byte) []byte {
	return append(append([]byte{}, header...), context...)
}
