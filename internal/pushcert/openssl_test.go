package pushcert_test

import (
	"crypto/x509"
	"strconv"
	"testing"

	"github.com/kubemdm/kubemdm/internal/pushcert"
)

// take is what Apple does with an upload, by openssl alone.
const take = `
openssl base64 -d -A -in upload -out plist
value() { sed -e 's/&#xA;/\n/g' plist | sed -n -e "/<key>$1</,\$p" | sed -e "1s/.*<key>$1<\/key><string>//" | sed -e '/<\/string>/{s/<\/string>.*//;q}'; }
test "$(grep -o '<key>' plist | wc -l)" = 3
test "$(grep -o '<string>' plist | wc -l)" = 3

value PushCertRequestCSR | openssl base64 -d -A -out csr.der
openssl req -in csr.der -inform DER -noout -verify
value PushCertSignature | openssl base64 -d -A -out signature

value PushCertCertificateChain | sed '/^$/d' > chain
test "$(grep -c BEGIN chain)" = 3
! grep -v CERTIFICATE chain | grep -E '.{65}'
awk '/BEGIN/ { n++ } { print > ("chain." n) }' chain
openssl x509 -in chain.1 -noout -pubkey > vendor.pub
openssl dgst -sha256 -verify vendor.pub -signature signature csr.der
openssl verify -attime "$at" -purpose any -CAfile chain.3 -untrusted chain.2 chain.1
cmp chain.3 root.pem`

func TestTheUploadWithOpenSSL(t *testing.T) {
	a := newApple(t)
	files := map[string][]byte{"upload": a.signed(t).Encode(), "root.pem": toPEM(a.root)}
	file := openssl(t, files, "at="+strconv.FormatInt(now.Unix(), 10)+take)
	if string(file("csr.der")) == "" {
		t.Error("no request")
	}
}

func TestCertificateRequestsWithOpenSSL(t *testing.T) {
	b, err := pushcert.NewCSR(key(customer), pushcert.Subject{CommonName: "Push", Organization: "Example", Email: "mdm@example.com", Country: "DE"})
	must(t, err)
	openssl(t, map[string][]byte{"csr": b}, `
openssl req -in csr -noout -verify
openssl req -in csr -noout -subject -nameopt RFC2253 > subject
for part in CN=Push O=Example emailAddress=mdm@example.com C=DE; do grep "$part" subject; done
openssl req -in csr -noout -text | grep "Signature Algorithm: sha256WithRSAEncryption"
openssl req -in csr -outform DER | openssl asn1parse -inform DER | grep "IA5STRING *:mdm@example.com"`)
}

// What a vendor without this package makes, by Apple's instructions, is taken.
func TestARequestThatOpenSSLMade(t *testing.T) {
	a := newApple(t)
	der, err := x509.MarshalPKCS8PrivateKey(key(vendor))
	must(t, err)
	files := map[string][]byte{"csr.der": csr(t).Raw, "vendor.key": block("PRIVATE KEY", der), "chain": toPEM(a.vendor, a.g3, a.root)}
	file := openssl(t, files, `
openssl dgst -sha256 -sign vendor.key -out signature csr.der
cat > plist <<END
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple Inc//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
<key>PushCertRequestCSR</key>
<string>
$(openssl base64 -in csr.der)
</string>
<key>PushCertCertificateChain</key>
<string>
$(cat chain)
</string>
<key>PushCertSignature</key>
<string>$(openssl base64 -in signature)</string>
</dict>
</plist>
END
openssl base64 -in plist -out upload`)
	for _, name := range []string{"plist", "upload"} {
		r, err := pushcert.ParseRequest(file(name))
		must(t, err)
		expectRefusal(t, r.Check(now), "", "")
	}
}
