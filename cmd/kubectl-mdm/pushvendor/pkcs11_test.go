//go:build pkcs11

package pushvendor_test

import (
	"encoding/pem"
	"os"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/test/softhsm"
)

func TestAKeyOnAToken(t *testing.T) {
	folder(t)
	must(t, os.Remove("vendor.key"))
	token := softhsm.New(t)
	save(t, "pin", []byte(softhsm.PIN+"\n"))
	uri := token.URI("vendor", 1)
	for i, name := range []string{"vendor.csr", "again.csr"} {
		made := run(t, nil, "csr", "--key-uri", uri, "--pin-file", "pin", "--output", name)
		made.expect(t, "")
		if strings.Contains(made.errOut, "has made the key") != (i == 0) || exists("vendor.key") {
			t.Errorf("%s: %s", name, made.errOut)
		}
	}
	block, _ := pem.Decode(load(t, "vendor.csr"))
	leaf, err := apple().VendorFromCSR(block.Bytes)
	must(t, err)
	save(t, "mdm.cer", leaf.Raw)
	signed := run(t, nil, "sign", "--key-uri", uri, "--pin-file", "pin", "--certificate", "mdm.cer", "--chain", "g3.cer", "--chain", "root.cer", "customer.csr")
	signed.expect(t, "")
	if _, err := apple().Portal().Create([]byte(signed.out)); err != nil {
		t.Error(err)
	}
	save(t, "pin", []byte("000000"))
	wrong := run(t, nil, "sign", "--key-uri", uri, "--pin-file", "pin", "--certificate", "mdm.cer", "customer.csr")
	wrong.expect(t, "PIN")
}
