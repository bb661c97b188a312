package pushcert

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/micromdm/plist"
)

// Reasons why a push certificate request would not do at Apple.
const (
	ReasonRequestMalformed        = "RequestMalformed"
	ReasonRequestForAnotherKey    = "RequestForAnotherKey"
	ReasonRequestSignatureInvalid = "RequestSignatureInvalid"
)

// Keys of the property list.
const (
	keyCSR       = "PushCertRequestCSR"
	keyChain     = "PushCertCertificateChain"
	keySignature = "PushCertSignature"
)

// Request is a push certificate request: what is uploaded at https://identity.apple.com/pushcert.
type Request struct {
	CSR *x509.CertificateRequest
	// Chain is the vendor's certificate, Apple's intermediate (WWDR) and Apple's root.
	Chain []*x509.Certificate
	// Signature is the vendor's over the DER of the request: RSASSA-PKCS1-v1_5 with SHA-256.
	Signature []byte
}

// Encode returns the file to upload: a property list of three strings, in base64.
func (r *Request) Encode() []byte {
	var chain strings.Builder
	for _, c := range r.Chain {
		chain.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	b, err := plist.Marshal(map[string]string{
		keyCSR:       base64.StdEncoding.EncodeToString(r.CSR.Raw),
		keyChain:     chain.String(),
		keySignature: base64.StdEncoding.EncodeToString(r.Signature),
	})
	if err != nil {
		panic(fmt.Sprintf("encoding three strings: %v", err))
	}
	return []byte(base64.StdEncoding.EncodeToString(b))
}

// ParseRequest reads the file to upload, or the property list in it. It refuses all but the three strings.
func ParseRequest(b []byte) (*Request, error) {
	if err := checkSize(b); err != nil {
		return nil, err
	}
	text := bytes.TrimSpace(b)
	if !bytes.HasPrefix(text, []byte("<")) {
		decoded, err := decodeBase64(string(text))
		if err != nil {
			return nil, errors.New("it is neither a property list nor base64 of one: give the push certificate request that the vendor made")
		}
		text = bytes.TrimSpace(decoded)
	}
	if !bytes.HasPrefix(text, []byte("<")) {
		return nil, errors.New("it is no property list: give the push certificate request that the vendor made, not the certificate request or a certificate")
	}
	fields := map[string]string{}
	if err := plist.Unmarshal(text, &fields); err != nil {
		return nil, errors.New("its property list is cut or broken, or holds something else than strings")
	}
	for _, key := range []string{keyCSR, keyChain, keySignature} {
		if fields[key] == "" {
			return nil, fmt.Errorf("its property list has no %s", key)
		}
	}
	if len(fields) != 3 {
		return nil, fmt.Errorf("its property list has %d entries; Apple takes three", len(fields))
	}
	return parseFields(fields)
}

func parseFields(fields map[string]string) (*Request, error) {
	der, err := decodeBase64(fields[keyCSR])
	if err != nil {
		return nil, fmt.Errorf("%s is no base64", keyCSR)
	}
	r := &Request{}
	if r.CSR, err = ParseCSR(der); err != nil {
		return nil, fmt.Errorf("%s: %w", keyCSR, err)
	}
	if r.Chain, err = ReadCertificates([]byte(fields[keyChain])); err != nil {
		return nil, fmt.Errorf("%s: %w", keyChain, err)
	}
	if r.Signature, err = decodeBase64(fields[keySignature]); err != nil {
		return nil, fmt.Errorf("%s is no base64", keySignature)
	}
	return r, nil
}

// decodeBase64 takes line breaks of any kind and spaces as people's mail programs leave them.
func decodeBase64(s string) ([]byte, error) {
	return base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
}

// Check says whether Apple would take the request.
func (r *Request) Check(now time.Time) *Refusal {
	if refusal := checkChain(r.Chain, now); refusal != nil {
		return refusal
	}
	key, ok := r.Chain[0].PublicKey.(*rsa.PublicKey)
	sum := sha256.Sum256(r.CSR.Raw)
	if !ok || rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], r.Signature) != nil {
		return &Refusal{ReasonRequestSignatureInvalid, fmt.Sprintf("the signature is not one of %q over the certificate request with SHA-256: have the vendor sign it again", r.Chain[0].Subject.CommonName)}
	}
	return nil
}
