package applepki

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"time"
)

// oidVendor is the extension that lets a certificate sign requests for push certificates.
var oidVendor = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 4, 12}

// VendorOptions say which vendor certificate to issue. The zero value is a good one with a new key.
type VendorOptions struct {
	// NotBefore and NotAfter are an hour ago and in a year unless they are set.
	NotBefore, NotAfter time.Time
	Generation          Generation
	// Key is the vendor's; nil makes one.
	Key crypto.Signer
	// Ordinary leaves the vendor extension out, as in every other certificate for developers.
	Ordinary bool
}

// Vendor issues a certificate to an MDM vendor.
func (a *Apple) Vendor(o VendorOptions) (leaf *x509.Certificate, key crypto.Signer, err error) {
	key = o.Key
	if key == nil {
		if key, err = rsa.GenerateKey(rand.Reader, keyBits); err != nil {
			return nil, nil, err
		}
	}
	leaf, err = a.vendor(o, key.Public())
	return leaf, key, err
}

// VendorFromCSR is the page "MDM CSR" of the developer portal: it issues a vendor certificate for a PKCS#10 request in DER.
func (a *Apple) VendorFromCSR(der []byte) (*x509.Certificate, error) {
	csr, err := checkedCSR(der)
	if err != nil {
		return nil, err
	}
	return a.vendor(VendorOptions{}, csr.PublicKey)
}

func (a *Apple) vendor(o VendorOptions, public crypto.PublicKey) (*x509.Certificate, error) {
	if err := checkKey(public); err != nil {
		return nil, fmt.Errorf("the vendor's %w", err)
	}
	issuer, known := a.wwdr[cmp.Or(o.Generation, G3)]
	if !known {
		return nil, fmt.Errorf("there is no intermediate %q", o.Generation)
	}
	now := a.now()
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "MDM Vendor: Example Inc.", OrganizationalUnit: []string{"EXAMPLE123"}, Organization: []string{"Example Inc."}, Country: []string{"US"}},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if !o.NotBefore.IsZero() {
		template.NotBefore = o.NotBefore
	}
	if !o.NotAfter.IsZero() {
		template.NotAfter = o.NotAfter
	}
	if !o.Ordinary {
		template.ExtraExtensions = []pkix.Extension{{Id: oidVendor, Value: asn1.NullBytes}}
	}
	leaf, err := issuer.issue(template, public)
	if err != nil {
		return nil, fmt.Errorf("issuing the vendor certificate: %w", err)
	}
	return leaf, nil
}

// SignRequest does a vendor's work on a customer's CSR in DER, whatever the certificate is worth, and returns the file to upload: base64 in one line.
func (a *Apple) SignRequest(leaf *x509.Certificate, key crypto.Signer, csr []byte) ([]byte, error) {
	var issuer *authority
	for _, ca := range a.wwdr {
		if bytes.Equal(ca.cert.SubjectKeyId, leaf.AuthorityKeyId) {
			issuer = ca
		}
	}
	if issuer == nil {
		return nil, errors.New("the vendor certificate is of no intermediate that is known here")
	}
	digest := sha256.Sum256(csr)
	signature, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("signing the request: %w", err)
	}
	chain := bytes.Join([][]byte{encode(leaf), encode(issuer.cert), a.RootPEM()}, nil)
	plist := fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>%s</key>
	<string>%s</string>
	<key>%s</key>
	<string>%s</string>
	<key>%s</key>
	<string>%s</string>
</dict>
</plist>
`, keyCSR, base64.StdEncoding.EncodeToString(csr), keyChain, chain, keySignature, base64.StdEncoding.EncodeToString(signature))
	return []byte(base64.StdEncoding.EncodeToString([]byte(plist))), nil
}
