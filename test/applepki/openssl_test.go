package applepki_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/kubemdm/kubemdm/test/applepki"
)

// vendorRequest makes the vendor's key and what it sends to the developer portal.
const vendorRequest = `openssl req -new -newkey rsa:2048 -nodes -keyout vendor.key -subj "/C=DE/CN=Vendor" -outform DER -out vendor.csr 2>/dev/null`

// customerRequest makes a push key and the file to upload, from vendor.pem, wwdr.pem and root.pem.
const customerRequest = `
openssl req -new -newkey rsa:2048 -nodes -keyout push.key -subj "/C=DE/CN=Push/emailAddress=admin@example.com" -outform DER -out push.csr 2>/dev/null
openssl dgst -sha256 -sign vendor.key -out push.sig push.csr
cat >plist <<EOF
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple Inc//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
<key>PushCertRequestCSR</key>
<string>$(openssl base64 -in push.csr)</string>
<key>PushCertCertificateChain</key>
<string>$(cat vendor.pem wwdr.pem root.pem)</string>
<key>PushCertSignature</key>
<string>$(openssl base64 -in push.sig)</string>
</dict>
</plist>
EOF
openssl base64 -in plist -out upload`

// What Apple's instructions do with openssl is accepted here.
func TestARequestMadeWithOpenSSL(t *testing.T) {
	apple, now := newApple(t)
	dir := t.TempDir()
	shell(t, dir, vendorRequest)
	vendor, err := apple.VendorFromCSR(read(t, dir, "vendor.csr"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "vendor.der", vendor.Raw)
	write(t, dir, "wwdr.pem", apple.WWDRPEM(applepki.G3))
	write(t, dir, "root.pem", apple.RootPEM())
	shell(t, dir, "openssl x509 -inform DER -in vendor.der -out vendor.pem"+customerRequest)
	returned, err := apple.Portal().Create(read(t, dir, "upload"))
	if err != nil {
		t.Fatal(err)
	}
	checkPushCertificate(t, apple, returned, now)

	write(t, dir, "push.pem", returned)
	write(t, dir, "ca.pem", apple.PushCAPEM())
	shell(t, dir, `test "$(openssl x509 -in push.pem -noout -pubkey)" = "$(openssl pkey -in push.key -pubout)"
openssl verify -partial_chain -purpose sslclient -attime `+strconv.FormatInt(now.Unix(), 10)+` -CAfile ca.pem push.pem`)
}

func shell(t *testing.T, dir, script string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", script)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func read(t *testing.T, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, dir, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}
