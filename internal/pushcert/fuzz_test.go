package pushcert_test

import (
	"bytes"
	"testing"

	"github.com/kubemdm/kubemdm/internal/pushcert"
)

func FuzzParseRequest(f *testing.F) {
	r := newApple(f).signed(f)
	f.Add(r.Encode())
	f.Add([]byte("<plist><dict><key>PushCertSignature</key><string>x</string></dict></plist>"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := pushcert.ParseRequest(b)
		if err != nil {
			return
		}
		again, err := pushcert.ParseRequest(r.Encode())
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		first, second := r.Check(now), again.Check(now)
		if (first == nil) != (second == nil) || first != nil && first.Reason != second.Reason {
			t.Errorf("%v, and then %v", first, second)
		}
	})
}

func FuzzParseCSR(f *testing.F) {
	der := csr(f).Raw
	f.Add(der)
	f.Add(block("CERTIFICATE REQUEST", der))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := pushcert.ParseCSR(b)
		if (got == nil) != (err != nil) {
			t.Errorf("%v and %v", got, err)
		}
		if err == nil && got.CheckSignature() != nil {
			t.Error("it has no good signature")
		}
	})
}

func FuzzReadCertificates(f *testing.F) {
	a := newApple(f)
	file, _ := converted(f, a)
	for _, b := range [][]byte{toPEM(a.g3, a.root), a.vendor.Raw, file("p12"), file("p7b.der"), file("p7b"), {0x30}, {0x30, 0xff}} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := pushcert.ReadCertificates(b)
		if (len(all) == 0) != (err != nil) {
			t.Errorf("%d certificates and %v", len(all), err)
		}
		if err != nil && len(err.Error()) > 300 {
			t.Errorf("a long error: %v", err)
		}
		leaf, refusal := pushcert.Offer{Given: b, Now: now, Keys: nil}.Judge()
		if refusal == nil || (leaf == nil) != (len(all) == 0) {
			t.Errorf("taken without a key: %v, %v", leaf, refusal)
		}
	})
}

func FuzzReadKey(f *testing.F) {
	file, pkcs8 := converted(f, newApple(f))
	for _, b := range [][]byte{pkcs8, file("pkcs1"), file("locked1"), file("locked8"), file("locked8.der"), file("curve")} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := pushcert.ReadKey(b)
		if (got == nil) != (err != nil) {
			t.Errorf("%v and %v", got, err)
		}
		if secret := bytes.TrimSpace(b); err != nil && len(secret) > 60 && bytes.Contains([]byte(err.Error()), secret[:40]) {
			t.Errorf("the error repeats the file: %v", err)
		}
	})
}
