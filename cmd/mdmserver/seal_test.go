package main

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/internal/keys"
	"github.com/kubemdm/kubemdm/internal/keys/envelope"
	"github.com/kubemdm/kubemdm/test/awsfake"
)

func TestSeal(t *testing.T) {
	aws := awsfake.Start(t)
	aws.Put("99999999-2222-3333-4444-555555555555", awsfake.EncryptDecrypt, awsfake.NewKey(t), "alias/mdm")
	for uri, want := range map[string]string{"awskms:key-id=alias/mdm": "", "awskms:key-id=alias/lost": "no such key", "vault:x": "must begin with"} {
		c := command()
		out := &bytes.Buffer{}
		c.SetArgs([]string{"seal", "--key-uri", uri})
		c.SetIn(strings.NewReader("a secret"))
		c.SetOut(out)
		c.SetErr(io.Discard)
		err := c.ExecuteContext(t.Context())
		if want != "" {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q", uri, err, want)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got, err := envelope.Open(t.Context(), out.Bytes(), keys.Options{}); err != nil || string(got) != "a secret" {
			t.Errorf("got %q, %v", got, err)
		}
	}
}
