package seal_test

import (
	"bytes"
	"errors"
	"testing"
	"testing/fstest"

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

func TestReadKeyring(t *testing.T) {
	file := func(b []byte) *fstest.MapFile { return &fstest.MapFile{Data: b} }
	for name, tc := range map[string]struct {
		dir  fstest.MapFS
		want string // "" for no error, else a part of it
	}{
		"good":            {fstest.MapFS{"primary": file([]byte("k2\n")), "k1": file(key(1)), "k2": file(key(2)), "..data": file(nil)}, ""},
		"no primary":      {fstest.MapFS{"k1": file(key(1))}, "primary"},
		"primary missing": {fstest.MapFS{"primary": file([]byte("k2")), "k1": file(key(1))}, `"k2" is missing`},
		"short key":       {fstest.MapFS{"primary": file([]byte("k1")), "k1": file([]byte("short"))}, `"k1" has 5 bytes`},
	} {
		t.Run(name, func(t *testing.T) {
			ring, err := seal.ReadKeyring(tc.dir)
			switch {
			case tc.want == "" && (err != nil || ring.Primary != "k2" || len(ring.Keys) != 2):
				t.Errorf("ReadKeyring = %+v, %v", ring, err)
			case tc.want != "" && (err == nil || !bytes.Contains([]byte(err.Error()), []byte(tc.want))):
				t.Errorf("ReadKeyring: %v, want an error with %q", err, tc.want)
			}
		})
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
		plain, err := s.Open(sealed, []byte("row"))
		if err == nil && !(bytes.Equal(sealed, good) && string(plain) == "secret") {
			t.Errorf("a forged value opened as %q", plain)
		}
	})
}
