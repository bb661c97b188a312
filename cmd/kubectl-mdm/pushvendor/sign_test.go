package pushvendor_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/pushvendor"
	"github.com/kubemdm/kubemdm/test/applepki"
)

func TestSign(t *testing.T) {
	folder(t)
	shell(t, `openssl req -in customer.csr -outform DER -out customer.der
openssl pkey -in vendor.key -outform DER -out vendor.der
openssl x509 -inform DER -in mdm.cer -out all.pem
openssl x509 -inform DER -in root.cer >>all.pem
openssl x509 -inform DER -in g3.cer >>all.pem
sed 's/$/\r/' customer.csr >crlf.csr
sed 's/$/\r/' all.pem >crlf.pem`)
	for name, tc := range map[string]struct {
		in   string
		args []string
	}{
		"files":           {"", sign("customer.csr")},
		"DER":             {"", []string{"sign", "--key", "vendor.der", "--certificate", "mdm.cer", "--chain", "g3.cer", "--chain", "root.cer", "customer.der"}},
		"CRLF":            {"", []string{"sign", "--key", "vendor.key", "--certificate", "crlf.pem", "crlf.csr"}},
		"all in one file": {"", []string{"sign", "--key", "vendor.key", "--certificate", "all.pem", "customer.csr"}},
		"standard input":  {"customer.csr", sign("-")},
		"DER from a pipe": {"customer.der", sign("-", "--output", "-")},
		"into a file":     {"", sign("customer.csr", "--output", "upload")},
	} {
		t.Run(name, func(t *testing.T) {
			var in []byte
			if tc.in != "" {
				in = load(t, tc.in)
			}
			got := run(t, in, tc.args...)
			got.expect(t, "")
			upload := []byte(got.out)
			if strings.Contains(name, "into") {
				if got.out != "" {
					t.Errorf("on standard output: %s", got.out)
				}
				upload = load(t, "upload")
			}
			if _, err := apple().Portal().Create(upload); err != nil {
				t.Error(err)
			}
			for _, want := range []string{"MDM Vendor: Example Inc.", "30 days left", "OU=G3", "O=Customer", "https://identity.apple.com/pushcert", "Renew"} {
				if !strings.Contains(got.errOut, want) {
					t.Errorf("it does not tell %q: %s", want, got.errOut)
				}
			}
		})
	}
}

// What is uploaded is good for a verifier that shares nothing with us.
func TestTheUploadWithOpenSSL(t *testing.T) {
	folder(t)
	run(t, nil, sign("--output", "upload", "customer.csr")...).expect(t, "")
	shell(t, `openssl base64 -d -A -in upload | sed 's/&#xA;/\n/g' >plist
string() { tr -d '\n' <plist | sed "s/.*<key>$1<.key><string>\([^<]*\).*/\1/"; }
string PushCertRequestCSR | openssl base64 -d -A -out csr.der
openssl req -in customer.csr -outform DER | cmp - csr.der
openssl req -in csr.der -inform DER -noout -verify
string PushCertSignature | openssl base64 -d -A -out signature
openssl x509 -inform DER -in mdm.cer -noout -pubkey >vendor.pub
openssl dgst -sha256 -verify vendor.pub -signature signature csr.der
sed -n '/BEGIN CERT/,/END CERT/p' plist | sed 's/.*-----BEGIN/-----BEGIN/; s/END CERTIFICATE-----.*/END CERTIFICATE-----/' >chain.pem
test "$(grep -c BEGIN chain.pem)" = 3
openssl x509 -inform DER -in root.cer -out root.pem
openssl verify -purpose any -CAfile root.pem -untrusted chain.pem chain.pem`)
}

func TestWhatSignRefuses(t *testing.T) {
	folder(t)
	vendor := func(name string, o applepki.VendorOptions) {
		leaf, key, err := apple().Vendor(o)
		must(t, err)
		der, err := x509.MarshalPKCS8PrivateKey(key)
		must(t, err)
		save(t, name+".cer", leaf.Raw)
		save(t, name+".key", encode("PRIVATE KEY", der))
	}
	vendor("expired", applepki.VendorOptions{NotBefore: time.Now().AddDate(-2, 0, 0), NotAfter: time.Now().Add(-time.Hour)})
	vendor("early", applepki.VendorOptions{NotBefore: time.Now().Add(time.Hour)})
	vendor("ordinary", applepki.VendorOptions{Ordinary: true})
	save(t, "huge", bytes.Repeat([]byte("x"), 2<<20))
	shell(t, `openssl pkey -in vendor.key -aes128 -passout pass:geheim -out locked.key
openssl ecparam -name prime256v1 -genkey -noout -out curve.key
openssl req -new -key curve.key -subj /CN=x -out curve.csr
openssl req -new -newkey rsa:1024 -nodes -keyout /dev/null -subj /CN=x -out small.csr 2>/dev/null
openssl req -new -sha1 -key customer.key -subj /CN=x -out sha1.csr
openssl req -new -key vendor.key -subj /CN=x -out vendor.csr
openssl x509 -inform DER -in mdm.cer -out mdm.pem
openssl pkcs12 -export -inkey vendor.key -in mdm.pem -out vendor.p12 -passout pass:x
openssl crl2pkcs7 -nocrl -certfile g6.pem -outform DER -out apple.p7b
head -c 500 customer.csr >cut.csr`)
	with := func(pair string) string {
		return "sign --chain g3.cer --chain root.cer --key " + pair + ".key --certificate " + pair + ".cer customer.csr"
	}
	for name, tc := range map[string]struct {
		args string
		want string
	}{
		"expired":              {with("expired"), "VendorCertificateExpired"},
		"too early":            {with("early"), "VendorCertificateNotYetValid"},
		"ordinary":             {with("ordinary"), "VendorCertificateWrongType"},
		"another key":          {"sign --key expired.key --certificate mdm.cer --chain g3.cer --chain root.cer customer.csr", "VendorKeyMismatch"},
		"no chain":             {"sign --key vendor.key --certificate mdm.cer customer.csr", "https://www.apple.com/certificateauthority/"},
		"another intermediate": {"sign --key vendor.key --certificate mdm.cer --chain g6.pem --chain root.cer customer.csr", "OU=G3"},
		"no root":              {"sign --key vendor.key --certificate mdm.cer --chain g3.cer customer.csr", "Apple Root CA"},
		"encrypted key":        {"sign --key locked.key --certificate mdm.cer customer.csr", "locked.key: the key is encrypted"},
		"a certificate as key": {"sign --key mdm.pem --certificate mdm.cer customer.csr", "no private key"},
		".p12":                 {"sign --key vendor.key --certificate vendor.p12 customer.csr", "vendor.p12: it is a PKCS #12 file"},
		".p7b":                 {"sign --key vendor.key --certificate mdm.cer --chain apple.p7b customer.csr", "apple.p7b: it is a PKCS #7 file"},
		"an EC request":        {strings.Join(sign("curve.csr"), " "), "RSA"},
		"1024 bits":            {strings.Join(sign("small.csr"), " "), "1024 bits"},
		"SHA-1":                {strings.Join(sign("sha1.csr"), " "), "SHA-256"},
		"cut":                  {strings.Join(sign("cut.csr"), " "), "cut.csr is refused"},
		"a certificate":        {strings.Join(sign("mdm.cer"), " "), "no certificate request"},
		"no file":              {strings.Join(sign("gone.csr"), " "), "gone.csr"},
		"a huge file":          {strings.Join(sign("huge"), " "), "huge has more than"},
		"the vendor's own":     {strings.Join(sign("vendor.csr"), " "), "the customer's"},
		"a folder":             {strings.Join(sign("."), " "), "directory"},
		"no argument":          {strings.Join(sign(), " "), "1 arg"},
		"no key":               {"sign --certificate mdm.cer customer.csr", "[key key-uri]"},
		"no certificate":       {"sign --key vendor.key customer.csr", `"certificate"`},
		"no such folder":       {strings.Join(sign("--output", "nowhere/upload", "customer.csr"), " "), "nowhere/upload"},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, nil, strings.Fields(tc.args)...).expect(t, tc.want)
		})
	}
}

func TestCheck(t *testing.T) {
	folder(t)
	csr := func() []byte {
		shell(t, "openssl req -in customer.csr -outform DER -out customer.der")
		return load(t, "customer.der")
	}()
	signed := func(o applepki.VendorOptions) []byte {
		leaf, key, err := apple().Vendor(o)
		must(t, err)
		upload, err := apple().SignRequest(leaf, key, csr)
		must(t, err)
		return upload
	}
	good := signed(applepki.VendorOptions{Generation: applepki.G6})
	list, err := base64.StdEncoding.DecodeString(string(good))
	must(t, err)
	leaf, _, err := apple().Vendor(applepki.VendorOptions{})
	must(t, err)
	_, strange, err := apple().Vendor(applepki.VendorOptions{})
	must(t, err)
	forged, err := apple().SignRequest(leaf, strange, csr)
	must(t, err)
	for name, tc := range map[string]struct {
		given []byte
		want  string
	}{
		"good":               {good, ""},
		"the property list":  {list, "takes it in base64"},
		"the request":        {load(t, "customer.csr"), "neither a property list nor base64"},
		"cut":                {list[:len(list)/2], "cut or broken"},
		"expired":            {signed(applepki.VendorOptions{NotBefore: time.Now().AddDate(-2, 0, 0), NotAfter: time.Now().Add(-time.Hour)}), "VendorCertificateExpired"},
		"no vendor's":        {signed(applepki.VendorOptions{Ordinary: true}), "VendorCertificateWrongType"},
		"by somebody else":   {forged, "RequestSignatureInvalid"},
		"nothing":            {nil, "empty"},
		"more than a plenty": {bytes.Repeat([]byte("A"), 2<<20), "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			save(t, "upload", tc.given)
			got := run(t, nil, "check", "upload")
			got.expect(t, tc.want)
			again := run(t, tc.given, "check", "-")
			again.expect(t, tc.want)
			for _, want := range []string{"sound", "MDM Vendor: Example Inc.", "OU=G6", "364 days left", "https://identity.apple.com/pushcert"} {
				if tc.want == "" && (!strings.Contains(got.out, want) || again.out != got.out) {
					t.Errorf("it does not tell %q: %s", want, got.out)
				}
			}
		})
	}
	run(t, nil, "check", "gone").expect(t, "gone")
	run(t, nil, "check").expect(t, "give a signed request")
}

func TestCheckOfAVendor(t *testing.T) {
	folder(t)
	vendor := []string{"check", "--key", "vendor.key", "--certificate", "mdm.cer"}
	got := run(t, nil, append(vendor, "--chain", "root.cer", "--chain", "g6.pem", "--chain", "g3.cer")...)
	got.expect(t, "")
	for _, want := range []string{"MDM Vendor: Example Inc.", "30 days left", "OU=G3"} {
		if !strings.Contains(got.out, want) {
			t.Errorf("it does not tell %q: %s", want, got.out)
		}
	}
	shell(t, "openssl genpkey -algorithm RSA -out other.key 2>/dev/null")
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"no chain":       {vendor, "VendorChainUnknown"},
		"another":        {append(vendor, "--chain", "root.cer", "--chain", "g6.pem"), "OU=G3"},
		"another key":    {[]string{"check", "--key", "other.key", "--certificate", "mdm.cer", "--chain", "root.cer"}, "VendorKeyMismatch"},
		"no key":         {[]string{"check", "--certificate", "mdm.cer"}, "--key or --key-uri"},
		"no certificate": {[]string{"check", "--key", "vendor.key"}, "--certificate"},
		"both":           {append(vendor, "upload"), "not both"},
	} {
		t.Run(name, func(t *testing.T) { run(t, nil, tc.args...).expect(t, tc.want) })
	}
}

// Names in a request are a stranger's, and terminals obey what is in them.
func TestNamesAreQuoted(t *testing.T) {
	folder(t)
	shell(t, `openssl req -new -key customer.key -utf8 -subj "$(printf '/CN=\033[31mred')" -out red.csr`)
	got := run(t, nil, sign("red.csr")...)
	got.expect(t, "")
	if strings.Contains(got.errOut, "\x1b") || !strings.Contains(got.errOut, "[31mred") {
		t.Errorf("%q", got.errOut)
	}
}

func TestHelp(t *testing.T) {
	got := run(t, nil)
	got.expect(t, "")
	for _, want := range []string{"csr", "sign", "check"} {
		if !strings.Contains(got.out, want) {
			t.Errorf("%s is not in %s", want, got.out)
		}
	}
	for _, c := range append([]*cobra.Command{pushvendor.Command()}, pushvendor.Command().Commands()...) {
		if c.Short == "" || c.Long == "" || !strings.Contains(c.Example, "kubectl mdm vendor") || strings.Contains(c.Example, "PROGRAM") {
			t.Errorf("%s: %q, %q", c.Name(), c.Short, c.Example)
		}
		for _, line := range strings.Split(c.Example, "\n") {
			if len(line) > 150 {
				t.Errorf("%s has a line that is too long: %s", c.Name(), line)
			}
		}
	}
	if run(t, nil, "sing").err == nil {
		t.Error("an unknown command does not fail")
	}
}
