package envelope_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/internal/keys"
	"github.com/kubemdm/kubemdm/internal/keys/envelope"
	"github.com/kubemdm/kubemdm/test/awsfake"
)

const (
	id    = "99999999-2222-3333-4444-555555555555"
	other = "88888888-2222-3333-4444-555555555555"
	uri   = "awskms:key-id=" + id
)

func TestSealAndOpen(t *testing.T) {
	fake := awsfake.Start(t)
	private := awsfake.NewKey(t)
	fake.Put(id, awsfake.EncryptDecrypt, private, "alias/seal")
	fake.Put(other, awsfake.EncryptDecrypt, awsfake.NewKey(t))
	plain := bytes.Repeat([]byte("a secret"), 1000)
	sealed, err := envelope.Seal(&private.PublicKey, uri, plain)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("a secret")) {
		t.Error("the secret can be read")
	}
	got, err := envelope.Open(t.Context(), sealed, keys.Options{})
	if err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("got %d bytes, %v", len(got), err)
	}
	if empty, err := envelope.Seal(&private.PublicKey, uri, nil); err != nil {
		t.Error(err)
	} else if got, err := envelope.Open(t.Context(), empty, keys.Options{}); err != nil || len(got) != 0 {
		t.Errorf("of nothing: %q, %v", got, err)
	}
	again, err := envelope.Seal(&private.PublicKey, uri, plain)
	if err != nil || bytes.Equal(again, sealed) {
		t.Errorf("the same twice: %v", err)
	}

	for name, tc := range map[string]struct {
		change func(map[string]any)
		want   string
	}{
		"content":     {func(f map[string]any) { f["ciphertext"] = "AAAA" + f["ciphertext"].(string)[4:] }, "was changed"},
		"nonce":       {func(f map[string]any) { f["nonce"] = "AAAAAAAAAAAAAAAA" }, "was changed"},
		"alias":       {func(f map[string]any) { f["keyURI"] = "awskms:key-id=alias/seal" }, "was changed"},
		"data key":    {func(f map[string]any) { f["wrappedKey"] = "AAAA" + f["wrappedKey"].(string)[4:] }, "seal the file again"},
		"other key":   {func(f map[string]any) { f["keyURI"] = "awskms:key-id=" + other }, "seal the file again"},
		"lost key":    {func(f map[string]any) { f["keyURI"] = "awskms:key-id=alias/lost" }, "no such key"},
		"algorithm":   {func(f map[string]any) { f["algorithm"] = "RSA1_5" }, "neither RSA-OAEP nor"},
		"weaker hash": {func(f map[string]any) { f["algorithm"] = "RSA-OAEP" }, "seal the file again"},
		"version":     {func(f map[string]any) { f["version"] = 2 }, "the version 2"},
		"unknown":     {func(f map[string]any) { f["hint"] = "x" }, "not a sealed file"},
		"cut":         {func(f map[string]any) { delete(f, "nonce") }, "not complete"},
		"other URI":   {func(f map[string]any) { f["keyURI"] = "vault:x" }, "must begin with"},
	} {
		t.Run(name, func(t *testing.T) {
			f := map[string]any{}
			if err := json.Unmarshal(sealed, &f); err != nil {
				t.Fatal(err)
			}
			tc.change(f)
			changed, err := json.Marshal(f)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := envelope.Open(t.Context(), changed, keys.Options{}); err == nil || !strings.Contains(err.Error(), tc.want) || got != nil {
				t.Errorf("got %d bytes, %v, want %q", len(got), err, tc.want)
			}
		})
	}
	for name, b := range map[string][]byte{"PEM": []byte("-----BEGIN"), "two": append(bytes.Clone(sealed), sealed...), "huge": make([]byte, 2<<20)} {
		if _, err := envelope.Open(t.Context(), b, keys.Options{}); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
	fake.Fail(awsfake.Away)
	if _, err := envelope.Open(t.Context(), sealed, keys.Options{}); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("the KMS is away: %v", err)
	}
}

func TestWhatIsNotSealed(t *testing.T) {
	private := awsfake.NewKey(t)
	if _, err := envelope.Seal(&private.PublicKey, "vault:x", nil); err == nil {
		t.Error("sealed for an unknown KMS")
	}
	if _, err := envelope.Seal(&private.PublicKey, uri, make([]byte, 1<<20)); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("1 MiB: %v", err)
	}
}
