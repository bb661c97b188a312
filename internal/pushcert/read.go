package pushcert

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// oidSignedData is the content type of PKCS #7 files with certificates (RFC 5652, section 5.1).
var oidSignedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}

var (
	errPKCS12 = errors.New("it is a PKCS #12 file (.p12, .pfx): take certificate and key out of it with 'openssl pkcs12 -in FILE -nodes -out push.pem'")
	errPKCS7  = errors.New("it is a PKCS #7 file (.p7b): take the certificates out of it with 'openssl pkcs7 -inform DER -print_certs -in FILE -out push.pem'")
	errEmpty  = errors.New("it is empty")
	errLocked = errors.New("the key is encrypted with a password: take that off with 'openssl pkey -in FILE -out push.key', and keep the file in a Secret only")
)

func checkSize(b []byte) error {
	switch {
	case len(bytes.TrimSpace(b)) == 0:
		return errEmpty
	case len(b) > maxInput:
		return fmt.Errorf("it has %d bytes, more than such a file ever has", len(b))
	}
	return nil
}

// looksPEM says whether a file has a PEM block; its lines may end with CRLF.
func looksPEM(b []byte) bool { return bytes.Contains(b, []byte("-----BEGIN ")) }

// ReadCertificates reads all certificates of a file: PEM blocks in any order, other blocks between them, or one certificate in DER. There is at
// least one. Errors say what the file is instead and how to convert it.
func ReadCertificates(b []byte) ([]*x509.Certificate, error) {
	if err := checkSize(b); err != nil {
		return nil, err
	}
	if !looksPEM(b) {
		certificate, err := x509.ParseCertificate(b)
		if err != nil {
			return nil, foreignFormat(b, errors.New("there is no certificate in it, neither PEM nor DER"))
		}
		return []*x509.Certificate{certificate}, nil
	}
	var all []*x509.Certificate
	var others []string
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			others = append(others, block.Type)
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, errors.New("a PEM block CERTIFICATE in it is broken: give the file as it was downloaded")
		}
		all = append(all, certificate)
	}
	switch {
	case len(all) > 0:
		return all, nil
	case len(others) > 0:
		return nil, fmt.Errorf("there is no certificate in it, only %s", strings.Join(others, ", "))
	}
	return nil, errors.New("its PEM block is cut or broken: give the whole file, with its BEGIN and END lines")
}

// ReadKey reads a private key: PEM (PKCS #1, PKCS #8, SEC 1) among other blocks, or DER. Errors say nothing of the bytes.
func ReadKey(b []byte) (crypto.Signer, error) {
	if err := checkSize(b); err != nil {
		return nil, err
	}
	if !looksPEM(b) {
		if key := parseKey(b); key != nil {
			return key, nil
		}
		return nil, foreignFormat(b, errors.New("there is no private key in it, neither PEM nor DER"))
	}
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY", strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
			return nil, errLocked
		case !strings.HasSuffix(block.Type, "PRIVATE KEY"):
			continue
		}
		if key := parseKey(block.Bytes); key != nil {
			return key, nil
		}
		return nil, fmt.Errorf("its PEM block %s is broken", block.Type)
	}
	return nil, errors.New("there is no private key in the PEM file")
}

// parseKey returns nil for what is no key that signs.
func parseKey(der []byte) crypto.Signer {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		signer, _ := key.(crypto.Signer)
		return signer
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key
	}
	return nil
}

// foreignFormat recognises what people take for a certificate or key, and otherwise returns the error.
func foreignFormat(b []byte, otherwise error) error {
	var pfx struct {
		Version int
		Rest    asn1.RawContent `asn1:"optional"`
	}
	var raw asn1.RawValue
	if _, err := asn1.Unmarshal(b, &raw); err != nil || raw.Tag != asn1.TagSequence {
		return otherwise
	}
	var oid asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal(raw.Bytes, &oid); err == nil && oid.Equal(oidSignedData) {
		return errPKCS7
	}
	if rest, err := asn1.Unmarshal(raw.Bytes, &pfx.Version); err == nil && pfx.Version == 3 && len(rest) > 0 { // RFC 7292, section 4
		return errPKCS12
	}
	return otherwise
}
