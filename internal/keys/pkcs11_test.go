//go:build pkcs11

package keys_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/ThalesGroup/crypto11"
	p11 "github.com/miekg/pkcs11"

	"github.com/kubemdm/kubemdm/internal/keys"
	"github.com/kubemdm/kubemdm/test/softhsm"
)

var withPIN = keys.Options{PIN: softhsm.PIN}

func TestEnsureMakesAKeyThatStaysOnTheToken(t *testing.T) {
	token := softhsm.New(t)
	uri := token.URI("apns", 1)
	if _, err := keys.Open(t.Context(), uri, withPIN); !errors.Is(err, keys.ErrNoKey) {
		t.Fatalf("got %v of an empty token, want ErrNoKey", err)
	}
	key, made, err := keys.Ensure(t.Context(), uri, withPIN)
	if err != nil || !made {
		t.Fatalf("made %v, %v", made, err)
	}
	if bits := key.Public().(*rsa.PublicKey).N.BitLen(); bits != 2048 {
		t.Errorf("the key has %d bits", bits)
	}
	again, made, err := keys.Ensure(t.Context(), uri, withPIN)
	if err != nil || made || !key.Public().(*rsa.PublicKey).Equal(again.Public()) {
		t.Errorf("the second time: made %v, %v", made, err)
	}
	checkRequest(t, key)
	checkHandshakes(t, key)

	list := softhsm.Tool(t, "--list-objects", "--type", "privkey")
	usage, _, _ := strings.Cut(list[strings.Index(list, "Usage:"):], "\n")
	if strings.Count(list, "Private Key Object") != 1 || !strings.Contains(list, "never extractable") || !strings.Contains(list, "always sensitive") {
		t.Errorf("the token has\n%s", list)
	}
	if !strings.Contains(usage, "sign") || strings.Contains(usage, "decrypt") {
		t.Errorf("the key is for %s", usage)
	}
	decrypter, err := keys.OpenDecrypter(t.Context(), uri, withPIN)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, key.Public().(*rsa.PublicKey), []byte("text"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := decrypter.Decrypt(rand.Reader, sealed, &rsa.OAEPOptions{Hash: crypto.SHA1}); !errors.Is(err, keys.ErrRefused) {
		t.Errorf("a key for signatures decrypts: %v", err)
	}
	checkSecret(t)
}

// checkSecret asks the token for the private exponent of its only key.
func checkSecret(t *testing.T) {
	t.Helper()
	keys.Close()
	context, err := crypto11.Configure(&crypto11.Config{Path: softhsm.Module, TokenLabel: softhsm.Label, Pin: softhsm.PIN})
	if err != nil {
		t.Fatal(err)
	}
	defer context.Close()
	key, err := context.FindRSAKeyPair([]byte{1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if exponent, err := context.GetAttribute(key, crypto11.CkaPrivateExponent); err == nil && len(exponent.Value) > 0 {
		t.Error("the token gave the private exponent away")
	} else if err == nil || !strings.Contains(err.Error(), "CKR_ATTRIBUTE_SENSITIVE") {
		t.Errorf("got %v, want CKR_ATTRIBUTE_SENSITIVE", err)
	}
}

// A key in use outlives its token's absence.
func TestATokenThatComesBack(t *testing.T) {
	token := softhsm.New(t)
	key, _, err := keys.Ensure(t.Context(), token.URI("apns", 1), withPIN)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := os.Rename(token.Dir, token.Dir+".away"); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := signs(key); !errors.Is(err, keys.ErrUnavailable) {
				t.Fatalf("got %v without the token, want ErrUnavailable", err)
			}
		}
		if err := os.Rename(token.Dir+".away", token.Dir); err != nil {
			t.Fatal(err)
		}
		if err := signs(key); err != nil {
			t.Fatalf("the token is back: %v", err)
		}
	}
}

// Sessions and logins get lost without a trace: the key is used on a new session, and never taken for one that is not there.
func TestASessionThatBreaks(t *testing.T) {
	token := softhsm.New(t)
	uri := token.URI("apns", 1)
	key, _, err := keys.Ensure(t.Context(), uri, withPIN)
	if err != nil {
		t.Fatal(err)
	}
	module := p11.New(softhsm.Module) // of this process, so it shares the state
	slots, err := module.GetSlotList(true)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func() error{
		"all sessions closed": func() error { return module.CloseAllSessions(slots[0]) },
		"logged out": func() error {
			session, err := module.OpenSession(slots[0], p11.CKF_SERIAL_SESSION)
			return errors.Join(err, module.Logout(session))
		},
		"let go": func() error { keys.Close(); return nil },
	} {
		if err := spoil(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := signs(key); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := spoil(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, made, err := keys.Ensure(t.Context(), uri, withPIN); err != nil || made {
			t.Errorf("%s: made another key %v, %v", name, made, err)
		}
	}
}

// A wrong PIN opens nothing, not even a token that is open already, and is not tried twice.
func TestAWrongPIN(t *testing.T) {
	token := softhsm.New(t)
	uri := token.URI("apns", 1)
	key, _, err := keys.Ensure(t.Context(), uri, withPIN)
	if err != nil {
		t.Fatal(err)
	}
	for name, pin := range map[string]string{"none": "", "wrong": "11111111"} {
		for range 20 {
			_, err := keys.Open(t.Context(), uri, keys.Options{PIN: pin})
			if !errors.Is(err, keys.ErrRefused) || !strings.Contains(err.Error(), "PIN") || pin != "" && strings.Contains(err.Error(), pin) {
				t.Fatalf("%s PIN: got %v", name, err)
			}
		}
	}
	if err := signs(key); err != nil {
		t.Errorf("the right PIN: %v", err)
	}
	// Now it would be the right one: that it is still refused shows that the token was not asked again.
	softhsm.Tool(t, "--change-pin", "--new-pin", "11111111")
	if _, err := keys.Open(t.Context(), uri, keys.Options{PIN: "11111111"}); !errors.Is(err, keys.ErrRefused) {
		t.Errorf("the PIN that was refused: %v", err)
	}
}

func TestWhatATokenLacks(t *testing.T) {
	token := softhsm.New(t)
	token.Generate(t, "curve", 2, "EC:prime256v1", "--usage-sign")
	token.Generate(t, "small", 3, "rsa:1024", "--usage-sign")
	token.Generate(t, "sealing", 4, "rsa:2048", "--usage-decrypt")
	for name, tc := range map[string]struct {
		uri  string
		kind error
		want string
	}{
		"not RSA":       {token.URI("curve", 2), keys.ErrRefused, "not an RSA key"},
		"too small":     {token.URI("small", 3), keys.ErrRefused, "1024 bits"},
		"no key":        {token.URI("apns", 1), keys.ErrNoKey, "no key pair"},
		"another label": {token.URI("other", 4), keys.ErrNoKey, "no key pair"},
		"no token":      {"pkcs11:module-path=" + softhsm.Module + ";token=lost;object=apns", keys.ErrUnavailable, "could not find PKCS#11 token"},
		"no module":     {"pkcs11:module-path=/nowhere.so;token=lost;object=apns", keys.ErrUnavailable, "module /nowhere.so"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := keys.Open(t.Context(), tc.uri, withPIN)
			if !errors.Is(err, tc.kind) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %v with %q", err, tc.kind, tc.want)
			}
		})
	}
	if _, _, err := keys.Ensure(t.Context(), "pkcs11:module-path="+softhsm.Module+";token=kubemdm%20test;object=apns", withPIN); !errors.Is(err, keys.ErrNoKey) || !strings.Contains(err.Error(), "both object and id") {
		t.Errorf("a key without an id: %v", err)
	}
}

// The certificate belongs to the key that was there.
func TestAnotherKeyByTheSameName(t *testing.T) {
	token := softhsm.New(t)
	key, _, err := keys.Ensure(t.Context(), token.URI("apns", 1), withPIN)
	if err != nil {
		t.Fatal(err)
	}
	for _, class := range []string{"privkey", "pubkey"} {
		softhsm.Tool(t, "--delete-object", "--type", class, "--id", "01")
	}
	if err := signs(key); !errors.Is(err, keys.ErrNoKey) {
		t.Fatalf("the key is gone: %v", err)
	}
	token.Generate(t, "apns", 1, "rsa:2048", "--usage-sign")
	if err := signs(key); !errors.Is(err, keys.ErrRefused) || !strings.Contains(err.Error(), "another key") {
		t.Errorf("got %v", err)
	}
}

func TestManyUseOneToken(t *testing.T) {
	token := softhsm.New(t)
	var users sync.WaitGroup
	var mu sync.Mutex
	makers := 0
	for range 8 {
		users.Go(func() {
			key, made, err := keys.Ensure(t.Context(), token.URI("apns", 1), withPIN)
			if err == nil {
				err = signs(key)
			}
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if made {
				makers++
			}
		})
	}
	users.Wait()
	if makers != 1 {
		t.Errorf("the key was made %d times", makers)
	}
	if _, err := keys.Open(expired(), token.URI("apns", 1), withPIN); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("got %v of a caller who does not wait", err)
	}
}
