package pushcert_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/pushcert"
)

func TestEncodeAndParse(t *testing.T) {
	want := newApple(t).signed(t)
	encoded := want.Encode()
	list, err := base64.StdEncoding.DecodeString(string(encoded))
	must(t, err)
	for name, given := range map[string][]byte{
		"as it is":        encoded,
		"64 columns":      lines(encoded, "\n"),
		"CRLF":            lines(encoded, "\r\n"),
		"indented lines":  lines(encoded, "\n\t  "),
		"surrounded":      join([]byte("\r\n  "), encoded, []byte(" \n\n")),
		"property list":   list,
		"with CRLF":       crlf(list),
		"byte order mark": []byte(base64.StdEncoding.EncodeToString(join([]byte("\ufeff"), list))),
		"indented":        bytes.ReplaceAll(list, []byte("><"), []byte(">\n\t<!-- here --><")),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := pushcert.ParseRequest(given)
			must(t, err)
			if !bytes.Equal(got.Encode(), encoded) || !bytes.Equal(got.CSR.Raw, want.CSR.Raw) || len(got.Chain) != 3 {
				t.Error("another request")
			}
			expectRefusal(t, got.Check(now), "", "")
		})
	}
}

// lines is base64 as a mail program leaves it.
func lines(b []byte, end string) []byte {
	var out bytes.Buffer
	for len(b) > 0 {
		n := min(len(b), 64)
		out.Write(b[:n])
		out.WriteString(end)
		b = b[n:]
	}
	return out.Bytes()
}

func TestParseRequestRefuses(t *testing.T) {
	a := newApple(t)
	good := a.signed(t)
	encoded, err := base64.StdEncoding.DecodeString(string(good.Encode()))
	must(t, err)
	list := string(encoded)
	der := base64.StdEncoding.EncodeToString(good.CSR.Raw)
	signature := base64.StdEncoding.EncodeToString(good.Signature)
	inPEM := base64.StdEncoding.EncodeToString(block("CERTIFICATE REQUEST", good.CSR.Raw))
	replace := func(old, by string) []byte {
		if !strings.Contains(list, old) {
			t.Fatalf("there is no %q", old)
		}
		return []byte(strings.Replace(list, old, by, 1))
	}
	for name, tc := range map[string]struct {
		given []byte
		want  string
	}{
		"nothing":                    {[]byte("\r\n"), "empty"},
		"words":                      {[]byte("will do tomorrow"), "neither a property list nor base64"},
		"the bare request":           {block("CERTIFICATE REQUEST", good.CSR.Raw), "neither a property list nor base64"},
		"base64 of something else":   {[]byte(der), "no property list"},
		"base64, cut":                {good.Encode()[:2001], "as it came"},
		"base64, cut at a fourth":    {good.Encode()[:2000], "cut or broken"},
		"cut":                        {[]byte(list[:len(list)/2]), "cut or broken"},
		"more behind it":             {[]byte(list + "<x/>"), "cut or broken"},
		"another document":           {[]byte("<html><dict/></html>"), "cut or broken"},
		"no dictionary":              {[]byte("<plist><array/></plist>"), "something else"},
		"empty":                      {[]byte("<plist><dict/></plist>"), "something else"},
		"an array behind it":         {replace("</dict>", "</dict><array/>"), "something else"},
		"two dictionaries":           {replace("</dict>", "</dict><dict></dict>"), "something else"},
		"an array beside it":         {replace("</dict>", "</dict><array/>"), "something else"},
		"a fourth string":            {replace("</dict>", "<key>More</key><string>x</string></dict>"), "something else"},
		"one twice":                  {replace("</dict>", "<key>PushCertSignature</key><string>x</string></dict>"), "something else"},
		"one twice in place":         {replace("PushCertRequestCSR", "PushCertSignature"), "no PushCertRequestCSR"},
		"an integer":                 {replace("<string>"+signature+"</string>", "<integer>1</integer>"), "something else"},
		"data":                       {replace("<string>"+signature+"</string>", "<data>"+signature+"</data>"), "something else"},
		"an element in a string":     {replace(signature, signature+"<b/>"), "something else"},
		"words between":              {replace("</dict>", "x</dict>"), "something else"},
		"words behind":               {replace("</dict>", "</dict>x"), "something else"},
		"misspelt":                   {replace("PushCertSignature", "PushCertSignatur"), "no PushCertSignature"},
		"no signature":               {replace(signature, ""), "no PushCertSignature"},
		"a broken signature":         {replace(signature, "?"), "PushCertSignature is no base64"},
		"a broken request":           {replace(der, "?"), "PushCertRequestCSR is no base64"},
		"the request in PEM":         {replace(der, inPEM), "PushCertRequestCSR: it is no certificate request"},
		"no chain":                   {[]byte(list[:strings.Index(list, "-----BEGIN")] + "x" + list[strings.LastIndex(list, "</string><key>PushCertReq"):]), "PushCertCertificateChain: "},
		"nested":                     {[]byte(strings.Repeat("<plist>", 30000)), "cut or broken"},
		"an entity":                  {replace(signature, "&more;"), "cut or broken"},
		"more than a request has":    {[]byte(list + strings.Repeat(" ", 300<<10)), "bytes"},
		"a binary property list":     {[]byte("bplist00"), "no property list"},
		"base64 of a binary list":    {[]byte(base64.StdEncoding.EncodeToString([]byte("bplist00"))), "no property list"},
		"base64 of base64 of a list": {[]byte(base64.StdEncoding.EncodeToString(good.Encode())), "no property list"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := pushcert.ParseRequest(tc.given)
			expectError(t, err, tc.want)
			if got != nil {
				t.Error("there is a request all the same")
			}
		})
	}
}

func TestCheckRequest(t *testing.T) {
	a := newApple(t)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	must(t, err)
	weak := certificate(t, &x509.Certificate{NotBefore: now.Add(-day), NotAfter: now.Add(day), ExtraExtensions: mark}, a.g3, key(g3), small.Public())
	chain := func(certificates ...*x509.Certificate) func(*pushcert.Request) {
		return func(r *pushcert.Request) { r.Chain = certificates }
	}
	sign := func(by *rsa.PrivateKey, hash crypto.Hash, sum []byte) func(*pushcert.Request) {
		return func(r *pushcert.Request) {
			r.Signature, err = rsa.SignPKCS1v15(nil, by, hash, sum)
			must(t, err)
		}
	}
	request := csr(t)
	good, old := sha256.Sum256(request.Raw), sha1.Sum(request.Raw)
	asText := sha256.Sum256(block("CERTIFICATE REQUEST", request.Raw))
	for name, tc := range map[string]struct {
		change      func(*pushcert.Request)
		at          time.Time
		reason, say string
	}{
		"good":               {sign(key(vendor), crypto.SHA256, good[:]), now, "", ""},
		"another key's":      {sign(key(another), crypto.SHA256, good[:]), now, "RequestSignatureInvalid", "sign it again"},
		"SHA-1":              {sign(key(vendor), crypto.SHA1, old[:]), now, "RequestSignatureInvalid", "SHA-256"},
		"over the PEM":       {sign(key(vendor), crypto.SHA256, asText[:]), now, "RequestSignatureInvalid", "MDM Vendor: Example"},
		"no chain":           {chain(), now, "RequestMalformed", "no vendor certificate"},
		"root first":         {chain(a.root, a.g3, a.vendor), now, "RequestMalformed", "in this order"},
		"root in the middle": {chain(a.vendor, a.root, a.g3), now, "RequestMalformed", "in this order"},
		"one too many":       {chain(a.vendor, a.g3, a.root, a.g6), now, "RequestMalformed", "no others"},
		"one twice":          {chain(a.vendor, a.vendor, a.g3, a.root), now, "RequestMalformed", "no others"},
		"leaf only":          {chain(a.vendor), now, "VendorChainUnknown", "OU=G3"},
		"no root":            {chain(a.vendor, a.g3), now, "VendorChainUnknown", "Apple Root CA"},
		"wrong intermediate": {chain(a.vendor, a.g6, a.root), now, "VendorChainUnknown", "OU=G3"},
		"a push certificate": {chain(a.push(t, same), a.integration, a.root), now, "VendorCertificateWrongType", "MDM CSR"},
		"a weak key":         {chain(weak, a.g3, a.root), now, "VendorCertificateWrongType", "1024 bits"},
		"too late":           {func(*pushcert.Request) {}, now.Add(301 * day), "VendorCertificateExpired", "2027-03-28"},
		"too early":          {func(*pushcert.Request) {}, now.Add(-2 * day), "VendorCertificateNotYetValid", "clock"},
	} {
		t.Run(name, func(t *testing.T) {
			r := a.signed(t)
			r.CSR = request
			sign(key(vendor), crypto.SHA256, good[:])(r)
			tc.change(r)
			expectRefusal(t, r.Check(tc.at), tc.reason, tc.say)
		})
	}
}
