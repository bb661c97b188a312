package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
)

const (
	// version is the first byte of a sealed value. Version 1 is: version, length of the key id, key id, nonce, ciphertext with tag.
	version = 1
	keySize = 32
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

// Sealer implements fleet.Sealer. It asks for the keyring at each use, so that keys may be added and the primary one changed while it runs.
type Sealer struct {
	keyring func() Keyring
}

// New returns a Sealer over the keyring that the function returns at the time.
func New(keyring func() Keyring) *Sealer { return &Sealer{keyring: keyring} }

// Seal encrypts plain with the primary key. The value opens only with the same context.
func (s *Sealer) Seal(plain, context []byte) ([]byte, error) {
	ring := s.keyring()
	if len(ring.Primary) > math.MaxUint8 {
		return nil, fmt.Errorf("the id of the sealing key has %d bytes; it may have %d", len(ring.Primary), math.MaxUint8)
	}
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
	if len(key) != keySize {
		return nil, fmt.Errorf("sealing key %q has %d bytes; it needs %d", id, len(key), keySize)
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
