package applepki

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// certificateText is one certificate in PEM as openssl and Apple write it: lines of 64 columns, the last one shorter or full.
var certificateText = regexp.MustCompile(`^-----BEGIN CERTIFICATE-----\n((?:[A-Za-z0-9+/]{64}\n)*[A-Za-z0-9+/]{1,64}={0,2}\n)-----END CERTIFICATE-----\n`)

// checkUpload returns the CSR of an upload once all of it was found in order.
func (a *Apple) checkUpload(file []byte) (*x509.CertificateRequest, error) {
	entries, err := readUpload(file)
	if err != nil {
		return nil, err
	}
	der, err := decodeBase64(entries[keyCSR])
	if err != nil {
		return nil, fmt.Errorf("%s is not base64: %w", keyCSR, err)
	}
	csr, err := checkedCSR(der)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keyCSR, err)
	}
	chain, err := readChain(entries[keyChain])
	if err == nil {
		err = a.checkChain(chain)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keyChain, err)
	}
	if err := checkSignature(chain[0], csr.Raw, entries[keySignature]); err != nil {
		return nil, fmt.Errorf("%s: %w", keySignature, err)
	}
	return csr, nil
}

func checkedCSR(der []byte) (*x509.CertificateRequest, error) {
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("it is not a PKCS#10 request in DER: %w", err)
	}
	if err := checkKey(csr.PublicKey); err != nil {
		return nil, fmt.Errorf("its %w", err)
	}
	if csr.SignatureAlgorithm != x509.SHA256WithRSA {
		return nil, fmt.Errorf("it is signed with %s, not with SHA256-RSA", csr.SignatureAlgorithm)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("its own signature is invalid: %w", err)
	}
	return csr, nil
}

func checkKey(public crypto.PublicKey) error {
	key, ok := public.(*rsa.PublicKey)
	if !ok {
		return fmt.Errorf("key is not an RSA key but a %T", public)
	}
	if key.N.BitLen() < keyBits {
		return fmt.Errorf("RSA key has %d bits, fewer than %d", key.N.BitLen(), keyBits)
	}
	return nil
}

// readChain reads PEM certificates one after the other, with nothing before, between and after them.
func readChain(text string) ([]*x509.Certificate, error) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	var chain []*x509.Certificate
	for text != "" {
		found := certificateText.FindStringSubmatch(text)
		if found == nil {
			return nil, fmt.Errorf("what follows %d certificates is not a PEM certificate in lines of 64 columns", len(chain))
		}
		der, err := base64.StdEncoding.Strict().DecodeString(lineBreaks.Replace(found[1]))
		if err != nil {
			return nil, fmt.Errorf("certificate %d is not base64: %w", len(chain)+1, err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("certificate %d is not in DER: %w", len(chain)+1, err)
		}
		chain, text = append(chain, cert), text[len(found[0]):]
	}
	return chain, nil
}

// checkChain wants the vendor's certificate, the intermediate that issued it, and the root, in this order.
func (a *Apple) checkChain(chain []*x509.Certificate) error {
	if len(chain) != 3 {
		return fmt.Errorf("%d certificates where there must be three", len(chain))
	}
	leaf, intermediate, root := chain[0], chain[1], chain[2]
	switch {
	case leaf.IsCA || !intermediate.IsCA || !root.IsCA:
		return errors.New("wrong order: it must be the vendor certificate, the intermediate and the root")
	case !root.Equal(a.root.cert):
		return fmt.Errorf("the last certificate (%s) is not Apple Root CA", root.Subject)
	case !a.isWWDR(intermediate):
		return fmt.Errorf("the intermediate (%s) is not one of Worldwide Developer Relations", intermediate.Subject)
	case !bytes.Equal(leaf.AuthorityKeyId, intermediate.SubjectKeyId):
		return fmt.Errorf("the vendor certificate was issued by another intermediate than %s", intermediate.Subject)
	}
	if err := leaf.CheckSignatureFrom(intermediate); err != nil {
		return fmt.Errorf("the vendor certificate was not issued by %s: %w", intermediate.Subject, err)
	}
	for _, cert := range chain {
		if now := a.now(); now.Before(cert.NotBefore) {
			return fmt.Errorf("%s is not valid before %s", cert.Subject, cert.NotBefore)
		} else if now.After(cert.NotAfter) {
			return fmt.Errorf("%s expired on %s", cert.Subject, cert.NotAfter)
		}
	}
	return checkVendor(leaf)
}

func (a *Apple) isWWDR(cert *x509.Certificate) bool {
	for _, ca := range a.wwdr {
		if cert.Equal(ca.cert) {
			return true
		}
	}
	return false
}

func checkVendor(leaf *x509.Certificate) error {
	for _, e := range leaf.Extensions {
		if e.Id.Equal(oidVendor) {
			return checkKey(leaf.PublicKey)
		}
	}
	return fmt.Errorf("%s is not a vendor certificate: it has no extension %s", leaf.Subject, oidVendor)
}

// checkSignature wants RSASSA-PKCS1-v1_5 with SHA-256 over the DER of the CSR.
func checkSignature(leaf *x509.Certificate, csr []byte, text string) error {
	signature, err := decodeBase64(text)
	if err != nil {
		return fmt.Errorf("it is not base64: %w", err)
	}
	key, ok := leaf.PublicKey.(*rsa.PublicKey)
	if !ok {
		return errors.New("the vendor key is not an RSA key")
	}
	digest := sha256.Sum256(csr)
	if rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil {
		return nil
	}
	old := sha1.Sum(csr) // older instructions ask for it
	if rsa.VerifyPKCS1v15(key, crypto.SHA1, old[:], signature) == nil {
		return errors.New("it was made with SHA-1, which is no longer accepted")
	}
	return errors.New("it is not the vendor key's signature over the DER of the CSR")
}
