package seal_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/mdmserver/seal"
)

func key(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func sealer(primary string, ids ...string) *seal.Sealer {
	ring := seal.Keyring{Primary: primary, Keys: map[string][]byte{}}
	for _, id := range ids {
		ring.Keys[id] = key(id[0])
	}
	return seal.New(func() seal.Keyring { return ring })
}

func TestSealedValueOpensOnlyWithItsContextAndUnaltered(t *testing.T) {
	s := sealer("a", "a")
	sealed, err := s.Seal([]byte("secret"), []byte("row 1"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("secret")) {
		t.Error("the sealed value shows the plain text")
	}
	plain, err := s.Open(sealed, []byte("row 1"))
	if err != nil || string(plain) != "secret" {
		t.Errorf("Open = %q, %v", plain, err)
	}
	if _, err := s.Open(sealed, []byte("row 2")); !errors.Is(err, seal.ErrMalformed) {
		t.Errorf("Open with another context: %v, want ErrMalformed", err)
	}
	for i := range sealed {
		altered := bytes.Clone(sealed)
		altered[i] ^= 1
		if _, err := s.Open(altered, []byte("row 1")); err == nil {
			t.Errorf("a flipped bit in byte %d went unnoticed", i)
		}
	}
}

func TestEmptyValueStaysEmptyNotNil(t *testing.T) {
	s := sealer("a", "a")
	sealed, err := s.Seal([]byte{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := s.Open(sealed, nil); err != nil || plain == nil || len(plain) != 0 {
		t.Errorf("Open = %v, %v, want an empty value", plain, err)
	}
}

func TestOldKeysReadAndTheFirstWrites(t *testing.T) {
	old, err := sealer("a", "a").Seal([]byte("x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	rotated := sealer("b", "a", "b")
	if _, err := rotated.Open(old, nil); err != nil {
		t.Errorf("after a rotation the old value does not open: %v", err)
	}
	fresh, err := rotated.Seal([]byte("x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sealer("b", "b").Open(fresh, nil); err != nil {
		t.Errorf("the new value was not written with the new key: %v", err)
	}
	var lost *seal.KeyLostError
	if _, err := sealer("b", "b").Open(old, nil); !errors.As(err, &lost) || lost.KeyID != "a" {
		t.Errorf("opening without the key: %v, want a KeyLostError that names it", err)
	}
}

func TestBadKeysAreRefusedByName(t *testing.T) {
	for name, ring := range map[string]seal.Keyring{
		`"k2" is missing`:   {Primary: "k2", Keys: map[string][]byte{"k1": key(1)}},
		`"k1" has 5 bytes`:  {Primary: "k1", Keys: map[string][]byte{"k1": []byte("short")}},
		`"k1" has 16 bytes`: {Primary: "k1", Keys: map[string][]byte{"k1": key(1)[:16]}},
		"may have 255":      {Primary: strings.Repeat("k", 256), Keys: map[string][]byte{}},
	} {
		_, err := seal.New(func() seal.Keyring { return ring }).Seal([]byte("x"), nil)
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("Seal: %v, want an error with %s", err, name)
		}
	}
}

func FuzzOpen(f *testing.F) {
	s := sealer("a", "a")
	good, err := s.Seal([]byte("secret"), []byte("row"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{1, 255})
	f.Fuzz(func(t *testing.T, sealed []byte) {
		// Each fuzzing process seals its own seed with its own nonce, and opens those of the others.
		plain, err := s.Open(sealed, []byte("row"))
		if err == nil && string(plain) != "secret" {
			t.Errorf("a forged value opened as %q", plain)
		}
	})
}
