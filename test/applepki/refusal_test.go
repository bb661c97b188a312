package applepki_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/test/applepki"
)

func TestPropertyListsThatAreRefused(t *testing.T) {
	b := newBench(t)
	good := b.request(t, b.csr, b.leaf, applepki.G3)
	edited := func(old, replacement string) []byte {
		if !strings.Contains(good.plist(), old) {
			t.Fatalf("there is no %q to replace", old)
		}
		return []byte(base64.StdEncoding.EncodeToString([]byte(strings.Replace(good.plist(), old, replacement, 1))))
	}
	entry := "<key>PushCertSignature</key>\n\t<string>" + good.signature + "</string>"
	for name, c := range map[string]struct {
		upload []byte
		want   string
	}{
		"nothing":               {nil, "not base64"},
		"a bare property list":  {[]byte(good.plist()), "not base64"},
		"base64 with blanks":    {[]byte(" " + string(good.upload())), "not base64"},
		"cut off":               {good.upload()[:4000], "the property list"},
		"much too large":        {bytes.Repeat([]byte("QUFB"), 20<<10), "more than any request"},
		"no XML declaration":    {edited(`<?xml version="1.0" encoding="UTF-8"?>`, ""), "XML declaration"},
		"no DOCTYPE":            {edited(plistFormat[39:142], ""), "DOCTYPE"},
		"another DOCTYPE":       {edited("-//Apple//DTD", "-//Acme//DTD"), "DOCTYPE"},
		"no version":            {edited(`<plist version="1.0">`, "<plist>"), "<plist>"},
		"another version":       {edited(`<plist version="1.0">`, `<plist version="2.0">`), `version="1.0"`},
		"an array":              {edited("<dict>", "<array>"), "<dict>"},
		"data in place of text": {edited("<string>"+good.csr+"</string>", "<data>"+good.csr+"</data>"), "PushCertRequestCSR: <data>"},
		"an element in text":    {edited("<string>"+good.csr, "<string><b/>"), "<b> in <string>"},
		"a comment":             {edited("<dict>", "<dict><!-- x -->"), "Comment"},
		"one key less":          {edited(entry, ""), "PushCertSignature is missing"},
		"one key twice":         {edited(entry, entry+entry), "PushCertSignature is there twice"},
		"one key more":          {edited(entry, entry+"<key>PushCertEmail</key><string>a</string>"), "4 keys"},
		"another key":           {edited("<key>PushCertSignature", "<key>pushCertSignature"), "PushCertSignature is missing"},
		"more after the end":    {edited("</plist>", "</plist><plist/>"), "after its end"},
		"not closed":            {edited("</plist>", ""), "the property list"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := b.apple.Portal().Create(c.upload)
			wantRefusal(t, err, c.want)
		})
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	b := newBench(t)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := b.request(t, b.csr, b.leaf, applepki.G3)
	of := func(csr []byte) parts { return b.request(t, csr, b.leaf, applepki.G3) }
	strange, _ := newApple(t)
	tampered := bytes.Clone(b.csr)
	tampered[len(tampered)-1] ^= 1
	csrPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: b.csr})
	vendor := func(apple *applepki.Apple, o applepki.VendorOptions, g applepki.Generation) parts {
		return b.request(t, b.csr, b.other(t, apple, o), g)
	}
	chained := func(chain string) parts { return parts{good.csr, chain, good.signature, good.format} }
	signed := func(signature string) parts { return parts{good.csr, good.chain, signature, good.format} }
	signature, err := base64.StdEncoding.DecodeString(good.signature)
	if err != nil {
		t.Fatal(err)
	}
	signature[0] ^= 1
	wwdr, root := b.apple.WWDR(applepki.G3), b.apple.Root()
	for name, c := range map[string]struct {
		parts
		want string
	}{
		"CSR of an EC key":           {of(newCSR(t, curve, x509.ECDSAWithSHA256)), "PushCertRequestCSR: its key is not an RSA key"},
		"CSR of 1024 bits":           {of(newCSR(t, newKey(t, 1024), x509.SHA256WithRSA)), "PushCertRequestCSR: its RSA key has 1024 bits"},
		"CSR signed with SHA-512":    {of(newCSR(t, newKey(t, 2048), x509.SHA512WithRSA)), "PushCertRequestCSR: it is signed with SHA512-RSA"},
		"CSR with a wrong signature": {of(tampered), "PushCertRequestCSR: its own signature"},
		"CSR in PEM":                 {of(csrPEM), "PushCertRequestCSR: it is not a PKCS#10 request in DER"},
		"CSR not in base64":          {parts{"*", good.chain, good.signature, good.format}, "PushCertRequestCSR is not base64"},

		"vendor expired":            {vendor(b.apple, applepki.VendorOptions{NotAfter: start.Add(-time.Second)}, applepki.G3), "expired on"},
		"vendor not yet valid":      {vendor(b.apple, applepki.VendorOptions{NotBefore: start.Add(time.Second)}, applepki.G3), "not valid before"},
		"an ordinary certificate":   {vendor(b.apple, applepki.VendorOptions{Ordinary: true}, applepki.G3), "no extension 1.2.840.113635.100.4.12"},
		"of another WWDR":           {vendor(b.apple, applepki.VendorOptions{Generation: applepki.G6}, applepki.G3), "issued by another intermediate"},
		"of somebody else's WWDR":   {vendor(strange, applepki.VendorOptions{}, applepki.G3), "issued by another intermediate"},
		"somebody else's WWDR":      {chained(certPEM(b.leaf, strange.WWDR(applepki.G3), root)), "not one of Worldwide Developer Relations"},
		"somebody else's root":      {chained(certPEM(b.leaf, wwdr, strange.Root())), "not Apple Root CA"},
		"root before intermediate":  {chained(certPEM(b.leaf, root, wwdr)), "not Apple Root CA"},
		"the other way round":       {chained(certPEM(root, wwdr, b.leaf)), "wrong order"},
		"vendor second":             {chained(certPEM(wwdr, b.leaf, root)), "wrong order"},
		"no root":                   {chained(certPEM(b.leaf, wwdr)), "2 certificates"},
		"all intermediates":         {chained(certPEM(b.leaf, wwdr, b.apple.WWDR(applepki.G6), root)), "4 certificates"},
		"no chain":                  {chained(""), "not a PEM certificate"},
		"lines of 76 columns":       {chained(columns(76, b.leaf, wwdr, root)), "lines of 64 columns"},
		"no lines":                  {chained(columns(1<<20, b.leaf, wwdr, root)), "lines of 64 columns"},
		"words between":             {chained(certPEM(b.leaf) + "subject=CN\n" + certPEM(wwdr, root)), "what follows 1 certificates"},
		"DER in base64":             {chained(base64.StdEncoding.EncodeToString(b.leaf.Raw)), "not a PEM certificate"},
		"a PEM block of other bits": {chained("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "certificate 1 is not in DER"},

		"signed with SHA-1":         {signed(sign(t, b.key, crypto.SHA1, b.csr)), "PushCertSignature: it was made with SHA-1"},
		"signed over the PEM":       {signed(sign(t, b.key, crypto.SHA256, csrPEM)), "PushCertSignature: it is not the vendor key's"},
		"signed by another key":     {signed(sign(t, newKey(t, 2048), crypto.SHA256, b.csr)), "PushCertSignature: it is not the vendor key's"},
		"another CSR's signature":   {signed(sign(t, b.key, crypto.SHA256, newCSR(t, newKey(t, 2048), x509.SHA256WithRSA))), "PushCertSignature: it is not the vendor key's"},
		"a wrong bit":               {signed(base64.StdEncoding.EncodeToString(signature)), "PushCertSignature: it is not the vendor key's"},
		"no signature":              {signed(""), "PushCertSignature: it is not base64"},
		"a signature in other text": {signed(good.signature + "!"), "PushCertSignature: it is not base64"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := b.apple.Portal().Create(c.upload())
			wantRefusal(t, err, c.want)
		})
	}
}

// columns is PEM with lines of another width.
func columns(n int, certs ...*x509.Certificate) string {
	var out strings.Builder
	for _, c := range certs {
		out.WriteString("-----BEGIN CERTIFICATE-----\n" + wrap(base64.StdEncoding.EncodeToString(c.Raw), n, "\n") + "-----END CERTIFICATE-----\n")
	}
	return out.String()
}

// The clock is the caller's: what is good today is not in eleven years, when the intermediates are at their end.
func TestAnExpiredIntermediate(t *testing.T) {
	now := start
	apple, err := applepki.New(func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	leaf, key, err := apple.Vendor(applepki.VendorOptions{NotAfter: start.AddDate(15, 0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	upload, err := apple.SignRequest(leaf, key, newCSR(t, newKey(t, 2048), x509.SHA256WithRSA))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := apple.Portal().Create(upload); err != nil {
		t.Fatal(err)
	}
	now = start.AddDate(11, 0, 0)
	_, err = apple.Portal().Create(upload)
	wantRefusal(t, err, "Worldwide Developer Relations")
	wantRefusal(t, err, "expired on")
}
