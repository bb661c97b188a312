package ber_test

import (
	"bytes"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/kubemdm/kubemdm/internal/ber"
)

func TestNormalize(t *testing.T) {
	long := bytes.Repeat([]byte{0xaa}, 200)
	for name, c := range map[string]struct {
		in, want []byte
		err      error
	}{
		"definite stays":           {in: unhex("3003020105"), want: unhex("3003020105")},
		"long form becomes short":  {in: unhex("308400000003020105"), want: unhex("3003020105")},
		"indefinite is closed":     {in: unhex("3080020105308004010700000000"), want: unhex("3008020105300304 0107")},
		"two hundred octets":       {in: append(unhex("0481c8"), long...), want: append(unhex("0481c8"), long...)},
		"what follows is dropped":  {in: unhex("0201050000ff"), want: unhex("020105")},
		"empty":                    {err: ber.ErrTruncated},
		"a tag alone":              {in: unhex("30"), err: ber.ErrTruncated},
		"longer than the input":    {in: unhex("3004020105"), err: ber.ErrTruncated},
		"child longer than parent": {in: unhex("3003020205ff"), err: ber.ErrTruncated},
		"length octets missing":    {in: unhex("30840000"), err: ber.ErrTruncated},
		"negative as 32 bits":      {in: unhex("3084ffffffff"), err: ber.ErrTruncated},
		"never closed":             {in: unhex("3080020105"), err: ber.ErrTruncated},
		"primitive and indefinite": {in: unhex("04800000"), err: ber.ErrTag},
		"five length octets":       {in: unhex("30850000000001"), err: ber.ErrTag},
		"high tag":                 {in: unhex("1f8101020105"), err: ber.ErrTag},
		"as deep as allowed":       {in: nested(ber.MaxDepth), want: nested(ber.MaxDepth)},
		"one level too deep":       {in: nested(ber.MaxDepth + 1), err: ber.ErrDepth},
		"a bomb of open values":    {in: bytes.Repeat(unhex("3080"), 1<<20), err: ber.ErrDepth},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ber.Normalize(c.in)
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if err == nil && !bytes.Equal(got, c.want) {
				t.Errorf("got %x, want %x", got, c.want)
			}
		})
	}
}

func FuzzNormalize(f *testing.F) {
	for _, s := range []string{"3003020105", "3080020105308004010700000000", "30840000000302010500"} {
		f.Add(unhex(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		der, err := ber.Normalize(in)
		if err != nil {
			return
		}
		again, err := ber.Normalize(der)
		if err != nil || !bytes.Equal(again, der) {
			t.Fatalf("normal form of %x is not stable: %x, %v", der, again, err)
		}
		var v asn1.RawValue
		if rest, err := asn1.Unmarshal(der, &v); err == nil && len(rest) > 0 {
			t.Fatalf("%x holds more than one value", der)
		}
	})
}

// nested returns a value inside of depth sequences.
func nested(depth int) []byte {
	out := unhex("0500")
	for range depth {
		out = append([]byte{0x30, byte(len(out))}, out...)
	}
	return out
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(s), []byte(" "), nil)))
	if err != nil {
		panic(err)
	}
	return b
}
