package pushvendor_test

import (
	"bytes"
	"encoding/pem"
	"os"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/test/awsfake"
)

// From nothing to a push certificate, with Apple's part played by one that shares no code with ours.
func TestAVendorFromNothing(t *testing.T) {
	folder(t)
	must(t, os.Remove("vendor.key"))
	made := run(t, nil, csr("--organization", "Example Ltd", "--email", "mdm@example.com", "--country", "GB", "--common-name", "Example")...)
	made.expect(t, "")
	for _, want := range []string{"vendor.key", "https://developer.apple.com/", "MDM CSR", "mdm.cer"} {
		if !strings.Contains(made.errOut, want) || made.out != "" {
			t.Errorf("it does not tell %s: %s%s", want, made.out, made.errOut)
		}
	}
	if info, err := os.Stat("vendor.key"); err != nil || info.Mode() != 0o600 {
		t.Errorf("the key is %v, %v", info, err)
	}
	shell(t, `openssl req -in vendor.csr -noout -verify
openssl req -in vendor.csr -noout -subject -nameopt RFC2253 | grep 'emailAddress=mdm@example.com,CN=Example,O=Example Ltd,C=GB'
openssl pkey -in vendor.key -noout -text | grep '2048 bit'
test "$(openssl req -in vendor.csr -noout -pubkey)" = "$(openssl pkey -in vendor.key -pubout)"`)

	block, _ := pem.Decode(load(t, "vendor.csr"))
	leaf, err := apple().VendorFromCSR(block.Bytes)
	must(t, err)
	save(t, "mdm.cer", leaf.Raw)
	run(t, nil, sign("--output", "upload", "customer.csr")...).expect(t, "")
	if _, err := apple().Portal().Create(load(t, "upload")); err != nil {
		t.Error(err)
	}
}

// csr are the arguments that make a key and a request in files.
func csr(more ...string) []string {
	return append([]string{"csr", "--key", "vendor.key", "--output", "vendor.csr"}, more...)
}

func TestNothingIsWrittenOver(t *testing.T) {
	folder(t)
	must(t, os.Symlink("nowhere", "link"))
	save(t, "old.csr", []byte("old"))
	before := load(t, "vendor.key")
	for name, args := range map[string][]string{
		"a key":                  csr(),
		"a link":                 csr("--key", "link"),
		"a request":              csr("--key", "new.key", "--output", "old.csr"),
		"a key with a request":   csr("--key", "new.key", "--output", "vendor.key"),
		"its own key":            csr("--key", "new.key", "--output", "new.key"),
		"a key with a signature": sign("--output", "vendor.key", "customer.csr"),
	} {
		t.Run(name, func(t *testing.T) {
			run(t, nil, args...).expect(t, "is there already")
			if !bytes.Equal(load(t, "vendor.key"), before) || string(load(t, "old.csr")) != "old" {
				t.Error("a file was written over")
			}
			if exists("new.key") || exists("vendor.csr") || exists("nowhere") {
				t.Error("a key without a request, or a request without a key, is left")
			}
		})
	}
}

func TestWhatCSRRefuses(t *testing.T) {
	t.Chdir(t.TempDir())
	save(t, "pin", []byte("123456\n"))
	const token = "pkcs11:module-path=/nonexistent.so;token=t;object=o;id=01"
	for name, tc := range map[string]struct {
		args string
		want string
	}{
		"no key":        {"csr", "[key key-uri]"},
		"country":       {"csr --key x.key --country Germany", "two letters"},
		"e-mail":        {"csr --key x.key --email mdm@exämple.com", "ASCII"},
		"no folder":     {"csr --key x.key --output nowhere/vendor.csr", "nowhere/vendor.csr"},
		"no key folder": {"csr --key nowhere/x.key --output vendor.csr", "nowhere/x.key"},
		"key and PIN":   {"csr --key x.key --pin-file pin", "none of the others can be"},
		"key and URI":   {"csr --key x.key --key-uri awskms:key-id=alias/x", "none of the others can be"},
		"another URI":   {"csr --key-uri vault:x", "must begin with"},
		"no module":     {"csr --pin-file pin --key-uri " + token, "token"},
		"no PIN file":   {"csr --pin-file gone --key-uri " + token, "gone"},
		"an argument":   {"csr --key x.key vendor.csr", "unknown command"},
	} {
		t.Run(name, func(t *testing.T) {
			got := run(t, nil, strings.Fields(tc.args)...)
			got.expect(t, tc.want)
			if strings.Contains(got.err.Error()+got.errOut, "123456") {
				t.Error("it tells the PIN")
			}
			if exists("vendor.key") || exists("vendor.csr") || exists("x.key") {
				t.Error("something was written")
			}
		})
	}
}

func TestAKeyInAKMS(t *testing.T) {
	folder(t)
	must(t, os.Remove("vendor.key"))
	kms := awsfake.Start(t)
	kms.Put("11111111-2222-3333-4444-555555555555", awsfake.SignVerify, awsfake.NewKey(t), "alias/vendor")
	const uri = "awskms:key-id=alias/vendor;region=" + awsfake.Region
	made := run(t, nil, "csr", "--key-uri", uri, "--output", "-")
	made.expect(t, "")
	if exists("vendor.key") || exists("vendor.csr") || strings.Contains(made.errOut, "has made the key") {
		t.Errorf("there are files, or it tells of another key: %s", made.errOut)
	}
	block, _ := pem.Decode([]byte(made.out))
	leaf, err := apple().VendorFromCSR(block.Bytes)
	must(t, err)
	save(t, "mdm.cer", leaf.Raw)
	args := []string{"sign", "--key-uri", uri, "--certificate", "mdm.cer", "--chain", "all.pem", "customer.csr"}
	save(t, "all.pem", apple().AuthoritiesPEM())
	signed := run(t, nil, args...)
	signed.expect(t, "")
	if _, err := apple().Portal().Create([]byte(signed.out)); err != nil {
		t.Error(err)
	}

	kms.Put("99999999-2222-3333-4444-555555555555", awsfake.SignVerify, awsfake.NewKey(t), "alias/vendor")
	run(t, nil, args...).expect(t, "VendorKeyMismatch")
	kms.Fail(awsfake.AccessDenied)
	run(t, nil, args...).expect(t, "kms:Sign")
	run(t, nil, "csr", "--key-uri", uri, "--output", "vendor.csr").expect(t, "kms:GetPublicKey")
	if exists("vendor.csr") {
		t.Error("there is a request")
	}
}
