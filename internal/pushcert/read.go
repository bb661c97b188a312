package pushcert

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// maxInput bounds each file that is read, and maxKey one with a key, in bytes. Real ones have some thousands.
const maxInput, maxKey = 256 << 10, 32 << 10

var (
	errPKCS12 = errors.New("it is a PKCS #12 file (.p12, .pfx): take certificate and key out of it with 'openssl pkcs12 -in FILE -nodes -out push.pem'")
	errPKCS7  = errors.New("it is a PKCS #7 file (.p7b, .p7c): take the certificates out of it with 'openssl pkcs7 -inform DER -in FILE -print_certs -out push.pem'")
	// errPKCS7PEM is errPKCS7 of a file that is PEM.
	errPKCS7PEM = errors.New("it is a PKCS #7 file (.p7b, .p7c): take the certificates out of it with 'openssl pkcs7 -in FILE -print_certs -out push.pem'")
	errLocked   = errors.New("the key is encrypted with a password: take that off with 'openssl pkey -in FILE -out push.key', and keep the file in a Secret only")
	errCut      = errors.New("its PEM block is cut or broken: give the whole file, with its BEGIN and END lines")
)

// byteOrderMark is what some editors begin text files with.
var byteOrderMark = []byte("\ufeff")

// checkSize bounds a file, and takes off the byte order mark.
func checkSize(b []byte) ([]byte, error) {
	b = bytes.TrimPrefix(b, byteOrderMark)
	switch {
	case len(bytes.TrimSpace(b)) == 0:
		return nil, errors.New("it is empty")
	case len(b) > maxInput:
		return nil, fmt.Errorf("it has %d bytes, more than such a file ever has", len(b))
	}
	return b, nil
}

// looksPEM says whether a file has a PEM block; its lines may end with CRLF.
func looksPEM(b []byte) bool { return bytes.Contains(b, []byte("-----BEGIN ")) }

// ReadCertificates reads all certificates of a file: PEM blocks in any order, other blocks between them, or one certificate in DER. There is at
// least one. Errors say what the file is instead and how to convert it.
func ReadCertificates(b []byte) ([]*x509.Certificate, error) {
	b, err := checkSize(b)
	if err != nil {
		return nil, err
	}
	if looksPEM(b) {
		return readPEM(b)
	}
	certificate, err := x509.ParseCertificate(b)
	if err != nil {
		return nil, foreignFormat(b, errors.New("there is no certificate in it, neither PEM nor DER"))
	}
	return []*x509.Certificate{certificate}, nil
}

// certificateLine begins each certificate in PEM.
var certificateLine = []byte("-----BEGIN CERTIFICATE-----")

func readPEM(b []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	other := errCut
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case "CERTIFICATE":
			certificate, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, errors.New("a PEM block CERTIFICATE in it is broken: give the file as it was downloaded")
			}
			all = append(all, certificate)
		case "PKCS7", "CMS":
			other = errPKCS7PEM
		default:
			other = fmt.Errorf("there is no certificate in it but a %.40q", block.Type)
		}
	}
	switch {
	case bytes.Count(b, certificateLine) > len(all): // pem.Decode passes over what is broken
		return nil, errCut
	case len(all) == 0:
		return nil, other
	}
	return all, nil
}

// ReadKey reads a private key: PEM (PKCS #1, PKCS #8, SEC 1) among other blocks, or DER. Errors say nothing of the bytes.
func ReadKey(b []byte) (crypto.Signer, error) {
	b, err := checkSize(b)
	if err != nil {
		return nil, err
	}
	if len(b) > maxKey {
		return nil, fmt.Errorf("it has %d bytes, more than a file with a key ever has", len(b))
	}
	if looksPEM(b) {
		return readKeyPEM(b)
	}
	if key := parseKey(b); key != nil {
		return key, nil
	}
	return nil, foreignFormat(b, errors.New("there is no private key in it, neither PEM nor DER"))
}

func readKeyPEM(b []byte) (crypto.Signer, error) {
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY", strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"): // RFC 7468, section 11; RFC 1421
			return nil, errLocked
		case !strings.HasSuffix(block.Type, "PRIVATE KEY"):
			continue
		}
		if key := parseKey(block.Bytes); key != nil {
			return key, nil
		}
		return nil, errors.New("the private key in the PEM file is broken, or of a kind that is not read: give it as PKCS #8 or PKCS #1 (openssl pkey -in FILE -out push.key)")
	}
	if bytes.Contains(b, []byte("PRIVATE KEY-----")) {
		return nil, errCut
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

var (
	// pkcs12Start is the version 3 in a PFX (RFC 7292, section 4).
	pkcs12Start = []byte{0x02, 0x01, 0x03}
	// pkcs7Start is the object identifier of SignedData (RFC 5652, section 5.1), the content type of files with certificates.
	pkcs7Start = []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02}
)

// foreignFormat recognises what people take for a certificate or key, and otherwise returns the error.
func foreignFormat(b []byte, otherwise error) error {
	content := insideSequence(b)
	switch {
	case bytes.HasPrefix(content, pkcs12Start):
		return errPKCS12
	case bytes.HasPrefix(content, pkcs7Start):
		return errPKCS7
	}
	var encrypted struct { // RFC 5958, section 3
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}
	if rest, err := asn1.Unmarshal(b, &encrypted); err == nil && len(rest) == 0 {
		return errLocked
	}
	return otherwise
}

// insideSequence is what follows the tag and length of a sequence, in BER, too, since some programs write these files so.
func insideSequence(b []byte) []byte {
	if len(b) < 2 || b[0] != 0x30 {
		return nil
	}
	if b[1] < 0x80 {
		return b[2:]
	}
	return b[min(2+int(b[1]&0x7f), len(b)):]
}
